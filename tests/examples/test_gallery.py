"""The examples follow rules that make them readable and reproducible.

That they run is seen where the gallery is built, so they do not run here again.
"""

import ast
import re
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))
if not EXAMPLES:
    pytest.skip("the tests are without their checkout", allow_module_level=True)

# NumPy's global random numbers, and generators that are not given a seed.
_GLOBAL = {"seed", "rand", "randn", "randint", "random", "choice", "permutation"}
_GENERATORS = {"RandomState", "default_rng", "Generator"}


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def source(request):
    return request.param.read_text(encoding="utf-8")


def calls(source):
    """Yield the dotted name and the node of every call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def unseeded(source):
    """Return the calls that draw random numbers without a seed."""
    found = []
    for name, node in calls(source):
        last = name.split(".")[-1]
        if last in _GENERATORS and not node.args and not node.keywords:
            found.append(name)
        if re.fullmatch(r"(np|numpy)\.random\.\w+", name) and last in _GLOBAL:
            found.append(name)
        if last == "train_test_split" and "random_state" not in {
            keyword.arg for keyword in node.keywords
        }:
            found.append(name)
    return found


def test_title_and_lead(source):
    title, line, *lead = ast.get_docstring(ast.parse(source)).splitlines()
    assert set(line) == {"="}
    assert len(line) == len(title)
    assert len(" ".join(lead).split()) >= 20


def test_cells_have_prose(source):
    cells = re.split(r"^# %%$", source, flags=re.MULTILINE)[1:]
    assert len(cells) >= 4
    assert all(re.match(r"\n# \w", cell) for cell in cells)


def test_headings_are_underlined_to_their_length(source):
    headings = re.findall(r"^# (.+)\n# (-{4,})$", source, flags=re.MULTILINE)
    assert all(len(title) == len(line) for title, line in headings)


def test_shows_a_labelled_picture(source):
    names = [name for name, _ in calls(source)]
    assert names.count("plt.show") >= 1
    assert re.search(r"label=|[xy]label|Display\.from_", source)


def test_draws_can_be_repeated(source):
    assert unseeded(source) == []


@pytest.mark.parametrize(
    "code",
    ["np.random.RandomState()", "np.random.rand(3)", "train_test_split(X, y)"],
)
def test_unseeded_draws_are_found(code):
    assert unseeded(code) == [code.split("(")[0]]


def test_probabilities_of_a_model_come_with_its_order_of_classes(source):
    for name, node in calls(source):
        given = [ast.unparse(argument) for argument in node.args]
        of_models = [text for text in given if text.endswith(".oof_proba_")]
        classes = {one.arg: ast.unparse(one.value) for one in node.keywords}
        for text in of_models:
            model = text.removesuffix(".oof_proba_")
            assert classes.get("classes") == f"{model}.classes_", name


def test_no_path_of_a_machine_and_no_download(source):
    assert not re.search(r"https?://|fetch_|[\"']/(home|work|tmp|root)\b", source)
