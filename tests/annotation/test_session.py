"""Methods of a session, its determinism, and its errors."""

import re
import sqlite3
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.annotation import (
    AnnotationStore,
    DamagedStoreError,
    StoreError,
    samples_from_dataset,
)
from cofm_sklearn.annotation.identity import sample_ids
from cofm_sklearn.annotation.store import _STEPS, _statements
from cofm_sklearn.loop import StabilizedPredictions

BLOBS, CODES = make_blobs([60, 40, 20], n_features=4, cluster_std=2.0, random_state=0)
NAMES = np.array(["alpha", "beta", "gamma"])
Y = NAMES[CODES]


def make_session(store=":memory:", X=BLOBS, estimator=None, **parameters):
    estimator = LogisticRegression() if estimator is None else estimator
    parameters = {"classes": NAMES.tolist(), "n_instances": 5, **parameters}
    return AnnotationSession(X, estimator, store=store, **parameters)


def label(session, n, wrong=()):
    """Answer n questions; return their ids in order."""
    ids = []
    while len(ids) < n:
        (question,) = session.ask()
        said = "gamma" if len(ids) in wrong else Y[question.index]
        session.answer(question.id, said)
        ids.append(question.id)
    return ids


@pytest.fixture
def session():
    with make_session() as session:
        yield session


def test_open_questions_come_again_until_they_are_settled(session):
    first = session.ask(3)
    assert [q.id for q in session.ask(3)] == [q.id for q in first]
    session.answer(first[1].id, "beta")
    session.skip(first[0].id)
    again = session.ask(3)
    assert again[0].id == first[2].id
    assert not {first[0].id, first[1].id} & {q.id for q in again}
    assert session.progress().n_skipped == 1
    np.testing.assert_array_equal(first[0].sample, BLOBS[first[0].index])


def test_background_and_kind_of_call_do_not_change_the_questions():
    orders = []
    for background in [True, False, True]:
        with make_session(background=background) as session:
            orders.append(label(session, 40))
    assert orders[0] == orders[1] == orders[2]


def test_reopened_session_goes_on_as_if_it_had_not_been_closed(tmp_path):
    whole, parts = [], []
    with make_session() as session:
        while len(whole) < 30:
            whole += label(session, 3)
            session.ask(2)
    while len(parts) < 30:
        with make_session(tmp_path / "s.sqlite") as session:
            parts += label(session, 3)
            open_before = session.ask(2)
        with make_session(tmp_path / "s.sqlite") as session:
            same = session.ask(2)
            assert [q.id for q in same] == [q.id for q in open_before]
            assert [q.proba for q in same] == [q.proba for q in open_before]
    assert parts == whole


def test_pool_in_another_order_and_with_more_samples_still_matches(tmp_path):
    with make_session(tmp_path / "s.sqlite") as session:
        label(session, 20)
        before = session.export().set_index("id")["label"]
    more = np.random.RandomState(0).normal(size=(30, 4))
    grown = np.concatenate([more, BLOBS[::-1]])
    with make_session(tmp_path / "s.sqlite", X=grown) as session:
        after = session.export()
        assert after.set_index("id")["label"].equals(before)
        np.testing.assert_array_equal(
            Y[::-1][after["index"].to_numpy(int) - 30], after["label"]
        )
        assert session.progress().n_pool == 150
    with make_session(tmp_path / "s.sqlite", X=more) as session:
        assert session.progress().n_labels == 0
        assert session.export()["index"].isna().all()
        assert len(session.export()) == 20


def test_undo_goes_back_step_by_step(session):
    one, two = session.ask(2)
    session.answer([one.id, two.id], ["alpha", "beta"])
    session.relabel(one.id, "gamma")
    assert session.undo() == one.id
    assert session.export().set_index("id")["label"][one.id] == "alpha"
    assert session.undo() == two.id
    assert session.ask()[0].id == two.id
    assert session.undo() == one.id
    assert [q.id for q in session.ask(2)] == [one.id, two.id]
    session.skip(two.id)
    assert session.undo() == two.id
    with pytest.raises(ValueError, match="nothing to undo for 'me'"):
        session.undo()
    assert len(session.store.events()) == 8


def test_review_shows_wrong_labels_first():
    prior = PrecomputedPrior(NAMES.tolist())
    proba = np.full((120, 3), 0.1)
    proba[np.arange(120), CODES] = 0.8
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    with AnnotationSession(proba, model, n_instances=10) as session:
        assert session.classes == NAMES.tolist()
        question = session.ask()[0]
        assert question.prior_proba == question.proba
        assert question.small_proba is None
        assert "prior" in question.reason
        rows = np.arange(60)
        said = Y[:60].copy()
        said[7] = "alpha" if said[7] != "alpha" else "beta"
        frame = pd.DataFrame({"index": rows, "label": said})
        # Rows of equal content are one sample.
        n_distinct = len(np.unique(proba[:60], axis=0))
        session.import_labels(frame.drop_duplicates("index").head(0))
        assert n_distinct == 3
    X = BLOBS
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    with make_session(X=X, estimator=model) as session:
        session.import_labels(frame)
        wrong = sample_ids(X)[7]
        suspects = session.review(12)
        assert wrong in [q.id for q in suspects]
        quality = [q.label_quality for q in suspects]
        assert quality == sorted(quality)
        session.relabel(wrong, Y[7])
        labels = dict(zip(session.labeled.tolist(), session.labels_.tolist()))
        assert labels[7] == Y[7]


def test_progress_counts_and_measures(session):
    empty = session.progress()
    assert (empty.n_labels, empty.n_pool, empty.accuracy) == (0, 120, None)
    assert empty.counts == dict.fromkeys(NAMES, 0)
    ids = label(session, 40)
    session.wait()
    found = session.progress()
    assert found.n_labels == 40 == len(set(ids))
    assert sum(found.counts.values()) == 40
    low, high = found.accuracy_interval
    assert low < found.accuracy < high
    assert [n for n, _ in found.curve] == sorted({n for n, _ in found.curve})
    assert found.curve[-1][1] == found.accuracy > 0.5
    assert found.should_stop is False


@pytest.mark.parametrize("names", [["good", "bad"], ["bad", "good"]])
@pytest.mark.parametrize(
    ("model", "n_others"),
    [
        (LogisticRegression(), 0),
        (LogisticRegression(), 1),  # the fold of that label has one class
        (CoDecisionClassifier(LogisticRegression()), 0),
    ],
)
def test_accuracy_is_that_of_a_constant_while_labels_are_of_one_class(
    model, n_others, names
):
    said = [names[0]] * (30 - n_others) + [names[1]] * n_others
    with make_session(estimator=model, classes=names, check_share=0) as session:
        session.import_labels(pd.DataFrame({"position": range(30), "label": said}))
        session.progress()
        session.wait()
        assert session.progress().accuracy == 1 - n_others / 30


def test_accuracy_is_that_of_the_prior_while_labels_are_of_one_class():
    alpha = np.linspace(0.1, 0.9, 100)
    proba = np.column_stack([alpha, 1 - alpha])
    prior = PrecomputedPrior(["alpha", "beta"])
    model = CoDecisionClassifier(LogisticRegression(), prior, neighbors=None)
    rows = np.arange(0, 100, 4)
    with AnnotationSession(proba, model, check_share=0) as session:
        session.import_labels(pd.DataFrame({"position": rows, "label": "alpha"}))
        session.progress()
        session.wait()
        accuracy = session.progress().accuracy
        assert accuracy == (session.predict()[rows] == "alpha").mean()
        assert 0.4 < accuracy < 0.6


class StopAtTwenty(BaseEstimator):
    """Says to stop at 20 labels."""

    def update(self, estimator, X_pool, *, n_labels, X_labeled, y_labeled):
        assert len(X_labeled) == len(y_labeled) == n_labels
        assert estimator.predict(X_pool).shape == (len(X_pool),)
        return pd.Series({"stop": n_labels >= 20, "reason": "20 are enough"})


@pytest.mark.parametrize("rule", ["agreement", StabilizedPredictions])
def test_what_is_no_stopping_rule_is_named_at_once(rule):
    with pytest.raises(TypeError, match=r"such as StabilizedPredictions\(\), or None"):
        make_session(stopping=rule)
    loop = ActiveLearningClassifier(
        LogisticRegression(), CoDecisionQuery(), stopping=rule
    )
    with pytest.raises(TypeError, match="stopping must be"):
        loop.fit(np.eye(4), [0, 1, 0, 1])


def test_stopping_rule_is_heard():
    with make_session(stopping=StopAtTwenty()) as session:
        label(session, 15)
        assert not session.progress().should_stop
        label(session, 20)
        session.wait()
        found = session.progress()
    assert (found.should_stop, found.stop_reason) == (True, "20 are enough")


def test_several_annotators_get_different_questions_and_are_combined(session):
    mine = session.ask(4)
    theirs = session.ask(4, annotator="ann")
    assert not {q.id for q in mine} & {q.id for q in theirs}
    truth = Y[mine[0].index]
    wrong = "gamma" if truth != "gamma" else "alpha"
    session.answer([q.id for q in mine], [wrong, *Y[[q.index for q in mine[1:]]]])
    session.answer([q.id for q in theirs], Y[[q.index for q in theirs]], "ann")
    for name in ["bob", "cem"]:
        session.relabel(mine[0].id, truth, annotator=name)
    assert len(session.export()) == 10
    assert dict(zip(session.labeled, session.labels_))[mine[0].index] == truth
    assert session.progress().n_labels == 8


def test_predict_uses_all_labels_so_far(session):
    with pytest.raises(ValueError, match="nor a prior"):
        session.predict()
    label(session, 30)
    assert (session.predict() == Y).mean() > 0.6
    assert session.predict_proba(BLOBS[:2]).shape == (2, 3)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("classes", [["alpha", "beta", "NA"], [0, 1, 2]])
def test_export_comes_back_the_same(tmp_path, ending, classes):
    texts = [f'text {i}, "quoted"\nand é' for i in range(20)]
    path = tmp_path / f"labels.{ending}"
    with make_session(X=texts, estimator=GaussianNB(), classes=classes) as session:
        said = [(session.id_of(t), classes[i % 3], "ann") for i, t in enumerate(texts)]
        session.import_labels(said)
        frame = session.export(path)
        assert frame["sample"].tolist() == texts
    with make_session(X=texts, estimator=GaussianNB(), classes=classes) as session:
        assert session.import_labels(path) == 20
        assert session.import_labels(path) == 0
        again = session.export()
    columns = ["id", "index", "label", "annotator", "sample"]
    pd.testing.assert_frame_equal(again[columns], frame[columns])


def test_pool_from_a_hugging_face_dataset():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    assert samples_from_dataset(data, "text") == ["a", "b"]
    with pytest.raises(ValueError, match="no column 'body'"):
        samples_from_dataset(data, "body")
    with pytest.raises(TypeError, match="splits"):
        samples_from_dataset(datasets.DatasetDict(train=data), "text")


def test_pictures_of_a_hugging_face_dataset_are_decoded_here(tmp_path):
    datasets = pytest.importorskip("datasets")
    pil = pytest.importorskip("PIL.Image")
    pil.new("L", (2, 3), 7).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    feature = datasets.Features({"x": datasets.Image()})
    for names in (["a"], ["a", "b"]):
        paths = [str(tmp_path / f"{name}.png") for name in names]
        data = datasets.Dataset.from_dict({"x": paths}, features=feature)
        if len(names) == 1:
            (found,) = samples_from_dataset(data, "x")
            assert (found.mode, found.size, found.getpixel((0, 0))) == ("L", (2, 3), 7)
        else:
            with pytest.raises(ValueError, match=r"dataset\[1\] cannot be read"):
                samples_from_dataset(data, "x")


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda s, q: s.answer(q.id, "delta"), "Unknown label 'delta'"),
        (lambda s, q: s.answer(q.id, 1), "Unknown label 1"),
        (lambda s, q: s.answer(q.id, None), "Unknown label None"),
        (lambda s, q: s.answer("0" * 32, "beta"), "not in the pool"),
        (lambda s, q: s.answer([q.id, q.id], ["beta"] * 2), "repeats an id"),
        (lambda s, q: s.answer([q.id], ["beta", "beta"]), "1 ids, but 2 labels"),
        (lambda s, q: s.relabel(q.id, "beta"), "has no label yet"),
        (lambda s, q: s.ask(0), "n must be"),
        (lambda s, q: s.answer(q.id, "beta", ""), "annotator must be a name"),
        (lambda s, q: s.import_labels(pd.DataFrame({"a": [1]})), "must have the col"),
        (lambda s, q: s.export("labels.xlsx"), "format must be"),
    ],
)
def test_bad_input_changes_nothing(session, verb, message):
    (question,) = session.ask()
    with pytest.raises(ValueError, match=message):
        verb(session, question)
    assert session.store.events() == []
    assert session.ask()[0].id == question.id


def test_one_bad_answer_keeps_the_others_out(session):
    one, two = session.ask(2)
    with pytest.raises(ValueError, match="Unknown label"):
        session.answer([one.id, two.id], ["beta", "delta"])
    never = next(i for i in sample_ids(BLOBS) if i not in {one.id, two.id})
    with pytest.raises(ValueError, match="never asked"):
        session.answer([one.id, never], ["beta", "beta"])
    assert session.store.events() == []
    session.answer(one.id, "beta")
    for said in ["beta", "alpha"]:
        with pytest.raises(ValueError, match="has been answered by 'me' with 'beta'"):
            session.answer(one.id, said)
    with pytest.raises(ValueError, match="answered"):
        session.skip(one.id)
    assert len(session.store.events()) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"X": BLOBS[:0]}, "X is empty"),
        ({"classes": None}, "classes="),
        ({"classes": ["a"]}, "at least 2"),
        ({"classes": ["a", "a"]}, "repeats"),
        ({"n_instances": 0}, "n_instances"),
        ({"random_state": None}, "random_state"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_session(**parameters)


def test_two_sessions_with_different_classes_on_one_file(tmp_path):
    with make_session(tmp_path / "s.sqlite") as session:
        with pytest.raises(ValueError, match="holds labels of the classes"):
            make_session(tmp_path / "s.sqlite", classes=["alpha", "beta"])
        label(session, 1)


def test_closed_session_says_so(session):
    (question,) = session.ask()
    session.close()
    session.close()
    for verb in [session.ask, session.progress, session.predict, session.undo]:
        with pytest.raises(StoreError, match="closed"):
            verb()
    with pytest.raises(StoreError, match="closed"):
        session.answer(question.id, "beta")


def test_equal_samples_are_one_question():
    texts = ["same", "other", "same", "third"]
    with make_session(X=texts, estimator=GaussianNB(), query_strategy=first_n) as s:
        asked = s.ask(10)
        assert sorted(q.index for q in asked) == [0, 1, 3]
        assert s.progress().n_pool == 3
        s.answer([q.id for q in asked], ["beta"] * 3)
        assert s.ask() == []


def first_n(learner, X_pool, n_instances):
    return np.arange(n_instances)


class Slow(ClassifierMixin, BaseEstimator):
    """A classifier that is slow, or fails, on demand."""

    gate = threading.Event()
    fails = False

    def fit(self, X, y):
        if Slow.fails:
            raise ArithmeticError("no fit today.")
        Slow.gate.wait(20)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def test_answer_does_not_wait_for_training():
    Slow.gate.clear()
    Slow.fails = False
    with make_session(estimator=Slow(), query_strategy=first_n) as session:
        label(session, 10)  # batches 0 and 1 need no training
        waiting = threading.Thread(target=session.ask)
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()  # batch 2 is being trained
        ids = session._ids
        session.import_labels([(ids[100], "beta", "ann")])
        session.relabel(ids[100], "alpha", annotator="ann")
        assert session.progress().n_labels == 11
        assert waiting.is_alive()
        Slow.gate.set()
        waiting.join(20)
        assert not waiting.is_alive()


def test_failed_training_is_told_once_and_loses_nothing():
    Slow.gate.set()
    Slow.fails = True
    with make_session(estimator=Slow(), query_strategy=first_n) as session:
        said, errors = [], []
        while len(said) < 10:
            try:
                said += label(session, 1)
            except RuntimeError as error:  # any time after the sixth question
                errors.append(error)
        assert len(errors) <= 1
        with pytest.raises(RuntimeError, match=r"no fit today\. All"):
            session.ask()
        assert session.progress().n_labels == 10
        session.undo()
        assert session.ask()[0].id == said[-1]  # what is open needs no training
        Slow.fails = False  # before the answer, which starts training
        session.answer(said[-1], "beta")
        assert session.ask()[0].id not in said
        assert len(session.export()) == 10


def test_later_version_and_other_files_are_left_alone(tmp_path):
    path = tmp_path / "s.sqlite"
    with AnnotationStore(path) as store:
        store.change("PRAGMA user_version = 99")
        store.change("UPDATE tally SET version = 99")
    with pytest.raises(StoreError, match="schema version 99"):
        AnnotationStore(path)
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        AnnotationStore(tmp_path / "other.sqlite")
    with pytest.raises(StoreError, match="folder"):
        AnnotationStore(tmp_path / "none" / "s.sqlite")


def test_file_of_an_earlier_version_is_taken_along(tmp_path):
    path = tmp_path / "old.sqlite"
    with AnnotationStore(tmp_path / "new.sqlite") as store, store.transaction():
        store.append("ann", "answer", sample_ids(BLOBS)[3], '"beta"')
        row = store.query("SELECT * FROM event")[0]
    old = sqlite3.connect(path, isolation_level=None)
    for statement in _statements(_STEPS[0]):
        old.execute(statement)
    old.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.execute("PRAGMA user_version = 1")
    old.execute(f"PRAGMA application_id = {0x636F666D}")
    old.close()
    with make_session(path) as session:
        assert session.export()["label"].tolist() == ["beta"]
        assert label(session, 3)


@pytest.mark.parametrize("where", ["header", "middle", "cut", "label"])
def test_damaged_file_is_salvaged(tmp_path, where):
    path = tmp_path / "s.sqlite"
    ids = sample_ids(BLOBS)
    make_session(path).close()
    with AnnotationStore(path) as store:
        for i in range(1200):
            with store.transaction():
                store.append(f"annotator {i // 60}", "import", ids[i % 60], '"beta"')
        whole = store.events()
    content = bytearray(path.read_bytes())
    if where == "header":
        content[:100] = b"x" * 100
    elif where == "middle":
        content[len(content) // 2 : len(content) // 2 + 6000] = b"\xff" * 6000
    elif where == "cut":
        del content[len(content) // 2 :]
    else:
        at = re.search(rb'[0-9a-f]{32}"beta"', content).end()
        content[at - 6 : at] = b'"zeta"'
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="was not changed") as caught:
        make_session(path)
    assert path.read_bytes() == content
    copy = caught.value.salvaged
    with AnnotationStore(copy) as store:
        saved = store.events()
    assert set(saved) <= set(whole)
    least = {"header": 1200, "label": 1199, "middle": 1000, "cut": 300}[where]
    assert len(saved) >= least
    assert f"{len(saved)} readable events" in str(caught.value).replace("\n", " ")
    missing = len(whole) - len(saved)
    said = f"{missing} are missing (numbers" if missing else "none are missing"
    assert said in str(caught.value)
    with make_session(copy) as session:
        assert len(session.export()) == len(saved)
        label(session, 5)


def test_history_cannot_be_changed(session):
    label(session, 2)
    for sql in ["DELETE FROM event", "UPDATE event SET label = '\"beta\"'"]:
        with pytest.raises(StoreError, match="never"):
            session.store.query(sql)
    assert len(session.store.events()) == 2


def test_two_people_and_a_class_that_nobody_has_labelled():
    """The prior knows gamma, and the annotators' disagreement is resolved."""
    rng = np.random.RandomState(0)
    X = rng.dirichlet(np.ones(3), size=60)
    y = NAMES[X[:, :2].argmax(axis=1)]
    prior = PrecomputedPrior(NAMES.tolist())
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    with AnnotationSession(X, model, n_instances=5) as session:
        for _ in range(4):
            for question in session.ask(5):
                session.answer(question.id, y[question.index])
        sample = question.id
        other = "beta" if y[question.index] == "alpha" else "alpha"
        session.relabel(sample, other, annotator="ann")
        assert session.predict().shape == (60,)
        assert len(session.labels_) == 20
        assert len(session.review(5)) == 5
        session.wait()


def test_a_classifier_without_probabilities_learns_with_two_people():
    with make_session(estimator=LinearSVC(), query_strategy=first_n) as session:
        ids = label(session, 12)
        session.relabel(ids[0], "gamma", annotator="ann")
        assert session.predict().shape == (120,)
        session.wait()
        assert session.progress().accuracy is None


@pytest.mark.parametrize(
    "picks",
    [
        lambda n: np.zeros(n, dtype=int),
        lambda n: np.arange(n + 3),
        lambda n: np.arange(n - 1),
        lambda n: np.arange(n) - 1,
        lambda n: np.arange(n) + 0.5,
        lambda n: [[0], [1, 2]],
    ],
)
def test_a_strategy_with_wrong_picks_is_named(picks):
    def mine(learner, X_pool, n_instances):
        return picks(n_instances)

    with make_session(query_strategy=mine, background=False) as session:
        rows = np.arange(0, 120, 12)
        session.import_labels(pd.DataFrame({"position": rows, "label": Y[rows]}))
        with pytest.raises(
            ValueError, match="query_strategy mine must return distinct"
        ):
            session.ask()
        assert session.progress().n_labels == 10


@pytest.mark.parametrize("background", [False, True])
def test_training_follows_the_settings_of_scikit_learn(background):
    frame = pd.DataFrame(BLOBS, columns=list("wxyz"))
    names = NAMES.tolist()
    frame[names] = 0.8 * np.eye(3)[CODES] + 0.2 / 3
    # Only with `transform_output="pandas"` do the columns keep their names.
    keep = make_column_transformer(
        (StandardScaler(), list("wxyz")),
        ("passthrough", names),
        verbose_feature_names_out=False,
    )
    prior = PrecomputedPrior(names, columns=names)
    model = make_pipeline(keep, CoDecisionClassifier(LogisticRegression(), prior))
    with (
        config_context(transform_output="pandas"),
        make_session(X=frame, estimator=model, background=background) as session,
    ):
        label(session, 6)
        assert (session.predict(frame) == Y).mean() > 0.9
