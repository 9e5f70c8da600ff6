"""What a session shows: questions and progress."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Progress", "Question", "explain", "make_question", "summarise"]

# Below this lead of the first class over the second, a model is called unsure.
_CLOSE = 0.3


@dataclass(frozen=True)
class Question:
    """A sample that a person is asked about.

    Attributes
    ----------
    id : str
        Name of the sample, made from its content.

    index : int
        Its row in X; the first, where equal samples share the id.

    sample : object
        ``X[index]``.

    prior_proba, small_proba, proba : dict of label to float, or None
        What the prior, the small model, and both together say; None for who has no
        opinion yet.

    utility : float or None
        What the query strategy found the sample worth when it chose it.

    reason : str
        Why it is shown, in words.

    label : str, int, bool or None
        The present label, in a review.

    label_quality : float or None
        Probability that the present label is right, in a review.

    annotator : str or None
        Who is asked; in a review, who gave the label (several with commas).
    """

    id: str
    index: int
    sample: Any
    prior_proba: dict | None = None
    small_proba: dict | None = None
    proba: dict | None = None
    utility: float | None = None
    reason: str = ""
    label: Any = None
    label_quality: float | None = None
    annotator: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a session has come.

    Attributes
    ----------
    n_labels, n_pool, n_skipped, n_open : int
        Samples of the pool with a label, altogether (equal ones count once), put
        aside, and asked about without an answer.

    counts : dict of label to int
        Labels per class, for every class; where annotators differ, the first counts.

    noise_rate : float or None
        Share of wrong labels, as the estimator sees it; None while unknown.

    accuracy : float or None
        Share of the labels that models which have not seen them predict. The labels
        are of samples that were chosen for being hard, so it is rather too low for
        the pool. None below 10 labels.

    accuracy_interval : tuple of (float, float) or None
        Wilson's interval of it, at 95 %.

    curve : list of (int, float)
        Number of labels and accuracy, as it went.

    should_stop : bool
        Whether the stopping rule says that it is enough.

    stop_reason : str or None
        Why.
    """

    n_labels: int
    n_pool: int
    n_skipped: int
    n_open: int
    counts: dict
    noise_rate: float | None
    accuracy: float | None
    accuracy_interval: tuple | None
    curve: list
    should_stop: bool
    stop_reason: str | None


def make_question(X, row, sample, details, classes, **others):
    """Return a Question about row `row` of X.

    Parameters
    ----------
    X : array-like
        The pool.

    row : int

    sample : str
        Its id.

    details : dict
        As for `explain`; may have a `utility`.

    classes : list

    **others
        `label`, `label_quality`, `annotator`.
    """
    reason = explain(details, classes)
    if "label" in others:
        quality = f"{others['label_quality']:.0%}".replace("%", " %")
        reason = (
            f"Labelled {others['label']}, which is {quality} likely right. {reason}"
        )

    def opinion(name):
        proba = details[name]
        return None if proba is None else dict(zip(classes, proba))

    return Question(
        id=sample,
        index=row,
        sample=X.iloc[row] if hasattr(X, "iloc") else X[row],
        utility=details.get("utility"),
        reason=reason,
        prior_proba=opinion("prior_proba"),
        small_proba=opinion("small_proba"),
        proba=opinion("proba"),
        **others,
    )


def summarise(reports):
    """Return what reports of batches, in order, say for a `Progress`, as a dict."""
    # A batch before which nothing was answered says the same as the one before.
    measured = {r["n_labels"]: r for r in reports if "n_labels" in r}
    latest = list(measured.values())[-1] if measured else {}
    interval = latest.get("interval")
    return {
        "noise_rate": latest.get("noise_rate"),
        "accuracy": latest.get("accuracy"),
        "accuracy_interval": None if interval is None else tuple(interval),
        "curve": [
            (n, r["accuracy"]) for n, r in measured.items() if r["accuracy"] is not None
        ],
        "should_stop": bool(reports and reports[-1]["stop"]),
        "stop_reason": reports[-1]["stop_reason"] if reports else None,
    }


def explain(details, classes):
    """Say in words what made a sample worth a question.

    Parameters
    ----------
    details : dict
        `prior_proba`, `small_proba` and `proba`: lists in the order of the classes, or
        None.

    classes : list

    Returns
    -------
    str

    Examples
    --------
    >>> from cofm_sklearn.annotation.views import explain
    >>> explain({"prior_proba": [0.9, 0.1], "small_proba": [0.2, 0.8],
    ...          "proba": [0.5, 0.5]}, ["ham", "spam"])
    'The prior says ham (90 %), the small model spam (80 %).'
    """
    prior, small, both = (
        _leaders(details[name], classes)
        for name in ("prior_proba", "small_proba", "proba")
    )
    if both is None:
        return "No model has an opinion yet; any label helps."
    if prior and small and prior[0][0] != small[0][0]:
        return f"The prior says {_say(prior[0])}, the small model {_say(small[0])}."
    who = "The prior" if small is None else "The model"
    first, second = both
    if first[1] - second[1] < _CLOSE:
        return f"{who} is unsure: {_say(first)} or {_say(second)}."
    return f"{who} expects {_say(first)}; a label tells whether that is right here."


def _leaders(proba, classes):
    if proba is None:
        return None
    order = sorted(range(len(classes)), key=lambda k: -proba[k])
    return [(classes[k], proba[k]) for k in order[:2]]


def _say(one):
    return f"{one[0]} ({one[1]:.0%})".replace("%", " %")
