"""Random calls of the public API; `python -m tests.properties.fuzz` makes more."""

import os

import pytest

from tests.properties import fuzz, targets

N_CALLS = 20_000 if os.environ.get("COFM_HYPOTHESIS") == "thorough" else 300


def test_random_calls_end_in_a_result_or_in_a_clear_error():
    counts, defects = fuzz.run(N_CALLS, seed=0)
    assert not defects
    called = {name for name, _ in counts}
    assert called == {target.__name__ for target in targets.TARGETS}
    # Where hardly any call is right, nothing is checked but errors.
    assert sum(n for (_, end), n in counts.items() if end == "result") > N_CALLS / 4


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (None, "result"),
        (ValueError("n must be at least 1."), "ValueError"),
        (ValueError(" "), "defect"),
        (ValueError("operands could not be broadcast together"), "defect"),
        (TypeError("'NoneType' object is not iterable"), "defect"),
        (IndexError("7"), "defect"),
        (ZeroDivisionError("division by zero"), "defect"),
        (AssertionError("result is wrong"), "defect"),
        (fuzz.TooLong("no answer"), "defect"),
    ],
)
def test_a_defect_is_seen(monkeypatch, error, end):
    def target(_):
        if error is not None:
            raise error

    monkeypatch.setattr(fuzz, "TARGETS", {target: 1})
    assert fuzz.call(0, seed=0)[:2] == ("target", end)
