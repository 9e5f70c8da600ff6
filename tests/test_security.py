"""Every promise of SECURITY.md names an existing test."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SECURITY = TESTS.parent / "SECURITY.md"


@pytest.mark.skipif(not SECURITY.exists(), reason="not in the wheel")
def test_tests_named_in_security_exist():
    text = SECURITY.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| [^-p]", line)]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, f"no test for: {row}"
        for path, name in named:
            tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
            defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
            assert name in defined, f"{path}::{name}"
