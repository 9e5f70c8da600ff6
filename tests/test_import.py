"""Effects and names of ``import cofm_sklearn``."""

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys

import pytest

import cofm_sklearn

LATE = ["torch", "sentence_transformers", "open_clip", "matplotlib", "modAL", "skorch"]
FLOORS = [
    name
    for _, name, is_package in pkgutil.iter_modules(cofm_sklearn.__path__)
    if is_package and not name.startswith("_")
]


def loaded_after(statement):
    """Return the modules of LATE that a fresh process has after a statement."""
    code = f"import sys\n{statement}\nprint(*[m for m in {LATE} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import cofm_sklearn",
        "from cofm_sklearn import *",
        "import " + ", ".join(f"cofm_sklearn.{name}" for name in FLOORS),
    ],
)
def test_import_leaves_heavy_modules_alone(statement):
    assert loaded_after(statement) == []


def test_the_check_above_sees_what_is_loaded():
    assert "modAL" in loaded_after("import modAL")


def test_public_names_can_be_imported():
    assert len(set(cofm_sklearn.__all__)) == len(cofm_sklearn.__all__)
    for name in cofm_sklearn.__all__:
        thing = getattr(cofm_sklearn, name)
        if name != "__version__":
            assert thing.__name__ == name
            assert thing.__doc__


@pytest.mark.parametrize("floor", FLOORS)
def test_names_of_a_subpackage_can_be_imported(floor):
    package = importlib.import_module(f"cofm_sklearn.{floor}")
    assert len(package.__doc__.splitlines()) == 1
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name).__doc__


def test_dir_lists_names_before_they_are_loaded():
    code = (
        "import cofm_sklearn\n"
        "assert set(cofm_sklearn.__all__) <= set(dir(cofm_sklearn))\n"
        "assert 'ZeroShotPrior' not in vars(cofm_sklearn)\n"
        "cofm_sklearn.ZeroShotPrior\n"
        "assert 'ZeroShotPrior' in vars(cofm_sklearn)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchName"):
        cofm_sklearn.NoSuchName  # noqa: B018
    with pytest.raises(ImportError):
        exec("from cofm_sklearn import NoSuchName")


def test_version_is_that_of_the_installed_package():
    assert importlib.metadata.version("cofm_sklearn") == cofm_sklearn.__version__
