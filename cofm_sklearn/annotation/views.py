"""What a session shows: questions and progress."""

from dataclasses import dataclass, field
from typing import Any

from cofm_sklearn.loop.check_score import score_check_set

__all__ = ["Progress", "Question", "explain", "make_question", "summarise"]

# Below this lead of the first class over the second, a model is called unsure.
_CLOSE = 0.3
# From this cosine on, a sample is no new ground.
_ALIKE = 0.7


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

    prior_proba, small_proba, neighbors_proba, proba : dict of label to float, or None
        What the prior, the small model, the neighbours, and all together say; None for
        who has no opinion yet.

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

    nearest : list of (str, label, float)
        The labelled samples that were nearest when it was chosen: id, label and
        cosine of their embeddings.

    likeness : float or None
        Cosine of the nearest sample that was labelled or asked about before: the lower,
        the more new ground.

    trust : dict of str to float, or None
        How far ``"prior"``, ``"small"`` model and ``"neighbors"`` are believed; they
        add up to 1.

    near_duplicates : list of str
        Ids of samples that are nearly the same, have no label, and are expected to be
        of the same class.

    is_check : bool
        Whether it was drawn for the check set.
    """

    id: str
    index: int
    sample: Any
    prior_proba: dict | None = None
    small_proba: dict | None = None
    neighbors_proba: dict | None = None
    proba: dict | None = None
    utility: float | None = None
    reason: str = ""
    label: Any = None
    label_quality: float | None = None
    annotator: str | None = None
    nearest: list = field(default_factory=list)
    likeness: float | None = None
    trust: dict | None = None
    near_duplicates: list = field(default_factory=list)
    is_check: bool = False


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
        Out of fold: the share of the labels that models which have not seen them
        predict. The labels are of samples that were chosen for being hard, so it is
        rather too low for the pool; `check` is of the pool. None below 10 labels.

    accuracy_interval : tuple of (float, float) or None
        Wilson's interval of it, at 95 %.

    curve : list of (int, float)
        Number of labels and accuracy, as it went.

    should_stop : bool
        Whether the stopping rule says that it is enough.

    stop_reason : str or None
        Why.

    check : CheckScore or None
        Accuracy, balanced accuracy and recalls on the check set, with intervals.

    n_checks : int
        Labels in the check set, which are among the `n_labels`.

    n_measured : int or None
        Labels that the model behind noise, accuracy and check was trained on.
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
    check: Any = None
    n_checks: int = 0
    n_measured: int | None = None


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
        `label`, `label_quality`, `annotator`, `nearest`, `near_duplicates`.
    """
    reason = explain(details, classes)
    if others.get("label_quality") is not None:
        quality = _of(others["label_quality"])
        reason = (
            f"Labelled {others['label']}, which is {quality} likely right. {reason}"
        )

    def opinion(name):
        proba = details.get(name)
        return None if proba is None else dict(zip(classes, proba))

    return Question(
        id=sample,
        index=row,
        sample=X.iloc[row] if hasattr(X, "iloc") else X[row],
        utility=details.get("utility"),
        reason=reason,
        prior_proba=opinion("prior_proba"),
        small_proba=opinion("small_proba"),
        neighbors_proba=opinion("neighbors_proba"),
        proba=opinion("proba"),
        likeness=details.get("likeness"),
        trust=details.get("trust"),
        is_check=bool(details.get("check")),
        **others,
    )


def summarise(reports, classes):
    """Return what reports of batches, in order, say for a `Progress`, as a dict."""
    says = [report for report in reports if "stop" in report]
    # A batch before which nothing was answered says the same as the one before.
    measured = {r["n_labels"]: r for r in reports if "n_labels" in r}
    latest: dict[str, Any] = next((r for r in reversed(reports) if "n_labels" in r), {})
    interval = latest.get("interval")
    counts = latest.get("check")
    if counts is not None and [name for name, *_ in counts] != classes:
        counts = None  # the classes have changed since
    return {
        "noise_rate": latest.get("noise_rate"),
        "accuracy": latest.get("accuracy"),
        "accuracy_interval": None if interval is None else tuple(interval),
        "curve": [
            (n, r["accuracy"]) for n, r in measured.items() if r["accuracy"] is not None
        ],
        "should_stop": bool(says and says[-1]["stop"]),
        "stop_reason": says[-1]["stop_reason"] if says else None,
        "check": None if counts is None else score_check_set(counts),
        "n_measured": latest.get("n_labels"),
    }


def explain(details, classes):
    """Say in words what made a sample worth a question.

    Parameters
    ----------
    details : dict
        `prior_proba`, `small_proba` and `proba`: lists in the order of the classes, or
        None. `likeness`, if there is one, to what was asked before.

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
    return f"{_opinion(details, classes)}{_ground(details)}"


def _ground(details):
    likeness = details.get("likeness")
    if details.get("utility") is None or likeness is None:
        return ""
    kind = "New ground" if likeness < _ALIKE else "Known ground"
    return f" {kind}: the nearest sample asked before is {_of(likeness)} alike."


def _opinion(details, classes):
    prior, small, both = (
        _leaders(details.get(name), classes)
        for name in ("prior_proba", "small_proba", "proba")
    )
    if details.get("check"):
        return (
            "Drawn at random, to measure the model on: it does not learn from this "
            "label, and its guess is not shown, so that it sways nobody."
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
    return f"{one[0]} ({_of(one[1])})"


def _of(share):
    return f"{100 * share:.0f} %"
