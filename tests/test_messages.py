"""Common errors name the cure, in every entry point."""

import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import cofm_sklearn
from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    SafeSampler,
)
from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.encoders import SentenceTransformerEncoder
from cofm_sklearn.loop import StabilizedPredictions
from cofm_sklearn.models import LabelCleaner, NetClassifier
from cofm_sklearn.noise import find_suspects
from cofm_sklearn.query import (
    AskAgainQuery,
    DirectQuery,
    ModALQuery,
    SkactivemlQuery,
    UncertaintyHerdingQuery,
)
from cofm_sklearn.simulation import SuspectsDisplay

TEXTS = [f"text {i} {'ball' if i % 2 else 'bank'}" for i in range(40)]
TOPICS = np.arange(40) % 2
X = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)
RARE = np.r_[np.zeros(55, dtype=int), np.ones(5, dtype=int)]
MODEL = make_pipeline(TfidfVectorizer(), LogisticRegression())


def first_n(learner, X_pool, n_instances):
    return np.arange(n_instances)


def open_session(pool=TEXTS, model=MODEL, strategy=None, **others):
    others = {"classes": [0, 1], "background": False, **others}
    return AnnotationSession(pool, model, strategy, **others)


def open_loop(model=MODEL, strategy=None, **others):
    others = {"budget": 30, "random_state": 0, **others}
    return ActiveLearningClassifier(model, strategy or CoDecisionQuery(), **others)


FRAME = pd.DataFrame({"n": range(40), "message": TEXTS})


@pytest.mark.parametrize("step", [TfidfVectorizer(), SentenceTransformerEncoder()])
@pytest.mark.parametrize(
    "use",
    [
        lambda model: open_session(FRAME, model),
        lambda model: open_loop(model).fit(FRAME, TOPICS),
        lambda model: CoDecisionQuery()(model, FRAME),
        lambda model: UncertaintyHerdingQuery()(model, FRAME),
    ],
    ids=["session", "loop", "query", "herding"],
)
def test_a_frame_of_several_columns_where_texts_are_wanted(step, use):
    with pytest.raises(ValueError, match=r"Give the column.*df\['message'\]"):
        use(make_pipeline(step, LogisticRegression()))


def test_a_frame_of_several_columns_behind_a_column_transformer():
    columns = make_column_transformer((TfidfVectorizer(), "message"))
    with open_session(FRAME, make_pipeline(columns, LogisticRegression())) as session:
        assert len(session.ask(3)) == 3
    with open_session(FRAME[["message"]]) as session:
        assert len(session.ask(3)) == 3


def test_a_mixed_frame_without_column_transformer_is_told_of_it():
    frame = FRAME.astype({"message": "category"})
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype")
    cure = r"make_pipeline\(make_column_transformer\(\.\.\.\), "
    with pytest.raises(ValueError, match=cure + "classifier"):
        open_loop(trees).fit(frame, TOPICS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_loop(trees, first_n).fit(frame, TOPICS)  # these trees can read it
    with (
        pytest.warns(UserWarning, match=cure + "LogisticRegression"),
        pytest.raises(ValueError, match=cure + "LogisticRegression"),
    ):
        open_loop(LogisticRegression(), first_n).fit(frame, TOPICS)


@pytest.mark.parametrize("columns", [["n", "message"], ["message", "n"]])
def test_a_mixed_frame_of_polars_is_told_to_become_pandas(columns):
    polars = pytest.importorskip("polars")
    data = {"n": list(range(40)), "message": TEXTS}
    frame = polars.DataFrame({name: data[name] for name in columns})
    model = make_pipeline(
        make_column_transformer((TfidfVectorizer(), "message")), LogisticRegression()
    )
    for use in (
        lambda: open_loop(model).fit(frame, TOPICS),
        lambda: open_session(frame, model),
        lambda: CoDecisionQuery()(model, frame),
        lambda: Learner(model).fit(frame, TOPICS),
        lambda: CoDecisionClassifier(model).fit(frame, TOPICS),
    ):
        with pytest.raises(ValueError, match=r"to_pandas\(\).*ColumnTransformer"):
            use()


def test_a_classifier_without_encoder_is_named_at_once():
    encoder = "Put an encoder before it"
    with pytest.warns(UserWarning, match=encoder):
        session = open_session(model=LogisticRegression(), strategy=first_n)
    with session:
        session.import_labels(pd.DataFrame({"position": range(40), "label": TOPICS}))
        with pytest.raises(ValueError, match=encoder):
            session.predict()
    with (
        pytest.warns(UserWarning, match=encoder),
        pytest.raises(ValueError, match=encoder),
    ):
        open_loop(LogisticRegression(), first_n).fit(TEXTS, TOPICS)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: open_loop(model).fit(X, RARE),
        lambda model: open_loop(CoDecisionClassifier(model)).fit(X, RARE),
        lambda model: CoDecisionClassifier(model).fit(X[50:], RARE[50:]),
        lambda model: taught(open_session(X, model)).predict(),
    ],
)
def test_a_bare_sampler_is_told_of_safe_sampler(use):
    bare = SMOTE(k_neighbors=20, random_state=0)
    with pytest.raises(ValueError, match=r"SafeSampler\(SMOTE\(\)\) copes"):
        use(make_imblearn_pipeline(bare, LogisticRegression()))
    use(make_imblearn_pipeline(SafeSampler(bare), LogisticRegression()))


def taught(session):
    frame = pd.DataFrame({"position": range(45, 60), "label": RARE[45:]})
    session.import_labels(frame)
    return session


def test_a_net_with_more_outputs_than_classes_is_told_of_classes():
    torch = pytest.importorskip("torch")
    skorch = pytest.importorskip("skorch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 12)

        def forward(self, X):
            return torch.softmax(self.layer(X), -1)

    net = skorch.NeuralNetClassifier(Module, max_epochs=1, verbose=0)
    y = np.arange(60) % 8
    for use in (
        lambda: CoDecisionClassifier(net).fit(X, y),
        lambda: CoDecisionQuery()(net.fit(X, y), X),
    ):
        with pytest.raises(ValueError, match=r"12 outputs for 8 classes.*classes="):
            use()
    with pytest.raises(ValueError, match="train_split=None"):
        open_loop(net).fit(X, y)
    known = NetClassifier("linear", classes=list(range(12)), max_epochs=1)
    assert open_loop(known, n_instances=10).fit(X, y).predict(X).shape == (60,)


@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(LinearSVC()),
        CalibratedClassifierCV(LinearSVC(), cv=2),
        RidgeClassifierCV(cv=5),
        StackingClassifier([("one", LogisticRegression())]),
        HistGradientBoostingClassifier(early_stopping=True),
        make_pipeline(StandardScaler(), RidgeClassifierCV(cv=5)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_that_cross_validates_needs_more_labels(model):
    y = np.arange(60) % 3
    few = [0, 1, 2, 3, 4]
    message = "splits its training samples.*decision_function is enough.*label more"
    for use in (
        lambda: open_loop(CoDecisionClassifier(model), n_instances=4).fit(X, y),
        lambda: CoDecisionClassifier(model).fit(X[few], y[few]),
        lambda: Learner(model).fit(X[few], y[few]),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            use()
        assert str(caught.value).count("splits its training samples") == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda strategy: open_loop(LogisticRegression(), strategy).fit(X, RARE),
        lambda strategy: open_session(X, LogisticRegression(), strategy),
        lambda strategy: ModALQuery(strategy)(LogisticRegression(), X),
        lambda strategy: AskAgainQuery(strategy)(LogisticRegression(), X),
    ],
    ids=["loop", "session", "ModALQuery", "AskAgainQuery"],
)
def test_a_strategy_that_cannot_be_called_is_told_how(use):
    pool = pytest.importorskip("skactiveml.pool")
    with pytest.raises(TypeError, match=r"SkactivemlQuery\(CoreSet\(\)\)"):
        use(pool.CoreSet())
    with pytest.raises(TypeError, match="must be callable, for example"):
        use("margin")
    use(SkactivemlQuery(pool.CoreSet()))


def test_raw_samples_for_evaluation_behind_transformers():
    loop = open_loop(LogisticRegression())
    pipe = Pipeline([("tfidf", TfidfVectorizer()), ("loop", loop)])
    cure = r"A Pipeline transforms X alone.*pipeline\[:-1\]"
    with pytest.raises(ValueError, match=cure):
        pipe.fit(TEXTS, TOPICS, loop__eval_set=(TEXTS, TOPICS))
    with pytest.raises(ValueError, match="eval_set holds other samples"):
        open_loop().fit(TEXTS, TOPICS, eval_set=(X, RARE))
    with pytest.raises(ValueError, match="eval_set has 40 samples, but 39 labels"):
        open_loop().fit(TEXTS, TOPICS, eval_set=(TEXTS, TOPICS[1:]))
    with pytest.raises(ValueError, match="eval_set must be a tuple"):
        open_loop().fit(TEXTS, TOPICS, eval_set=TEXTS)
    open_loop().fit(TEXTS, TOPICS, eval_set=(TEXTS, TOPICS))


def test_a_class_that_is_new_to_a_file_says_how_it_gets_in(tmp_path):
    file, labels = tmp_path / "s.sqlite", tmp_path / "labels.csv"
    with open_session(store=file) as session:
        session.import_labels(pd.DataFrame({"position": [0, 1], "label": [0, 1]}))
        session.export(labels)
    with pytest.raises(ValueError, match="another file with import_labels"):
        open_session(store=file, classes=[0, 1, 2])
    with open_session(classes=[0, 1, 2]) as session:
        assert session.import_labels(labels) == 2


def test_one_text_alone_is_named():
    with open_session() as session:
        session.import_labels(pd.DataFrame({"position": range(9), "label": TOPICS[:9]}))
        for ask in (session.predict, session.predict_proba):
            with pytest.raises(ValueError, match="Wrap one text in a list"):
                ask("text")
            assert len(ask(["text"])) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda: open_session(n_instances=True),
        lambda: open_session().ask(True),
        lambda: open_session().review(True),
        lambda: open_loop(budget=True).fit(TEXTS, TOPICS),
        lambda: open_loop(n_initial=True).fit(TEXTS, TOPICS),
        lambda: open_loop(
            LogisticRegression(),
            DirectQuery(min_per_class=True),
            n_initial=50,
            budget=60,
        ).fit(X, RARE),
        lambda: UncertaintyHerdingQuery(max_candidates=True)(LogisticRegression(), X),
        lambda: UncertaintyHerdingQuery(radius=True)(LogisticRegression(), X),
        lambda: AskAgainQuery(first_n, max_answers=True)(LogisticRegression(), X),
        lambda: AskAgainQuery(first_n, share=True)(LogisticRegression(), X),
        lambda: AskAgainQuery(first_n, balance=True)(LogisticRegression(), X),
        lambda: NetClassifier(max_epochs=True).fit(X, RARE),
        lambda: NetClassifier(lr=True).fit(X, RARE),
        lambda: SentenceTransformerEncoder(batch_size=True).transform(TEXTS),
        lambda: StabilizedPredictions(window=True).update(MODEL, TEXTS, n_labels=1),
        lambda: SuspectsDisplay.from_estimator(MODEL, TEXTS, TOPICS, n_suspects=True),
    ],
)
def test_true_is_no_number(use):
    with pytest.raises((ValueError, TypeError), match=r"must be .*got True"):
        use()


@pytest.mark.slow
def test_subpackages_are_there_without_an_import_of_their_own():
    import subprocess
    import sys

    names = "annotation datasets encoders models noise priors query simulation utils"
    code = f"import cofm_sklearn as c; [getattr(c, n) for n in '{names}'.split()]"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(names.split()) <= set(dir(cofm_sklearn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cofm_sklearn.nothing  # noqa: B018


@pytest.mark.parametrize(
    "use",
    [
        lambda y: open_loop(LogisticRegression()).fit(X, y),
        lambda y: NetClassifier("linear", max_epochs=1).fit(X, y),
        lambda y: SafeSampler(SMOTE()).fit_resample(X, y),
        lambda y: LabelCleaner().fit_resample(X, y),
        lambda y: find_suspects(y, np.ones(60)),
        lambda y: flip_labels(y, noise=0.1, random_state=0),
    ],
)
def test_labels_in_a_column_are_taken_and_several_columns_named(use):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of the column
        use(RARE[:, None])
        use(pd.DataFrame({"label": RARE}))
    with pytest.raises(ValueError, match=r"has 2 columns.*multi-label"):
        use(np.eye(2)[RARE])
