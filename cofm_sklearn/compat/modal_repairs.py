"""Replacements for parts of modAL; `cofm_sklearn.compat.modal` gives the reasons."""

import functools
import sys
import types

import numpy as np
import pandas as pd
import sklearn.utils

__all__ = ["repair_module"]


def repair_module(module):
    """Replace what is broken in a module of modAL that has just been executed."""
    _repair_check(module)
    _REPAIRS.get(module.__name__, lambda module: None)(module)


def _repair_check(module):
    check = sklearn.utils.check_X_y
    if vars(module).get("check_X_y") is check:
        module.check_X_y = _translating(check)


def _translating(check):
    @functools.wraps(check)
    def checked(*args, force_all_finite=True, **kwargs):
        return check(*args, ensure_all_finite=force_all_finite, **kwargs)

    return checked


def _repair_rows(module):
    _rebind(module, "data_vstack", _stacking)
    _rebind(module, "retrieve_rows", _retrieving)


def _stacking(original):
    @functools.wraps(original)
    def data_vstack(blocks):
        first = blocks[0]
        if isinstance(first, pd.DataFrame):
            return pd.concat([_like_frame(block, first) for block in blocks])
        if isinstance(first, pd.Series):
            return pd.concat([_like_series(block, first) for block in blocks])
        return original(blocks)

    return data_vstack


def _like_frame(block, frame):
    if not isinstance(block, pd.DataFrame):
        return pd.DataFrame(np.asarray(block), columns=frame.columns)
    if set(block.columns) != set(frame.columns):
        # pd.concat would fill the missing columns with NaN silently
        raise ValueError(
            f"The new rows have the columns {list(block.columns)}, the rows so far "
            f"have {list(frame.columns)}. Give the same columns."
        )
    return block


def _like_series(block, series):
    # y_training as a Series often meets new labels as an array
    if isinstance(block, pd.Series):
        return block
    return pd.Series(np.asarray(block), name=series.name)


def _retrieving(original):
    @functools.wraps(original)
    def retrieve_rows(X, I):  # noqa: E741 - modAL's own name
        return X.iloc[I] if isinstance(X, pd.Series) else original(X, I)

    return retrieve_rows


class _ListWithShape(list):
    """A list with the ``.shape`` that modAL expects of every pool.

    An array would change the estimator's input.
    """

    @property
    def shape(self):
        first = self[0] if self else ""
        is_row = isinstance(first, list | tuple | np.ndarray)
        return (len(self), len(first)) if is_row else (len(self),)


def _with_shape(original):
    @functools.wraps(original)
    def measure(model, X, **kwargs):
        return original(model, _ListWithShape(X) if type(X) is list else X, **kwargs)

    return measure


def _repair_uncertainty(module):
    for measure in ("uncertainty", "margin", "entropy"):
        _rebind(module, f"classifier_{measure}", _with_shape)


def _repair_disagreement(module):
    for name in ("vote_entropy", "consensus_entropy", "KL_max_disagreement"):
        _rebind(module, name, _with_shape)


def _repair_committee(module):
    committee = module.Committee
    committee.vote = _vote
    committee.vote_proba = _with_shape(committee.vote_proba)
    committee._set_classes = _collecting(committee._set_classes)


def _vote(self, X, **predict_kwargs):
    """Collect votes of any label type, where modAL allows only numbers."""
    said = [learner.predict(X, **predict_kwargs) for learner in self.learner_list]
    votes = np.stack(said, axis=1)
    return votes.astype(float) if votes.dtype.kind in "biuf" else votes


def _collecting(original):
    @functools.wraps(original)
    def set_classes(self):
        try:
            original(self)
        except TypeError:
            # modAL sorts rows of labels, which numpy cannot do for objects
            known = [learner.estimator.classes_ for learner in self.learner_list]
            self.classes_ = np.unique(np.concatenate(known))
            self.n_classes_ = len(self.classes_)

    return set_classes


def _repair_batch(module):
    if "bool" not in vars(np):  # asking by name would warn
        module.np = types.SimpleNamespace(**vars(np), bool=bool)


def _rebind(module, name, decorate):
    """Replace a function in all modules of modAL that imported it by name."""
    original = getattr(module, name)
    replacement = decorate(original)
    for other_name, other in list(sys.modules.items()):
        if other_name.partition(".")[0] == "modAL":
            for key, value in list(vars(other).items()):
                if value is original:
                    setattr(other, key, replacement)


# replacements in modAL, only for what query and teach need
_REPAIRS = {
    "modAL.utils.data": _repair_rows,
    "modAL.uncertainty": _repair_uncertainty,
    "modAL.disagreement": _repair_disagreement,
    "modAL.models.learners": _repair_committee,
    "modAL.batch": _repair_batch,
}
