"""Tests with the oldest and the newest supported libraries, and lint.

nox                      # all sessions
nox -s tests_oldest      # one of them
nox -s tests_newest -- tests/query -k margin
"""

import json
from pathlib import Path

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


@nox.session(python="3.11", default=False)
def coverage(session):
    """Run all tests; 95 % of the lines and 90 % of the branches must have run."""
    session.install("-e", ".[test,baselines]", "coverage>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report", success_codes=[0, 2])
    report = Path(session.create_tmp()) / "coverage.json"
    session.run("coverage", "json", "-q", "-o", str(report))
    totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
    lines = totals["covered_lines"] / totals["num_statements"]
    branches = totals["covered_branches"] / totals["num_branches"]
    session.log(f"lines {lines:.1%}, branches {branches:.1%}")
    if lines < 0.95 or branches < 0.90:
        session.error("At least 95 % of lines and 90 % of branches must be covered.")


@nox.session(python="3.11", default=False)
def mutation(session):
    """Change the code in small ways; a test should fail each time (docs/mutation.md).

    nox -s mutation -- "cofm_sklearn.models.fusion*"
    """
    session.install("-e", ".[test]", "mutmut>=3.8")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session(python="3.11")
def lint(session):
    """Check style and format."""
    extra = PROJECT["optional-dependencies"]["test"]
    session.install(*[need for need in extra if need.startswith("ruff==")])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
