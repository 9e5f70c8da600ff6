"""The repair of modAL itself: when, what, and nothing else."""

import subprocess
import sys
import textwrap

import cofm_sklearn  # noqa: F401  (first: it makes modAL importable)

# isort: split

import numpy as np
import pytest
from modAL.models import ActiveLearner, Committee
from sklearn.naive_bayes import MultinomialNB

from cofm_sklearn.compat import modal_wants_metrics


def strategy_for(learner, X, n_instances=1):
    rows = np.arange(n_instances)
    return (rows, np.ones(n_instances)) if modal_wants_metrics(learner) else rows


class WrappingLearner(ActiveLearner):
    def query(self, *args, **kwargs):
        return super().query(*args, **kwargs)


@pytest.mark.parametrize("cls", [ActiveLearner, WrappingLearner, Committee])
@pytest.mark.parametrize("n_instances", [1, 2, 3])
def test_modal_wants_metrics_is_what_query_unpacks(cls, n_instances):
    X, estimator = np.eye(4), MultinomialNB()
    if cls is Committee:
        subject = Committee([ActiveLearner(estimator)], strategy_for)
    else:
        subject = cls(estimator=estimator, query_strategy=strategy_for)
    rows, instances = subject.query(X, n_instances=n_instances)
    assert rows.tolist() == list(range(n_instances))
    np.testing.assert_array_equal(instances, X[:n_instances])


def test_modal_wants_metrics_of_something_else():
    assert modal_wants_metrics(MultinomialNB()) is False


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOOP = """
import numpy as np
from modAL.models import ActiveLearner
from modAL.uncertainty import margin_sampling
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
learner = ActiveLearner(
    make_pipeline(CountVectorizer(), MultinomialNB()),
    margin_sampling,
    ["one two", "three four"],
    ["a", "b"],
)
rows, texts = learner.query(["one one", "two four", "three"])
learner.teach(texts, ["a"])
assert len(learner.X_training) == 3
"""


@pytest.mark.slow
def test_repair_of_what_is_imported_later():
    run(
        """
        import sys
        import cofm_sklearn
        assert not {"modAL", "torch"} & set(sys.modules)
        """
        + textwrap.indent(LOOP, " " * 8)
        + """
        import importlib
        import modAL.models.learners
        module = modAL.models.learners
        assert type(module.__loader__).__module__.startswith("_frozen_importlib")
        assert module.__spec__.loader is module.__loader__
        from cofm_sklearn.compat import repair_modal
        finders = len(sys.meta_path)
        repair_modal()
        assert len(sys.meta_path) == finders
        importlib.reload(module)
        learner.teach(texts, ["b"])
        """
    )


@pytest.mark.slow
def test_repair_of_what_was_imported_before_touches_nothing_else():
    run(
        """
        import sys
        import warnings
        import modAL.models, modAL.batch, modAL.density, modAL.multilabel
        import numpy as np, pandas as pd, scipy.sparse, sklearn.utils
        import sklearn.utils.validation, sklearn.pipeline, sklearn.metrics.pairwise

        def snapshot(*names):
            return {
                (name, key): value
                for name in names
                for key, value in vars(sys.modules[name]).items()
            }

        others = [
            name for name in sys.modules
            if name.partition(".")[0] in ("numpy", "pandas", "scipy", "sklearn")
        ]
        # scikit-learn fills a cache of its own at the first use of threads
        X = np.zeros((1, 1))
        sklearn.metrics.pairwise.pairwise_distances_argmin_min(X, X)
        before = snapshot(*others)
        np.random.seed(0)
        state = repr(np.random.get_state())
        frame_class = dict(vars(pd.DataFrame))
        healthy = [
            modAL.utils.selection.multi_argmax,
            modAL.utils.validation.check_class_proba,
            modAL.uncertainty.uncertainty_sampling,
            modAL.disagreement.vote_entropy_sampling,
            modAL.batch.uncertainty_batch_sampling,
            modAL.density.information_density,
            modAL.multilabel.max_loss,
            modAL.models.base.BaseLearner.query,
            modAL.models.base.BaseCommittee.query,
            modAL.models.base.BaseLearner.transform_without_estimating,
            modAL.models.ActiveLearner.__init__,
            modAL.models.ActiveLearner.predict,
            modAL.models.ActiveLearner.score,
            modAL.models.Committee.predict,
        ]

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            import cofm_sklearn

        after = snapshot(*others)
        changed = [key for key in before if after.get(key) is not before[key]]
        assert changed == [], changed
        assert dict(vars(pd.DataFrame)) == frame_class
        assert repr(np.random.get_state()) == state
        for function in healthy:
            owner = sys.modules[function.__module__]
            for part in function.__qualname__.split("."):
                owner = getattr(owner, part)
            assert owner is function, function
        """
        + textwrap.indent(LOOP, " " * 8)
    )


@pytest.mark.slow
def test_a_later_release_is_left_alone():
    run(
        """
        import importlib.metadata
        importlib.metadata.version = lambda name: "0.5.0"
        import cofm_sklearn
        import modAL.utils.data
        assert modAL.utils.data.data_vstack.__module__ == "modAL.utils.data"
        assert not hasattr(modAL.utils.data.data_vstack, "__wrapped__")
        """
    )
