"""Measure the time of ``import cofm_sklearn`` relative to its dependencies.

Prints the times and their ratios, for the bare import and for all public names, which
load on first use. Exits with 1 if a ratio is above the limit.

    python benchmarks/import_time.py
"""

import statistics
import subprocess
import sys

LIMIT = 1.3
N_RUNS = 7
BASELINE = "import sklearn, imblearn.pipeline, modAL"
STATEMENTS = [BASELINE, "import cofm_sklearn", "from cofm_sklearn import *"]
# Timed inside the process: its start-up is not part of an import.
TIMED = (
    "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
)


def seconds(statement):
    """Return the seconds that a statement takes in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main():
    """Measure alternately, so that a busy machine slows all imports equally."""
    times = {statement: [] for statement in STATEMENTS}
    for statement in STATEMENTS:
        seconds(statement)  # fills the file cache and writes the byte code
    for _ in range(N_RUNS):
        for statement in STATEMENTS:
            times[statement].append(seconds(statement))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: median / medians[BASELINE] for name, median in medians.items()}
    for name in STATEMENTS:
        print(f"{medians[name]:6.2f} s  {ratios[name]:5.2f}  {name}")
    print(f"Ratios are at most {LIMIT}: {max(ratios.values()) <= LIMIT}")
    return int(max(ratios.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
