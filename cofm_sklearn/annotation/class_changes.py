"""Changes of the classes during labelling, without rewriting the history.

The file keeps labels as they were given. A change of the classes is an event that maps
all earlier labels to their new names.
"""

import json
from itertools import chain
from typing import Any

import numpy as np
from pandas.api.types import is_list_like
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.priors import ZeroShotPrior
from cofm_sklearn.priors.base import (
    BasePrior,
    features_for_small_model,
    is_package_prior,
)
from cofm_sklearn.utils.pipelines import params_named, split_pipeline
from cofm_sklearn.utils.validation import is_fitted

__all__ = [
    "CLASS_CHANGES",
    "RecastPrior",
    "check_change",
    "classes_after",
    "recast",
    "standing",
]

# add: [name, description or null]; rename: [old, new]; merge: [into, from, ...];
# describe: [name, description]. In `label` of the event, as JSON. A restore undoes the
# last change that still applies, its `target`, and contains it as [kind, ...].
CLASS_CHANGES = {"add", "rename", "merge", "describe", "restore"}


def check_change(kind, content, classes):
    """Raise a ValueError or TypeError unless a change of these classes is valid."""
    names = content[:1] if kind in ("add", "describe") else content
    text = content[1] if kind in ("add", "describe") else None
    for name in names:
        if type(name) is not type(classes[0]):
            raise TypeError(
                f"A class must have the type of the others, like {classes[0]!r}; got "
                f"{name!r}."
            )
        if isinstance(name, str) and not name.strip():
            raise ValueError("The name of a class must not be empty.")
    described = kind == "describe" or text is not None
    if described and (not isinstance(text, str) or not text.strip()):
        raise ValueError(f"A description must be a non-empty text, got {text!r}.")
    new = {"add": names, "rename": names[1:]}.get(kind, [])
    for name in names:
        if name in new and name in classes:
            cure = "" if kind == "add" else " To combine two classes, merge them."
            raise ValueError(f"There is a class {name!r} already.{cure}")
        if name not in new and name not in classes:
            raise ValueError(f"Unknown class {name!r}; the classes are {classes}.")
    if len(set(names)) < len(names):
        raise ValueError(f"A class is listed twice: {names}.")
    if kind == "merge" and len(names) < 2:
        raise ValueError("merge needs a target class and at least one other class.")
    if kind == "merge" and len(classes) - len(names) + 1 < 2:
        raise ValueError("This would leave one class; at least 2 are needed.")


def standing(changes):
    """Return the changes that were not undone.

    Raises
    ------
    ValueError
        If an undone change is not among them.
    """
    found: list[Any] = []
    for event in changes:
        if event.kind != "restore":
            found.append(event)
        elif found:
            found.pop()
        else:
            raise ValueError(
                "A change that this session's classes already contain was undone. "
                "Open it again with the earlier classes."
            )
    return found


def renamed_by(event):
    """Return the new names of labels after a change of the classes, JSON to JSON.

    It does not cover the undo of a merge, which needs each label's earlier name.
    """
    content = json.loads(event.label)
    if event.kind == "rename":
        pairs = [(content[0], content[1])]
    elif event.kind == "restore" and content[0] == "rename":
        pairs = [(content[2], content[1])]
    elif event.kind == "merge":
        pairs = [(name, content[0]) for name in content[1:]]
    else:
        pairs = []
    return {json.dumps(old): json.dumps(new) for old, new in pairs}


def classes_after(classes, event):
    """Return the sorted classes after a change."""
    content = json.loads(event.label)
    if event.kind == "add":
        return sorted({*classes, content[0]})
    if event.kind == "restore" and content[0] == "add":
        return [name for name in classes if name != content[1]]
    if event.kind == "restore" and content[0] == "merge":
        return sorted({*classes, *content[1:]})
    renamed = renamed_by(event)
    texts = [json.dumps(name) for name in classes]
    return sorted({json.loads(renamed.get(text, text)) for text in texts})


def recast_proba(proba, classes, event):
    """Map probabilities to the classes after a change; a new class gets 0.

    When a merge is undone, its classes get equal parts of their joint probability.
    """
    renamed = renamed_by(event)
    summed: dict[str, float] = {}
    for name, share in zip(classes, proba):
        text = json.dumps(name)
        text = renamed.get(text, text)
        summed[text] = summed.get(text, 0.0) + share
    after = classes_after(classes, event)
    if event.kind == "restore":
        what, *names = json.loads(event.label)
        if what == "merge":
            share = summed[json.dumps(names[0])] / len(names)
            summed.update((json.dumps(name), share) for name in names)
        elif what == "add":
            gone = summed.pop(json.dumps(names[0]))
            left = {
                text: share / max(1 - gone, 1e-12) for text, share in summed.items()
            }
            summed = left if gone < 1 else dict.fromkeys(summed, 1 / len(after))
    return [summed.get(json.dumps(name), 0.0) for name in after]


def prior_of(estimator):
    """Return the prior of an estimator, or of the last step of a pipeline, or None."""
    return getattr(split_pipeline(estimator)[1], "prior", None)


def takes_descriptions(prior):
    """Tell whether a prior is fitted again with new descriptions of classes."""
    return isinstance(prior, ZeroShotPrior)


def descriptions_of(estimator):
    """Return the class descriptions of an estimator's prior, as texts."""
    prior = prior_of(estimator)
    prior = prior.estimator if isinstance(prior, FrozenEstimator) else prior
    if isinstance(prior, RecastPrior):
        prior = prior.prior
    given: Any = getattr(prior, "class_descriptions", None)
    if not hasattr(given, "items"):
        return {}
    return {
        name: text if isinstance(text, str) else "; ".join(text)
        for name, text in given.items()
    }


def describe(descriptions, changes):
    """Return the descriptions of the classes after changes."""
    found = dict(descriptions)
    for event in standing(changes):
        content = json.loads(event.label)
        if event.kind in ("add", "describe") and content[1] is not None:
            found[content[0]] = content[1]
        elif event.kind == "rename" and content[0] in found:
            found[content[1]] = found.pop(content[0])
        elif event.kind == "merge":
            texts = [found.pop(name, None) for name in content]
            texts = list(dict.fromkeys(text for text in texts if text))
            if texts:
                found[content[0]] = "; ".join(texts)
    return found


def recast(estimator, classes, changes):
    """Clone an estimator, mapped to the classes after changes.

    That is its prior, lists of all classes (`NetClassifier(classes=...)`), and the
    weights in a ``class_weight`` dict.

    Parameters
    ----------
    estimator : classifier

    classes : list
        The classes before the changes.

    changes : list of Event

    Returns
    -------
    classifier
    """
    changes = standing(changes)
    estimator = clone(estimator)
    if not changes:
        return estimator
    model = split_pipeline(estimator)[1]
    prior = getattr(model, "prior", None)
    described, parts = _fold(prior, classes, changes)
    after = sorted(parts)
    estimator.set_params(**_listed(estimator, classes, parts))
    if takes_descriptions(prior):
        model.prior = clone(prior).set_params(class_descriptions=described)
    elif prior is not None:
        model.prior = RecastPrior(prior, after, [sorted(parts[c]) for c in after])
    return estimator


def _listed(estimator, classes, parts):
    """Return the parameters outside the prior that list classes, after changes."""
    found: dict[str, Any] = {}
    for name, value in params_named(estimator, "classes").items():
        listed = list(value) if is_list_like(value) else []
        if len(listed) == len(classes) and all(label in listed for label in classes):
            found[name] = sorted(parts)
    for name, value in params_named(estimator, "class_weight").items():
        if isinstance(value, dict) and {*value} <= {*classes}:
            # The weight of a merged class is the mean; that of a new one is 1.
            old = {k: [value.get(classes[i], 1.0) for i in parts[k]] for k in parts}
            found[name] = {k: float(np.mean(some or [1.0])) for k, some in old.items()}
    return {k: value for k, value in found.items() if "prior" not in k.split("__")}


def _fold(prior, classes, changes):
    """Return descriptions after changes, and the prior's columns of each class."""
    described = dict(getattr(prior, "class_descriptions", {}))
    parts = {name: [k] for k, name in enumerate(classes)}
    for event in changes:
        content = json.loads(event.label)
        first, second = content[0], content[1]
        if event.kind == "add":
            parts[first] = []
            described[first] = second or str(first)
        elif event.kind == "describe":
            described[first] = second
        elif event.kind == "rename":
            parts[second] = parts.pop(first)
            described[second] = described.pop(first, str(second))
        else:
            parts[first] = [k for name in content for k in parts.pop(name)]
            texts = [described.pop(name, str(name)) for name in content]
            lists = [[text] if isinstance(text, str) else list(text) for text in texts]
            described[first] = list(chain.from_iterable(lists))
    return described, parts


class RecastPrior(BasePrior):
    """A prior with renamed, merged or added classes.

    Parameters
    ----------
    prior : prior
        The prior for the classes before the changes.

    classes : list
        The current classes, sorted.

    parts : list of list of int
        For each class, the classes of `prior` that make it up, as positions in sorted
        order. A class without any gets an equal share, as the prior knows nothing about
        it.

    Attributes
    ----------
    prior_ : fitted prior

    classes_ : ndarray of shape (n_classes,)

    Examples
    --------
    >>> from cofm_sklearn import PrecomputedPrior
    >>> from cofm_sklearn.annotation.class_changes import RecastPrior
    >>> three = PrecomputedPrior(["a", "b", "c"])
    >>> prior = RecastPrior(three, ["a", "d"], [[0, 2], [1]])
    >>> prior.fit([[0.5, 0.2, 0.3]]).predict_proba([[0.5, 0.2, 0.3]])
    array([[0.8, 0.2]])
    """

    def __init__(self, prior, classes, parts):
        self.prior = prior
        self.classes = classes
        self.parts = parts

    def fit(self, X, y=None):
        """Fit the prior to unlabelled samples, unless it is frozen and fitted.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that the prior accepts.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
        """
        prior = clone(self.prior)
        self.prior_ = prior if is_fitted(prior) else prior.fit(X)
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        """Predict probabilities of the current classes.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that the prior accepts.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self, "prior_")
        before = np.asarray(self.prior_.predict_proba(X), dtype=np.float64)
        before = before[:, np.argsort(self.prior_.classes_)]
        n_classes = len(self.parts)
        proba = np.full((len(before), n_classes), 1.0 / n_classes)
        known = sum(bool(columns) for columns in self.parts) / n_classes
        for k, columns in enumerate(self.parts):
            if columns:
                proba[:, k] = known * before[:, columns].sum(axis=1)
        return proba

    def features(self, X):
        """Return the part of X that a small model should see."""
        return features_for_small_model(self.prior_, X)

    def embed(self, X):
        """Return embeddings of X, or None if the prior has none."""
        return self.prior_.embed(X) if is_package_prior(self.prior_) else None
