"""The results file, which grows by whole runs and survives a kill."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path

import pandas as pd

from benchmarks.savings.runs import COLUMNS

__all__ = ["IDENTITY", "ResultsFile", "describe_machine", "read"]

IDENTITY = ["dataset", "noise", "prior", "strategy", "seed"]
_LIBRARIES = (
    *("cofm_sklearn", "scikit-learn", "numpy", "scipy", "torch"),
    *("sentence-transformers", "modAL-python", "scikit-activeml"),
)


class ResultsFile:
    """A CSV file of rounds to which only whole runs are added.

    Parameters
    ----------
    path : path-like
        The file, created if there is none. Incomplete runs of an interrupted write are
        removed.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.forget([])

    def done(self):
        """Return the runs in the file.

        Returns
        -------
        dict
            Identity with number of rounds -> how often the co-decision was measured.
        """
        table = read(self.path)
        last = table[table["last"] == 1]
        return {
            tuple(row[:-1]): row[-1]
            for row in last[[*IDENTITY, "n_rounds", "fused_every"]].itertuples(
                index=False, name=None
            )
        }

    def recorded(self):
        """Return the rows of all runs, by identity with number of rounds."""
        table = read(self.path)
        keys = [*IDENTITY, "n_rounds"]
        return {
            key: rows.to_dict("records")
            for key, rows in table.groupby(keys, sort=False)
        }

    def append(self, rows):
        """Add the rows of one run, which are on disk when this returns.

        Several processes may add to one file: a run is one write.
        """
        lines = pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False, header=False)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, lines.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def forget(self, strategies):
        """Remove all runs of some strategies, to run them again."""
        lines, table = _parse(self.path)
        kept = table.index[~table["strategy"].isin(strategies)]
        self._rewrite(lines[i] for i in kept)

    def forget_co_decision(self):
        """Remove the scores of the co-decision, to measure it again.

        The queried samples stay, with the scores of the small model.
        """
        lines, table = _parse(self.path)
        said = {"trust", "noise_rate", *(c for c in COLUMNS if c.startswith("fused_"))}
        fresh = []
        for i in table.index:
            row = dict(zip(COLUMNS, lines[i].rstrip("\n").split(",")))
            row |= dict.fromkeys(said, "") | {"fused_every": "0"}
            fresh.append(",".join(row.values()) + "\n")
        self._rewrite(fresh)

    def _rewrite(self, lines):
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("w", newline="") as file:
            # Copy lines unchanged, as parsing would change numbers.
            file.writelines([",".join(COLUMNS) + "\n", *lines])
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)


def read(path):
    """Read the complete runs of a results file.

    Parameters
    ----------
    path : path-like
        The file; it may be missing, or end in the middle of a run or a line.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`, one row per round.
    """
    return _parse(path)[1].reset_index(drop=True)


def _parse(path):
    """Return the lines below the header, and the table of the valid ones."""
    path = Path(path)
    text = path.read_text() if path.exists() else ""
    # A last line without a line end was truncated.
    lines = text.splitlines(keepends=True)
    lines = [line for line in lines if line.endswith("\n")]
    lines = lines or [",".join(COLUMNS) + "\n"]
    table = pd.read_csv(
        StringIO("".join(lines)), dtype=dict.fromkeys(IDENTITY[:-1], str)
    )
    if list(table.columns) != list(COLUMNS):
        raise ValueError(
            f"{path.name} has other columns than this version writes. Move it away, "
            "or name another file with --results."
        )
    if table.empty:
        return [], table
    started = (table["round"] == 0).cumsum()
    complete = table.groupby(started)["last"].transform("max") == 1
    table, started = table[complete], started[complete]
    # A later run replaces an earlier one, e.g. one with fewer rounds.
    newest = started.groupby([table[c] for c in IDENTITY]).transform("max")
    return lines[1:], table[started == newest]


def describe_machine(path):
    """Record machine and versions beside the results."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "not installed"
    about = {
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }
    Path(path).with_suffix(".machine.json").write_text(json.dumps(about, indent=2))
    return about


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
