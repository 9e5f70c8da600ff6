"""ActiveLearningClassifier: the budget, the oracle, seeds, interruption, search."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_html_repr

import cofm_sklearn  # noqa: F401 - repairs modAL before it is imported

# isort: split
from modAL.batch import uncertainty_batch_sampling
from modAL.uncertainty import entropy_sampling, margin_sampling

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.pool import neighbors
from cofm_sklearn.query import ModALQuery
from cofm_sklearn.simulation import BaseOracle, NoisyOracle, RecordedVotesOracle


@pytest.fixture
def blobs():
    X, y = make_blobs([120, 60, 12], n_features=5, cluster_std=2.0, random_state=0)
    return X, np.array(["common", "second", "rare"])[y]


def make_loop(estimator=None, strategy=None, **params):
    params = {"n_instances": 5, "budget": 20, "random_state": 0, **params}
    return ActiveLearningClassifier(
        estimator or LogisticRegression(), strategy or CoDecisionQuery(), **params
    )


@pytest.mark.parametrize(
    "strategy",
    [
        CoDecisionQuery(),
        margin_sampling,
        entropy_sampling,
        uncertainty_batch_sampling,
    ],
)
def test_spends_the_budget_on_distinct_samples(blobs, strategy):
    X, y = blobs
    loop = make_loop(strategy=strategy, budget=23).fit(X, y)
    assert len(loop.queried_indices_) == len(set(loop.queried_indices_)) == 23
    np.testing.assert_array_equal(loop.answers_, y[loop.queried_indices_])
    assert loop.learning_curve_["n_labels"].tolist() == [5, 10, 15, 20, 23]
    by_hand = LogisticRegression().fit(X[loop.queried_indices_], loop.answers_)
    np.testing.assert_allclose(
        loop.predict_proba(X), by_hand.predict_proba(X), atol=1e-6
    )


def test_curve_is_what_the_models_of_the_rounds_score(blobs):
    X, y = blobs
    loop = make_loop().fit(X[::2], y[::2], eval_set=(X[1::2], y[1::2]))
    for row in loop.learning_curve_.itertuples():
        asked = loop.queried_indices_[: row.n_labels]
        labels = y[::2][asked]
        if len(set(labels)) > 1:
            model = LogisticRegression().fit(X[::2][asked], labels)
            recalls = [
                np.mean(model.predict(X[1::2][y[1::2] == k]) == k) for k in set(y)
            ]
            assert row.balanced_accuracy == pytest.approx(np.mean(recalls))


def test_budget_beyond_the_pool_asks_for_all(blobs):
    X, y = blobs
    loop = make_loop(n_instances=50, budget=10_000).fit(X, y)
    assert sorted(loop.queried_indices_) == list(range(len(y)))


@pytest.mark.parametrize("n_initial", [0, 3, 12])
def test_first_batch_is_random_as_far_as_asked(blobs, n_initial):
    X, y = blobs
    loop = make_loop(n_initial=n_initial).fit(X, y)
    first = loop.learning_curve_["n_labels"][0]
    assert first == (n_initial or 5)
    if n_initial:
        other = make_loop(n_initial=n_initial, random_state=1).fit(X, y)
        other = set(other.queried_indices_[:first])
        assert set(loop.queried_indices_[:first]) != other


def test_same_seed_same_answers(blobs):
    X, y = blobs
    loop = make_loop(oracle=NoisyOracle(0.3), strategy=CoDecisionQuery())
    first, again = clone(loop).fit(X, y), clone(loop).fit(X, y)
    pd.testing.assert_frame_equal(first.learning_curve_, again.learning_curve_)
    np.testing.assert_array_equal(first.queried_indices_, again.queried_indices_)
    np.testing.assert_array_equal(first.answers_, again.answers_)
    assert (first.answers_ != y[first.queried_indices_]).any()
    other = clone(loop).set_params(random_state=1).fit(X, y)
    assert (first.queried_indices_ != other.queried_indices_).any()


def test_the_neighbours_of_a_large_pool_have_the_seed_of_the_loop(blobs, monkeypatch):
    monkeypatch.setattr(neighbors, "_WHOLE_POOL", 50)
    monkeypatch.setattr(neighbors, "_DRAWN", 30)
    X, y = blobs
    loop = make_loop(CoDecisionClassifier(LogisticRegression()), CoDecisionQuery())
    found = [clone(loop).fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*found)


def test_global_random_state_is_left_alone(blobs):
    X, y = blobs
    state = np.random.get_state()  # noqa: NPY002 - it is what is checked
    make_loop().fit(X, y)
    assert np.random.get_state()[2] == state[2]  # noqa: NPY002


def test_nothing_given_is_changed(blobs):
    X, y = blobs
    prior = PrecomputedPrior(["common", "rare", "second"], columns=[0, 1, 2])
    estimator = CoDecisionClassifier(LogisticRegression(), prior)
    strategy = CoDecisionQuery()
    loop = make_loop(estimator, strategy)
    before = repr(loop.get_params())
    XP = np.hstack([np.full((len(y), 3), 1 / 3), X])
    loop.fit(XP, y)
    assert repr(loop.get_params()) == before
    assert not hasattr(prior, "classes_")
    assert not hasattr(estimator, "classes_")
    assert loop.estimator_.classes_.tolist() == ["common", "rare", "second"]


def test_recorded_votes_answer(blobs):
    X, y = blobs
    votes = (y[:, None] == ["common", "rare", "second"]).astype(int)
    votes[:, 0] += 2
    loop = make_loop(oracle=RecordedVotesOracle()).fit(X, y, votes=votes)
    assert set(loop.answers_) <= set(y)
    assert (loop.answers_ == "common").mean() > 0.5


def test_recorded_votes_for_a_class_that_y_lacks(blobs):
    X, y = blobs
    votes = pd.DataFrame({name: (y == name).astype(int) for name in np.unique(y)})
    votes["none of them"] = 1
    loop = make_loop(oracle=RecordedVotesOracle()).fit(X, y, votes=votes)
    assert "none of them" in loop.answers_
    assert loop.classes_.tolist() == ["common", "none of them", "rare", "second"]
    assert loop.predict_proba(X).shape == (len(X), 4)
    prior = PrecomputedPrior(np.unique(y), columns=[0, 1, 2])
    X = np.column_stack([np.full((len(X), 3), 1 / 3), X])
    loop.set_params(estimator=CoDecisionClassifier(LogisticRegression(), prior))
    with pytest.raises(ValueError, match="votes holds the unknown label 'none of"):
        loop.fit(X, y, votes=votes)


class _Fragile(LogisticRegression):
    """A classifier that raises a given error above a number of labels."""

    def __init__(self, limit=12, error=ValueError):
        super().__init__()
        self.limit = limit
        self.error = error

    def fit(self, X, y):
        if len(y) > self.limit:
            raise self.error("too many labels")
        return super().fit(X, y)


def test_interruption_keeps_complete_rounds_and_goes_on(blobs):
    X, y = blobs
    loop = make_loop(_Fragile(12, KeyboardInterrupt), warm_start=True)
    with pytest.warns(UserWarning, match="10 of 20 labels"):
        loop.fit(X, y)
    assert len(loop.queried_indices_) == len(loop.answers_) == 10
    assert loop.learning_curve_["n_labels"].tolist() == [5, 10]
    assert loop.predict(X).shape == y.shape
    loop.set_params(estimator__limit=99).fit(X, y)
    whole = make_loop(_Fragile(99)).fit(X, y)
    np.testing.assert_array_equal(loop.queried_indices_, whole.queried_indices_)
    pd.testing.assert_frame_equal(loop.learning_curve_, whole.learning_curve_)


def test_an_interrupted_search_ends(blobs):
    loop = make_loop(_Fragile(12, KeyboardInterrupt), scoring=[])
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.fit(*blobs)
    assert "10 of 20 labels are kept. Set warm_start" in caught.value.__notes__[0]
    assert len(loop.queried_indices_) == 10
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(clone(loop), *blobs, cv=3)


def test_a_failed_round_leaves_the_rounds_before(blobs):
    X, y = blobs
    loop = make_loop(_Fragile(12))
    with pytest.raises(ValueError, match="too many labels"):
        loop.fit(X, y)
    assert len(loop.queried_indices_) == 10
    assert loop.learning_curve_["n_labels"].tolist() == [5, 10]


def test_larger_budget_goes_on_where_the_smaller_ended(blobs):
    X, y = blobs
    loop = make_loop(budget=10, warm_start=True).fit(X, y)
    loop.set_params(budget=20).fit(X, y)
    whole = make_loop(budget=20).fit(X, y)
    np.testing.assert_array_equal(loop.queried_indices_, whole.queried_indices_)


def test_one_class_only_predicts_it(blobs):
    X, _ = blobs
    y = np.repeat("only", len(X))
    loop = make_loop().fit(X, y)
    assert set(loop.predict(X)) == {"only"}
    np.testing.assert_allclose(loop.predict_proba(X), np.ones((len(X), 1)))


def test_classes_without_labels_have_probability_0(blobs):
    X, y = blobs
    loop = make_loop(budget=2, n_instances=2).fit(X, y)
    proba = loop.predict_proba(X)
    assert loop.classes_.tolist() == ["common", "rare", "second"]
    unseen = ~np.isin(loop.classes_, loop.answers_)
    assert unseen.any()
    assert (proba[:, unseen] == 0).all()


def test_scoring_names_the_columns(blobs):
    X, y = blobs
    columns = ["strategy", "seed", "round", "n_labels"]
    for scoring, names in (
        (None, ["balanced_accuracy", "macro_f1", "rare_class_recall"]),
        ("accuracy", ["accuracy"]),
        (["accuracy", "f1_macro"], ["accuracy", "f1_macro"]),
        ([], []),
    ):
        loop = make_loop(scoring=scoring).fit(X, y)
        assert loop.learning_curve_.columns.tolist() == columns + names


@pytest.mark.parametrize(
    ("params", "error", "name"),
    [
        ({"budget": 0}, ValueError, "budget"),
        ({"budget": 2.5}, ValueError, "budget"),
        ({"n_instances": 0}, ValueError, "n_instances"),
        ({"n_initial": -1}, ValueError, "n_initial"),
        ({"n_initial": "some"}, ValueError, "n_initial"),
        ({"strategy": "margin"}, TypeError, "query_strategy"),
        ({"oracle": "exact"}, TypeError, r"oracle must be .* NoisyOracle\(0.2\)"),
        ({"oracle": NoisyOracle}, TypeError, "oracle must be"),
    ],
)
def test_bad_parameters_are_named(blobs, params, error, name):
    with pytest.raises(error, match=name):
        make_loop(**params).fit(*blobs)


@pytest.mark.parametrize(
    "picks",
    [
        lambda n, n_pool: np.arange(n) + n_pool,
        lambda n, n_pool: np.zeros(n, dtype=int),
        lambda n, n_pool: np.arange(5 * n),
        lambda n, n_pool: np.arange(n - 1),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_bad_picks_of_a_foreign_strategy_are_refused(blobs, picks, wrapped):
    def mine(learner, X_pool, n_instances=1):
        return picks(n_instances, len(X_pool))

    strategy = ModALQuery(mine) if wrapped else mine
    with pytest.raises(ValueError, match="mine must return distinct positions"):
        make_loop(strategy=strategy).fit(*blobs)


def test_bad_data_is_named(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="X has 192 samples, but y has 191"):
        make_loop().fit(X, y[1:])
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make_loop().fit(bad, y)
    with pytest.raises(ValueError, match="sample"):
        make_loop().fit([], [])


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_class_that_the_prior_lacks_is_named_before_the_first_round(
    blobs, in_pipeline
):
    X, y = blobs
    prior = PrecomputedPrior(["common", "second"], columns=[0, 1])
    model = CoDecisionClassifier(LogisticRegression(), prior)
    model = make_pipeline(FunctionTransformer(), model) if in_pipeline else model
    X = np.column_stack([np.full((len(X), 2), 0.5), X])
    rounds = []
    loop = make_loop(model, scoring=lambda *_: len(rounds.append(0) or rounds))
    with pytest.raises(ValueError, match=r"y holds the unknown label 'rare'.*Describe"):
        loop.fit(X, y)
    assert not rounds


class Answers(BaseOracle):
    """It gives one answer to every other question."""

    def __init__(self, said):
        self.said = said

    def _draw_answers(self, y, X, votes, classes):
        answers = y.astype(object)
        answers[::2] = self.said
        return answers


@pytest.mark.parametrize("answer", ["unknown", 3, None])
def test_an_answer_that_is_no_class_names_the_oracle(blobs, answer):
    X, y = blobs
    for labels in (y, np.unique(y, return_inverse=True)[1], y.astype(object)):
        message = rf"an answer of oracle=Answers\(.*\) holds .* {answer!r}"
        with pytest.raises(ValueError, match=message):
            make_loop(oracle=Answers(answer)).fit(X, labels)


class Short(BaseOracle):
    """Gives one answer too few, and has a length."""

    def __len__(self):
        return 0

    def _draw_answers(self, y, X, votes, classes):
        return y

    def answer(self, indices, n_before=None):
        return ["common"] * (len(indices) - 1)


def test_an_answer_that_is_missing_names_the_oracle(blobs):
    with pytest.raises(ValueError, match=r"oracle=Short\(\) must give one answer"):
        make_loop(oracle=Short()).fit(*blobs)


def test_an_answer_may_be_a_longer_class_of_the_prior(blobs):
    X, y = blobs
    prior = PrecomputedPrior([*np.unique(y), "very rare class"], columns=[0, 1, 2, 3])
    X = np.column_stack([np.full((len(X), 4), 0.25), X])
    model = CoDecisionClassifier(LogisticRegression(), prior)
    loop = make_loop(model, oracle=Answers("very rare class")).fit(X, y)
    assert "very rare class" in loop.answers_
    assert "very rare class" in loop.labels_


def test_samples_without_a_label_are_refused(blobs):
    X, _ = blobs
    y = np.r_[np.arange(182) % 2, np.repeat(-1, 10)]
    proba = np.eye(2)[np.maximum(y, 0)] * 0.8 + 0.1
    model = CoDecisionClassifier(LogisticRegression(), PrecomputedPrior([0, 1], [0, 1]))
    with pytest.raises(ValueError, match="y holds the unknown label -1"):
        make_loop(model).fit(np.column_stack([proba, X]), y)


def make_search(X, y, n_jobs, error_score="raise"):
    loop = make_pipeline(
        "passthrough",
        ActiveLearningClassifier(
            CoDecisionClassifier(
                LogisticRegression(),
                PrecomputedPrior(["common", "rare", "second"], columns=[0, 1, 2]),
            ),
            CoDecisionQuery(),
            n_instances=5,
            scoring=[],
            random_state=0,
        ),
    )
    step = "activelearningclassifier"
    return GridSearchCV(
        loop,
        {
            f"{step}__query_strategy__balance": [0.0, 0.5],
            f"{step}__query_strategy__kernel_width": ["auto", 0.3],
            f"{step}__estimator__estimator__C": [0.1, 1.0],
            f"{step}__budget": [10, 15],
        },
        scoring="balanced_accuracy",
        cv=2,
        n_jobs=n_jobs,
        error_score=error_score,
    ).fit(X, y)


@pytest.mark.slow
def test_grid_search_is_the_same_in_parallel(blobs):
    X, y = blobs
    XP = np.hstack([np.full((len(y), 3), 1 / 3), X])
    one, two = make_search(XP, y, 1), make_search(XP, y, 2)
    for key in ("mean_test_score", "std_test_score", "params"):
        np.testing.assert_array_equal(one.cv_results_[key], two.cv_results_[key])
    assert one.best_params_ == two.best_params_
    np.testing.assert_array_equal(one.predict_proba(XP), two.predict_proba(XP))
    assert len(set(one.cv_results_["mean_test_score"])) > 1


def test_grid_search_over_strategies_of_any_kind(blobs):
    X, y = blobs
    search = GridSearchCV(
        make_loop(scoring=[]),
        {"query_strategy": [CoDecisionQuery(), margin_sampling]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_frames_keep_their_names_from_fit_to_predict(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcde"))
    columns = make_column_transformer((StandardScaler(), ["a", "c"]))
    loop = make_loop(make_pipeline(columns, LogisticRegression()))
    loop.fit(frame, y, eval_set=(frame, y))
    assert loop.feature_names_in_.tolist() == list("abcde")
    assert loop.predict(frame).shape == loop.predict_proba(frame)[:, 0].shape


def test_clone_pickle_and_reprs(blobs):
    X, y = blobs
    loop = make_loop(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    again = pickle.loads(pickle.dumps(loop))
    np.testing.assert_allclose(again.predict_proba(X), loop.predict_proba(X))
    pd.testing.assert_frame_equal(again.learning_curve_, loop.learning_curve_)
    assert repr(clone(loop)) == repr(loop)
    assert "CoDecisionQuery" in estimator_html_repr(loop)


def test_estimators_without_probabilities_have_none(blobs):
    class Hard(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.model_ = DummyClassifier().fit(X, y)
            self.classes_ = self.model_.classes_
            return self

        def predict(self, X):
            return self.model_.predict(X)

    loop = make_loop(Hard(), n_initial=20)
    assert not hasattr(loop, "predict_proba")
    loop.fit(*blobs)
    assert not hasattr(loop, "predict_proba")


def test_progress_is_quiet_unless_asked_for(blobs, capfd):
    X, y = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        make_loop().fit(X, y)
    assert capfd.readouterr() == ("", "")
    make_loop(verbose=1).fit(X, y)
    assert "20/20" in capfd.readouterr().err


def test_raw_texts_whose_first_labels_are_of_one_class():
    """The constant replacement of an untrainable model still embeds its texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    texts = np.array([f"lunch at table {i}" for i in range(60)], dtype=object)
    texts[::20] = ["win a prize", "win a car", "win a boat"]
    y = np.array(["ham"] * 60, dtype=object)
    y[::20] = "spam"
    loop = ActiveLearningClassifier(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        CoDecisionQuery(),
        n_initial=2,
        n_instances=3,
        budget=30,
        random_state=1,
    ).fit(texts, y)
    assert set(loop.labels_[:2]) == {"ham"}
    assert set(loop.estimator_.classes_) == {"ham", "spam"}


@pytest.mark.parametrize(
    "change",
    [
        {"y": np.full(20, np.nan)},
        {"y": np.zeros(3)},
        {"budget": 0},
        {"query_strategy": "no strategy"},
        {"eval_set": (np.zeros((3, 9)), np.zeros(3))},
        {"scoring": "no score"},
    ],
)
def test_a_refused_fit_changes_nothing(change):
    X, y = make_blobs([40, 40], n_features=4, random_state=0)
    loop = make_loop(budget=6).fit(pd.DataFrame(X).add_prefix("x"), y)
    before = dict(vars(loop))
    wider = np.random.RandomState(0).normal(size=(20, 7))
    fit = {"eval_set": change.pop("eval_set", None)}
    y = change.pop("y", np.arange(20) % 2)
    old = {name: getattr(loop, name) for name in change}
    with pytest.raises((ValueError, TypeError)):
        loop.set_params(**change).fit(wider, y, **fit)
    loop.set_params(**old)
    assert vars(loop).keys() == before.keys()
    assert all(vars(loop)[name] is value for name, value in before.items())
    assert loop.n_features_in_ == 4


def test_texts_after_numbers_have_no_number_of_features():
    X, y = make_blobs([40, 40], n_features=4, random_state=0)
    loop = make_loop(budget=6).fit(X, y)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    loop.set_params(estimator=model, query_strategy=margin_sampling)
    loop.fit([f"text {k} of {i}" for i, k in enumerate(y)], y)
    assert not hasattr(loop, "n_features_in_")


@pytest.mark.parametrize("change", ["fewer", "moved", "labels", "other features"])
def test_warm_start_on_other_data_is_refused(change):
    X, y = make_blobs([40, 40], n_features=4, random_state=0)
    loop = make_loop(budget=10, warm_start=True).fit(X, y)
    before = loop.queried_indices_.copy()
    other_X, other_y = {
        "fewer": (X[:5], y[:5]),
        "moved": (X[::-1], y[::-1]),
        "labels": (X, 1 - y),
        "other features": (X[:, :3], y),
    }[change]
    with pytest.raises(ValueError, match=r"labels of the last fit, .* another order"):
        loop.set_params(budget=12).fit(other_X, other_y)
    assert (loop.queried_indices_ == before).all()
    assert loop.n_features_in_ == 4
    assert len(loop.fit(X.copy(), y.tolist()).queried_indices_) == 12


def test_a_failed_warm_start_keeps_the_model(blobs):
    X, y = blobs
    loop = make_loop(budget=10, warm_start=True).fit(X, y)
    loop.set_params(
        budget=20, estimator__C=1e-4, query_strategy=lambda *args, **kwargs: [-5]
    )
    with pytest.raises(ValueError, match="lambda"):
        loop.fit(X, y)
    assert loop.estimator_.C == 1.0


def test_warm_start_trains_with_the_parameters_of_today(blobs):
    X, y = blobs
    loop = make_loop(warm_start=True).fit(X, y)
    curve = loop.learning_curve_
    loop.set_params(estimator__C=1e-4).fit(X, y)  # there is nothing left to ask
    assert loop.estimator_.C == 1e-4
    known = loop.labeled_indices_
    expected = clone(loop.estimator_).fit(X[known], y[known])
    np.testing.assert_allclose(loop.predict_proba(X), expected.predict_proba(X))
    pd.testing.assert_frame_equal(loop.learning_curve_, curve)
    proba = np.full((len(X), 4), 0.25)
    prior = PrecomputedPrior(["a", "common", "rare", "second"], columns=[0, 1, 2, 3])
    X = np.column_stack([proba, X])
    loop = make_loop(warm_start=True).fit(X, y)
    loop.set_params(estimator=CoDecisionClassifier(LogisticRegression(), prior))
    loop.fit(X, y)
    assert loop.classes_.tolist() == ["a", "common", "rare", "second"]
    assert loop.predict_proba(X).shape == (len(X), 4)
