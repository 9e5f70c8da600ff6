"""Answers of a loop, with one or more answers per sample."""

import numpy as np

from cofm_sklearn.models.small_model import is_constant
from cofm_sklearn.noise import combine_annotators
from cofm_sklearn.query.ask_again import opinion_on_labeled
from cofm_sklearn.query.base import are_positions
from cofm_sklearn.utils.validation import take_rows

__all__ = ["agree", "ask", "group_answers", "pick_again"]


def group_answers(asked, answers):
    """Group the answers by sample.

    Parameters
    ----------
    asked : sequence of int of length n_answers
        Positions of samples, in query order; they may repeat.

    answers : sequence of length n_answers
        The answers.

    Returns
    -------
    samples : ndarray of shape (n_samples,), dtype int64
        The distinct positions, in the order of their first query.

    matrix : ndarray of shape (n_samples, most answers), dtype object
        The answers about each sample in query order, padded with None.
    """
    rows: dict[int, list] = {}
    for position, answer in zip(asked, answers, strict=True):
        rows.setdefault(int(position), []).append(answer)
    matrix = np.full((len(rows), max(map(len, rows.values()))), None, dtype=object)
    for i, row in enumerate(rows.values()):
        matrix[i, : len(row)] = row
    return np.array(list(rows), dtype=np.int64), matrix


def agree(matrix, learner, X):
    """Combine the answers into one label per sample.

    Single answers are kept: the estimator's label cleaning judges them. Several are
    combined, using the learner of the last round.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_answers), dtype object
        Answers as returned by `group_answers`.

    learner : object with `estimator` and `predict_proba`
        The learner; fitted if any sample has several answers.

    X : array-like of length n_samples
        The samples.

    Returns
    -------
    ndarray of shape (n_samples,), dtype object
        Labels.
    """
    labels = matrix[:, 0].copy()
    if matrix.shape[1] == 1:
        return labels
    classes, proba = None, None
    if hasattr(learner.estimator, "predict_proba"):
        classes, proba = opinion_on_labeled(learner, matrix, X)
    found = combine_annotators(matrix, proba, classes=classes).labels.tolist()
    for i in range(len(labels)):
        if matrix[i, 1] is not None:
            labels[i] = found[i]
    return labels


def pick_again(strategy, learner, X, pool, asked, answers, n_instances):
    """Let a strategy select samples for another answer.

    Parameters
    ----------
    strategy : query strategy
        Used only if it has a method `select_again`.

    learner : object with `estimator`, `X_training` and `predict_proba`
        The learner passed to the strategy.

    X : array-like of length n_samples
        All samples.

    pool : ndarray of int
        Positions in X without answers.

    asked, answers
        As in `group_answers`.

    n_instances : int
        Number of answers in the batch.

    Returns
    -------
    ndarray of shape (n_again,), dtype int64
        Positions in X, distinct, at most `n_instances`.

    Raises
    ------
    ValueError
        If the strategy returns something else.
    """
    untrained = not asked or is_constant(learner.estimator)
    if not hasattr(strategy, "select_again") or untrained:
        return np.empty(0, dtype=np.int64)
    samples, matrix = group_answers(asked, answers)
    X_pool = take_rows(X, pool) if len(pool) else None
    again = np.asarray(
        strategy.select_again(learner, matrix, X_pool, n_instances=n_instances)
    )
    if again.size > n_instances or (
        again.size and not are_positions(again, len(samples))
    ):
        raise ValueError(
            f"select_again of {type(strategy).__name__} must return at most "
            f"{n_instances} distinct positions in learner.X_training, got {again!r}."
        )
    return samples[again.astype(np.int64)]


def ask(oracle, picked, asked):
    """Query an oracle; a repeated query gets a new answer.

    Parameters
    ----------
    oracle : oracle
        The fitted oracle.

    picked : ndarray of int
        Distinct positions to ask about.

    asked : sequence of int
        Positions of all earlier queries.

    Returns
    -------
    ndarray of shape (n_picked,)
        Answers.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    n_before = [asked.count(position) for position in picked]
    said = oracle.answer(picked, n_before) if any(n_before) else oracle.answer(picked)
    said = np.asarray(said)
    if said.shape != (len(picked),):
        raise ValueError(
            f"oracle={oracle!r} must give one answer for each of the {len(picked)} "
            f"samples, got {said!r}."
        )
    return said
