"""Search, direct labels, near-duplicates, reasons, map, model and report."""

import re
from html import unescape

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession, CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.annotation import PoolMapDisplay

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel"]
SAID = ["win a free prize", "see you at lunch", "see you at lunch"]
TEXTS = [f"{SAID[i % 3]} {WORDS[i % 8]} {i // 8}" for i in range(72)]
CLASSES = ["ham", "spam"]


def truth(text):
    return "spam" if "prize" in text else "ham"


def make_session(X=TEXTS, **parameters):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    parameters = {
        "classes": CLASSES,
        "n_instances": 6,
        "background": False,
    } | parameters
    return AnnotationSession(X, model, **parameters)


@pytest.fixture(scope="module")
def labelled():
    with make_session() as session:
        for _ in range(5):
            for question in session.ask(6):
                session.answer(question.id, truth(question.sample))
        yield session


def test_text_is_found_whatever_its_capitals(labelled):
    found = labelled.search("PRIZE", n=100)
    assert [q.sample for q in found] == [t for t in TEXTS if "prize" in t]
    assert labelled.search("no such text") == []
    labels = dict(zip(labelled.labeled.tolist(), labelled.labels_.tolist()))
    assert [q.label for q in found] == [labels.get(q.index) for q in found]
    with_label = labelled.search("prize", labeled=True, n=100)
    without = labelled.search("prize", labeled=False, n=100)
    assert {q.index for q in with_label} == {q.index for q in found} & labels.keys()
    assert len(with_label) + len(without) == len(found)


def test_by_expected_class_and_by_uncertainty(labelled):
    proba = labelled.predict_proba()
    found = labelled.search(predicted="spam", order="uncertain", labeled=False, n=100)
    labels = set(labelled.labeled.tolist())
    wanted = [i for i in np.flatnonzero(proba.argmax(1) == 1) if i not in labels]
    assert sorted(q.index for q in found) == sorted(wanted)
    certain = [proba[q.index].max() for q in found]
    assert certain == sorted(certain)


def test_suspects_come_with_their_quality(labelled):
    found = labelled.search(order="suspects", n=8)
    assert all(q.label is not None for q in found)
    quality = [q.label_quality for q in found]
    assert quality == sorted(quality)
    assert len(labelled.search(order="suspects", predicted="ham", n=3)) <= 3


def test_what_cannot_be_searched_is_said(labelled):
    with pytest.raises(ValueError, match="class 'eggs'"):
        labelled.search(predicted="eggs")
    with pytest.raises(ValueError, match="order must be"):
        labelled.search(order="best")
    X = np.random.RandomState(0).normal(size=(20, 3))
    with AnnotationSession(
        X, GaussianNB(), classes=[0, 1], background=False
    ) as numbers:
        with pytest.raises(ValueError, match="no text to search"):
            numbers.search("1")
        with pytest.raises(ValueError, match="nor a prior"):
            numbers.search(order="uncertain")
        assert len(numbers.search(n=5)) == 5


def test_cells_of_a_frame_are_searched():
    frame = pd.DataFrame({"title": ["Ärger", "b", "c"], "price": [1.5, 20.25, 3.0]})
    with AnnotationSession(frame, GaussianNB(), classes=CLASSES) as session:
        assert [q.index for q in session.search("ärg")] == [0]
        assert [q.index for q in session.search("20.25")] == [1]


def test_labels_out_of_turn_are_learned_from_and_stay(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(store=path, check_share=0.5) as session:
        asked = session.ask(6)
        hits = session.search("prize", n=10)
        session.label([q.id for q in hits], ["spam"] * len(hits))
        assert session.progress().counts == {"ham": 0, "spam": 10}
        assert session.progress().n_checks == 0
        assert len(session._learn().rows) == 10
        # A question that was labelled meanwhile is not asked again.
        again = {q.id for q in session.ask(6)}
        assert not again & {q.id for q in hits}
        assert {q.id for q in asked} - {q.id for q in hits} <= again
        with pytest.raises(ValueError, match="has a label; use relabel"):
            session.label(hits[0].id, "ham")
        with pytest.raises(ValueError, match="not in the pool"):
            session.label("0" * 32, "ham")
        session.undo()
        assert session.progress().counts["spam"] == 9
    with make_session(store=path) as session:
        assert session.progress().counts["spam"] == 9
        assert len(session._learn().rows) == 9


def doubles(n=40):
    """Texts that come in near-equal pairs, as embeddings."""
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(n, 16))
    Z[:, 0] += np.where(np.arange(n) % 2, 4, -4)
    return np.concatenate([Z, Z + 0.02 * rng.normal(size=Z.shape)])


def test_near_duplicates_are_offered_where_all_agree():
    Z, n = doubles(), 40
    model = LogisticRegression()
    with AnnotationSession(
        Z, model, classes=CLASSES, background=False, check_share=0
    ) as session:
        first = session._ids[0]
        assert session.near_duplicates(first) == []  # there are no predictions
        for question in session.ask(10):
            session.answer(question.id, CLASSES[question.index % 2])
        likeness = Z @ Z.T / np.outer(*[np.linalg.norm(Z, axis=1)] * 2)
        labels = set(session.labeled.tolist())
        for row in range(n):
            found = session.near_duplicates(session._ids[row])
            near = {r for r in np.flatnonzero(likeness[row] >= 0.9) if r != row}
            assert {q.index for q in found} <= near - labels
        free = next(r for r in range(n) if not {r, r + n} & set(session.labeled))
        (twin,) = session.near_duplicates(session._ids[free])
        assert twin.index == free + n
        # One that has another label speaks against it.
        wrong = CLASSES[1 - free % 2]
        session.label(session._ids[free], wrong)
        expected = session.predict(Z[[free]])[0]
        assert expected == wrong or session.near_duplicates(session._ids[free]) == []


def test_reasons_are_what_the_query_knew():
    Z = doubles()
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    with AnnotationSession(
        Z, model, classes=CLASSES, background=False, check_share=0, n_instances=5
    ) as session:
        unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
        asked = []
        for _ in range(4):
            batch = session.ask(5)
            known = set(asked)
            for question in batch:
                if asked:
                    cosine = (unit[asked] @ unit[question.index]).max()
                    assert question.likeness == pytest.approx(cosine, abs=1e-3)
                    words = "New ground" if cosine < 0.7 else "Known ground"
                    assert words in question.reason
                else:
                    assert question.likeness is None
                asked.append(question.index)
                for near, label, cosine in question.nearest:
                    row = session._rows[near]
                    assert label == CLASSES[row % 2]
                    assert cosine == pytest.approx(
                        unit[row] @ unit[question.index], abs=1e-3
                    )
                    assert row in known
            for question in batch:
                session.answer(question.id, CLASSES[question.index % 2])
        (question,) = session.ask(1)
        assert len(question.nearest) == 3
        assert sum(question.trust.values()) == pytest.approx(1)


def test_the_map_shows_labels_expectations_and_what_was_asked(labelled):
    frame = labelled.pool_map()
    assert frame.index.tolist() == list(range(72))
    assert np.isfinite(frame[["x", "y"]].to_numpy()).all()
    labels = dict(zip(labelled.labeled.tolist(), labelled.labels_.tolist()))
    assert frame["label"].dropna().to_dict() == labels
    assert frame["predicted"].tolist() == labelled.predict().tolist()
    assert frame["asked"][list(labels)].all()
    again = labelled.pool_map()
    pd.testing.assert_frame_equal(frame[["x", "y"]], again[["x", "y"]])
    plt = pytest.importorskip("matplotlib")
    plt.use("agg")
    display = PoolMapDisplay.from_session(labelled)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names[:2] == CLASSES
    with pytest.raises(ValueError, match=r"lacks the columns \['asked'\]"):
        PoolMapDisplay(frame.drop(columns="asked"), classes=CLASSES).plot()


def test_no_two_classes_of_a_map_look_alike_and_its_legend_hides_no_sample():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    classes = [f"class {k}" for k in range(24)]
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"x": rng.rand(96), "y": rng.rand(96)})
    frame = frame.assign(label=np.repeat(classes, 4), predicted=None, asked=True)
    display = PoolMapDisplay(frame, classes=classes).plot()
    given = [dots for dots in display.ax_.collections if dots.get_label() in classes]
    looks = {
        (*dots.get_facecolor()[0], dots.get_paths()[0].vertices.tobytes())
        for dots in given
    }
    assert len(looks) == len(given) == 24
    display.figure_.canvas.draw()
    legend, axes = display.ax_.get_legend(), display.ax_
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
    assert legend.get_window_extent().x1 <= display.figure_.bbox.x1
    plt.close(display.figure_)


@pytest.mark.parametrize(
    "classes", [["ham", "a" * 76], [f"{k} top up by bank transfer" for k in range(40)]]
)
def test_long_names_leave_room_for_the_map(classes):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"x": rng.rand(96), "y": rng.rand(96), "label": None})
    frame = frame.assign(predicted=rng.choice(classes, 96), asked=False)
    display = PoolMapDisplay(frame, classes=classes).plot()
    display.figure_.canvas.draw()
    inside = display.ax_.transData.transform(frame[["x", "y"]])
    assert (np.ptp(inside, axis=0) > 3.5 * display.figure_.dpi).all()
    plt.close(display.figure_)


def test_the_model_predicts_without_the_session(labelled, tmp_path):
    joblib.dump(labelled.model_, tmp_path / "model.joblib")
    model = joblib.load(tmp_path / "model.joblib")
    assert model.predict(TEXTS).tolist() == labelled.predict().tolist()
    prior = PrecomputedPrior(CLASSES)
    only_prior = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    X = np.random.RandomState(0).dirichlet([1, 1], size=30)
    with AnnotationSession(X, only_prior, background=False) as session:
        assert session.model_.predict(X).shape == (30,)
    with make_session() as session, pytest.raises(ValueError, match="nor a prior"):
        _ = session.model_


def test_the_report_holds_everything_and_runs_nothing(tmp_path):
    evil = "<script>alert(1)</script> & <img src=x onerror=alert(2)>"
    texts = [evil, *TEXTS]
    classes = ["<b>ham</b>", "spam"]
    with make_session(texts, classes=classes, check_share=0.2) as session:
        for _ in range(5):
            for q in session.ask(6):
                session.answer(
                    q.id, "spam" if truth(q.sample) == "spam" else classes[0]
                )
        if session.progress().counts and session.id_of(evil) not in {
            session._ids[r] for r in session.labeled
        }:
            session.label(session.id_of(evil), "spam")
        session.relabel(session.id_of(evil), classes[0])
        session.rename_class("spam", "<i>junk</i>")
        session.describe_class("<i>junk</i>", "what <u>nobody</u> wants")
        session.skip(session.ask()[0].id)
        session.write_report(tmp_path / "report.html")
        score = session.check_score()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"<(\w+)", page)) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p"),
        *("table", "thead", "tbody", "tr", "th", "td", "div", "i", "pre", "svg"),
        "circle",
    }
    assert not re.search(r"<i(?! class='dot')", page)
    assert evil in unescape(page)
    assert "what <u>nobody</u> wants" in unescape(page)
    assert "1 labels were corrected" in page
    assert "<title>&lt;b&gt;ham&lt;/b&gt;</title></circle>" in page
    assert "share a colour" not in page
    assert f"{score.n} samples drawn at random" in page
    assert "http" not in page


def of_numbers():
    X = np.random.RandomState(0).randn(20, 2)
    return AnnotationSession(X, GaussianNB(), classes=[0, 1], background=False)


def test_the_class_0_has_its_name_in_the_report(tmp_path):
    with of_numbers() as session:
        for q in session.ask(4):
            session.answer(q.id, q.index % 2)
        session.rename_class(0, 5)
        session.write_report(tmp_path / "report.html")
    assert "0, 5" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_report_counts_the_label_that_people_agree_on(tmp_path):
    with of_numbers() as session:
        for q in session.ask(8):
            session.answer(q.id, q.index % 2)
            if q.index % 2 == 0:  # two people overrule the first
                session.relabel(q.id, 1, annotator="ann")
                session.relabel(q.id, 1, annotator="bob")
        said = session.labels_.tolist()
        session.write_report(tmp_path / "report.html")
    cells = re.findall(
        r"</i> (\d)</td><td class='n'>(\d+)</td>",
        (tmp_path / "report.html").read_text(encoding="utf-8"),
    )
    assert {int(a): int(n) for a, n in cells} == {k: said.count(k) for k in (0, 1)}


def test_a_report_of_images_has_them_inside(tmp_path):
    rng = np.random.RandomState(0)
    paths = []
    for i in range(12):
        paths.append(tmp_path / f"{i}.png")
        pixels = rng.randint(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(paths[-1])

    class Nothing(GaussianNB):
        def fit(self, X, y):
            return super().fit(np.arange(len(X))[:, None], y)

        def predict(self, X):
            return np.repeat(self.classes_[:1], len(X))

        def predict_proba(self, X):
            return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def first_n(learner, X_pool, n_instances):
        return np.arange(n_instances)

    with AnnotationSession(
        paths, Nothing(), first_n, classes=CLASSES, background=False
    ) as session:
        for q in session.ask(8):
            session.answer(q.id, CLASSES[q.index % 2])
        (one, *_) = session.labeled
        sample = session._ids[one]
        session.relabel(sample, CLASSES[1 - one % 2])
        session.write_report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img alt='sample" in page
    assert "data:image/jpeg;base64," in page
