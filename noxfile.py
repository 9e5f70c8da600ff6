"""The version matrix, the tests of a release, and lint.

nox                      # all sessions
nox -t matrix            # the version matrix: oldest, newest, every scikit-learn
nox -s tests_oldest      # one of its rows
nox -s tests_newest -- tests/query -k margin
nox -s tests_sklearn -- 1.8
nox -s release           # build wheel and sdist, and test each as installed

Each environment takes 6 GB of disk and is made again by every run.
"""

import json
import shutil
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
# modAL 0.4.2 pins a skorch that no longer imports; with any other it works, so it
# is installed without its dependencies.
MODAL = {"old": "modAL-python==0.4.1", "new": "modAL-python==0.4.2.1"}
# What speaks with modAL, by another protocol in each of its releases.
WITH_MODAL = [
    "tests/compat",
    "tests/query/test_in_stock_modal.py",
    "tests/query/test_adapters.py",
    "tests/loop/test_checks.py",
]
# What scikit-learn has changed under us before.
WITH_SKLEARN = [
    "tests/test_common.py",
    "tests/query",
    "tests/loop",
    "tests/simulation/test_classifier.py",
]
# Every release that is supported.
SKLEARN = ["1.6", "1.7", "1.8", "1.9"]

FROM_SITE_PACKAGES = (
    "import cofm_sklearn; print(cofm_sklearn.__file__); "
    "assert 'site-packages' in cofm_sklearn.__file__"
)
# Releases that must make the matrix fail, and the tests that must notice.
BROKEN = {
    "skorch==0.9.0": "tests/models/test_net.py",
    "scikit-learn==1.5.2": "tests/utils/test_versions.py",
}

nox.options.error_on_missing_interpreters = True


def run_tests(session, *args):
    """Run all tests, slow ones too, of the arguments or of the command line."""
    session.run("python", "-m", "pytest", "-m", "", *(session.posargs or args))


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
    # Without the baselines, which ask for newer releases.
    session.install("-e", ".[test]", "-c", "tests/constraints-oldest.txt")
    session.install("--no-deps", MODAL["new"])
    run_tests(session)
    session.install("--no-deps", MODAL["old"])
    run_tests(session, *WITH_MODAL)


@nox.session(python="3.11", tags=["matrix"])
def tests_sklearn(session):
    """Test the core with every supported release of scikit-learn, one after another.

    `nox -s tests_sklearn -- 1.8` takes only some.
    """
    session.install("-e", ".[test]")
    for release in session.posargs or SKLEARN:
        # All of the requirements again, so that pip keeps what goes together.
        session.install("-e", ".[test]", f"scikit-learn=={release}.*", MODAL["old"])
        session.run("python", "-m", "pytest", "tests/utils", *WITH_SKLEARN)
        session.install("--no-deps", MODAL["new"])
        session.run("python", "-m", "pytest", *WITH_MODAL)
        session.log(f"scikit-learn {release} is fine")


@nox.session(python="3.11", tags=["matrix"])
def broken(session):
    """See that the tests fail with a dependency that is broken or too old."""
    session.install("-e", ".[test]")
    for requirement, tests in BROKEN.items():
        session.run("python", "-m", "pytest", "-q", tests)  # they pass without it
        folder = session.create_tmp()
        shutil.rmtree(folder)
        session.install("--no-deps", "--target", folder, requirement)
        # 1: tests failed, 2: they could not be collected; anything else is no notice.
        session.run(
            *("python", "-m", "pytest", "-q", "-x", tests),
            env={"PYTHONPATH": folder},
            success_codes=[1, 2],
        )
        session.log(f"{requirement} was noticed")


@nox.session(python="3.11", default=False)
def coverage(session):
    """Run all tests; 95 % of the lines and 90 % of the branches must have run."""
    session.install("-e", ".[test,baselines]", "coverage>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-m", "", *session.posargs)
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
    """Check style and format, and the floors of the package."""
    extra = PROJECT["optional-dependencies"]["test"]
    tools = ("ruff==", "import-linter")
    session.install(*[need for need in extra if need.startswith(tools)])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session(python="3.11")
def docs(session):
    """Build the site with all examples; a warning is an error."""
    session.install("-e", ".[docs,test,baselines]")
    options = ["-W", "--keep-going", "-E", "-q", *session.posargs]
    session.run("python", "-m", "sphinx", *options, "docs", "docs/_build/html")


@nox.session(python="3.11")
def typing(session):
    """Check types, with the types that the dependencies ship."""
    session.install("-e", ".[test]")
    session.run("mypy")


@nox.session(python="3.11")
def build(session):
    """Build the sdist, and the wheel from it, into dist/, and check both."""
    session.install("build", "twine", "check-wheel-contents")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    files = [str(path) for path in Path("dist").iterdir()]
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", "dist")


@nox.session(python="3.11", requires=["build"])
@nox.parametrize("kind", ["whl", "tar.gz"])
def release(session, kind):
    """Install what was built into a fresh environment, and run the sdist's tests."""
    [file] = Path("dist").glob(f"*.{kind}")
    [sdist] = Path("dist").glob("*.tar.gz")
    session.install(f"{file}[test,baselines]")
    outside = Path(session.create_tmp()).resolve()
    shutil.unpack_archive(sdist, outside, filter="data")
    [tree] = outside.glob("cofm_sklearn-*")
    # Only the installed package is left to be imported.
    shutil.rmtree(tree / "cofm_sklearn")
    session.chdir(tree)
    session.run("python", "-c", FROM_SITE_PACKAGES)
    run_tests(session, "tests", "--pyargs", "cofm_sklearn")
