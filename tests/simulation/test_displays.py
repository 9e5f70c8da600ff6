"""Displays of wrong labels match the models."""

from io import BytesIO
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.simulation import (
    LearningCurveDisplay,
    NoiseMatrixDisplay,
    NoisyOracle,
    SuspectsDisplay,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

NAMES = np.array(["ham", "news", "spam"])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([60, 60, 60], n_features=4, random_state=0)
    return X, NAMES[y], flip_labels(NAMES[y], noise=0.2, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    X, _, given = data
    return CoDecisionClassifier(LogisticRegression(), random_state=0).fit(X, given)


def written(display):
    return [[cell.get_text() for cell in row] for row in display.cells_]


def test_suspects_are_the_labels_of_lowest_quality(data, model):
    X, true, given = data
    display = SuspectsDisplay.from_estimator(model, X, given, n_suspects=7)
    worst = np.argsort(model.label_quality_)[:7]
    assert np.mean(given[worst] != true[worst]) > 0.8
    shown = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert shown == [f"row {i}" for i in worst]
    fused = model.predict_proba(X[worst])
    for row, i, p in zip(written(display), worst, fused, strict=True):
        assert row[0] == given[i]
        best = f"{NAMES[p.argmax()]} {p.max():.2f}".replace(" 0.", " .")
        assert row[-2] == best
        assert float(row[-1]) == pytest.approx(model.label_quality_[i], abs=0.006)
    heads = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert heads == ["given", "small model", "co-decision", "quality"]


def test_suspects_show_the_prior_and_texts(data):
    X, _, given = data
    prior = PrecomputedPrior(NAMES, columns=[0, 1, 2])
    XP = np.hstack([np.full((len(X), 3), 1 / 3), X])
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    model.fit(XP, given)
    texts = [f"message number {i} " + "and more " * 20 for i in range(len(X))]
    display = SuspectsDisplay.from_estimator(model, XP, given, samples=texts)
    assert len(display.cells_) == 10
    assert list(display.opinions) == ["small model", "prior", "co-decision"]
    shown = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert all(text.startswith("message number") for text in shown)
    assert max(map(len, shown)) < 60


def test_suspects_of_a_pipeline(data, model):
    X, _, given = data
    steps = make_pipeline(StandardScaler(), CoDecisionClassifier(LogisticRegression()))
    display = SuspectsDisplay.from_estimator(steps.fit(X, given), X, given)
    assert len(display.cells_) == 10


def test_suspects_of_a_loop_are_samples_of_its_pool(data):
    X, true, _ = data
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(LogisticRegression()),
        CoDecisionQuery(),
        budget=60,
        n_instances=30,
        oracle=NoisyOracle(0.2),
        random_state=0,
    ).fit(X, true)
    display = SuspectsDisplay.from_estimator(loop, X, n_suspects=5)
    quality = loop.estimator_.label_quality_
    worst = np.argsort(quality, kind="stable")[:5]
    shown = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert shown == [f"row {i}" for i in loop.labeled_indices_[worst]]
    assert NoiseMatrixDisplay.from_estimator(loop).im_ is not None


def test_noise_matrix_counts_by_hand():
    true = ["ham", "ham", "ham", "spam"]
    given = ["ham", "ham", "spam", "spam"]
    display = NoiseMatrixDisplay.from_labels(true, given)
    np.testing.assert_allclose(display.noise_matrix, [[2 / 3, 1 / 3], [0, 1]])
    np.testing.assert_array_equal(display.im_.get_array(), display.noise_matrix)
    assert display.text_[0, 1].get_text() == ".33"
    assert display.ax_.get_ylabel() == "True class"
    other = NoiseMatrixDisplay.from_labels(true, given, classes=["spam", "ham", "eggs"])
    np.testing.assert_allclose(
        other.noise_matrix, [[1, 0, 0], [1 / 3, 2 / 3, 0], [0, 0, 0]]
    )


def test_noise_matrix_of_an_estimator_is_near_the_true_one(data, model):
    _, true, given = data
    found = NoiseMatrixDisplay.from_estimator(model).noise_matrix
    exact = NoiseMatrixDisplay.from_labels(true, given).noise_matrix
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found, exact, atol=0.12)
    assert NoiseMatrixDisplay(found, classes=NAMES).plot(colorbar=False).text_.size == 9


def test_many_classes_get_no_numbers():
    display = NoiseMatrixDisplay(np.eye(30), classes=range(30)).plot()
    assert display.text_ is None


def test_the_names_of_many_classes_lie_beside_each_other():
    names = [f"name {i} of a class" for i in range(77)]
    display = NoiseMatrixDisplay(np.eye(77), classes=names).plot()
    display.figure_.canvas.draw()
    for labels, side in (
        (display.ax_.get_yticklabels(), "y"),
        (display.ax_.get_xticklabels(), "x"),
    ):
        assert [label.get_text() for label in labels] == names
        boxes = [label.get_window_extent() for label in labels]
        ends = sorted((getattr(b, f"{side}0"), getattr(b, f"{side}1")) for b in boxes)
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_names_without_spaces_are_cut_and_probabilities_stay():
    long = ["card_payment_not_recognised", "top_up_by_bank_transfer"]
    path = "photos/lesson_one/training/" + "0" * 30 + ".png"
    opinions = {"small model": np.array([[0.2, 0.8]])}
    display = SuspectsDisplay([path], long[:1], [0.04], opinions, classes=long).plot()
    given, predicted, _ = (cell.get_text() for cell in display.cells_[0])
    assert given == "card_payment_no..."
    assert predicted == "top_up_by_bank_... .80"
    (sample,) = (label.get_text() for label in display.ax_.get_yticklabels())
    assert path.startswith(sample.removesuffix("..."))
    assert len(sample) > 40
    matrix = NoiseMatrixDisplay(np.eye(2), classes=long).plot()
    shown = [label.get_text() for label in matrix.ax_.get_xticklabels()]
    assert shown == ["card_payment_no...", "top_up_by_bank_..."]


def test_legends_have_names_that_begin_with_an_underscore():
    records = pd.DataFrame(
        {"strategy": "_mine", "seed": 0, "n_labels": [5, 10], "balanced_accuracy": 0.5}
    )
    legend = LearningCurveDisplay.from_records(records).ax_.get_legend()
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_mine"]


def test_own_axes(data, model):
    from matplotlib import pyplot

    X, _, given = data
    _, axes = pyplot.subplots(1, 2)
    first = SuspectsDisplay.from_estimator(model, X, given, ax=axes[0])
    second = NoiseMatrixDisplay.from_estimator(model, ax=axes[1])
    assert first.ax_ is axes[0]
    assert second.ax_ is axes[1]
    assert first.figure_ is second.figure_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": []}, "samples is empty"),
        ({"labels": ["eggs"]}, "unknown label 'eggs'"),
        ({"labels": ["ham", "ham"]}, "labels has 2 items for 1 samples"),
        ({"quality": [0.1, 0.2]}, "quality has 2 items"),
        (
            {"opinions": {"prior": np.ones((1, 3)) / 3}},
            r"opinions\['prior'\] must have",
        ),
    ],
)
def test_bad_suspects_are_named(change, message):
    good = {
        "samples": ["text"],
        "labels": ["ham"],
        "quality": [0.1],
        "opinions": {"prior": np.array([[0.5, 0.5]])},
        "classes": ["ham", "spam"],
    }
    with pytest.raises(ValueError, match=message):
        SuspectsDisplay(**{**good, **change}).plot()


def test_errors_of_from_estimator(data, model):
    X, _, given = data
    plain = LogisticRegression().fit(X, given)
    with pytest.raises(ValueError, match="label_quality_"):
        NoiseMatrixDisplay.from_estimator(plain)
    with pytest.raises(ValueError, match="label_quality_"):
        SuspectsDisplay.from_estimator(plain, X, given)
    with pytest.raises(ValueError, match="that the estimator was fitted on"):
        SuspectsDisplay.from_estimator(model, X[:9], given[:9])
    with pytest.raises(ValueError, match="that the estimator was fitted on"):
        SuspectsDisplay.from_estimator(model, X)
    with pytest.raises(ValueError, match="n_suspects"):
        SuspectsDisplay.from_estimator(model, X, given, n_suspects=0)
    with pytest.raises(ValueError, match="samples has 1 items"):
        SuspectsDisplay.from_estimator(model, X, given, samples=["one"])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "square with a row per class"),
        ([[1, 0], [0.5, 0.6]], "sum to 1"),
        ([[2, -1], [0, 1]], "sum to 1"),
    ],
)
def test_bad_noise_matrices_are_named(matrix, message):
    with pytest.raises(ValueError, match=message):
        NoiseMatrixDisplay(matrix, classes=["ham", "spam"]).plot()


def test_labels_of_different_length_are_refused():
    with pytest.raises(ValueError, match="y_true has 1 labels and y_given 2"):
        NoiseMatrixDisplay.from_labels(["ham"], ["ham", "spam"])


def test_dollars_are_drawn_as_they_are(data, model):
    X, _, given = data
    texts = np.array(["get $^$ now, or $50", *["win $1000 or $50 cash"] * 179])
    display = SuspectsDisplay.from_estimator(model, X, given, samples=texts)
    shown = display.ax_.get_yticklabels()[0]
    assert not shown.get_text().replace(r"\$", "").count("$")
    display.figure_.savefig(BytesIO())
    matrix = NoiseMatrixDisplay(np.eye(2), classes=["$x$", "a$^$"]).plot()
    matrix.figure_.savefig(BytesIO())
    records = pd.DataFrame(
        {"strategy": "$^$", "seed": 0, "n_labels": [5, 10], "balanced_accuracy": 0.5}
    )
    curves = LearningCurveDisplay(records).plot()
    curves.ax_.legend()
    curves.figure_.savefig(BytesIO())


def test_suspects_of_a_frame_of_texts():
    texts = [f"{word} number {i}" for i in range(20) for word in ("match", "bank")]
    frame = pd.DataFrame({"text": texts})
    y = np.array(["sport", "money"] * 20)
    pipeline = make_pipeline(
        TfidfVectorizer(), CoDecisionClassifier(LogisticRegression(), random_state=0)
    ).fit(texts, y)
    display = SuspectsDisplay.from_estimator(pipeline, frame, y, n_suspects=2)
    shown = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert set(shown) <= set(texts)
