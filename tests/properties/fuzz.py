"""Call the public API at random; each call must give a result or a clear error.

    python -m tests.properties.fuzz --calls 10000 --seed 0

A call ends well if its result passes the checks in `targets`, or if it ends in a
ValueError or TypeError whose message is the package's or scikit-learn's. All else is a
defect: other errors, warnings about invalid values in the package, messages that speak
of NumPy's or Python's inner workings, and calls that take longer than a minute.
"""

import argparse
import re
import signal
import sys
import traceback
import warnings
from collections import Counter

import numpy as np

from tests.properties.drawing import Draw
from tests.properties.targets import TARGETS

# Messages of NumPy, SciPy, pandas or Python for an unchecked argument.
_INTERNAL = re.compile(
    "|".join(
        [
            "could not be broadcast",
            "broadcast input array",
            "must match exactly",
            "out of bounds",
            "not aligned",
            "mismatch in its core dimension",
            "not subscriptable",
            "not iterable",
            "unhashable",
            "has no len",
            "has no attribute",
            "unsupported operand",
            "not supported between",
            "bad operand type",
            "can't multiply",
            "truth value",
            "setting an array element",
            "cannot be interpreted as an integer",
            "only length-1 arrays|only 0-dimensional arrays",
            "zero-size array",
            "inhomogeneous",
            "unexpected keyword",
            "positional argument",
            "ufunc",
            "NoneType' object",
            "not callable",
            "JSON object must be",
            "cannot convert float NaN|infinity to integer",
            "boolean value of NA",
            "int\\(\\) argument|float\\(\\) argument",
            "complex values to real",
            "argument should be a str or an os.PathLike",
            "indices must be integers",
        ]
    )
)
_SECONDS = 60


class TooLong(BaseException):
    """A call did not return in time."""


def call(number, seed):
    """Make one call; return its target, its outcome, and its message."""
    rng = np.random.RandomState([seed, number])
    odds = np.array(list(TARGETS.values()), dtype=float)
    target = list(TARGETS)[rng.choice(len(odds), p=odds / odds.sum())]
    draw = Draw(rng, evil=rng.choice([0.0, 0.1, 0.3]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=RuntimeWarning, module="cofm_sklearn")
        try:
            target(draw)
        except (ValueError, TypeError) as error:
            said = str(error)
            if said.strip() and (_of_sklearn(error) or not _INTERNAL.search(said)):
                return target.__name__, type(error).__name__, said
            return target.__name__, "defect", _where(error)
        except RuntimeError as error:
            # The cause is the error in the session's thread.
            if str(error).startswith("Training in the background failed: "):
                return target.__name__, type(error.__cause__).__name__, str(error)
            return target.__name__, "defect", _where(error)
        except (Exception, TooLong) as error:  # noqa: BLE001
            return target.__name__, "defect", _where(error)
    return target.__name__, "result", ""


def run(n_calls, seed, *, first=0):
    """Make calls; return counts of the outcomes, and the defects by number."""
    counts, defects = Counter(), {}
    before = signal.signal(signal.SIGALRM, _stop)
    try:
        for number in range(first, first + n_calls):
            signal.alarm(_SECONDS)
            name, end, said = call(number, seed)
            signal.alarm(0)
            counts[name, end] += 1
            if end == "defect":
                defects[number] = f"{name}: {said}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return counts, defects


def _stop(*_):
    raise TooLong(f"no answer within {_SECONDS} s")


def _of_sklearn(error):
    """Tell whether scikit-learn's own validation raised an error."""
    frames = traceback.extract_tb(error.__traceback__)
    return any("sklearn/utils/validation" in frame.filename for frame in frames)


def _where(error):
    """Describe an error, with the last line of the package in its traceback."""
    lines = [
        f"{frame.filename.rpartition('cofm_sklearn')[2]}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "cofm_sklearn/" in frame.filename or "tests/properties" in frame.filename
    ]
    return f"{type(error).__name__}: {str(error)[:300]} ({', '.join(lines[-3:])})"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    options = parser.parse_args(arguments)
    counts, defects = run(options.calls, options.seed, first=options.first)
    ends = ["result", "ValueError", "TypeError", "defect"]
    print(f"{'':16}" + "".join(f"{end:>12}" for end in ends))
    for target in TARGETS:
        row = [counts[target.__name__, end] for end in ends]
        print(f"{target.__name__:16}" + "".join(f"{n:12,}" for n in row))
    totals = [sum(n for (_, e), n in counts.items() if e == end) for end in ends]
    print(f"{'all':16}" + "".join(f"{n:12,}" for n in totals))
    for number, said in defects.items():
        print(f"call {number}: {said}")
    return bool(defects)


if __name__ == "__main__":
    sys.exit(main())
