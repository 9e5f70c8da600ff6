"""The README is right: its examples run, its commands and links work."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Of the tests, not of the package, which may be installed elsewhere.
ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def blocks(language):
    """Return the code blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


@pytest.mark.slow
def test_example_runs_as_printed(tmp_path):
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")))
    done = subprocess.run(
        [sys.executable, str(script)],
        # Threads of BLAS fight over small matrices when the machine is busy.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['special']"]


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 120


def test_commands_name_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commands = blocks("bash")
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1  # each is one line
        (extras,) = re.findall(r'"\.\[(.*?)\]"', command)
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
)
def test_local_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / name).read_text()):
        assert target.startswith("https:") or (ROOT / target).exists(), target


def test_one_release_of_ruff():
    config = ROOT / ".pre-commit-config.yaml"
    if not config.exists():
        pytest.skip("the sdist has no settings of git")
    found = set()
    for path in (ROOT / "pyproject.toml", config):
        found |= set(re.findall(r"ruff==[\d.]+", path.read_text()))
    assert len(found) == 1
