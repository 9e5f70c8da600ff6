"""Rules of the package that no tool checks; import-linter checks floors and cycles."""

import ast
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import cofm_sklearn

ROOT = Path(cofm_sklearn.__file__).parent
TREE = Path(__file__).parents[1]
MODULES = {
    path.relative_to(ROOT.parent): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}


def imported_from(source):
    """Yield module, name and line of each name that is imported from the package."""
    for node in ast.walk(ast.parse(source)):
        module = getattr(node, "module", None) or ""
        if isinstance(node, ast.ImportFrom) and module.startswith("cofm_sklearn"):
            yield from ((module, alias.name) for alias in node.names)


def test_no_private_name_crosses_folders():
    crossing = [
        f"{path}: {module}.{name}"
        for path, source in MODULES.items()
        for module, name in imported_from(source)
        if name.startswith("_")
        and not name.startswith("__")
        and module.split(".")[1:2] != [path.parts[1].removesuffix(".py")]
    ]
    assert crossing == []


def test_no_module_is_longer_than_600_lines():
    lengths = {path: len(source.splitlines()) for path, source in MODULES.items()}
    assert {path: n for path, n in lengths.items() if n > 600} == {}


def test_examples_and_benchmarks_import_what_is_given_away():
    """Names that a module lists in ``__all__``, from modules that are not private.

    Benchmarks may take a module whole, to try what another part would do in its place.
    """
    looked_at = set()
    for folder in ("examples", "benchmarks"):
        for path in (TREE / folder).rglob("*.py"):
            for name, imported in imported_from(path.read_text(encoding="utf-8")):
                assert "._" not in name, (path, name)
                module = import_module(name)
                given = list(module.__all__)
                if folder == "benchmarks":
                    parts = iter_modules(getattr(module, "__path__", []))
                    given += [info.name for info in parts]
                assert imported in given, f"{path}: {name}.{imported}"
                looked_at.add(folder)
    assert looked_at == {"examples", "benchmarks"}


@pytest.mark.skipif(ROOT.parent != TREE, reason="the package is installed elsewhere")
def test_the_version_stands_in_one_place():
    files = [*MODULES, Path("pyproject.toml"), Path("CITATION.cff")]
    holding = [
        path.as_posix()
        for path in files
        if cofm_sklearn.__version__ in (TREE / path).read_text(encoding="utf-8")
    ]
    assert holding == ["cofm_sklearn/__init__.py"]
