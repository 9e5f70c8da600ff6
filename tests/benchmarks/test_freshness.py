"""The check that names results which are older than their code."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import freshness
from benchmarks.freshness import ROOT, TABLE

SOURCE = (
    '"""A page."""\nLIMIT = 3\n\n\ndef f(x):\n    """Add."""\n    return x + LIMIT\n'
)


def test_each_result_has_one_row():
    folder = ROOT / "benchmarks" / "results"
    rows = freshness.results((ROOT / TABLE).read_text(encoding="utf-8"))
    patterns = [pattern for found, *_ in rows for pattern in found]
    assert len(rows) >= 20
    # picks.csv is an input of a benchmark.
    for file in set(folder.iterdir()) - {folder / "README.md", folder / "picks.csv"}:
        matching = [pattern for pattern in patterns if file.match(pattern)]
        assert len(matching) == 1, (file.name, matching)


@pytest.mark.parametrize(
    ("new", "same"),
    [
        (SOURCE.replace("Add.", "Add a limit."), True),
        (SOURCE.replace("LIMIT = 3", "LIMIT = 3  # at most"), True),
        (SOURCE.replace("LIMIT = 3", "LIMIT = 4"), False),
        (SOURCE.replace("x + LIMIT", "x - LIMIT"), False),
    ],
)
def test_texts_are_no_code(new, same):
    assert (freshness.essence(SOURCE) == freshness.essence(new)) is same


@pytest.mark.skipif(
    not (ROOT / "cofm_sklearn").exists(), reason="the package is installed elsewhere"
)
def test_code_is_what_is_imported():
    code = freshness.code_of("benchmarks.resume")
    assert {"benchmarks/resume.py", "cofm_sklearn/encoders/text.py"} <= set(code)
    assert not any("/query/" in file for file in code)
    # The benchmark of the labeller imports it in a program that is a string.
    assert "cofm_sklearn/annotation/session.py" in freshness.code_of(
        "benchmarks.labeller"
    )


@pytest.fixture
def repository(tmp_path):
    """Return a repository with a result, and a function that commits its files."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    (tmp_path / TABLE).parent.mkdir(parents=True)

    def commit():
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        freshness.git("add", "-A", root=tmp_path)
        freshness.git(*who, "commit", "-qm", "One", root=tmp_path)
        return freshness.git("rev-parse", "--short", "HEAD", root=tmp_path).strip()

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path, commit


def test_what_has_changed_since_the_figures_were_written(repository):
    root, commit = repository
    code, figures = root / "code.py", (root / TABLE).parent / "one.csv"
    report = figures.with_suffix(".md")
    code.write_text(SOURCE)
    figures.write_text("a\n1\n")
    report.write_text("One.\n")
    made = commit()
    report.write_text("1.\n")
    code.write_text(SOURCE.replace("Add.", "Add more."))
    commit()
    assert freshness.written_in(["one.*"], root=root)[0] == made
    assert freshness.changed_since(made, ["code.py"], root=root) == []
    code.write_text(SOURCE.replace("3", "4"))
    assert freshness.changed_since(made, ["code.py"], root=root) == ["code.py"]
    row = "| `one.*` | `python -m benchmarks.one` | here | |"
    written = freshness.write_commits(f"{row}\n", root=root)
    assert re.search(rf"\| here \| `{made}` of \d{{4}}-\d\d-\d\d \|$", written.strip())
    assert freshness.write_commits(written, root=root) == written
    # Another run gave the same with today's code.
    now = commit()
    same = freshness.write_commits(written, ["one.*"], root=root)
    assert f"`{made}` of " in same
    assert same.strip().endswith(f", the same at `{now}` |")
    assert freshness.same_at(same, made, root=root) == now
    assert freshness.write_commits(same, root=root) == same
    figures.write_text("a\n2\n")
    assert freshness.same_at(same, commit(), root=root) is None
    assert "the same" not in freshness.write_commits(same, root=root)


def test_the_command_names_results_and_changes_nothing(capsys):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs the history of the repository")
    before = (ROOT / TABLE).read_bytes()
    freshness.main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(freshness.results(before.decode()))
    state = r"current, of|stale, \d+ files changed since|not committed"
    assert all(re.search(rf"^[\w.*]+: (?:{state})", line) for line in lines)
    assert Path(ROOT / TABLE).read_bytes() == before
