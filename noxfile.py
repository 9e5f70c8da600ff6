"""Tests with all supported libraries, lint, and the matrix that is made of them.

nox                      # all sessions
nox -t matrix            # the version matrix: oldest, newest, every scikit-learn
nox -s tests_oldest      # one of its rows
nox -s tests_newest -- tests/query -k margin

Each environment takes 6 GB of disk and is made again by every run.
"""

import nox

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
# modAL 0.4.2 pins a skorch that no longer imports; with any other it works, so it
# is installed without its dependencies.
MODAL = {"old": "modAL-python==0.4.1", "new": "modAL-python==0.4.2.1"}
# What touches modAL, by another protocol in each of its releases.
WITH_MODAL = ["tests/utils", "tests/query", "cofm_sklearn/utils", "cofm_sklearn/query"]
# What scikit-learn has changed under us before.
WITH_SKLEARN = ["tests/test_common.py", "tests/models", "tests/simulation/test_loop.py"]
# Every release that is supported, each with the modAL that pip would not choose.
SKLEARN = ["1.6", "1.7", "1.8", "1.9"]

nox.options.error_on_missing_interpreters = True


def run_tests(session, *args):
    """Run pytest with the arguments, or with those of the command line if any."""
    session.run("python", "-m", "pytest", *(session.posargs or args))


@nox.session(python="3.11", tags=["matrix"])
def tests_newest(session):
    """Test with the newest releases that pip finds, and with both of modAL."""
    session.install("-e", ".[test,baselines]")
    session.install("--no-deps", MODAL["old"])
    run_tests(session)
    session.install("--no-deps", MODAL["new"])
    run_tests(session, *WITH_MODAL)


@nox.session(python="3.11", tags=["matrix"])
def tests_oldest(session):
    """Test with the oldest supported releases, and with both of modAL."""
    session.install("-e", ".[test]", "-c", "tests/constraints-oldest.txt")
    session.install("--no-deps", MODAL["new"])
    run_tests(session)
    session.install("--no-deps", MODAL["old"])
    run_tests(session, *WITH_MODAL)


@nox.session(python="3.11", tags=["matrix"])
def tests_sklearn(session):
    """Test the core with every supported release of scikit-learn, one after another."""
    session.install("-e", ".[test]")
    for release in SKLEARN:
        # All of the requirements again, so that pip keeps what goes together.
        session.install("-e", ".[test]", f"scikit-learn=={release}.*")
        for modal in MODAL.values():
            session.install("--no-deps", modal)
            session.log(f"scikit-learn {release}, {modal}")
            run_tests(session, *WITH_MODAL)
        run_tests(session, *WITH_SKLEARN)


@nox.session(python="3.11")
def lint(session):
    """Check style and format."""
    extra = PROJECT["optional-dependencies"]["test"]
    session.install(*[need for need in extra if need.startswith("ruff==")])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
