"""The pages of the docs run as printed, and their links lead somewhere.

Blocks of a page run in order, in one namespace and a folder of their own. A block of
``text`` right below one is what it prints ("..." stands for anything). A block marked
``python no-run`` needs what a page cannot give: a browser, a cluster, another library.
"""

import doctest
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import cofm_sklearn
from cofm_sklearn import AnnotationSession

DOCS = Path(cofm_sklearn.__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))

pytestmark = pytest.mark.skipif(
    not PAGES, reason="the package is installed without its checkout"
)

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_INFO = {"python", "python no-run", "bash", "text"}


@dataclass(frozen=True)
class Block:
    info: str
    text: str
    line: int
    output: str | None  # what the text block right below says that it prints


def blocks_of(source):
    found = list(_FENCE.finditer(source))
    blocks = []
    for match, after in zip(found, [*found[1:], None]):
        output = None
        if after is not None and after[1].strip() == "text":
            between = source[match.end() : after.start()]
            output = after[2] if not between.strip() else None
        line = source.count("\n", 0, match.start(2)) + 1
        blocks.append(Block(match[1].strip(), match[2], line, output))
    return blocks


def run(source, name, capsys):
    """Run the blocks of a page; return those with other output."""
    namespace = {"__name__": f"docs_{Path(name).stem}"}
    wrong, check = [], doctest.OutputChecker().check_output
    try:
        for block in blocks_of(source):
            if block.info != "python":
                continue
            capsys.readouterr()
            # Empty lines above make tracebacks name the line of the page.
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, name, "exec"), namespace)
            printed = capsys.readouterr().out
            if block.output is not None and not check(block.output, printed, _OUTPUT):
                wrong.append(f"{name}, line {block.line} prints:\n{printed}")
    finally:
        for value in namespace.values():
            if isinstance(value, AnnotationSession):
                value.close()
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run_as_printed(page, tmp_path, monkeypatch, capsys):
    source = page.read_text(encoding="utf-8")
    if "skactiveml" in source:
        pytest.importorskip("skactiveml")  # an extra of its own
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert run(source, str(page), capsys) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_say_what_they_are(page):
    for block in blocks_of(page.read_text(encoding="utf-8")):
        where = f"{page.name}, line {block.line}"
        assert block.info in _INFO or block.info.startswith("{"), where
        if block.info == "python no-run":
            compile(block.text, where, "exec")


def test_few_blocks_do_not_run():
    infos = [b.info for page in PAGES for b in blocks_of(page.read_text("utf-8"))]
    python = [info for info in infos if info.startswith("python")]
    assert python.count("python no-run") <= len(python) / 4


@pytest.mark.parametrize(
    ("source", "n_wrong"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", 0),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", 1),
        ("```python\nprint(1)\n```\n\nNot its output:\n\n```text\n2\n```\n", 0),
        ("```python no-run\n1 / 0\n```\n", 0),
        ("```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n", 1),
    ],
)
def test_what_is_printed_is_compared(source, n_wrong, capsys):
    assert len(run(source, "page.md", capsys)) == n_wrong


def test_an_error_names_the_line_of_the_page(capsys):
    with pytest.raises(ZeroDivisionError) as caught:
        run("# Page\n\n```python\n1 / 0\n```\n", "page.md", capsys)
    assert caught.traceback[-1].lineno + 1 == 4


def anchors(page):
    """Return the anchors of headings, as on Git forges."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
