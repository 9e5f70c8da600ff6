"""Docstrings document the parameters of the signatures."""

import ast
import inspect
import re
from importlib import import_module

import pytest

import cofm_sklearn

FLOORS = (
    *("datasets", "encoders", "priors", "noise"),
    *("models", "query", "simulation", "annotation", "utils"),
)


def public_objects():
    """Return all public functions, classes and methods."""
    found = {}
    for module in (
        cofm_sklearn,
        *(import_module(f"cofm_sklearn.{floor}") for floor in FLOORS),
    ):
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or not value.__module__.startswith("cofm_sklearn"):
                continue
            found[value.__qualname__] = value
            if inspect.isclass(value):
                # With what it has from the other parts of it that are ours.
                ours = [c for c in value.__mro__ if "cofm_sklearn" in c.__module__]
                for method in [m for part in ours for m in vars(part).values()]:
                    method = getattr(method, "__func__", method)
                    if inspect.isfunction(method) and method.__name__[0] != "_":
                        found[method.__qualname__] = method
    return found


OBJECTS = public_objects()


def documented_parameters(value):
    """Return name -> type as written, of the section Parameters; None without one."""
    text = inspect.getdoc(value) or ""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", text, re.M | re.S
    )
    if section is None:
        return None
    # A name, or several, at the margin; a type may go on in the next line.
    entries = re.findall(
        r"^(\*?\*?\w[\w, *]*?)(?: ?: ?(.*(?:\\\n.*)*))?$", section[1], re.M
    )
    return {name.strip(): kind for names, kind in entries for name in names.split(",")}


def signature_of(value):
    parameters = inspect.signature(value).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("self", "cls")}


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_parameters_are_those_of_the_signature(name):
    value = OBJECTS[name]
    documented = documented_parameters(value)
    if documented is None:
        return
    expected = signature_of(value)
    assert [n.lstrip("*") for n in documented] == list(expected)
    for parameter, kind in documented.items():
        default = expected[parameter.lstrip("*")]
        if parameter.startswith("*") or not kind:  # "As in ..." stands below it
            continue
        written = re.search(r"default=(.+)$", kind)
        assert (written is None) == (default is inspect.Parameter.empty), kind
        if written is not None and not written[1].isupper():  # the name of a constant
            assert ast.literal_eval(written[1]) == default, f"{parameter}: {kind}"


def test_the_check_above_reads_docstrings():
    documented = documented_parameters(cofm_sklearn.CoDecisionQuery)
    assert documented["sharpness"] == "float, default=2.0"
    assert len(OBJECTS) > 100
