"""Make the notebooks of the course from its lessons and from cells of the gallery.

python examples/course/build.py          # writes examples/notebooks/*.ipynb
python examples/course/build.py --check  # says which of them are out of date
"""

import ast
import hashlib
import re
import sys
from pathlib import Path

import nbformat

COURSE = Path(__file__).parent
EXAMPLES = COURSE.parent
NOTEBOOKS = EXAMPLES / "notebooks"

INSTALL = """\
# Installs the package where it is missing, as in Colab, and else does nothing.
from importlib.util import find_spec

needed = ["cofm_sklearn", "sentence_transformers", "matplotlib", "modAL"]
if not all(map(find_spec, needed)):
    %pip install --quiet "cofm_sklearn[demo,modal]"
"""
CHECK = "\n\n\n# Check\n"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_FENCE = re.compile(
    r"^```python(?: (?P<kind>exercise|check|solution) (?P<number>[\d.]+))?\n"
    r"(?P<code>.*?)^```$"
    r"|^\{(?P<what>cell|code|picture)\} (?P<file>plot_\w+\.py) \"(?P<words>[^\"]+)\""
    r"(?P<changes>(?: \"[^\"]+\" -> \"[^\"]+\")*)$",
    re.MULTILINE | re.DOTALL,
)


def gallery_cells(source):
    """Return prose and code of each cell of an example, as it is written there."""
    head, *blocks = re.split(r"^# ?%%.*\n", source, flags=re.MULTILINE)
    docstring = ast.parse(source).body[0]
    title = ast.get_docstring(ast.parse(source)).splitlines()[0]
    code = "\n".join(head.splitlines()[docstring.end_lineno :])
    cells = [(title, code.strip())]
    for block in blocks:
        prose, code = re.match(r"((?:#[^\n]*\n)*)(.*)", block, re.DOTALL).groups()
        prose = re.sub(r"^# ?", "", prose, flags=re.MULTILINE)
        cells.append((prose.strip(), code.strip()))
    return cells


def find_cell(file, words):
    """Return the one cell of an example whose prose begins with some words."""
    cells = gallery_cells((EXAMPLES / file).read_text(encoding="utf-8"))
    prose = [" ".join(text.split()) for text, _ in cells]
    found = [i for i, text in enumerate(prose) if text.startswith(words)]
    if len(found) != 1:
        names = "\n".join(f"  {text[:60]}" for text in prose)
        raise ValueError(
            f'{file} has {len(found)} cells that begin with "{words}", and must have '
            f"one. Its cells begin with\n{names}"
        )
    return cells[found[0]]


def as_markdown(prose):
    """Turn the little reStructuredText that examples use into Markdown."""
    prose = re.sub(r"^(.+)\n[=-]{4,}$", r"### \1\n", prose, flags=re.MULTILINE)
    if re.search(r"^\.\. |::$", prose, re.MULTILINE):
        raise ValueError(f"Cannot turn a directive into Markdown:\n{prose}")
    prose = re.sub(r":math:`([^`]+)`", r"$\1$", prose)
    prose = re.sub(r":[\w:]+:`~?([^`]+)`", r"`\1`", prose)
    prose = re.sub(r"(?<!`)`([^`<]+?)\s*<([^`>]+)>`__?", r"[\1](\2)", prose)
    return prose.replace("``", "`")


def lesson_cells(text):
    """Yield type, source and metadata of the cells of a lesson."""
    checks = {
        match["number"]: match["code"]
        for match in _FENCE.finditer(text)
        if match["kind"] == "check"
    }
    end = 0
    for match in _FENCE.finditer(text):
        yield from _prose(text[end : match.start()])
        end = match.end()
        if match["what"]:
            prose, code = find_cell(match["file"], match["words"])
            for old, new in re.findall(r'"([^"]+)" -> "([^"]+)"', match["changes"]):
                if code.count(old) != 1:
                    file = match["file"]
                    raise ValueError(f'{file}: "{old}" must be there once in\n{code}')
                code = code.replace(old, new)
            if match["what"] == "cell":
                yield from _prose(as_markdown(prose))
            if match["what"] == "picture":
                # How it is drawn is no part of the lesson.
                title = prose.splitlines()[0].rstrip(".")
                yield "code", f"# @title {title}\n{code}", folded(outputs=False)
            else:
                yield "code", code, {}
        elif match["kind"] is None:
            yield "code", match["code"].strip(), {}
        elif match["kind"] != "check":
            yield _exercise(**match.groupdict(), check=checks.get(match["number"], ""))
    yield from _prose(text[end:])


def folded(*, outputs):
    """Return what folds a cell away: in JupyterLab, and in Colab but for its title."""
    hidden = {"outputs_hidden": True} if outputs else {}
    return {"jupyter": {"source_hidden": True, **hidden}, "cellView": "form"}


def _prose(text):
    """Yield one Markdown cell per heading."""
    for part in re.split(r"^(?=#{1,3} )", text, flags=re.MULTILINE):
        if part.strip():
            yield "markdown", part.strip(), {}


def _exercise(kind, number, code, check, **_):
    metadata = {"tags": [kind]}
    if kind == "solution":
        # Colab shows the title alone.
        code = f"# @title Solution {number}\n{code}"
        metadata |= folded(outputs=True)
    elif check:
        code = f"{code.strip()}{CHECK}{check}"
    return "code", code.strip(), metadata


def make_notebook(text):
    """Return the notebook of a lesson, without outputs, as the text of its file."""
    cells, ids = [], set()
    for kind, source, metadata in lesson_cells(text):
        if kind == "code" and not any(cell.cell_type == "code" for cell in cells):
            cells.append(_new_cell("code", INSTALL.strip(), {}, ids))
        cells.append(_new_cell(kind, source, metadata, ids))
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _new_cell(kind, source, metadata, ids):
    # By content: a new cell leaves the ids of all others alone.
    name, again = hashlib.sha256(source.encode()).hexdigest()[:8], 0
    while (cell_id := f"{name}-{again}" if again else name) in ids:
        again += 1
    ids.add(cell_id)
    new = getattr(nbformat.v4, f"new_{kind}_cell")
    return new(source, id=cell_id, metadata=metadata)


def build():
    """Return what each notebook file is to contain."""
    lessons = sorted(COURSE.glob("[0-9]_*.md"))
    return {
        NOTEBOOKS / f"{lesson.stem}.ipynb": make_notebook(
            lesson.read_text(encoding="utf-8")
        )
        for lesson in lessons
    }


def out_of_date(files):
    """Return the notebooks that differ from what they are to contain, or should go."""
    differ = {
        path
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    return sorted(differ | (set(NOTEBOOKS.glob("*.ipynb")) - set(files)))


def main():
    files = build()
    stale = out_of_date(files)
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(EXAMPLES)} is out of date", file=sys.stderr)
        return 1 if stale else 0
    NOTEBOOKS.mkdir(exist_ok=True)
    for path in stale:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
