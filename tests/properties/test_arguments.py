"""Invalid arguments are named; random calls (`fuzz.py`) found these cases."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionQuery,
    LabelCleaner,
    SafeSampler,
)
from cofm_sklearn.annotation import from_label_studio, label_studio_config
from cofm_sklearn.datasets import flip_labels, make_long_tail
from cofm_sklearn.noise import combine_annotators, find_suspects, spread_answers
from cofm_sklearn.query import AskAgainQuery, ModALQuery, UncertaintyHerdingQuery
from cofm_sklearn.simulation import (
    ExactOracle,
    LearningCurveDisplay,
    NoisyOracle,
    label_savings,
    labels_to_reach,
)

X = np.random.RandomState(0).normal(size=(12, 2))
Y = np.repeat(["a", "b", "c"], 4)
VOTES = [["a", "b"], ["b", "b"], ["a", "a"]]
MANY = np.array(["a", "b"])  # `==` and `in` give arrays of it
RECORDS = pd.DataFrame(
    {"strategy": ["ours", "other"], "seed": 0, "n_labels": 10, "score": [0.5, 0.6]}
)


def savings(**changed):
    return label_savings(RECORDS, **{"ours": "ours", "metric": "score", **changed})


def session(X=X):
    return AnnotationSession(X, GaussianNB(), classes=["a", "b"], background=False)


def asked(verb, *arguments):
    with session() as labels:
        labels.ask()
        getattr(labels, verb)(*arguments)


def said(value):
    """Tasks with one answer that Label Studio would not write."""
    result = {"type": "choices", "from_name": "label", "value": value}
    return [{"data": {"text": "x"}, "annotations": [{"result": [result]}]}]


def studio(tasks):
    with session(["x", "y"]) as labels:
        from_label_studio(labels, tasks)


CALLS = [
    (lambda: make_long_tail(Y, ratio="much"), ValueError, "ratio"),
    (lambda: make_long_tail(Y, ratio=pd.DataFrame()), ValueError, "ratio"),
    (lambda: make_long_tail(Y, min_class_size="2"), ValueError, "min_class_size"),
    (lambda: make_long_tail(Y, min_class_size=1.5), ValueError, "min_class_size"),
    (lambda: make_long_tail(Y, max_samples=[9]), ValueError, "max_samples"),
    (lambda: flip_labels(Y, noise=[0.1]), ValueError, "noise"),
    (lambda: flip_labels(Y, noise=pd.NA), ValueError, "noise"),
    (lambda: flip_labels(Y, noise=1), ValueError, "noise"),
    (lambda: flip_labels(Y, kind=MANY), ValueError, "kind"),
    (
        lambda: flip_labels(Y, kind="asymmetric", confusion=1.0),
        TypeError,
        "confusion must be a dict",
    ),
    (lambda: find_suspects(["a"], [1j]), ValueError, "quality must hold real"),
    (lambda: find_suspects(["a", "b"], [1, [2, 3]]), ValueError, "quality must hold"),
    (lambda: find_suspects(["a", None], [0.1, 0.2]), ValueError, "missing labels"),
    (lambda: find_suspects([1, "a", None], [0] * 3), ValueError, "missing labels"),
    (lambda: combine_annotators(VOTES, method=MANY), ValueError, "method"),
    (
        lambda: combine_annotators(VOTES, estimator=GaussianNB(), X=X[:3], n_folds="2"),
        ValueError,
        "n_folds",
    ),
    (lambda: spread_answers(VOTES, {"a": 1}), ValueError, "annotator_quality must"),
    (lambda: labels_to_reach([1, 2], iter([1]), 0.5), ValueError, "scores must hold"),
    (lambda: labels_to_reach([1, 2], [0, 1], None), ValueError, "level"),
    (lambda: savings(metric=np.zeros(2)), TypeError, "metric"),
    (lambda: savings(ours=MANY), TypeError, "ours"),
    (lambda: savings(baselines="other"), TypeError, "baselines"),
    (lambda: savings(levels=[[0.5]]), ValueError, "levels"),
    (lambda: savings(levels=object()), ValueError, "levels"),
    (
        lambda: LearningCurveDisplay(RECORDS, metric="score").plot(band=MANY),
        ValueError,
        "band",
    ),
    (
        lambda: CoDecisionQuery(kernel_width=pd.NA).select(X),
        ValueError,
        "kernel_width",
    ),
    (lambda: CoDecisionQuery().select(X, [[1], [0, 1]]), ValueError, "proba must hold"),
    (lambda: CoDecisionQuery(kernel_width="x").select(X), ValueError, "kernel_width"),
    (lambda: CoDecisionQuery(uncertainty=MANY).select(X), ValueError, "uncertainty"),
    (
        lambda: UncertaintyHerdingQuery(radius=MANY)(GaussianNB(), X),
        ValueError,
        "radius",
    ),
    (
        lambda: AskAgainQuery(CoDecisionQuery(), score=MANY)(GaussianNB(), X),
        ValueError,
        "score",
    ),
    (lambda: ModALQuery(print)(pd.DataFrame(), X), TypeError, "learner must be"),
    (lambda: CoDecisionQuery()(None, X), TypeError, "got NoneType"),
    (
        lambda: ActiveLearningClassifier(
            GaussianNB(), CoDecisionQuery(), n_initial=MANY
        ).fit(X, Y),
        ValueError,
        "n_initial",
    ),
    (
        lambda: SafeSampler(LabelCleaner(), tiny_classes=MANY).fit(X, Y),
        ValueError,
        "tiny_classes",
    ),
    (lambda: LabelCleaner(action=MANY).fit(X, Y), ValueError, "action"),
    (lambda: NoisyOracle(noise="x").fit(Y), ValueError, "noise"),
    (lambda: ExactOracle().fit(Y).answer([[0], [1, 2]]), ValueError, "."),
    (lambda: ExactOracle().fit(Y).answer([0], [[0], [1, 2]]), ValueError, "n_before"),
    (
        lambda: AnnotationSession(X, GaussianNB(), classes=print),
        TypeError,
        "classes must be a list",
    ),
    (
        lambda: ActiveLearningClassifier(GaussianNB(), CoDecisionQuery()).fit(
            X, np.array([1, "a"] * 6, dtype=object)
        ),
        TypeError,
        "cannot be sorted",
    ),
    (lambda: asked("answer", 3, "a"), TypeError, "ids must be str"),
    (lambda: asked("skip", None), TypeError, "ids must be str"),
    (lambda: asked("import_labels", [("id", "a")]), ValueError, "annotator"),
    (lambda: asked("import_labels", None), TypeError, "labels must be a DataFrame"),
    (lambda: studio(None), TypeError, "tasks must be a path"),
    (lambda: studio("no such file.json"), ValueError, "cannot be read as JSON"),
    (lambda: studio({"a": 1}), TypeError, "tasks must be a path"),
    (lambda: studio([1]), ValueError, "tasks must be a list of dict"),
    (lambda: studio(said(None)), ValueError, "has the choices None"),
    (lambda: studio(said({"choices": [["a"]]})), ValueError, "has the choices"),
    (lambda: studio(said({"choices": [MANY]})), ValueError, "has the choices"),
    (lambda: studio([{"text": "x", "label": {}}]), ValueError, "has the choices None"),
    (
        lambda: studio([{"data": {"text": "x"}, "annotations": 3}]),
        ValueError,
        "annotations of task 0",
    ),
    (
        lambda: studio([{"data": {"text": "x"}, "annotations": [{}]}]),
        ValueError,
        "results of task 0",
    ),
    (
        lambda: studio([{"cofm_id": [1], "label": "a"}]),
        ValueError,
        "cofm_id of task 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "named"), CALLS)
def test_wrong_arguments_are_named(call, error, named):
    with pytest.raises(error, match=named):
        call()


def test_kind_of_a_label_studio_config_is_checked():
    with session() as labels, pytest.raises(ValueError, match="kind must be one of"):
        label_studio_config(labels, kind=MANY)


def test_extreme_parameters_are_taken():
    assert len(make_long_tail(Y, min_class_size=10**30)) == len(Y)
    narrow = CoDecisionQuery(kernel_width=1e-300, random_state=0)
    assert len(set(narrow.select(X, n_instances=12))) == 12


def test_no_suspects_among_no_labels():
    assert find_suspects([], []).shape == (0,)


def test_learners_need_no_more_than_an_estimator():
    class Learner:
        estimator = LogisticRegression()
        X_training = y_training = None

    assert len(CoDecisionQuery()(Learner(), X, n_instances=2)) == 2
