"""Scores, label savings and the display, against slow versions and by properties."""

import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from cofm_sklearn.simulation.curves import (
    LearningCurveDisplay,
    label_savings,
    labels_to_reach,
    score_predictions,
)

mpl.use("Agg")
FEW = settings(max_examples=50, deadline=None)
METRIC = "balanced_accuracy"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def make_records(curves, metric=METRIC):
    """Records from {strategy: {seed: (label counts, scores)}}."""
    return pd.DataFrame(
        [
            (name, seed, n, i, score)
            for name, runs in curves.items()
            for seed, (counts, scores) in runs.items()
            for i, (n, score) in enumerate(zip(counts, scores, strict=True))
        ],
        columns=["strategy", "seed", "n_labels", "round", metric],
    )


# ------------------------------------------------------------- score_predictions

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1)


@FEW
@given(PAIRS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_are_those_of_scikit_learn(pairs):
    y_true, y_pred = np.array(pairs).T
    scores = score_predictions(y_true, y_pred)
    assert_allclose(
        scores["balanced_accuracy"], balanced_accuracy_score(y_true, y_pred)
    )
    assert_allclose(scores["macro_f1"], f1_score(y_true, y_pred, average="macro"))
    sizes = dict(zip(*np.unique(y_true, return_counts=True)))
    rare = sorted(sizes, key=lambda label: (sizes[label], label))
    rare = rare[: max(1, len(rare) // 3)]
    assert_allclose(
        scores["rare_class_recall"],
        recall_score(y_true, y_pred, labels=rare, average="macro"),
    )


@FEW
@given(PAIRS)
def test_classes_that_do_not_occur_and_the_kind_of_label_change_no_score(pairs):
    y_true, y_pred = np.array(pairs).T
    scores = score_predictions(y_true, y_pred)
    assert scores == score_predictions(y_true, y_pred, classes=range(9))
    letters = np.array(list("abcdefg"))
    assert scores == score_predictions(letters[y_true], letters[y_pred])
    assert scores == score_predictions(
        pd.Series(letters[y_true]), letters[y_pred].astype(object)
    )


@pytest.mark.parametrize(
    ("y_true", "y_pred", "arguments", "message"),
    [
        ([0, 1], [0], {}, "inconsistent"),
        ([], [], {}, "y_true is empty"),
        (["a", None], ["a", "a"], {}, "y_true has missing"),
        ([0, 1], ["0", "1"], {}, "both"),
        ([0, 1], [0, 2], {"classes": [0, 1]}, "unknown label"),
    ],
)
def test_score_errors(y_true, y_pred, arguments, message):
    with pytest.raises(ValueError, match=message):
        score_predictions(y_true, y_pred, **arguments)


# --------------------------------------------------------------- labels_to_reach

CURVES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 100)), min_size=1, max_size=12
)


@FEW
@given(CURVES, st.integers(0, 110))
def test_labels_to_reach_against_walking_along_the_curve(steps, level):
    counts = np.cumsum([step for step, _ in steps])
    scores = np.array([score for _, score in steps]) / 100
    found = labels_to_reach(counts, scores, level / 100)
    best = [scores[: i + 1].max() for i in range(len(scores))]
    walk = np.linspace(counts[0], counts[-1], 2001)
    reached = walk[np.interp(walk, counts, best) >= level / 100 - 1e-12]
    if reached.size:
        assert 0 <= reached[0] - found + 1e-9 <= np.ptp(walk) / 2000 + 2e-9
    else:
        assert np.isnan(found)


def test_a_dip_does_not_undo_a_reached_level():
    assert labels_to_reach([10, 20, 30, 40], [0.2, 0.8, 0.1, 0.9], 0.8) == 20


@pytest.mark.parametrize(
    ("counts", "scores", "message"),
    [
        ([], [], "not empty"),
        ([1, 2], [0.5], "one length"),
        ([[1, 2]], [[0.5, 0.6]], "1-D"),
        ([1, 2], [0.5, np.nan], "finite"),
        ([2, 1], [0.5, 0.6], "increase"),
        ([1, 1], [0.5, 0.6], "increase"),
    ],
)
def test_labels_to_reach_errors(counts, scores, message):
    with pytest.raises(ValueError, match=message):
        labels_to_reach(counts, scores, 0.5)


# ----------------------------------------------------------------- label_savings

COUNTS = np.arange(10, 201, 10)


def test_twice_as_fast_saves_half_of_the_labels():
    # ours(n) = base(2 n), and both start from the same score at their first count
    base = np.arange(20, 401, 20) / 500
    records = make_records(
        {"ours": {0: (COUNTS, base)}, "base": {0: (2 * COUNTS, base)}}
    )
    savings = label_savings(records, ours="ours")
    assert_allclose(savings["saving"], 0.5)
    assert savings["fraction"].tolist() == [0.5, 0.75, 0.9, 0.95]
    assert set(savings["budget"]) == {400}
    assert_allclose(savings["level"], 0.04 + savings["fraction"] * 0.76)
    assert_allclose(savings["n_labels_baseline"], 500 * savings["level"])


@FEW
@given(st.lists(st.integers(0, 100), min_size=20, max_size=20))
def test_no_saving_against_oneself_and_the_best_rival_counts(scores):
    same = (COUNTS, np.array(scores) / 100)
    records = make_records({"ours": {0: same}, "base": {0: same}})
    alone = label_savings(records, ours="ours")
    assert_allclose(alone["saving"], 0, atol=1e-12)
    # A rival that is never better, but starts as low, changes nothing.
    worse = (COUNTS, np.full(20, scores[0] / 100))
    more = make_records({"ours": {0: same}, "weak": {0: worse}, "base": {0: same}})
    pd.testing.assert_frame_equal(
        label_savings(more, ours="ours").drop(columns="baseline"),
        alone.drop(columns="baseline"),
    )


def test_the_best_baseline_is_chosen_at_each_level():
    early = np.interp(COUNTS, [10, 50, 200], [0.1, 0.5, 0.6])
    late = np.interp(COUNTS, [10, 100, 200], [0.1, 0.2, 0.9])
    records = make_records(
        {
            "a": {0: (COUNTS, early)},
            "b": {0: (COUNTS, late)},
            "ours": {0: (COUNTS, late)},
        }
    )
    savings = label_savings(records, ours="ours", levels=(0.25, 1))
    assert savings["baseline"].tolist() == ["a", "b"]
    assert savings["saving"][0] < 0
    assert savings["saving"][1] == 0
    only_b = label_savings(records, ours="ours", levels=(0.25, 1), baselines=["b"])
    assert_allclose(only_b["saving"], 0)


def test_a_level_that_is_never_reached_counts_minus_one():
    low = np.interp(COUNTS, [10, 200], [0.1, 0.5])
    high = np.interp(COUNTS, [10, 200], [0.1, 0.9])
    records = make_records({"ours": {0: (COUNTS, low)}, "base": {0: (COUNTS, high)}})
    savings = label_savings(records, ours="ours", levels=(0.25, 0.95))
    # 0.3 is reached at 105 and 57.5 labels
    assert_allclose(savings["saving"], [1 - 105 / 57.5, -1])
    assert np.isnan(savings["n_labels"][1])
    assert savings["n_labels_baseline"].notna().all()


def test_the_budget_ends_where_the_best_baseline_stops_improving():
    base = np.interp(COUNTS, [10, 100, 200], [0.1, 0.8, 0.809])
    ours = np.interp(COUNTS, [10, 180, 200], [0.1, 0.8, 0.9])
    records = make_records({"ours": {0: (COUNTS, ours)}, "base": {0: (COUNTS, base)}})
    savings = label_savings(records, ours="ours", levels=(0.5, 1.0))
    assert set(savings["budget"]) == {100}
    assert_allclose(savings["level"], [0.45, 0.8])
    # we reach 0.8 at 180 labels, which is after the end
    assert savings["saving"][1] == -1
    assert savings["saving"][0] > -1


def test_a_plateau_with_progress_after_it_does_not_end_the_budget():
    base = np.interp(COUNTS, [10, 50, 120, 200], [0.1, 0.4, 0.4, 0.8])
    records = make_records({"ours": {0: (COUNTS, base)}, "base": {0: (COUNTS, base)}})
    assert set(label_savings(records, ours="ours")["budget"]) == {200}


@FEW
@given(st.lists(st.integers(0, 30), min_size=20, max_size=20))
def test_budget_against_its_definition(gains):
    scores = np.cumsum(gains) / 1000
    records = make_records({n: {0: (COUNTS, scores)} for n in ("ours", "base")})
    budget = label_savings(records, ours="ours")["budget"][0]
    window = 50
    starts = [n for n in COUNTS if n + window <= 200]
    gain = {n: scores[(n + window) // 10 - 1] - scores[n // 10 - 1] for n in starts}
    over = [n for n in COUNTS if all(gain[m] < 0.01 - 1e-9 for m in starts if m >= n)]
    expected = over[0] if over[0] in starts else 200
    assert budget == expected


def test_the_mean_over_seeds_comes_first_and_row_order_is_free():
    rng = np.random.default_rng(0)
    curves = {
        name: {s: (COUNTS, np.sort(rng.uniform(size=20))) for s in range(4)}
        for name in ("ours", "a", "b")
    }
    records = make_records(curves)
    savings = label_savings(records, ours="ours")
    means = records.groupby(["strategy", "n_labels"], as_index=False)[METRIC].mean()
    pd.testing.assert_frame_equal(
        label_savings(means.assign(seed=None), ours="ours"), savings
    )
    shuffled = records.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        label_savings(shuffled, ours="ours", baselines=["a", "b"]), savings
    )


def test_seeds_with_other_label_counts_are_interpolated():
    line = COUNTS / 400
    records = make_records(
        {
            "ours": {0: (COUNTS, line), 1: (COUNTS[1::2], line[1::2])},
            "base": {0: (COUNTS, line)},
        }
    )
    savings = label_savings(records, ours="ours")
    assert_allclose(savings["saving"], 0, atol=1e-12)


def test_a_baseline_that_needs_no_label_at_all():
    counts = [0, 10, 20]
    records = make_records(
        {"ours": {0: (counts, [0.1, 0.2, 0.5])}, "base": {0: (counts, [0.5, 0.5, 0.5])}}
    )
    savings = label_savings(records, ours="ours", levels=[0.5])
    assert savings["saving"].tolist() == [-1]
    assert label_savings(records, ours="base", levels=[0.5])["saving"][0] == 1


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (lambda r: r, {"ours": "other"}, ValueError, "no strategy"),
        (lambda r: r, {"baselines": ["other"]}, ValueError, "no strategy"),
        (lambda r: r, {"baselines": []}, ValueError, "at least one"),
        (lambda r: r, {"baselines": ["ours"]}, ValueError, "other than ours"),
        (lambda r: r, {"levels": [0]}, ValueError, "levels"),
        (lambda r: r, {"levels": [1.2]}, ValueError, "levels"),
        (lambda r: r, {"levels": []}, ValueError, "levels"),
        (lambda r: r, {"metric": "auc"}, ValueError, "auc"),
        (lambda r: r.drop(columns="seed"), {}, ValueError, "seed"),
        (lambda r: r.assign(balanced_accuracy=np.nan), {}, ValueError, "NaN"),
        (lambda r: pd.concat([r, r]), {}, ValueError, "several rows"),
        (lambda r: r.iloc[:0], {}, ValueError, "empty"),
        (lambda r: r[r["strategy"] == "ours"], {}, ValueError, "at least one"),
        (lambda r: r.to_dict(), {}, TypeError, "DataFrame"),
    ],
)
def test_label_savings_errors(change, arguments, error, message):
    line = (COUNTS, COUNTS / 400)
    records = make_records({"ours": {0: line}, "base": {0: line}})
    with pytest.raises(error, match=message):
        label_savings(change(records), **{"ours": "ours", **arguments})


def test_seeds_without_a_common_label_count_are_refused():
    records = make_records(
        {
            "ours": {0: ([1, 2], [0.1, 0.2]), 1: ([3, 4], [0.1, 0.2])},
            "base": {0: ([1, 4], [0.1, 0.2])},
        }
    )
    with pytest.raises(ValueError, match="in common"):
        label_savings(records, ours="ours")


# ---------------------------------------------------------- LearningCurveDisplay


class GrowingClassifier(BaseEstimator):
    """A fake loop that labels more and more random samples of iris."""

    def __init__(self, query_strategy=None, random_state=0):
        self.query_strategy = query_strategy
        self.random_state = random_state

    def fit(self, X, y):
        order = np.random.default_rng(self.random_state).permutation(len(y))
        rows = []
        for i, n in enumerate((20, 40, 60)):
            model = LogisticRegression(max_iter=500).fit(X[order[:n]], y[order[:n]])
            scores = score_predictions(y, model.predict(X))
            rows.append({"n_labels": n, "round": i, **scores})
        self.learning_curve_ = pd.DataFrame(rows)
        return self


@pytest.fixture(scope="module")
def fitted():
    X, y = load_iris(return_X_y=True)
    return [GrowingClassifier(LogisticRegression(), s).fit(X, y) for s in range(3)]


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    return make_records(
        {
            name: {s: (COUNTS, rng.uniform(size=20)) for s in range(5)}
            for name in ("co-decision", "margin", "random")
        }
    )


def test_lines_are_means_and_bands_are_standard_errors(records):
    display = LearningCurveDisplay.from_records(records)
    assert list(display.lines_) == ["co-decision", "margin", "random"]
    assert list(display.bands_) == list(display.lines_)
    table = records[records["strategy"] == "margin"].groupby("n_labels")[METRIC]
    line = display.lines_["margin"]
    assert_allclose(line.get_xdata(), COUNTS)
    assert_allclose(line.get_ydata(), table.mean())
    edge = display.bands_["margin"].get_paths()[0].vertices
    top = [edge[edge[:, 0] == n, 1].max() for n in COUNTS[1:-1]]
    assert_allclose(top, (table.mean() + table.sem()).iloc[1:-1])


def test_range_band_reaches_from_the_lowest_to_the_highest_seed(records):
    display = LearningCurveDisplay.from_records(records, band="range")
    edge = display.bands_["random"].get_paths()[0].vertices
    scores = records.loc[records["strategy"] == "random", METRIC]
    assert_allclose([edge[:, 1].min(), edge[:, 1].max()], [scores.min(), scores.max()])


def test_axes_are_labelled_and_label_counts_are_whole(records):
    display = LearningCurveDisplay.from_records(
        records[records["n_labels"] <= 20].assign(macro_f1=0.5), metric="macro_f1"
    )
    display.ax_.set_xlim(10, 13)
    assert display.ax_.get_xlabel() == "Number of labels"
    assert display.ax_.get_ylabel() == "Macro F1"
    assert all(tick == int(tick) for tick in display.ax_.get_xticks())
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["co-decision", "margin", "random"]


def test_strategies_differ_in_colour_and_shape():
    line = (COUNTS, COUNTS / 400)
    display = LearningCurveDisplay.from_records(
        make_records({f"strategy {i}": {0: line} for i in range(16)})
    )
    lines = list(display.lines_.values())
    looks = {(ln.get_color(), ln.get_marker(), ln.get_linestyle()) for ln in lines}
    assert len(looks) == 16
    for look in ("get_color", "get_marker"):
        assert len({getattr(ln, look)() for ln in lines[:7]}) == 7
    assert display.bands_ == {}, "one seed has no spread"


def test_given_axes_are_drawn_on(records):
    figure = mpl.figure.Figure()
    axes = figure.subplots()
    display = LearningCurveDisplay(records).plot(axes, band=None, legend=False)
    assert display.ax_ is axes
    assert display.figure_ is figure
    assert display.bands_ == {}
    assert axes.get_legend() is None


def test_it_draws_something_that_can_be_saved(records, tmp_path):
    display = LearningCurveDisplay.from_records(records)
    path = tmp_path / "curves.png"
    display.figure_.savefig(path)
    image = mpl.image.imread(path)
    blue = np.array(to_rgba(display.lines_["co-decision"].get_color()))
    assert (np.abs(image - blue).max(axis=2) < 0.02).sum() > 50


def test_from_estimator_takes_one_many_or_named(fitted):
    one = LearningCurveDisplay.from_estimator(fitted[0])
    assert list(one.lines_) == ["LogisticRegression"]
    expected = fitted[0].learning_curve_
    assert_allclose(one.lines_["LogisticRegression"].get_ydata(), expected[METRIC])
    seeds = LearningCurveDisplay.from_estimator(fitted)
    mean = np.mean([run.learning_curve_[METRIC] for run in fitted], axis=0)
    assert_allclose(seeds.lines_["LogisticRegression"].get_ydata(), mean)
    named = LearningCurveDisplay.from_estimator(
        {"first": fitted[0], "all": fitted}, metric="macro_f1"
    )
    assert list(named.lines_) == ["first", "all"]
    assert list(named.bands_) == ["all"]
    assert_allclose(named.lines_["first"].get_ydata(), expected["macro_f1"])


def test_a_function_as_query_strategy_gives_its_name(fitted):
    run = GrowingClassifier(balanced_accuracy_score)
    run.learning_curve_ = fitted[0].learning_curve_
    display = LearningCurveDisplay.from_estimator(run)
    assert list(display.lines_) == ["balanced_accuracy_score"]


def test_categorical_and_missing_keys_are_kept(records):
    changed = records[records["seed"] == 0].assign(seed=None)
    changed["strategy"] = changed["strategy"].astype("category")
    display = LearningCurveDisplay.from_records(changed)
    assert len(display.lines_) == 3


def test_display_errors(records, fitted):
    with pytest.raises(ValueError, match="band"):
        LearningCurveDisplay.from_records(records, band="deviation")
    with pytest.raises(ValueError, match="accuracy_of_nothing"):
        LearningCurveDisplay.from_estimator(fitted, metric="accuracy_of_nothing")
    with pytest.raises(ValueError, match="fit it first"):
        LearningCurveDisplay.from_estimator({"new": GrowingClassifier()})
    with pytest.raises(ValueError, match="empty"):
        LearningCurveDisplay.from_estimator([])


def test_matplotlib_missing_is_said_with_the_cure(records, monkeypatch):
    for name in [m for m in sys.modules if m.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(ImportError, match=r'pip install "cofm_sklearn\[demo\]"'):
        LearningCurveDisplay.from_records(records)


def test_a_class_may_be_longer_than_every_label():
    pair = ["ok", "bad"], ["ok", "ok"]
    longer = score_predictions(*pair, classes=["ok", "bad", "fraud"])
    assert longer == score_predictions(*pair)
