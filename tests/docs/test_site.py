"""Checks of the site beyond its build.

The build turns warnings into errors, and so finds dead links. Here: every public name
has a page, every paper is in the bibliography, links are rewritten as they should.
"""

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import cofm_sklearn

ROOT = Path(cofm_sklearn.__file__).parents[1]
DOCS = ROOT / "docs"

_REFERENCES = re.compile(r"References\n +-{10}\n(.*?)(?:-{3,}|\"\"\")", re.DOTALL)
_FIRST_AUTHOR = re.compile(r"([A-Z][\w'-]+)(?=,| et al| and )")
_YEAR = r"((?:19|20)\d\d)"
_MONTH = "January|February|March|April|May|June|July|August|September|October"
_IN_TEXT = re.compile(
    rf"(?!{_MONTH}|November|December)\b([A-Z][\w-]+)(?:, [A-Z][\w-]+)*"
    rf"(?: et al\.?,?)? \(?{_YEAR}\b"
)
_ENTRY = re.compile(rf"^- ([A-Z][\w'-]+),.*?\({_YEAR}\)", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(
    not (DOCS / "api.rst").exists(),
    reason="the package is installed without its checkout",
)


def public_names():
    """Names as the API reference has them: at the top where they are exported there."""
    top = {name for name in cofm_sklearn.__all__ if not name.startswith("__")}
    names = set(top)
    for module in pkgutil.iter_modules(cofm_sklearn.__path__):
        if module.ispkg and not module.name.startswith("_"):
            subpackage = importlib.import_module(f"cofm_sklearn.{module.name}")
            names |= {f"{module.name}.{n}" for n in subpackage.__all__ if n not in top}
    return names


def test_every_public_name_is_in_the_api_reference_once():
    listed = re.findall(r"^   ([A-Za-z][\w.]*)$", (DOCS / "api.rst").read_text(), re.M)
    assert sorted(listed) == sorted(public_names())


def citations():
    """First author and year of every paper in a docstring or on a page."""
    found = {}
    for path in sorted((ROOT / "cofm_sklearn").rglob("*.py")):
        for part in _REFERENCES.findall(path.read_text(encoding="utf-8")):
            for entry in re.split(r"\n\s*\n|\n +\.\. (?=\[)", part):
                author, year = _FIRST_AUTHOR.search(entry), re.search(_YEAR, entry)
                if author and year:
                    found[author[1], year[0]] = path.name
    for page in sorted(DOCS.glob("*.md")):
        if page.name != "bibliography.md":
            for paper in _IN_TEXT.findall(page.read_text(encoding="utf-8")):
                found[paper] = page.name
    return found


def test_every_paper_is_in_the_bibliography_once():
    text = (DOCS / "bibliography.md").read_text(encoding="utf-8")
    entries = _ENTRY.findall(text)
    titles = re.findall(r"\*(.+?)\*", text, re.DOTALL)
    cited = citations()
    assert len(cited) > 30  # else the pattern misses them
    missing = {paper: where for paper, where in cited.items() if paper not in entries}
    assert missing == {}
    assert len(titles) == len({" ".join(title.lower().split()) for title in titles})


@pytest.fixture(scope="module")
def rewrite_links():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module("repository").rewrite_links
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    ("folder", "page_folder", "link", "expected"),
    [
        ("docs", "docs", "method.md#3-the-query", "/method.md#3-the-query"),
        ("docs", "docs", "../CONTRIBUTING.md#tests", "/contributing.md#tests"),
        ("docs", "docs", "../README.md#set-up", "/index.md"),
        (
            "docs",
            "docs",
            "../benchmarks/results/speed.md",
            "/generated/results/speed.md",
        ),
        (
            "benchmarks/results",
            "docs/generated/results",
            "speed.png",
            "../../../benchmarks/results/speed.png",
        ),
        ("", "docs", "docs/images/api_docs.png", "images/api_docs.png"),
        ("", "docs", "LICENSE", "../LICENSE"),
        ("docs", "docs", "no_such_page.md", "no_such_page.md"),
        ("docs", "docs", "#here", "#here"),
        ("docs", "docs", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_are_rewritten(rewrite_links, folder, page_folder, link, expected):
    text = f"See [it]({link}), and ![a picture]({link})."
    expected = f"See [it]({expected}), and ![a picture]({expected})."
    assert rewrite_links(text, folder, page_folder) == expected


def test_formulas_become_mathml():
    pytest.importorskip("latex2mathml")
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        to_mathml = importlib.import_module("mathml").to_mathml
    finally:
        sys.path.pop(0)
    assert "<mfrac><mi>a</mi><mi>b</mi></mfrac>" in to_mathml(r"\tfrac ab", "inline")
    spaced = to_mathml(r"\log n + \exp(x)", "inline")
    assert '<mo lspace="0.167em" rspace="0.167em">log</mo>' in spaced
    assert '<mo lspace="0.167em" rspace="0em">exp</mo>' in spaced
    with pytest.raises(Exception) as caught:
        to_mathml("a_b_c", "inline")
    assert "'a_b_c'" in caught.value.__notes__[0]


def test_no_line_of_a_page_is_lost_as_a_comment():
    # MyST reads a line that begins with a percent sign as a comment.
    pages = [*DOCS.glob("*.md"), *(ROOT / "benchmarks" / "results").glob("*.md")]
    pages += ROOT.glob("*.md")
    assert len(pages) > 40
    lost = re.compile(r"^\s*%.*", re.MULTILINE)
    found = {p.name: lost.findall(p.read_text(encoding="utf-8")) for p in pages}
    assert {page: lines for page, lines in found.items() if lines} == {}
