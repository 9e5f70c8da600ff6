"""Label a whole pool, and select the labels that people should review."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted, column_or_1d

from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.models.precision import (
    agree_beyond_chance,
    count_precision,
    fit_precision,
    pool_scores,
    pool_shares,
    score_weights,
)
from cofm_sklearn.noise.annotators import out_of_fold_proba
from cofm_sklearn.noise.estimate import estimate_noise
from cofm_sklearn.utils.labels import align_proba, encode_labels
from cofm_sklearn.utils.pipelines import resamples, split_pipeline
from cofm_sklearn.utils.validation import (
    check_number,
    check_pool,
    n_rows,
    take_rows,
)

__all__ = ["label_pool"]

# With fewer answers, the precision of unseen labels cannot be estimated.
_ENOUGH = 20
# Probability with which the unreviewed labels of a class reach the target.
_CONFIDENCE = 0.8
_N_FOLDS = 5


def label_pool(
    model, X_pool, y=None, labeled=None, *, check=None, target_precision=None
):
    """Label a whole pool, and select the labels that people should review.

    Answered samples keep their answer; the others get the model's prediction. The
    probability that a prediction is right is learned from the answers, compared with
    predictions of models that have not seen them. Since queries select hard samples,
    the answers are reweighted to match the pool's confidence and count half; wrong
    answers are accounted for at the rate that the model estimates; and the class shares
    of the pool, which a balanced model ignores, are estimated from all of it.

    With a target, the model keeps as many labels as possible, such that in each
    predicted class the target share of them is right, with probability .8; people
    should review all others. With fewer than 20 answers, or answers of one class only,
    that is all of them.

    Parameters
    ----------
    model : classifier
        Fitted on the answered samples without those in `check`, in their order.
        Preferably a `CoDecisionClassifier`, or a pipeline that ends in one. Others need
        a `predict_proba` that assumes equal class shares (``class_weight="balanced"``),
        and are trained five more times; so is a pipeline with a sampler.

    X_pool : array-like of length n_pool
        The pool: texts, embeddings, images, or a data frame.

    y : array-like of shape (n_labeled,) or None, default=None
        The answers. If both `y` and `labeled` are None, there are none.

    labeled : array-like of shape (n_labeled,), dtype int, or None, default=None
        Rows of the pool with an answer.

    check : array-like of int or None, default=None
        Rows among `labeled` that were drawn at random from the pool and not used in
        training. They count in full, and the interval is based on them alone.

    target_precision : float or None, default=None
        Required share of right labels among the model's, in (0, 1).

    Returns
    -------
    DataFrame
        A row per sample, in the order of the pool and with its index:

        - `label`;
        - `probability` that it is right;
        - `source`: ``"person"`` or ``"co-decision"``;
        - `look`: whether a person should review it. An answer: if it is more likely
          wrong than right. Another label: also if it does not reach the target.

        Its ``attrs`` describe the model's labels that need no review:
        `target_precision`; `coverage`, their share among the samples without answers;
        `precision`, their expected share of right labels (NaN if there are none);
        `precision_interval`, where it lies with probability .95 ((0, 1) if there are
        none); `n_check`, the number of check answers behind it (0: the interval comes
        from the other answers); and `curve`, lists of `coverage`, `precision`, `low`
        and `high` for fewer and for more labels.

    Raises
    ------
    ValueError
        If the pool is empty, `y` and `labeled` differ in length, a row is not in the
        pool or is repeated, a check row has no answer, an answer is not a class of the
        model, the model was fitted on other labels or in another order, or the target
        is not in (0, 1).

    TypeError
        If the model has no `predict_proba`, or rows are not integers.

    NotFittedError
        If the model is not fitted.

    See Also
    --------
    cofm_sklearn.simulation.PrecisionCoverageDisplay : Plots precision over coverage.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import CoDecisionClassifier
    >>> from cofm_sklearn.models import label_pool
    >>> X, y = make_blobs([150, 150], n_features=4, cluster_std=4, random_state=1)
    >>> asked = np.arange(0, 300, 5)
    >>> model = CoDecisionClassifier(
    ...     LogisticRegression(class_weight="balanced"), random_state=0)
    >>> table = label_pool(
    ...     model.fit(X[asked], y[asked]), X, y[asked], asked, target_precision=0.9)
    >>> len(table), int((table["source"] == "person").sum())
    (300, 60)
    >>> sure = table[(table["source"] == "co-decision") & ~table["look"]]
    >>> len(sure) / 240 == table.attrs["coverage"] > 0.5
    True
    >>> bool(np.mean(sure["label"] == y[sure.index]) >= 0.9)
    True
    """
    check_number(
        "target_precision", target_precision, 0, 1, closed="neither", also=(None,)
    )
    index = X_pool.index if hasattr(X_pool, "iloc") else None
    X_pool = check_pool(X_pool)
    n_pool = n_rows(X_pool)
    y, labeled, is_check = _check_answers(y, labeled, check, n_pool)
    transformers, final = split_pipeline(model)
    check_is_fitted(final)
    own = classes = np.asarray(final.classes_)
    if not np.isin(y[is_check], own).all():  # the model has not seen these answers
        classes = np.union1d(own, y[is_check])
    answers = encode_labels(y, classes, cure="Fit the model with all classes.")
    taught = labeled[~is_check]
    codes = encode_labels(model.predict(X_pool), classes)
    if isinstance(final, CoDecisionClassifier) and not resamples(model):
        Z = X_pool
        for step in transformers:
            Z = step.transform(Z)
        proba = align_proba(final.proba_without_neighbors(Z), own, classes)
        oof_proba = align_proba(final.oof_proba_, own, classes)
        noise_rate, taught_quality = final.noise_rate_, final.label_quality_
        noise_rates = final.noise_rate_interval_
        if not np.array_equal(final.y_train_, classes[answers[~is_check]]):
            raise ValueError(
                f"The model was fitted on {len(oof_proba)} labels, which are not those "
                f"of the {len(taught)} answered rows that are not in check. Fit it on "
                "these, in this order."
            )
    else:
        oof_proba = out_of_fold_proba(
            model, take_rows(X_pool, taught), classes, answers[~is_check], _N_FOLDS, 0
        )
        proba = align_proba(model.predict_proba(X_pool), own, classes)
        noise_rate, taught_quality = 0.0, np.ones(len(taught))
        noise_rates = (0.0, 1.0)
        if len(taught) and len(classes) > 1:
            noise = estimate_noise(y[~is_check], oof_proba, classes=classes)
            noise_rate, taught_quality = noise.noise_rate, noise.label_quality
            noise_rates = noise.noise_rate_interval

    shares = pool_shares(proba)
    scores = pool_scores(proba, shares, codes)
    judged = oof_proba.argmax(axis=1) if len(taught) else np.empty(0, dtype=np.int64)
    judged_scores = pool_scores(oof_proba, shares, judged)
    checked = labeled[is_check]
    n_classes = max(len(classes), 2)
    guessed = np.concatenate([judged, codes[checked]])
    told = np.concatenate([answers[~is_check], answers[is_check]])
    precision = fit_precision(
        np.concatenate([judged_scores, scores[checked]]),
        guessed == told,
        np.concatenate([score_weights(judged_scores, scores), np.ones(len(checked))]),
        noise_rate,
        n_classes,
    )
    confidence = precision.proba(scores)
    free = np.ones(n_pool, dtype=bool)
    free[labeled] = False
    enough = len(labeled) >= _ENOUGH and agree_beyond_chance(guessed, told, n_classes)
    accepted = confidence >= 0.5
    if target_precision is not None:
        accepted = np.zeros(n_pool, dtype=bool)
        for k in np.unique(codes[free]) if enough else ():
            own = codes == k
            accepted |= own & (
                scores
                >= precision.threshold(
                    scores[own & free], target_precision, _CONFIDENCE
                )
            )

    labels = classes[codes]
    labels[labeled] = classes[answers]
    confidence[taught] = taught_quality
    confidence[checked] = _answer_quality(
        pool_scores(take_rows(proba, checked), shares, answers[is_check]),
        precision,
        noise_rate,
        n_classes,
    )
    look = np.where(free, ~accepted, confidence < 0.5)
    table = pd.DataFrame(
        {
            "label": labels,
            "probability": confidence,
            "source": np.where(free, "co-decision", "person"),
            "look": look,
        },
        index=index,
    )
    machine = free & accepted
    expected, interval = np.nan, (0.0, 1.0)
    if machine.any():
        expected, *ends = precision.expect(scores[machine])
        interval = tuple(ends)
    in_set = accepted[checked]
    if in_set.any():
        right = (codes[checked] == answers[is_check])[in_set]
        interval = count_precision(
            int(right.sum()), int(in_set.sum()), noise_rates, n_classes
        )
    table.attrs = {
        "target_precision": target_precision,
        "coverage": float(machine.sum() / max(free.sum(), 1)),
        "precision": expected,
        "precision_interval": interval,
        "n_check": int(in_set.sum()),
        "curve": precision.curve(scores[free]) if free.any() else {},
    }
    return table


def _check_answers(y, labeled, check, n_pool):
    """Return answers, their rows, and a mask of check answers."""
    if (y is None) != (labeled is None):
        raise ValueError("y and labeled must be given together: labels and rows.")
    y = np.empty(0, dtype=object) if y is None else column_or_1d(y, warn=True)
    labeled = _check_rows("labeled", labeled, n_pool)
    check = _check_rows("check", check, n_pool)
    if len(y) != len(labeled):
        raise ValueError(f"y has {len(y)} answers for {len(labeled)} labeled rows.")
    is_check = np.isin(labeled, check)
    if is_check.sum() < len(check):
        row = check[~np.isin(check, labeled)][0]
        raise ValueError(f"check has row {row}, which is not in labeled.")
    return y, labeled, is_check


def _check_rows(name, rows, n_pool):
    """Return distinct positions of samples in the pool."""
    if rows is None or not n_rows(rows):
        return np.empty(0, dtype=np.int64)
    rows = column_or_1d(rows)
    if rows.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold rows of the pool, as integers; got {rows.dtype}."
        )
    if rows.min() < 0 or rows.max() >= n_pool:
        raise ValueError(
            f"{name} must hold rows of the pool, from 0 to {n_pool - 1}; got "
            f"{rows.min()} to {rows.max()}."
        )
    if len(np.unique(rows)) < len(rows):
        raise ValueError(f"{name} repeats a row; list each sample once.")
    return rows.astype(np.int64)


def _answer_quality(scores, precision, noise_rate, n_classes):
    """Return the probability that answers not used in training are right."""
    own = precision.proba(scores)
    right = own * (1 - noise_rate)
    wrong = (1 - own) * noise_rate / (n_classes - 1)
    return right / np.maximum(right + wrong, 1e-12)
