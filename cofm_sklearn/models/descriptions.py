"""Find weak class descriptions, with or without labels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from cofm_sklearn.models.fusion import compare_priors
from cofm_sklearn.models.small_model import class_proba
from cofm_sklearn.priors.base import check_descriptions, closeness, fitted_prior
from cofm_sklearn.utils.labels import check_labels, encode_labels
from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import (
    check_integer,
    check_not_empty,
    check_proba,
    n_rows,
    take_rows,
)

__all__ = ["DescriptionReview", "review_descriptions"]

# Change of log-odds per standard deviation of closeness for a good description.
_SLOPES = np.array([0.5, 1.0, 2.0, 4.0])
# Log-odds of a class at mean closeness, relative to those of its share.
_SHIFTS = np.linspace(-4, 4, 17)
_SHIFT_SCALE = 1.5
# Labels may be wrong, so no single one may decide.
_SLIP = 0.05
# A description is weak if its probability of helping is below this.
_WEAK = 0.4
_NEAR = 0.8
_RARE = 0.1  # of an equal share


@dataclass(frozen=True)
class DescriptionReview:
    """Review of the class descriptions by pool and labels.

    Attributes
    ----------
    descriptions : DataFrame
        A row per class, in the order of the classes: `description`; `share`, the part
        of the pool that the prior assigns to it; `nearest`, the class whose description
        ranks the pool most similarly, and `likeness`, the correlation; `typical` and
        `doubtful`, samples closest to it, and between it and another class (texts, or
        else positions in the pool). With labels also `n_labels`; `n_right`, how many of
        these the prior predicts; `taken_for`, its most frequent prediction for the
        others; `helps` and `misleads`, the probability that closeness to the
        description is evidence for, and against, the class; `strength`, its size in
        log-odds per standard deviation. `note` is a summary in words.

    confusions : DataFrame or None
        Labels (rows) by the prior's prediction (columns); None without labels.

    candidates : DataFrame or None
        A row per wording: `label`, `description`, `current`, whether it is the current
        one; `share` of the pool; `changed`, the part of the pool that changes class;
        with labels also `n_right` of all, and `evidence`, the probability that this
        wording of the class predicts the labels best.
    """

    descriptions: pd.DataFrame
    confusions: pd.DataFrame | None
    candidates: pd.DataFrame | None

    @property
    def ranked(self):
        """Classes with labels, sorted from the weakest description to the strongest."""
        return self._by_strength().index.tolist()

    @property
    def weak(self):
        """Classes whose labels are evidence against the description."""
        table = self._by_strength()
        return table.index[table["helps"] < _WEAK].tolist()

    def _by_strength(self):
        table = self.descriptions
        if "strength" not in table:
            table = table.assign(n_labels=0, helps=0.0, strength=0.0)
        return table[table["n_labels"] > 0].sort_values("strength", kind="stable")

    def _repr_html_(self):
        parts = {
            "Descriptions": self.descriptions,
            "Labels by the prior's prediction": self.confusions,
            "Other wordings": self.candidates,
        }
        return "".join(
            f"<h4>{name}</h4>{table.to_html()}"
            for name, table in parts.items()
            if table is not None
        )


def review_descriptions(
    prior,
    X,
    X_labeled=None,
    y_labeled=None,
    *,
    candidates=None,
    samples=None,
    n_examples=3,
):
    """Find weak class descriptions, and compare other wordings.

    Each description is judged separately: do samples close to it belong to its class
    more often, or less often, than others? Starting with equal odds for more, less and
    neither, 20 labels are usually enough to detect one that does not fit.

    Parameters
    ----------
    prior : prior
        `ZeroShotPrior`, or another one, preferably fitted on X. A language model is
        queried for all of X, and again for each other wording, each with its own
        budget; a part of the pool is enough there.

    X : array-like of length n_samples
        Unlabelled samples, preferably the pool.

    X_labeled : array-like of length n_labeled or None, default=None
        Labelled samples.

    y_labeled : array-like of shape (n_labeled,) or None, default=None
        Their labels.

    candidates : dict or None, default=None
        Label -> another description, or a list of alternatives. For priors with
        `class_descriptions`; lists of texts to be averaged cannot be tried here.

    samples : sequence of length n_samples or None, default=None
        What to show for each sample of X; None shows texts as they are, else positions.

    n_examples : int, default=3
        Number of typical and of doubtful samples per class.

    Returns
    -------
    DescriptionReview

    Raises
    ------
    ValueError
        If X is empty, lengths differ, a label or a key of `candidates` is not a class
        of the prior, `n_examples` is below 1, or there are candidates and the prior
        has no `class_descriptions`.

    TypeError
        If `candidates` is not a dict of texts.

    See Also
    --------
    cofm_sklearn.simulation.DescriptionsDisplay : Plots the review.

    Examples
    --------
    >>> from cofm_sklearn import ZeroShotPrior
    >>> from cofm_sklearn.models import review_descriptions
    >>> texts = ["the match ended two to one", "shares fell after the report",
    ...          "the goalkeeper was injured", "the bank raised its rates"]
    >>> labels = ["sport", "money", "sport", "money"]
    >>> prior = ZeroShotPrior({"sport": "the economy", "money": "a sports game"})
    >>> review = review_descriptions(
    ...     prior.fit(texts), texts, texts, labels, candidates={"sport": "a match"})
    >>> review.descriptions["n_right"].tolist()
    [0, 0]
    >>> review.candidates[["label", "description", "n_right"]]
       label  description  n_right
    0  sport  the economy        0
    1  sport      a match        4
    """
    check_integer("n_examples", n_examples, 1)
    check_not_empty(X)
    prior = fitted_prior(prior, X)
    classes = prior.classes_
    codes = _check_labeled(X_labeled, y_labeled, classes)
    if samples is None:
        samples = X if is_text(X) else np.arange(n_rows(X))
    elif n_rows(samples) != n_rows(X):
        raise ValueError(f"samples has {n_rows(samples)} items for {n_rows(X)} rows.")
    table, proba, close = _describe_pool(prior, X, samples, n_examples)
    confusions = None
    if codes is not None:
        said = class_proba(prior, X_labeled, classes).argmax(axis=1)
        counts = np.zeros((len(classes), len(classes)), dtype=int)
        np.add.at(counts, (codes, said), 1)
        confusions = pd.DataFrame(counts, index=classes, columns=classes)
        _judge(table, counts, closeness(prior, X_labeled), close, codes)
    table["note"] = [_note(row, len(classes)) for row in table.itertuples()]
    tried = None
    if candidates is not None:
        given = None if codes is None else (X_labeled, codes)
        tried = _try_candidates(prior, X, proba.argmax(axis=1), given, candidates)
    return DescriptionReview(table, confusions, tried)


def _check_labeled(X_labeled, y_labeled, classes):
    """Return the positions of the labels, or None without labels."""
    if (X_labeled is None) != (y_labeled is None):
        raise ValueError("X_labeled and y_labeled must be given together.")
    if X_labeled is None or n_rows(X_labeled) == 0:
        return None
    codes = encode_labels(check_labels(y_labeled, name="y_labeled"), classes)
    if len(codes) != n_rows(X_labeled):
        raise ValueError(
            f"X_labeled has {n_rows(X_labeled)} samples for {len(codes)} labels."
        )
    return codes


def _describe_pool(prior, X, samples, n_examples):
    """Return the part without labels: a frame, probabilities, and closeness."""
    classes = prior.classes_
    n_classes = len(classes)
    proba = check_proba(class_proba(prior, X, classes), n_rows(X), n_classes)
    close = closeness(prior, X)
    said = proba.argmax(axis=1)
    centred = close - close.mean(axis=0)
    norms = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    alike = centred.T @ centred / np.outer(norms, norms)
    np.fill_diagonal(alike, -np.inf)
    order = np.sort(proba, axis=1)
    lead = order[:, -1] - order[:, -2]
    second = proba >= order[:, [-2]]

    def examples(rows):
        return list(np.ravel(take_rows(samples, rows[:n_examples])))

    table = pd.DataFrame(index=pd.Index(classes, name="label"))
    table["description"] = _wordings(prior)
    table["share"] = np.bincount(said, minlength=n_classes) / len(said)
    table["nearest"] = classes[alike.argmax(axis=1)]
    table["likeness"] = alike.max(axis=1)
    table["typical"] = [
        examples(np.argsort(-proba[:, k], kind="stable")) for k in range(n_classes)
    ]
    table["doubtful"] = [
        examples(np.flatnonzero(second[:, k])[np.argsort(lead[second[:, k]])])
        for k in range(n_classes)
    ]
    return table, proba, close


def _judge(table, counts, close, close_pool, codes):
    """Add the columns that need labels, class by class."""
    classes = table.index.to_numpy()
    scale = np.maximum(close_pool.std(axis=0), 1e-12)
    scaled = (close - close_pool.mean(axis=0)) / scale
    others = counts - np.diag(np.diag(counts))
    judged = [judge(scaled[:, k], codes == k) for k in range(len(classes))]
    table["n_labels"] = counts.sum(axis=1)
    table["n_right"] = np.diag(counts)
    table["taken_for"] = [
        classes[row.argmax()] if row.any() else None for row in others
    ]
    table["helps"] = [one[0] for one in judged]
    table["misleads"] = [one[1] for one in judged]
    table["strength"] = [one[2] for one in judged]


def judge(close, of_class):
    """Judge whether samples close to a description belong to its class.

    Parameters
    ----------
    close : ndarray of shape (n_labeled,)
        Closeness, of mean 0 and standard deviation 1 in the pool.

    of_class : ndarray of shape (n_labeled,), dtype bool
        Whether samples belong to the class.

    Returns
    -------
    helps, misleads : float
        Probability that closeness is evidence for, and against, the class; the rest up
        to 1 is that it is neither.

    strength : float
        Log-odds per unit of closeness: the posterior mean.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.descriptions import judge
    >>> helps, misleads, strength = judge(np.linspace(-2, 2, 20), np.arange(20) >= 12)
    >>> helps > 0.95, misleads < 0.05, strength > 1
    (True, True, True)
    """
    slopes = np.concatenate([_SLOPES, [0.0], -_SLOPES])
    belief = np.full(len(slopes), -np.log(3 * len(_SLOPES)))
    belief[len(_SLOPES)] = -np.log(3)
    n_of, n_all = np.count_nonzero(of_class), len(of_class)
    shift = np.log((n_of + 0.5) / (n_all - n_of + 0.5)) + _SHIFTS
    shift_belief = -0.5 * (_SHIFTS / _SHIFT_SCALE) ** 2
    shift_belief -= logsumexp(shift_belief)
    logits = slopes[:, None, None] * close + shift[:, None]
    proba = (1 - _SLIP) * expit(logits) + _SLIP / 2
    log_likelihood = np.log(np.where(of_class, proba, 1 - proba)).sum(axis=2)
    log_post = logsumexp(log_likelihood + shift_belief, axis=1) + belief
    post = np.exp(log_post - logsumexp(log_post))
    helps = float(post[: len(_SLOPES)].sum())
    misleads = float(post[len(_SLOPES) + 1 :].sum())
    return helps, misleads, float(post @ slopes)


def _note(row, n_classes):
    """Summarise in words what is wrong with a description."""
    notes = []
    if getattr(row, "n_labels", 1) == 0:
        notes.append("no label yet")
    elif getattr(row, "helps", 1.0) < _WEAK:
        verb = "misleads" if row.misleads > 0.5 else "says little"
        taken = f": taken for {row.taken_for}" if pd.notna(row.taken_for) else ""
        notes.append(verb + taken)
    if row.likeness > _NEAR:
        notes.append(f"near to {row.nearest}")
    if row.share < _RARE / n_classes:
        notes.append("hardly ever given")
    return "; ".join(notes)


def _try_candidates(prior, X, said, labeled, candidates):
    """Return a frame of all wordings; `labeled` is a pair of samples and positions."""
    inner = prior.estimator if isinstance(prior, FrozenEstimator) else prior
    descriptions = getattr(inner, "class_descriptions", None)
    if descriptions is None:
        raise ValueError(
            f"candidates need a prior with class_descriptions; {type(inner).__name__} "
            "has none."
        )
    tried: list[dict] = []
    for label, texts in _check_candidates(candidates, prior.classes_.tolist()).items():
        wordings = [inner]
        for text in texts:
            other = clone(inner)
            other.set_params(class_descriptions={**descriptions, label: text})
            wordings.append(other.fit(X))
        rows = []
        for wording, text in zip(wordings, [None, *texts]):
            now = wording.predict_proba(X).argmax(axis=1)
            k = prior.classes_.tolist().index(label)
            rows.append(
                {
                    "label": label,
                    "description": _wordings(inner)[k] if text is None else text,
                    "current": text is None,
                    "share": (now == k).mean(),
                    "changed": (now != said).mean(),
                }
            )
        if labeled is not None:
            X_labeled, codes = labeled
            probas = np.array([one.predict_proba(X_labeled) for one in wordings])
            evidence = compare_priors(probas, codes)
            for row, proba, share in zip(rows, probas, evidence):
                row["n_right"] = int((proba.argmax(axis=1) == codes).sum())
                row["evidence"] = share
        tried += rows
    return pd.DataFrame(tried)


def _check_candidates(candidates, classes):
    if not isinstance(candidates, dict):
        raise TypeError(
            "candidates must be a dict of label -> descriptions, got "
            f"{type(candidates).__name__}."
        )
    for label in candidates:
        if label not in classes:
            raise ValueError(
                f"candidates has the unknown label {label!r}; classes are {classes}."
            )
    # The other classes are listed for completeness.
    _, texts = check_descriptions({**dict.fromkeys(classes, "x"), **candidates})
    return {
        label: names
        for label, names in zip(sorted(classes), texts)
        if label in candidates
    }


def _wordings(prior):
    """Return the description of each class; its label if there is none."""
    texts = getattr(prior, "descriptions_", None)
    if texts is None:
        return [str(label) for label in prior.classes_]
    return ["; ".join(names) for names in texts]
