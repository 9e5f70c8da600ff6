"""Command line of the comparison."""

import argparse
import sys
from pathlib import Path

__all__ = ["main"]

_DESCRIPTION = """\
Compare co-decision with random, margin and entropy sampling.

Labels are queried in rounds and answered from the data, with a share of wrong
answers. Every strategy trains the same logistic regression on the same embeddings of
all-MiniLM-L6-v2; the co-decision also has the class descriptions. Scores are computed
on texts that are never queried. Without options, the data are the docstring summaries
of scipy, numpy and scikit-learn by topic."""

_EPILOG = """\
Examples:
  python -m cofm_sklearn
  python -m cofm_sklearn --data mails.csv --text-column body --label-column folder \\
      --classes folders.json --budget 300"""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        # One line, as argparse's usage would fill the screen.
        self.exit(2, f"error: {' '.join(message.split())} (--help explains options)\n")


def main(argv=None):
    """Run the comparison.

    Parameters
    ----------
    argv : list of str or None, default=None
        Arguments; None uses those of the process.

    Returns
    -------
    int
        Exit code: 0, or 130 after Ctrl-C. Wrong input exits with 2.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    _check_options(parser, options)
    try:
        _compare(parser, options)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


def _compare(parser, options):
    # Imported late, so that --help and wrong options respond immediately.
    from cofm_sklearn._demo.compare import compare, embed
    from cofm_sklearn._demo.data import InputError, load_corpus, split_corpus
    from cofm_sklearn._demo.report import draw_curves, format_table, summarize

    def say(text):
        if not options.quiet:
            print(text, file=sys.stderr, flush=True)

    try:
        corpus = load_corpus(
            options.data,
            options.text_column,
            options.label_column,
            options.classes,
            options.encoding,
            options.separator,
        )
        options.output.mkdir(parents=True, exist_ok=True)
    except (InputError, OSError) as error:
        parser.error(str(error))
    pool, held_out = split_corpus(corpus.labels, seed=0)
    if options.budget > len(pool):
        parser.error(
            f"--budget {options.budget} is more than the {len(pool)} texts of the "
            f"pool; {len(held_out)} of {len(corpus.labels)} are held out for scores"
        )
    for note in corpus.notes:
        say(note)
    say("Loading the foundation model ...")
    try:
        embeddings, prior = embed(corpus, quiet=options.quiet)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    records = compare(
        corpus,
        embeddings,
        prior,
        budget=options.budget,
        n_instances=options.n_instances,
        n_seeds=options.seeds,
        noises=sorted(set(options.noise)),
        n_jobs=options.n_jobs,
        quiet=options.quiet,
    )
    title = (
        f"{corpus.title}: {len(corpus.labels):,} texts in "
        f"{len(corpus.descriptions)} classes"
    )
    print(
        f"\n{title}; pool {len(pool):,}, held out {len(held_out):,}; "
        f"seeds {options.seeds}, {options.n_instances} labels a round\n"
    )
    print(format_table(summarize(records)))
    table_path = options.output / "records.csv"
    records.to_csv(table_path, index=False)
    print(f"\nRecords: {table_path}")
    picture = options.output / "learning_curves.png"
    try:
        draw_curves(records, picture, title)
    except ImportError as error:
        print(f"No picture: {error}")
    else:
        print(f"Picture: {picture}")


def _check_options(parser, options):
    for name, low in (("budget", 1), ("n_instances", 1), ("seeds", 1)):
        value = getattr(options, name)
        if value < low:
            option = name.replace("_", "-")
            parser.error(f"--{option} must be at least {low}, got {value}")
    if options.budget < 2 * options.n_instances:
        parser.error(
            f"--budget {options.budget} is too small for a curve; it must be at least "
            f"twice --n-instances {options.n_instances}"
        )
    for noise in options.noise:
        if not 0 <= noise < 1:
            parser.error(f"--noise must be from 0 to below 1, got {noise}")
    if options.separator in ("tab", "\\t"):
        options.separator = "\t"
    if options.separator is not None and len(options.separator) != 1:
        parser.error(f"--separator must be one character, got {options.separator!r}")
    if options.n_jobs == 0:
        parser.error("--n-jobs must be a number of processes, or -1 for all cores")


def _parser():
    parser = _Parser(
        prog="python -m cofm_sklearn",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="CSV or Parquet file with a text and a label column; Parquet needs "
        "pyarrow",
    )
    data.add_argument(
        "--text-column", default="text", metavar="NAME", help="default: text"
    )
    data.add_argument(
        "--label-column", default="label", metavar="NAME", help="default: label"
    )
    data.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of a CSV file, such as latin-1; default: UTF-8, or detected "
        "from its byte order mark",
    )
    data.add_argument(
        "--separator",
        metavar="CHARACTER",
        help="separator of a CSV file, or 'tab'; default: whichever of "
        "comma, semicolon, tab and bar gives the columns",
    )
    data.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="class descriptions: JSON object label -> description (or list of "
        "them), or CSV with the columns label, description; without it the label "
        "names themselves are the descriptions",
    )
    runs = parser.add_argument_group("runs")
    runs.add_argument(
        "--budget",
        type=int,
        default=200,
        metavar="N",
        help="labels per run (default: 200)",
    )
    runs.add_argument(
        "--n-instances",
        type=int,
        default=10,
        metavar="N",
        help="labels per round (default: 10)",
    )
    runs.add_argument(
        "--seeds",
        type=int,
        default=3,
        metavar="N",
        help="repetitions, each with its own split and answers (default: 3)",
    )
    runs.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[0.0, 0.2],
        metavar="SHARE",
        help="shares of wrong answers (default: 0 0.2)",
    )
    runs.add_argument(
        "--n-jobs",
        type=int,
        default=-1,
        metavar="N",
        help="processes; -1 (default) uses all cores; does not affect results",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        type=Path,
        default=Path("cofm_demo"),
        metavar="FOLDER",
        help="folder for records.csv and learning_curves.png (default: ./cofm_demo)",
    )
    output.add_argument(
        "-q",
        "--quiet",
        "--no-progress",
        action="store_true",
        help="print only the result, without progress bars and notes",
    )
    return parser
