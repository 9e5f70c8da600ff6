"""scikit-learn's own checks on every public estimator."""

from importlib import import_module

import pytest
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks as checks
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    CombinedPrior,
    LabelCleaner,
    LanguageModelPrior,
    NeighborGraph,
    NetClassifier,
    OpenCLIPEncoder,
    PrecomputedPrior,
    SafeSampler,
    SentenceTransformerEncoder,
    TransformersPrior,
    ZeroShotPrior,
)
from cofm_sklearn.loop import StabilizedPredictions, TargetScore
from cofm_sklearn.models import PriorALClassifier
from cofm_sklearn.query import (
    AskAgainQuery,
    DirectQuery,
    GalaxyQuery,
    ModALQuery,
    PriorALQuery,
    RandomQuery,
    SkactivemlQuery,
    UncertaintyHerdingQuery,
    UncertaintyQuery,
)
from cofm_sklearn.simulation import (
    ExactOracle,
    NoisyOracle,
    RecordedVotesOracle,
)

FROM_TABLES = [
    CoDecisionClassifier(LogisticRegression()),
    CoDecisionClassifier(DecisionTreeClassifier(random_state=0)),
    PriorALClassifier(LogisticRegression()),
    ActiveLearningClassifier(
        LogisticRegression(),
        CoDecisionQuery(),
        n_instances=5,
        budget=20,
        random_state=0,
    ),
    NetClassifier("linear", max_epochs=30, lr=0.05, random_state=0),
    SafeSampler(SMOTE()),
    SafeSampler(SMOTE()),
    LabelCleaner(random_state=0),
    NeighborGraph(n_neighbors=3),
]

# scikit-learn's checks fit on random tables, which means nothing to these, as their
# tags say; of `parametrize_with_checks` they get what needs no fit. They take all other
# checks that need no data as well, and their own tests do the rest.
FROM_ELSEWHERE = [
    SentenceTransformerEncoder(),  # texts
    OpenCLIPEncoder(),  # images
    ZeroShotPrior({"sport": "a game", "money": "the economy"}),  # texts, embeddings
    PrecomputedPrior([0, 1]),  # rows of probabilities
    LanguageModelPrior({"sport": "a game", "money": "the economy"}, "a model"),  # texts
    TransformersPrior({"sport": "a game", "money": "the economy"}, "a model"),  # texts
    CombinedPrior([PrecomputedPrior([0, 1])] * 2),  # what its priors take
    CoDecisionQuery(),  # a learner and a pool; has no `fit`; so have the next
    UncertaintyHerdingQuery(),
    GalaxyQuery(),
    DirectQuery(),
    PriorALQuery(),
    RandomQuery(),
    UncertaintyQuery(),
    ModALQuery(print),
    AskAgainQuery(print),
    SkactivemlQuery(None),
    ExactOracle(),  # labels, as the first argument of `fit`
    NoisyOracle(),
    RecordedVotesOracle(),
    StabilizedPredictions(),  # a fitted model, round by round
    TargetScore(),
]

_FOLDS = "folds are dealt over rows, so a repeated row can be on both sides of a fold"
EXPECTED_FAILURES = {
    CoDecisionClassifier: {
        "check_sample_weight_equivalence_on_dense_data": _FOLDS,
        "check_sample_weight_equivalence_on_sparse_data": _FOLDS,
    },
    NetClassifier: {
        "check_do_not_raise_errors_in_init_or_set_params": (
            "takes `module__*` and so on by **settings, and refuses other names"
        ),
        "check_sample_weight_equivalence_on_dense_data": (
            "equal up to the rounding of float32, in which nets are trained"
        ),
    },
}

SAMPLERS = [
    SafeSampler(SMOTE(random_state=0)),
    SafeSampler(RandomUnderSampler(random_state=0)),
    LabelCleaner(random_state=0),
]
_NOT_A_BALANCER = {
    "check_samplers_one_label": "the first labels may all have one class",
    "check_samplers_fit": "has no sampling_strategy; the inner sampler may have one",
    "check_samplers_multiclass_ova": "several columns of labels raise our own error",
}

NEED_NO_DATA = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_mixin_order,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
]


@parametrize_with_checks(
    [*FROM_TABLES, *FROM_ELSEWHERE],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@imblearn_checks.parametrize_with_checks(
    SAMPLERS, expected_failed_checks=lambda sampler: _NOT_A_BALANCER
)
def test_imbalanced_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", FROM_ELSEWHERE, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("check", NEED_NO_DATA, ids=lambda c: c.__name__)
def test_scikit_learn_checks_without_data(estimator, check):
    check(type(estimator).__name__, estimator)


def test_every_public_estimator_is_checked():
    checked = {type(estimator) for estimator in [*FROM_TABLES, *FROM_ELSEWHERE]}
    public = set()
    for package in (
        "",
        ".encoders",
        ".priors",
        ".pool",
        ".models",
        ".query",
        ".loop",
        ".simulation",
    ):
        module = import_module(f"cofm_sklearn{package}")
        public |= {getattr(module, name) for name in module.__all__}
    estimators = {
        kind
        for kind in public
        if hasattr(kind, "get_params") and not kind.__name__.startswith("Base")
    }
    assert estimators == checked


@pytest.mark.parametrize(
    "estimator", [*FROM_TABLES, *FROM_ELSEWHERE], ids=lambda e: type(e).__name__
)
def test_can_be_drawn_in_a_notebook(estimator):
    assert type(estimator).__name__ in estimator_html_repr(estimator)
