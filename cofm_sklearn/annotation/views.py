"""Questions and progress of a session, as shown to people."""

from dataclasses import dataclass, field
from typing import Any

from cofm_sklearn.loop.check_score import score_check_set

__all__ = ["Progress", "Question", "explain", "make_question", "summarise"]

# A model is called unsure if the margin of its top two classes is below this.
_CLOSE = 0.3
# A sample covers new ground if its cosines to earlier ones are below this.
_ALIKE = 0.7


@dataclass(frozen=True)
class Question:
    """A sample for a person to label.

    Attributes
    ----------
    id : str
        Id of the sample, based on its content.

    index : int
        Its row in X; the first one if equal samples share the id.

    sample : object
        ``X[index]``.

    prior_proba, small_proba, neighbors_proba, proba : dict of label to float, or None
        Predictions of the prior, the small model, the neighbours, and all together;
        None if not available yet.

    utility : float or None
        Utility of the sample when the query strategy selected it.

    reason : str
        Why it is shown, in words.

    label : str, int, bool or None
        The current label, in a review.

    label_quality : float or None
        Probability that the current label is right, in a review.

    annotator : str or None
        The annotator; in a review, the label's annotators, separated by commas.

    nearest : list of (str, label, float)
        The labelled samples that were nearest when it was selected: id, label and
        cosine similarity.

    likeness : float or None
        Cosine similarity to the nearest earlier question or label: the lower, the more
        new ground it covers.

    trust : dict of str to float, or None
        Weights of ``"prior"``, ``"small"`` model and ``"neighbors"``, which add up to
        1.

    near_duplicates : list of str
        Ids of near-duplicates that have no label and are predicted to be of the same
        class.

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
    """Progress of a session.

    Attributes
    ----------
    n_labels, n_pool, n_skipped, n_open : int
        Numbers of samples of the pool with a label, in total (equal ones count once),
        skipped, and asked about without an answer.

    counts : dict of label to int
        Labels per class, for every class; if annotators differ, the first counts.

    noise_rate : float or None
        The estimator's share of wrong labels; None while unknown.

    accuracy : float or None
        Out-of-fold accuracy on the labels. Queries select hard samples, so it is
        usually too low for the pool; `check` estimates the pool. None below 10 labels.
        With ``background=False``, it is measured when the next questions are chosen.

    accuracy_interval : tuple of (float, float) or None
        Wilson's interval of the accuracy, at 95 %.

    curve : list of (int, float)
        Number of labels and accuracy, over time.

    should_stop : bool
        Whether the stopping rule has decided to stop.

    stop_reason : str or None
        Explanation of the decision.

    check : CheckScore or None
        Accuracy, balanced accuracy and recalls on the check set, with intervals.

    n_checks : int
        Labels in the check set, which are included in `n_labels`.

    n_measured : int or None
        Training labels of the model behind noise, accuracy and check.
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
        Id of the sample.

    details : dict
        As in `explain`; may have a `utility`.

    classes : list

    **others
        `label`, `label_quality`, `annotator`, `nearest`, `near_duplicates`.
    """
    reason = explain(details, classes)
    if others.get("label_quality") is not None:
        quality = _of(others["label_quality"])
        reason = (
            f"Labelled {others['label']}, right with probability {quality}. {reason}"
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
    """Summarise the reports of batches, in order, as fields of a `Progress`."""
    says = [report for report in reports if "stop" in report]
    # A batch without new answers has the same report as the previous one.
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
    """Explain in words why a sample was selected.

    Parameters
    ----------
    details : dict
        `prior_proba`, `small_proba` and `proba`: lists in the order of the classes, or
        None. `likeness` to earlier questions, if known.

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
    return f" {kind}: similarity to the nearest earlier sample is {_of(likeness)}."


def _opinion(details, classes):
    prior, small, both = (
        _leaders(details.get(name), classes)
        for name in ("prior_proba", "small_proba", "proba")
    )
    if details.get("check"):
        return (
            "Drawn at random to measure the model, which is not trained on this label. "
            "Its prediction is hidden, to avoid bias."
        )
    if both is None:
        return "There are no predictions yet; any label helps."
    if prior and small and prior[0][0] != small[0][0]:
        return f"The prior says {_say(prior[0])}, the small model {_say(small[0])}."
    who = "The prior" if small is None else "The model"
    first, second = both
    if first[1] - second[1] < _CLOSE:
        return f"{who} is unsure: {_say(first)} or {_say(second)}."
    return f"{who} predicts {_say(first)}; a label shows whether this is right."


def _leaders(proba, classes):
    if proba is None:
        return None
    order = sorted(range(len(classes)), key=lambda k: -proba[k])
    return [(classes[k], proba[k]) for k in order[:2]]


def _say(one):
    return f"{one[0]} ({_of(one[1])})"


def _of(share):
    return f"{100 * share:.0f} %"
