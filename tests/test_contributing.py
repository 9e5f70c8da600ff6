"""The example strategy of the contributor guide is complete and works."""

import doctest
import re
import sys
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest

import cofm_sklearn.query
from cofm_sklearn.loop.checks import STRATEGY_CHECKS

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
PACKAGE = Path(cofm_sklearn.__file__).parent
STRATEGY, TESTS, PAGE = re.findall(
    r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S
)


def run(code, name):
    module = ModuleType(name)
    exec(compile(code, f"{GUIDE.name}: {name}", "exec"), vars(module))
    return module


@pytest.fixture
def strategy(monkeypatch):
    """The module of the strategy, at the path given in the guide."""
    module = run(STRATEGY, "cofm_sklearn.query.density")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(
        cofm_sklearn.query, "DensityQuery", module.DensityQuery, raising=False
    )
    return module


@pytest.mark.parametrize("check", STRATEGY_CHECKS, ids=lambda check: check.__name__)
def test_the_strategy_passes_the_shared_checks(strategy, check):
    check(strategy.DensityQuery(random_state=0))


def test_its_docstring_is_right(strategy):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for test in finder.find(strategy.DensityQuery, "DensityQuery"):
        runner.run(test)
    found = runner.summarize()
    assert (found.attempted, found.failed) == (4, 0)


def test_its_tests_pass(strategy):
    module = run(TESTS, "test_density")
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_its_page_shows_a_picture(strategy):
    mpl.use("agg")
    page = run(PAGE, "plot_density")
    try:
        titles = [ax.get_title() for ax in page.fig.axes]
        assert titles == ["beta = 0", "beta = 3"]
        marked = [page.fig.axes[k].collections[1].get_offsets().data for k in (0, 1)]
        assert (marked[0] != marked[1]).any()  # the density matters
    finally:
        page.plt.close(page.fig)


def test_the_guide_names_files_that_exist():
    named = re.findall(
        r"`((?:cofm_sklearn|tests|examples)/[\w/]+\.(?:py|txt))`",
        (GUIDE.read_text(encoding="utf-8")),
    )
    made = {
        "cofm_sklearn/query/density.py",
        "tests/query/test_density.py",
        "examples/plot_density.py",
    }
    assert made <= set(named)
    for name in set(named) - made:
        assert (GUIDE.parent / name).exists() or (PACKAGE.parent / name).exists(), name
