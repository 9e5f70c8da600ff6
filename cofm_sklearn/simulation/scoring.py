"""Scores of the model of a round, with all classes of the loop."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.utils.metaestimators import available_if

from cofm_sklearn.simulation.curves import score_predictions
from cofm_sklearn.utils.labels import align_proba

__all__ = ["check_scorers", "score_model"]


def check_scorers(scoring, estimator):
    """Return the scorers of a learning curve.

    Parameters
    ----------
    scoring : None, str, callable, list or dict
        As in `ActiveLearningClassifier`.

    estimator : classifier
        The estimator to score.

    Returns
    -------
    dict of str to callable, or None
        Scorers by name; None means `score_predictions`.

    Raises
    ------
    ValueError, TypeError
        If scikit-learn's `check_scoring` refuses it.
    """
    if scoring is None:
        return None
    if isinstance(scoring, list | tuple) and not scoring:
        return {}
    check_scoring(estimator, scoring=scoring)
    if isinstance(scoring, str):
        scoring = [scoring]
    elif callable(scoring):
        scoring = {"score": scoring}
    given = scoring if isinstance(scoring, dict) else {name: name for name in scoring}
    return {name: check_scoring(estimator, scoring=one) for name, one in given.items()}


def score_model(scorers, model, X, y, classes):
    """Score a model, which may lack some of the classes.

    Parameters
    ----------
    scorers : dict of str to callable, or None
        As returned by `check_scorers`. Scorers of scikit-learn see all classes; other
        functions get the model itself.

    model : fitted classifier

    X : array-like of length n_samples
        Samples.

    y : ndarray of shape (n_samples,)
        Their labels.

    classes : ndarray of shape (n_classes,)
        Labels that may occur; those of `model` and `y` are added.

    Returns
    -------
    dict of str to float
        The scores.
    """
    if scorers is None:
        return score_predictions(y, model.predict(X))
    ours = {name: one for name, one in scorers.items() if _is_scorer(one)}
    if ours:
        classes = np.union1d(np.union1d(classes, y), model.classes_)
        # Together, as scikit-learn then predicts once for all of them.
        full = _AllClasses(model, classes)
        ours = check_scoring(full, scoring=ours)(full, X, y)
    scores = {}
    for name, scorer in scorers.items():
        found = ours[name] if name in ours else scorer(model, X, y)
        scores.update(found if isinstance(found, dict) else {name: found})
    return scores


class _AllClasses(ClassifierMixin, BaseEstimator):
    """A fitted classifier with a column for every class; 0 for those it lacks."""

    def __init__(self, model, classes):
        self.model = model
        self.classes = classes

    @property
    def classes_(self):
        return self.classes

    def fit(self, X, y):
        """Keep the model as it is."""
        return self

    def predict(self, X):
        return self.model.predict(X)

    @available_if(lambda self: hasattr(self.model, "predict_proba"))
    def predict_proba(self, X):
        proba = self.model.predict_proba(X)
        return align_proba(proba, self.model.classes_, self.classes)

    # There is no score for a class that the model lacks.
    @available_if(
        lambda self: (
            hasattr(self.model, "decision_function")
            and np.array_equal(self.model.classes_, self.classes)
        )
    )
    def decision_function(self, X):
        return self.model.decision_function(X)


def _is_scorer(scorer):
    """Tell whether scikit-learn made it: such scorers do not look into the model."""
    return hasattr(scorer, "set_score_request")
