"""Labels of a pool: their source, probability, and need of review."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imb_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.models import SafeSampler, label_pool
from cofm_sklearn.simulation import SuspectsDisplay

NAMES = np.array(["ham", "news", "spam"])
SMALL = LogisticRegression(class_weight="balanced")


@pytest.fixture(scope="module")
def data():
    """Pool, truth, queried rows, rows of a random check."""
    X, y = make_blobs(
        [500, 200, 100],
        n_features=3,
        cluster_std=1.8,
        center_box=(-5, 5),
        random_state=3,
    )
    order = np.random.RandomState(0).permutation(len(X))
    return X, NAMES[y], order[:100], order[100:200]


@pytest.fixture(scope="module")
def model(data):
    X, y, asked, _ = data
    return CoDecisionClassifier(SMALL, random_state=0).fit(X[asked], y[asked])


def left_to_model(table):
    return (table["source"] == "co-decision") & ~table["look"]


def test_answers_stay_and_the_rest_is_predicted(data, model):
    X, _, asked, _ = data
    given = NAMES[np.arange(len(asked)) % 3]  # whatever people said
    model = clone(model).fit(X[asked], given)
    table = label_pool(model, X, given, asked)
    assert list(table.columns) == ["label", "probability", "source", "look"]
    assert list(table["label"][asked]) == list(given)
    assert set(table["source"][asked]) == {"person"}
    rest = table.drop(index=asked)
    assert set(rest["source"]) == {"co-decision"}
    assert list(rest["label"]) == list(model.predict(X)[rest.index])
    assert table["probability"].between(0, 1).all()
    assert list(table["probability"][asked]) == list(model.label_quality_)
    assert (table["look"] == (table["probability"] < 0.5)).all()


def test_target_is_reached_and_probabilities_are_honest(data, model):
    X, y, asked, _ = data
    table = label_pool(model, X, y[asked], asked, target_precision=0.95)
    free, left = table["source"] == "co-decision", left_to_model(table)
    right = table["label"] == y
    assert right[free].mean() < 0.95  # or there would be nothing to choose
    assert right[left].mean() >= 0.95
    assert table.attrs["coverage"] == left.sum() / free.sum() > 0.4
    assert table.attrs["precision"] == pytest.approx(table["probability"][left].mean())
    low, high = table.attrs["precision_interval"]
    assert low < right[left].mean() < high
    assert table["probability"][free].mean() == pytest.approx(
        right[free].mean(), abs=0.05
    )


def test_a_higher_target_never_leaves_more_to_the_model(data, model):
    X, y, asked, _ = data
    before = None
    for target in (0.5, 0.8, 0.9, 0.95, 0.98, 0.999999):
        left = left_to_model(
            label_pool(model, X, y[asked], asked, target_precision=target)
        )
        assert before is None or not (left & ~before).any()
        before = left
    assert not before.any()
    table = label_pool(model, X, y[asked], asked, target_precision=0.999999)
    assert table.attrs["coverage"] == 0
    assert np.isnan(table.attrs["precision"])
    assert table.attrs["precision_interval"] == (0, 1)


def test_the_order_of_the_pool_does_not_matter(data, model):
    X, y, asked, check = data
    rows = np.concatenate([asked, check])
    order = np.random.RandomState(1).permutation(len(X))
    place = np.argsort(order)
    first = label_pool(model, X, y[rows], rows, check=check, target_precision=0.9)
    second = label_pool(
        model,
        X[order],
        y[rows],
        place[rows],
        check=place[check],
        target_precision=0.9,
    )
    moved = second.iloc[place].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, moved, rtol=1e-6)
    assert first.attrs["precision_interval"] == second.attrs["precision_interval"]


def test_a_check_counts_its_own_answers_and_finds_a_model_that_is_worse(data):
    X, y, asked, check = data
    rows = np.concatenate([asked, check])
    model = CoDecisionClassifier(SMALL, random_state=0).fit(X[asked], y[asked])
    table = label_pool(model, X, y[rows], rows, check=check, target_precision=0.9)
    assert (table["source"][check] == "person").all()
    assert 0 < table.attrs["n_check"] <= len(check)
    left = left_to_model(table)
    reached = (table["label"] == y)[left].mean()
    low, high = table.attrs["precision_interval"]
    assert low <= reached <= high
    # The same answers, as if half of the check contradicted the model.
    contrary = y[rows].copy()
    predicted = model.predict(X[check])
    bad = len(asked) + np.arange(0, len(check), 2)
    contrary[bad] = np.where(predicted == "ham", "spam", "ham")[::2]
    worse = label_pool(model, X, contrary, rows, check=check, target_precision=0.9)
    assert worse.attrs["coverage"] < 0.5 * table.attrs["coverage"]


def test_wrong_answers_are_reckoned_with(data):
    X, y, asked, check = data
    rows = np.concatenate([asked, check])
    given = flip_labels(y[rows], noise=0.25, random_state=0)
    model = CoDecisionClassifier(SMALL, random_state=0).fit(X[rows], given)
    table = label_pool(model, X, given, rows, target_precision=0.9)
    left = left_to_model(table)
    assert left.mean() > 0.2
    assert (table["label"] == y)[left].mean() >= 0.9
    wrong = given != y[rows]
    looked = table["look"][rows].to_numpy()
    assert looked[wrong].mean() > 0.6 > 0.1 > looked[~wrong].mean()


@pytest.mark.parametrize("n", [0, 10])
def test_few_answers_leave_nothing_to_the_model(data, model, n):
    X, y, asked, _ = data
    few = clone(model)
    if n:
        few.fit(X[asked[:n]], y[asked[:n]])
        table = label_pool(few, X, y[asked[:n]], asked[:n], target_precision=0.6)
    else:
        plain = SMALL.fit(X[asked], y[asked])
        table = label_pool(plain, X, target_precision=0.6)
    assert len(table) == len(X)
    assert table["look"][table["source"] == "co-decision"].all()


def test_answers_of_one_class_leave_nothing_to_the_model(data):
    X, y, _, _ = data
    asked = np.flatnonzero(y == "ham")[:40]
    model = CoDecisionClassifier(SMALL, random_state=0).fit(X[asked], y[asked])
    table = label_pool(model, X, y[asked], asked, target_precision=0.6)
    assert table.attrs["coverage"] == 0


@pytest.mark.parametrize("seed", [0, 1, 3, 7])
@pytest.mark.parametrize("n_check", [0, 100])
def test_a_model_that_knows_nothing_keeps_nothing(seed, n_check):
    # Right answers to what cannot be predicted look like wrong ones.
    rng = np.random.RandomState(seed)
    X, y = rng.normal(size=(600, 4)), rng.choice(2, size=600)
    check, asked = np.split(rng.permutation(600)[: n_check + 90], [n_check])
    model = CoDecisionClassifier(SMALL, random_state=0).fit(X[asked], y[asked])
    rows = np.concatenate([asked, check])
    table = label_pool(model, X, y[rows], rows, check=check, target_precision=0.9)
    assert table.attrs["coverage"] == 0


def test_pipelines_frames_and_other_models(data, model):
    X, y, asked, _ = data
    scaled = StandardScaler().fit(X)
    behind = CoDecisionClassifier(SMALL, random_state=0).fit(
        scaled.transform(X[asked]), y[asked]
    )
    pipeline = make_pipeline(scaled, behind)
    options = {"target_precision": 0.9}
    expected = label_pool(behind, scaled.transform(X), y[asked], asked, **options)
    got = label_pool(pipeline, pd.DataFrame(X), y[asked], asked, **options)
    pd.testing.assert_frame_equal(got, expected)
    plain = clone(SMALL).fit(X[asked], y[asked])
    table = label_pool(plain, X, y[asked], asked, **options)
    left = left_to_model(table)
    assert left.mean() > 0.3
    assert (table["label"] == y)[left].mean() >= 0.9


def test_a_pool_without_open_samples(data, model):
    X, y, asked, _ = data
    table = label_pool(model, X[asked], y[asked], np.arange(100), target_precision=0.9)
    assert set(table["source"]) == {"person"}
    assert table.attrs["coverage"] == 0
    assert table.attrs["curve"] == {}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"target_precision": 1.0},
            ValueError,
            "target_precision must be",
        ),
        (
            {"target_precision": "high"},
            ValueError,
            "target_precision must be",
        ),
        ({"y": None}, ValueError, "y and labeled must"),
        ({"labeled": np.arange(3)}, ValueError, "y has 100 answers for 3"),
        ({"labeled": np.zeros(100, int)}, ValueError, "labeled repeats a row"),
        ({"labeled": np.arange(750, 850)}, ValueError, "from 0 to 799"),
        ({"labeled": np.ones(100)}, TypeError, "labeled must hold rows"),
        ({"y": np.repeat("eggs", 100)}, ValueError, "unknown label 'eggs'"),
        ({"check": [799]}, ValueError, "row 799"),
        ({"X_pool": np.empty((0, 3))}, ValueError, "X_pool is empty"),
    ],
)
def test_bad_input_is_named(data, model, changes, error, message):
    X, y, _, _ = data
    rows = np.arange(100)
    given = {"X_pool": X, "y": y[rows], "labeled": rows, **changes}
    with pytest.raises(error, match=message):
        label_pool(model, **given)


@pytest.mark.parametrize(
    "sampler", [RandomUnderSampler(random_state=0), SMOTE(random_state=0)]
)
def test_a_sampler_before_the_co_decision_mixes_no_answers(data, sampler):
    X, y, asked, _ = data
    wrong = np.arange(0, 100, 7)
    said = y[asked].copy()
    said[wrong] = NAMES[(np.searchsorted(NAMES, said[wrong]) + 1) % 3]
    model = make_imb_pipeline(SafeSampler(sampler), CoDecisionClassifier(SMALL))
    model.fit(X[asked], said)
    table = label_pool(model, X, said, asked)
    doubt = table["probability"][asked].to_numpy()
    is_wrong = np.isin(np.arange(100), wrong)
    assert roc_auc_score(is_wrong, -doubt) > 0.8
    with pytest.raises(ValueError, match=r"CoDecisionClassifier\(make_pipeline\("):
        SuspectsDisplay.from_estimator(model, X[asked], said)


@pytest.mark.parametrize("kind", [pd.DataFrame, list])
def test_the_index_of_the_pool_stays(data, model, kind):
    X, y, asked, _ = data
    pool = kind(X)
    if kind is pd.DataFrame:
        pool.index = 1000 - np.arange(len(X))
    table = label_pool(model, pool, y[asked], asked)
    index = pool.index if kind is pd.DataFrame else range(len(X))
    assert list(table.index) == list(index)
    assert list(table["label"].iloc[asked]) == list(y[asked])


def test_a_model_of_other_answers_is_refused(data, model):
    X, y, asked, _check = data
    with pytest.raises(ValueError, match="100 labels, which are not those of the 90"):
        label_pool(model, X, y[asked[:90]], asked[:90])
    in_order = np.sort(asked)
    with pytest.raises(ValueError, match="Fit it on these, in this order"):
        label_pool(model, X, y[in_order], in_order)
    # Check answers must not have been trained on.
    with pytest.raises(ValueError, match="80 answered rows that are not in check"):
        label_pool(model, X, y[asked], asked, check=asked[:20])
    machine = LinearSVC().fit(X[asked], y[asked])
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        label_pool(machine, X, y[asked], asked)


@pytest.mark.parametrize("kind", ["co-decision", "other"])
def test_a_class_may_have_answers_in_the_check_set_only(data, kind):
    X, y, asked, checked = data
    asked = asked[y[asked] != "spam"]
    assert "spam" in y[checked]
    model = CoDecisionClassifier(SMALL) if kind == "co-decision" else clone(SMALL)
    model.fit(X[asked], y[asked])
    rows = np.concatenate([asked, checked])
    table = label_pool(model, X, y[rows], rows, check=checked, target_precision=0.8)
    assert list(table["label"][rows]) == list(y[rows])
    assert "spam" not in set(table["label"].drop(index=rows))
    # The model is never right about spam, and the check set shows it.
    assert table.attrs["precision_interval"][0] < 0.9
    with pytest.raises(ValueError, match="unknown label 'spam'"):
        label_pool(model, X, y[rows], rows, check=checked[y[checked] != "spam"])
