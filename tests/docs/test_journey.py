"""The page "from a CSV to a model in use" works as printed, across processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import cofm_sklearn
from tests.docs.test_code import blocks_of

ROOT = Path(cofm_sklearn.__file__).parents[1]
PAGE = ROOT / "docs" / "from_csv.md"

pytestmark = pytest.mark.skipif(
    not PAGE.exists(), reason="the package is installed without its checkout"
)


def code_of(part):
    return [b.text for b in blocks_of(part) if b.info == "python"]


def run(code, folder):
    env = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_at_most_40_lines_without_the_descriptions():
    blocks = code_of(PAGE.read_text(encoding="utf-8"))
    lines = [
        line
        for block in blocks
        if not block.startswith("descriptions = ")
        for line in block.splitlines()
        if line.strip()
    ]
    assert len(lines) <= 40, len(lines)


@pytest.mark.slow
def test_model_and_labels_outlive_the_process(tmp_path):
    source = PAGE.read_text(encoding="utf-8")
    before, in_use, later = re.split(r"^## .*$", source, flags=re.MULTILINE)
    first = code_of(before)
    printed = run("\n".join(first), tmp_path)
    assert re.search(r"\d+% of 6, \(0\.\d", printed)
    topics = pd.read_csv(tmp_path / "topics.csv")
    assert len(topics) == 500
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Corrected labels" in report
    assert "['stats']" in run("\n".join(code_of(in_use)), tmp_path)
    # What stands in for the notebook that is opened again: all but the first session.
    again = [
        b for b in first if "AnnotationSession(texts" not in b and "session" not in b
    ]
    setup = next(b for b in first if "AnnotationSession(texts" in b)
    setup = setup.split("session = ")[0]
    code = [
        *(b for b in again if b.startswith(("descriptions", "import pandas"))),
        setup,
    ]
    printed = run("\n".join([*code, *code_of(later)]), tmp_path)
    assert re.search(r"60 of (99\d|1000)", printed)
