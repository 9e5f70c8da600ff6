"""Tests with the oldest and the newest supported libraries, and lint.

nox                      # all sessions
nox -s tests_oldest      # one of them
nox -s tests_newest -- tests/query -k margin
"""

import nox

PROJECT = nox.project.load_toml("pyproject.toml")["project"]

nox.options.error_on_missing_interpreters = True


@nox.session(python="3.11")
def tests_newest(session):
    """Test with the newest releases that pip finds (modAL 0.4.1)."""
    session.install("-e", ".[test,baselines]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python="3.11")
def tests_oldest(session):
    """Test with the oldest supported releases (modAL 0.4.2)."""
    session.install("-e", ".[test]", "-c", "tests/constraints-oldest.txt")
    # It pins a skorch that no longer imports; with any other it works.
    session.install("--no-deps", "modAL-python==0.4.2.1")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python="3.11")
def lint(session):
    """Check style and format."""
    extra = PROJECT["optional-dependencies"]["test"]
    session.install(*[need for need in extra if need.startswith("ruff==")])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def docs(session):
    """Build the site with all examples; a warning is an error."""
    session.install("-e", ".[docs,test,baselines]")
    options = ["-W", "--keep-going", "-E", "-q", *session.posargs]
    session.run("python", "-m", "sphinx", *options, "docs", "docs/_build/html")
