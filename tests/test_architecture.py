"""The floors of the package: a module imports only from floors below its own."""

import ast
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import cofm_sklearn

ROOT = Path(cofm_sklearn.__file__).parent
# From the ground up.
FLOORS = [
    "utils",
    "datasets",
    "encoders",
    "priors",
    "pool",
    "noise",
    "models",
    "query",
    "simulation",
    "annotation",
]
# Imported inside functions only: they take long, or are optional.
HEAVY = {
    "torch",
    "torchvision",
    "skorch",
    "sentence_transformers",
    "transformers",
    "openai",
    "huggingface_hub",
    "safetensors",
    "open_clip",
    "PIL",
    "matplotlib",
    "modAL",
    "skactiveml",
    "cleanlab",
    "polars",
    "dask",
    "distributed",
    "zarr",
    "pyarrow",
}
# Nothing imports the main job, which runs modAL's own strategies.
LEAVES = {"_demo", "__main__"}
MODULES = sorted(ROOT.rglob("*.py"))
# What stands on the house from outside. Notebooks are made from the examples.
TREE = Path(__file__).parents[1]
OUTSIDE = sorted(
    path for name in ("examples", "benchmarks") for path in (TREE / name).rglob("*.py")
)


def module_id(path):
    return path.relative_to(ROOT).as_posix()


def floor_of(path):
    """Return the folder of the package a module is in, or its name at the top."""
    return Path(module_id(path)).with_suffix("").parts[0]


def imported_names(tree):
    """Yield the dotted names that a syntax tree imports anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level(tree):
    """Yield the statements that run when the module is imported."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


@pytest.fixture(params=MODULES, ids=module_id)
def module(request):
    """Path, source and syntax tree of one module of the package."""
    source = request.param.read_text(encoding="utf-8")
    return request.param, source, ast.parse(source)


def test_every_folder_is_a_floor():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders <= {*FLOORS, *LEAVES}


def test_imports_come_from_floors_below(module):
    path, _, tree = module
    floor = floor_of(path)
    used = {
        name.split(".")[1]
        for name in imported_names(tree)
        if name.startswith("cofm_sklearn.")
    }
    used -= {floor}
    if floor == "__init__":
        assert used <= {"utils", "utils.modal"}
    elif floor in LEAVES:
        assert used <= {*FLOORS, *LEAVES}
    else:
        assert used <= set(FLOORS[: FLOORS.index(floor)])


def test_heavy_modules_are_imported_late(module):
    path, _, tree = module
    if floor_of(path) in LEAVES:
        return
    imports = [
        node
        for node in top_level(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = imported_names(ast.Module(body=imports, type_ignores=[]))
    assert not {name.split(".")[0] for name in names} & HEAVY


def test_no_module_is_longer_than_600_lines(module):
    _, source, _ = module
    assert len(source.splitlines()) <= 600


def test_no_class_is_defined_under_a_condition(module):
    _, _, tree = module
    for node in top_level(tree):
        if isinstance(node, ast.If | ast.Try):
            assert not any(isinstance(part, ast.ClassDef) for part in ast.walk(node))


def test_no_exception_is_caught_unseen(module):
    _, _, tree = module
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"
            caught = {
                name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)
            }
            assert not caught & {"Exception", "BaseException"}, f"line {node.lineno}"


def test_no_global_random_state(module):
    _, _, tree = module
    # get_state only looks at it.
    allowed = {
        "RandomState",
        "Generator",
        "PCG64",
        "default_rng",
        "SeedSequence",
        "get_state",
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id in {"np", "numpy"}
        ):
            assert node.attr in allowed, f"np.random.{node.attr}, line {node.lineno}"


def test_every_module_says_what_it_is_for(module):
    _, _, tree = module
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(TREE)))
def test_examples_and_benchmarks_import_what_is_given_away(path):
    """Names that a module lists in ``__all__``, from modules that are not private.

    Benchmarks may take a module whole, to try what another part would do in its place.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        parts = node.module.split(".")
        if parts[0] == "cofm_sklearn":
            assert not any(part.startswith("_") for part in parts), node.module
            module = import_module(node.module)
            given = list(module.__all__)
            if path.relative_to(TREE).parts[0] == "benchmarks":
                given += [
                    info.name for info in iter_modules(getattr(module, "__path__", []))
                ]
            for alias in node.names:
                assert alias.name in given, f"{node.module}.{alias.name}"


def test_the_check_above_sees_examples_and_benchmarks():
    assert {path.relative_to(TREE).parts[0] for path in OUTSIDE} == {
        "examples",
        "benchmarks",
    }


@pytest.mark.skipif(ROOT.parent != TREE, reason="the package is installed elsewhere")
def test_the_version_stands_in_one_place():
    holding = [
        path.relative_to(TREE).as_posix()
        for path in (*MODULES, TREE / "pyproject.toml", TREE / "CITATION.cff")
        if cofm_sklearn.__version__ in path.read_text(encoding="utf-8")
    ]
    assert holding == ["cofm_sklearn/__init__.py"]
