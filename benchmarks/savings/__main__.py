"""Command line of the savings benchmark."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.savings.data import FOUND, NOISES
from benchmarks.savings.matrix import differing, plan, run_all
from benchmarks.savings.report import first_line, update_readme, write
from benchmarks.savings.results import read
from benchmarks.savings.strategies import OURS, OURS_ALONE, STRATEGIES, available

RESULTS = Path(__file__).parents[1] / "results"
QUICK_NOISES = ["0", "0.2"]
QUICK_STRATEGIES = [
    *(OURS, OURS_ALONE, "random", "margin", "entropy", "least confidence"),
    *("Uncertainty Herding", "DIRECT", "CoreSet"),
]


def parse(arguments=None):
    """Parse the command line, and fill in defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.savings",
        description="How many labels does the co-decision save against the best "
        "active-learning baselines? Finished runs are kept in the results file; "
        "if restarted, the benchmark continues where it stopped.",
    )
    parser.add_argument("--quick", action="store_true", help="a part in 5 minutes")
    parser.add_argument("--report", action="store_true", help="only report")
    parser.add_argument(
        "--verify",
        type=int,
        metavar="N",
        help="run N of the finished runs again, and compare; changes nothing",
    )
    parser.add_argument("--data", metavar="FOLDER", help="where <data set>.npz are")
    parser.add_argument("--results", metavar="FILE", type=Path, help="CSV file")
    parser.add_argument("--seeds", type=int, help="default 5, quick 2")
    parser.add_argument("--rounds", type=int, help="default 19, quick 9")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--datasets", nargs="+", choices=list(FOUND))
    parser.add_argument("--noise", nargs="+", choices=list(NOISES))
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES))
    parser.add_argument(
        "--fused-every",
        type=int,
        default=2,
        help="measure the co-decision of baselines every so many rounds (default 2); "
        "0 postpones it to a later start, which reuses the queried samples",
    )
    parser.add_argument(
        "--again",
        nargs="+",
        default=[],
        choices=list(STRATEGIES),
        help="strategies whose results are discarded and computed again",
    )
    parser.add_argument(
        "--judge-again",
        action="store_true",
        help="measure our runs and the co-decision of the baselines again; the "
        "queried samples of the baselines are kept",
    )
    parser.add_argument(
        "--readme", metavar="FILE", help="put the headline between its marks there"
    )
    parser.add_argument("--bootstrap", type=int, default=100, help="samples")
    parser.add_argument("--cache", help="folder for embeddings (default: temporary)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    quick = options.quick
    folder = options.data
    options.seeds = options.seeds or (2 if quick else 5)
    options.rounds = options.rounds or (9 if quick else 19)
    options.results = options.results or RESULTS / (
        "savings_quick.csv" if quick else "savings.csv"
    )
    options.noise = options.noise or (QUICK_NOISES if quick else list(NOISES))
    if options.datasets is None:
        there = [
            dataset
            for dataset in FOUND
            if dataset == "api_docs"
            or (folder and (Path(folder) / f"{dataset}.npz").exists())
        ]
        options.datasets = [*there[:1], "api_docs"] if quick else there
    installed = available()
    wanted = options.strategies or (QUICK_STRATEGIES if quick else list(STRATEGIES))
    options.missing = [name for name in wanted if name not in installed]
    options.strategies = [name for name in wanted if name in installed]
    options.cache = options.cache or str(
        Path(tempfile.gettempdir()) / "cofm_sklearn_benchmarks"
    )
    return options


def main(arguments=None):
    """Run what is missing, then report."""
    options = parse(arguments)
    if options.verify:
        others = differing(
            read(options.results),
            options.verify,
            folder=options.data,
            cache=options.cache,
            quiet=options.quiet,
        )
        print(*others, sep="\n")
        print(f"{len(others)} of {options.verify} runs have other figures now.")
        return int(bool(others))
    if not options.report:
        if options.missing:
            print(
                f"Skipped, as scikit-activeml is not installed: {options.missing}. "
                'Install it with: pip install "cofm_sklearn[baselines]"',
                file=sys.stderr,
            )
        runs = plan(
            datasets=options.datasets,
            noises=options.noise,
            strategies=options.strategies,
            n_seeds=options.seeds,
            n_rounds=options.rounds,
            fused_every=options.fused_every,
        )
        try:
            run_all(
                runs,
                options.results,
                folder=options.data,
                cache=options.cache,
                n_jobs=options.jobs,
                forget=options.again,
                judge_again=options.judge_again,
                quiet=options.quiet,
            )
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("Interrupted; restart it to continue.", file=sys.stderr)
            return 130
    table = read(options.results)
    if table.empty:
        print(f"{options.results.name} has no finished runs yet.", file=sys.stderr)
        return 1
    text, files = write(table, options.results, options.bootstrap)
    print(text)
    print(first_line(table))
    if options.readme:
        update_readme(options.readme, table)
    print("Written:", ", ".join(file.name for file in files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
