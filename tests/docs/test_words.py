"""Texts are in plain English: a list of words and phrases that are not.

Add to it what reads like a riddle, with what to write instead.
"""

import re
from pathlib import Path

import pytest

import cofm_sklearn

ROOT = Path(cofm_sklearn.__file__).parents[1]
INSTEAD = {
    r"foret(?:ell|old)\w*": "predict",
    r"lets? go of": "discard, drop",
    r"for who(?!,)": "for somebody who",
    r"(?:by|of|to|than) who": "by the person who",
    r"depends on who asks": "say which caller gets what",
    r"nobody names": "say what is missing",
    r"whole of": "the whole, all of",
    r"anew": "again, from scratch",
    r"be had": "be downloaded, found, bought",
    r"what (?:is|are) of": "name the things",
    r"one sees": "you see",
    r"as ever": "as usual",
    r"thin(?:s|ned)? out": "remove some of",
    r"of worth": "worth",
    r"in all else": "in every other way",
    r"far from all": "far from everything else",
    r"such an?": "name it: a model like this, this kind of label",
    r"sureness": "confidence, certainty",
    r"hardly tell": "say little",
    r"the room twice": "twice the space",
    r"out of turn": "without being asked",
    r"by turns": "alternately",
    r"(?:has|have|had|been) gone on": "continue",
    r"tak(?:e|es|en|ing) [^.]{0,40}at (?:its|their) word": "trust",
    r"in peace": "say what does not change",
    r"likeliest|likelier": "most likely, more likely",
    r"home-made": "simulated, written here",
    r"(?:goes|go) by the": "use",
    r"of before": "earlier, previous",
    r"rid of": "remove, delete",
}
_FOUND = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)


def texts():
    """Paths of what people read."""
    found = [*ROOT.glob("*.md"), ROOT / "docs" / "api.rst"]
    for folder, pattern in (
        ("docs", "*.md"),
        ("examples", "*.py"),
        ("examples", "*.rst"),
        ("examples/course", "*.md"),
        ("cofm_sklearn", "**/*.py"),
        ("cofm_sklearn", "**/*.js"),
    ):
        found += sorted((ROOT / folder).glob(pattern))
    return found


def phrases(text):
    """Phrases of a text that are on the list; they may run over lines of a comment."""
    return _FOUND.findall(re.sub(r"\s*\n[ #/]*", " ", text))


@pytest.mark.skipif(
    not (ROOT / "docs").exists(), reason="the package is installed without its checkout"
)
def test_texts_are_in_plain_english():
    paths = texts()
    assert len(paths) > 150
    found = {str(p): phrases(p.read_text(encoding="utf-8")) for p in paths}
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Labels are foretold.", ["foretold"]),
        ("# It lets go\n    # of all rows.", ["lets go of"]),
        ("for who, what in zip(a, b): a new row", []),
        ("What is of use\nto them", ["What is of"]),
    ],
)
def test_phrases_are_found_across_lines(text, expected):
    assert phrases(text) == expected
