"""Class changes during labelling keep the labels and the history."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import (
    AnnotationSession,
    CoDecisionClassifier,
    NetClassifier,
    PrecomputedPrior,
    ZeroShotPrior,
)
from cofm_sklearn.annotation import DamagedStoreError
from cofm_sklearn.annotation.class_changes import (
    CLASS_CHANGES,
    check_change,
    classes_after,
    recast,
    recast_proba,
    standing,
)
from cofm_sklearn.annotation.history import Event, History

BLOBS, CODES = make_blobs([60, 40, 20], n_features=4, cluster_std=2.0, random_state=0)
CLASSES = ["alpha", "beta", "gamma"]
Y = np.array(CLASSES)[CODES]


def make_session(store=":memory:", **parameters):
    parameters = {"classes": CLASSES, "n_instances": 5, **parameters}
    return AnnotationSession(BLOBS, LogisticRegression(), store=store, **parameters)


def label(session, n, names=None, annotator="me"):
    names = names or {}
    for _ in range(n):
        (question,) = session.ask(annotator=annotator)
        truth = Y[question.index]
        session.answer(question.id, names.get(truth, truth), annotator=annotator)


def test_rename_takes_all_labels_along_and_the_history_stays(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path) as session:
        label(session, 25)
        said = session.store.events()
        before = session.progress().counts
        session.rename_class("beta", "delta")
        assert session.classes == ["alpha", "delta", "gamma"]
        assert session.progress().counts["delta"] == before["beta"]
        assert session.store.events()[: len(said)] == said  # as it was said
        with pytest.raises(ValueError, match="Unknown label 'beta'"):
            label(session, 60)
        label(session, 10, {"beta": "delta"})
        assert set(session.predict()) <= {"alpha", "delta", "gamma"}
        assert "beta" not in set(session.export()["label"])
        counts = session.progress().counts
    for classes in (CLASSES, ["alpha", "delta", "gamma"]):
        with make_session(path, classes=classes) as session:
            assert session.progress().counts == counts
            label(session, 1, {"beta": "delta"})
            session.undo()
    with pytest.raises(ValueError, match="add_class, rename_class"):
        make_session(path, classes=["alpha", "delta", "other"])


def test_merge_and_add_and_a_name_that_comes_back():
    with make_session() as session:
        label(session, 30)
        counts = session.progress().counts
        session.merge_classes("gamma", "alpha")
        assert session.classes == ["alpha", "beta"]
        found = session.progress().counts
        assert found == {
            "alpha": counts["alpha"] + counts["gamma"],
            "beta": counts["beta"],
        }
        session.add_class("gamma", "what was merged, again")
        assert session.progress().counts == {**found, "gamma": 0}  # they stay merged
        assert session.descriptions == {"gamma": "what was merged, again"}
        label(session, 12)
        assert session.predict_proba().shape == (120, 3)
        assert session.ask(5)


def test_opinions_of_open_questions_follow():
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(3), size=60)
    model = CoDecisionClassifier(
        LogisticRegression(), PrecomputedPrior(CLASSES), random_state=0
    )
    with AnnotationSession(proba, model, check_share=0, background=False) as session:
        before = {q.id: q.prior_proba for q in session.ask(5)}
        session.merge_classes(["gamma"], "alpha")
        session.rename_class("beta", "zeta")
        session.add_class("new")
        for question in session.ask(5):
            old, now = before[question.id], question.prior_proba
            assert list(now) == ["alpha", "new", "zeta"]
            assert now["alpha"] == pytest.approx(old["alpha"] + old["gamma"])
            assert now["zeta"] == old["beta"]
            assert now["new"] == 0
        for _ in range(15):
            (question,) = session.ask()
            session.answer(question.id, max(question.proba, key=question.proba.get))
        found = session.predict_proba()
        assert found.shape == (60, 3)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert session.review(3)


class Letters(TransformerMixin, BaseEstimator):
    """Embeds texts by their letters, and descriptions in the same way."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Z = np.zeros((len(X), 26), dtype=np.float32)
        for i, text in enumerate(X):
            for letter in str(text).lower():
                if letter.isascii() and letter.isalpha():
                    Z[i, ord(letter) - 97] += 1
        return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-9)

    def encode_prompts(self, texts):
        return self.transform(texts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags


def test_a_prior_that_reads_descriptions_learns_them(tmp_path):
    texts = [f"{'zz' if i % 2 else 'aa'} {'q' * (i % 5)} {i}" for i in range(40)]
    path = tmp_path / "s.sqlite"

    def open_session():
        prior = ZeroShotPrior({"a": "aaa", "z": "zzz"}, encoder=Letters())
        model = CoDecisionClassifier(LogisticRegression(), prior, neighbors=None)
        return AnnotationSession(texts, model, store=path, check_share=0)

    with open_session() as session:
        assert session.descriptions == {"a": "aaa", "z": "zzz"}
        session.add_class("q", "qqqq")
        session.describe_class("z", "zzzz zz")
        session.rename_class("a", "first")
        described = {"first": "aaa", "q": "qqqq", "z": "zzzz zz"}
        assert session.descriptions == described
        proba = session.predict_proba(["qqqq", "aaa"])
        assert session.classes == ["first", "q", "z"]
        assert proba.argmax(axis=1).tolist() == [1, 0]
    with open_session() as session:  # the notebook still says what it said
        assert session.descriptions == described
        again = session.predict_proba(["qqqq", "aaa"])
        np.testing.assert_allclose(again, proba)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.add_class("alpha"), ValueError, "already"),
        (lambda s: s.add_class(""), ValueError, "must not be empty"),
        (lambda s: s.add_class(3), TypeError, "type of the others"),
        (lambda s: s.add_class("new", " "), ValueError, "description must be"),
        (lambda s: s.add_class("new", 3), ValueError, "description must be"),
        (lambda s: s.rename_class("none", "new"), ValueError, "class 'none'"),
        (lambda s: s.rename_class("alpha", "beta"), ValueError, "merge them"),
        (lambda s: s.rename_class("alpha", "alpha"), ValueError, "already"),
        (lambda s: s.merge_classes([], "alpha"), ValueError, "at least one"),
        (lambda s: s.merge_classes("alpha", "alpha"), ValueError, "twice"),
        (lambda s: s.merge_classes("alpha", "none"), ValueError, "class 'none'"),
        (
            lambda s: s.merge_classes(["alpha", "beta"], "gamma"),
            ValueError,
            "at least 2",
        ),
        (lambda s: s.describe_class("none", "x"), ValueError, "class 'none'"),
        (lambda s: s.describe_class("beta", ""), ValueError, "description must be"),
    ],
)
def test_changes_that_make_no_sense_are_refused(change, error, message):
    with make_session() as session:
        with pytest.raises(error, match=message):
            change(session)
        assert session.store.events() == []
        assert session.classes == CLASSES


def test_another_process_on_the_same_file_sees_them(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path) as one, make_session(path, annotator="ann") as two:
        label(one, 12)
        one.rename_class("beta", "delta")
        one.add_class("omega")
        (question,) = two.ask()
        one.rename_class("alpha", "first")
        one.rename_class("first", "alpha")
        for renamed in ("beta", "first"):
            with pytest.raises(ValueError, match="Unknown label"):
                two.answer(question.id, renamed)
        with pytest.raises(ValueError, match="Unknown label"):
            two.import_labels([(two._ids[0], "beta", "ann")])
        assert two.progress().counts.keys() == set(one.classes)
        two.answer(question.id, "omega")
        assert two.classes == one.classes == ["alpha", "delta", "gamma", "omega"]
        assert one.progress().counts["omega"] == 1
        label(two, 12, {"beta": "delta"})
        two.wait()
        assert set(two.predict()) <= set(two.classes)


def test_salvaged_with_the_labels(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path) as session:
        label(session, 20)
        session.rename_class("beta", "delta")
        label(session, 10, {"beta": "delta"})
        counts, classes = session.progress().counts, session.classes
    content = bytearray(path.read_bytes())
    content[:100] = b"x" * 100
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError) as caught:
        make_session(path)
    with make_session(caught.value.salvaged) as session:
        assert session.progress().counts == counts
        assert session.classes == classes
        label(session, 3, {"beta": "delta"})


def state_of(session):
    names = session.classes
    return names, session.progress().counts, session.descriptions, labels_of(session)


def labels_of(session):
    return session.export().set_index("id")["label"].to_dict()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.add_class("omega", "the last"),
        lambda s: s.rename_class("beta", "zeta"),
        lambda s: s.merge_classes("gamma", "alpha"),
        lambda s: s.describe_class("beta", "the second"),
    ],
)
def test_undo_takes_a_change_back_also_from_another_process(tmp_path, change):
    path = tmp_path / "s.sqlite"
    with make_session(path) as session:
        label(session, 20)
        before, proba = state_of(session), session.predict_proba()
        change(session)
        assert state_of(session) != before
        assert session.undo() == ""
        assert state_of(session) == before
        np.testing.assert_allclose(session.predict_proba(), proba)
        change(session)
    with make_session(path) as session:
        session.undo()
        assert state_of(session) == before
        label(session, 5)
        kinds = [e.kind for e in session.store.events() if not e.sample]
        assert kinds[1::2] == [
            "restore",
            "restore",
        ]  # nothing is deleted from the history
    with make_session(path) as session:
        assert session.progress().n_labels == 25
        assert session.classes == before[0]


def test_labels_given_after_a_change_stay_when_it_is_undone():
    with make_session() as session:
        label(session, 20)
        before = labels_of(session)
        session.rename_class("beta", "zeta")
        label(session, 10, {"beta": "zeta"})
        session.merge_classes("gamma", "alpha")
        label(session, 10, {"beta": "zeta", "gamma": "alpha"}, annotator="ann")
        session.undo()  # the merge; later labels stay
        session.undo(annotator="ann")
        for _ in range(10):
            session.undo()
        session.undo()  # the rename
        found = labels_of(session)
        assert session.classes == CLASSES
        assert len(found) == 29
        assert {one: found[one] for one in before} == before
        said_after = {name for one, name in found.items() if one not in before}
        assert said_after <= {"alpha", "beta"}


def test_opinions_come_back_with_the_classes():
    proba = np.random.RandomState(0).dirichlet(np.ones(3), size=60)
    model = CoDecisionClassifier(
        LogisticRegression(), PrecomputedPrior(CLASSES), random_state=0
    )
    with AnnotationSession(proba, model, check_share=0, background=False) as session:
        (before,) = session.ask(1)
        session.merge_classes("gamma", "alpha")
        session.undo()
        (after,) = session.ask(1)
        share = (before.prior_proba["alpha"] + before.prior_proba["gamma"]) / 2
        assert after.prior_proba["gamma"] == pytest.approx(share)
        session.add_class("new")
        session.undo()
        assert session.ask(1)[0].prior_proba == pytest.approx(after.prior_proba)
        np.testing.assert_allclose(session.predict_proba(), proba)


def test_an_undo_that_cannot_be_done_changes_nothing(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path) as session:
        session.add_class("omega")
        (question,) = session.ask()
        session.answer(question.id, "omega", annotator="ann")
        refused(session, "class 'omega' has labels, so it cannot be removed")
        session.undo(annotator="ann")
        session.rename_class("omega", "last", annotator="ann")
        refused(session, "'me' cannot undo add 'omega': the classes were changed again")
        session.undo(annotator="ann")
        session.undo()
        assert session.classes == CLASSES
        refused(session, "nothing to undo for 'me'")
        session.rename_class("beta", "zeta")
        knows_before = session.classes
    with make_session(path, classes=knows_before) as session:
        refused(session, "opened with the classes after rename 'beta', 'zeta'")
        with make_session(path) as other:
            other.undo()
        with pytest.raises((ValueError, RuntimeError), match="Open it again"):
            session.predict()
    with pytest.raises(ValueError, match="holds labels of the classes"):
        make_session(path, classes=knows_before)


def refused(session, message):
    before = session.store.events(), session.classes
    with pytest.raises(ValueError, match=message):
        session.undo()
    assert (session.store.events(), session.classes) == before


def fold(log):
    """Return the classes and the answers after all changes, in the obvious way."""
    classes, called = list("abc"), []
    for kind, content in log:
        if kind == "add":
            classes = sorted([*classes, content[0]])
        elif kind in ("rename", "merge"):
            new, old = content[0], content[1:]
            if kind == "rename":
                new, old = content[1], content[:1]
            called = [(s, new if c in old else c) for s, c in called]
            classes = sorted({new if c in old else c for c in classes})
        elif kind == "answer":
            called.append(content)
    return classes, called


def take_back(log):
    """Return the log without the last change; after a rename, the old name returns."""
    k = max((k for k, (kind, _) in enumerate(log) if kind != "answer"), default=None)
    if k is None:
        return None
    kind, content = log[k]
    after = log[k + 1 :]
    if kind == "rename":
        old, new = content
        after = [("answer", (s, old if c == new else c)) for _, (s, c) in after]
    if kind == "add" and any(c == content[0] for _, c in fold(log)[1]):
        return None
    return [*log[:k], *after]


def test_a_prior_that_reads_no_new_description_is_named():
    prior = PrecomputedPrior(CLASSES, columns=[0, 1, 2])
    model = CoDecisionClassifier(LogisticRegression(), prior)
    X = np.hstack([np.eye(3)[CODES] * 0.7 + 0.1, BLOBS])
    with AnnotationSession(X, model, background=False) as session:
        with pytest.warns(UserWarning, match="'beta' is for people only: the"):
            session.describe_class("beta", "the second letter")
        assert session.descriptions["beta"] == "the second letter"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            session.add_class("delta")
            session.rename_class("alpha", "omega")


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_history_agrees_with_a_slow_reference(data):
    """Compare with a reference that starts from scratch each time."""
    log, events, stack = [], [], []
    names = st.sampled_from(list("abcdef"))
    kinds = st.sampled_from(["answer", "answer", *sorted(CLASS_CHANGES)])
    for _ in range(data.draw(st.integers(1, 25))):
        seq, kind = len(events) + 1, data.draw(kinds)
        classes = fold(log)[0]
        if kind == "restore":
            back = take_back(log)
            if back is None:
                continue
            target, text = stack.pop()
            log = back
            event = Event(seq, 0.0, "me", kind, "", text, target)
        elif kind == "answer":
            said = (
                data.draw(st.sampled_from("123")),
                data.draw(st.sampled_from(classes)),
            )
            log = [*log, (kind, said)]
            event = Event(seq, 0.0, "me", kind, said[0], json.dumps(said[1]))
        else:
            content = {
                "add": lambda: [data.draw(names), None],
                "describe": lambda: [data.draw(names), "x"],
                "rename": lambda: [data.draw(names), data.draw(names)],
                "merge": lambda: data.draw(st.lists(names, min_size=1, max_size=3)),
            }[kind]()
            try:
                check_change(kind, content, classes)
            except ValueError:
                continue
            log = [*log, (kind, content)]
            stack.append((seq, json.dumps([kind, *content])))
            event = Event(seq, 0.0, "me", kind, "", json.dumps(content))
        if kind != "answer":
            proba = np.random.RandomState(seq).dirichlet(np.ones(len(classes)))
            recast = recast_proba(proba.tolist(), classes, event)
            assert sum(recast) == pytest.approx(1)
            assert classes_after(classes, event) == fold(log)[0]
            assert len(recast) == len(fold(log)[0])
        events.append(event)
    history = History(events)
    found = {s: json.loads(a["me"].label) for s, a in history.answers.items()}
    assert found == dict(fold(log)[1])
    assert history.last == len(events)
    assert len(standing(history.changes)) == len(stack)


class Rule(ClassifierMixin, BaseEstimator):
    """A prior with classes that are not sorted."""

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["spam", "ham"])
        return self

    def predict_proba(self, X):
        spam = np.where(np.asarray(X)[:, 0] > 0, 0.9, 0.1)
        return np.column_stack([spam, 1 - spam])


def test_columns_of_a_prior_are_found_by_their_classes():
    X, codes = make_blobs([50, 50], centers=[[-3, 0], [3, 0]], random_state=0)
    names = np.array(["ham", "spam"])[codes]
    model = CoDecisionClassifier(LogisticRegression(), FrozenEstimator(Rule().fit()))
    with AnnotationSession(X, model) as session:
        assert (session.predict() == names).mean() > 0.95
        session.rename_class("spam", "advert")  # now it is the first one
        now = np.where(names == "spam", "advert", names)
        assert (session.predict() == now).mean() > 0.95
        session.add_class("other")
        assert (session.predict() == now).mean() > 0.95


NET = {"max_epochs": 2, "random_state": 0}
WEIGHTS = {"alpha": 1, "beta": 1, "gamma": 5}


@pytest.mark.parametrize(
    "model",
    [
        NetClassifier(classes=CLASSES, **NET),
        CoDecisionClassifier(NetClassifier(classes=CLASSES, **NET)),
        CoDecisionClassifier(LogisticRegression(class_weight=WEIGHTS)),
    ],
    ids=["net", "co-decision with a net", "weights"],
)
@pytest.mark.parametrize("change", ["rename", "add", "merge"])
def test_classes_that_the_small_model_lists_change_too(model, change):
    with AnnotationSession(BLOBS, model, classes=CLASSES, n_instances=5) as session:
        label(session, 12)
        names = {}
        if change == "rename":
            session.rename_class("beta", "delta")
            names = {"beta": "delta"}
        elif change == "add":
            session.add_class("delta")
        else:
            session.merge_classes("beta", "gamma")
            names = {"beta": "gamma"}
        assert set(session.predict()) <= set(session.classes)
        label(session, 8, names)
        assert session.progress().n_labels == 20
        assert set(session.predict()) <= set(session.classes)


def test_weights_of_classes_after_changes():
    model = LogisticRegression(class_weight=WEIGHTS)
    events = [
        Event(1, 0.0, "me", "rename", "", '["alpha", "zeta"]'),
        Event(2, 0.0, "me", "merge", "", '["beta", "gamma"]'),
        Event(3, 0.0, "me", "add", "", '["new", null]'),
    ]
    found = recast(model, CLASSES, events)
    assert found.class_weight == {"zeta": 1, "beta": 3, "new": 1}
    assert model.class_weight == WEIGHTS
    other = LogisticRegression(class_weight={0: 2, 1: 3})
    assert recast(other, CLASSES, events).class_weight == {0: 2, 1: 3}
