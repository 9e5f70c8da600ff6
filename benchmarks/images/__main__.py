"""Command line of the image benchmark."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.images.data import load_images, make_encoder
from benchmarks.savings.data import fit_prior
from benchmarks.savings.matrix import plan, run_all
from benchmarks.savings.report import first_line, write
from benchmarks.savings.results import read
from benchmarks.savings.strategies import OURS, OURS_ALONE, available

RESULTS = Path(__file__).parents[1] / "results" / "images.csv"
NOISES = ("0", "0.2", "0.4")
# Without strategies that need more than 2 s per query.
STRATEGIES = (
    *(OURS, OURS_ALONE, "random", "margin", "entropy", "least confidence"),
    *("Uncertainty Herding", "GALAXY", "DIRECT", "CoreSet"),
)


def parse(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.images",
        description="How many labels does the co-decision save on images? Models are "
        "pretrained on one half of CIFAR-10, so their priors are made, not found; with "
        "--prior hub, a model is fetched and no training is done. Finished runs are "
        "kept in the results file; started again, the benchmark goes on.",
    )
    parser.add_argument("--data", metavar="FOLDER", help="where cifar10.npz is")
    parser.add_argument(
        "--prior", nargs="+", choices=["weak", "best", "hub"], default=["weak", "best"]
    )
    parser.add_argument("--results", metavar="FILE", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=19)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument(
        "--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES)
    )
    parser.add_argument(
        "--fused-every",
        type=int,
        default=3,
        help="measure the co-decision of baselines every so many rounds (default 3)",
    )
    parser.add_argument("--bootstrap", type=int, default=100, help="samples")
    parser.add_argument("--cache", help="folder for models and embeddings")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    options.cache = options.cache or str(
        Path(tempfile.gettempdir()) / "cofm_sklearn_benchmarks"
    )
    return options


def zero_shot_accuracy(dataset, folder, cache):
    """Return the accuracy of the prior on the balanced half of the benchmark."""
    corpus = load_images(dataset, folder, cache)
    prior = fit_prior(corpus, corpus.Z, "sentences", 0, cache)
    return float(np.mean(prior.predict(corpus.Z) == corpus.y))


def main(arguments=None):
    """Pretrain if needed, run what is missing, then report."""
    options = parse(arguments)
    datasets = [f"cifar10 {prior}" for prior in options.prior]
    installed = available()
    try:
        for dataset in datasets:
            make_encoder(dataset, options.data, options.cache, quiet=options.quiet)
            accuracy = zero_shot_accuracy(dataset, options.data, options.cache)
            print(f"{dataset}: zero-shot accuracy {accuracy:.3f}", flush=True)
        runs = plan(
            datasets=datasets,
            noises=options.noise,
            strategies=[name for name in options.strategies if name in installed],
            n_seeds=options.seeds,
            n_rounds=options.rounds,
            fused_every=options.fused_every,
        )
        run_all(
            runs,
            options.results,
            folder=options.data,
            cache=options.cache,
            n_jobs=options.jobs,
            quiet=options.quiet,
        )
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; started again, it goes on from here.", file=sys.stderr)
        return 130
    table = read(options.results)
    text, files = write(table, options.results, options.bootstrap)
    print(text)
    print(first_line(table))
    print("Written:", ", ".join(file.name for file in files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
