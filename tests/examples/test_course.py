"""The notebooks of the course match the lessons, and run from top to bottom."""

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import pytest

import cofm_sklearn

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "examples" / "course" / "build.py"
if not BUILD.exists():
    pytest.skip("the tests are without their checkout", allow_module_level=True)

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
jupyter_client = pytest.importorskip("jupyter_client")

spec = importlib.util.spec_from_file_location("course_build", BUILD)
course = importlib.util.module_from_spec(spec)
spec.loader.exec_module(course)

NOTEBOOKS = sorted(course.build(), key=lambda path: path.name)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Kernels of the interpreter that runs the tests, whichever others there are."""
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "course").mkdir()
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python"}
    (folder / "course" / "kernel.json").write_text(json.dumps(kernel))
    return jupyter_client.kernelspec.KernelSpecManager(kernel_dirs=[str(folder)])


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """Shared folder of all notebooks, so that texts are embedded only once."""
    return tmp_path_factory.mktemp("classroom")


def run(notebook, kernels, folder):
    """Run a notebook in place; a cell that fails raises, with its traceback."""
    manager = jupyter_client.AsyncKernelManager(
        kernel_name="course", kernel_spec_manager=kernels
    )
    client = nbclient.NotebookClient(
        notebook, km=manager, timeout=300, resources={"metadata": {"path": str(folder)}}
    )
    # The checkout's package, and no threads that fight over small matrices.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    client.execute(
        env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=str(folder),
    )
    return notebook


def printed(cell):
    return "".join(out["text"] for out in cell.outputs if out.output_type == "stream")


def test_notebooks_are_what_the_lessons_say():
    stale = [path.name for path in course.out_of_date(course.build())]
    assert not stale, f"{stale} out of date: run python examples/course/build.py"


def test_notebooks_hold_no_outputs():
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None


def with_checks_after_solutions(cells):
    """Check solutions, too, as the exercises' cells do."""
    for cell in cells:
        yield cell
        if "exercise" in cell.metadata.get("tags", []):
            check = cell.source.partition(course.CHECK)[2]
        elif "solution" in cell.metadata.get("tags", []) and check:
            yield nbformat.v4.new_code_cell(check, metadata={"tags": ["checked"]})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, kernels, classroom):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = list(with_checks_after_solutions(notebook.cells))
    run(notebook, kernels, classroom)
    verdicts = {"exercise": [], "checked": []}
    for cell in notebook.cells:
        tag = cell.metadata.get("tags", [""])[0]
        if tag == "checked" or course.CHECK in cell.source:
            verdicts[tag] += re.findall(
                r"^Exercise [\d.]+: (.*?),", printed(cell), re.M
            )
    assert len(verdicts["exercise"]) == len(verdicts["checked"]) >= 3
    # A gap that passes its check would be no exercise.
    assert set(verdicts["exercise"]) == {"not yet"}, verdicts
    assert set(verdicts["checked"]) == {"right"}, verdicts


def test_kernel_is_this_interpreter_with_the_package_under_test(kernels, classroom):
    source = "import sys, cofm_sklearn; print(sys.executable, cofm_sklearn.__file__)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    (cell,) = run(notebook, kernels, classroom).cells
    assert printed(cell).split() == [sys.executable, cofm_sklearn.__file__]


def test_failing_cell_fails_with_its_traceback(kernels, classroom):
    cells = [nbformat.v4.new_code_cell("labels = []\nlabels[7]")]
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="IndexError"):
        run(nbformat.v4.new_notebook(cells=cells), kernels, classroom)


def test_missing_gallery_cell_is_named():
    with pytest.raises(ValueError, match=r"has 0 cells [\s\S]*\n  The data"):
        course.find_cell("plot_cold_start.py", "No cell begins like this")


def test_lesson_becomes_cells():
    fence = "```"
    text = f"""# Title
Words.

## Part
{fence}python exercise 1.1
gap = None
{fence}
{fence}python check 1.1
print(gap)
{fence}
{fence}python solution 1.1
gap = 1
{fence}
{fence}python
gap = 1
{fence}
"""
    notebook = nbformat.reads(course.make_notebook(text), as_version=4)
    assert course.make_notebook(text) == course.make_notebook(text)
    sources = [cell.source for cell in notebook.cells]
    assert sources == [
        "# Title\nWords.",
        "## Part",
        course.INSTALL.strip(),
        "gap = None\n\n\n# Check\nprint(gap)",
        "# @title Solution 1.1\ngap = 1",
        "gap = 1",
    ]
    assert [cell.metadata.get("tags") for cell in notebook.cells[3:]] == [
        ["exercise"],
        ["solution"],
        None,
    ]
    assert notebook.cells[4].metadata.jupyter.source_hidden
    assert len({cell.id for cell in notebook.cells}) == len(sources)


def test_example_falls_into_cells():
    source = '''"""
Title
=====

More.
"""

import numpy as np

# %%
# The data
# --------
# Some rows.

rows = np.arange(3)
# not prose

# %%
# Twice.
rows = 2 * rows
'''
    assert course.gallery_cells(source) == [
        ("Title", "import numpy as np"),
        ("The data\n--------\nSome rows.", "rows = np.arange(3)\n# not prose"),
        ("Twice.", "rows = 2 * rows"),
    ]


def test_gallery_prose_becomes_markdown():
    prose = "The data\n--------\nA ``net``, :class:`~skorch.Net` and `here <a.html>`_."
    assert course.as_markdown(prose) == (
        "### The data\n\nA `net`, `skorch.Net` and [here](a.html)."
    )
    with pytest.raises(ValueError, match="directive"):
        course.as_markdown("Text.\n\n.. note:: more")
