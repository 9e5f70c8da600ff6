"""Keep the stock ``ActiveLearner`` and ``Committee`` of modAL working.

modAL-python 0.4.1 and 0.4.2 predate scikit-learn 1.8 and pandas 2.
:func:`repair_modal`, called when ``cofm_sklearn`` is imported, replaces what ``query``
and ``teach`` need in the modules of modAL that are loaded, and in each that is loaded
later, without importing modAL itself. Only names inside modAL's own modules and classes
change, and only for these two releases: a later one is left as it is.

==============================  ===============================  =====================
What is repaired                Broken since                     Symptom
==============================  ===============================  =====================
``check_X_y`` in the learners   scikit-learn 1.8 has no          ``teach`` and ``fit``
                                ``force_all_finite`` (modAL#196) raise ``TypeError``
``utils.data.data_vstack``      pandas 2 has no                  ``teach`` on frames
                                ``DataFrame.append``; Series     raises; columns that
                                never worked                     differ become NaN
``utils.data.retrieve_rows``    always: no Series                ``query`` raises
``batch.ranked_batch``          numpy 1.24 to 1.26 have no       ``AttributeError``
                                ``np.bool``
uncertainty and disagreement    always: need ``.shape``,         lists of texts raise
measures,                       which a list lacks
``Committee.vote_proba``
``Committee.vote``,             always: votes are floats; no     string labels raise
``Committee`` (classes)         classes of dtype object
==============================  ===============================  =====================

Everything else in modAL is as its authors left it. In particular a ``teach`` that fails
keeps the samples it failed on (modAL#59), bootstrapping takes arrays only, and
``expected_error`` of 0.4.1 cannot be imported with NumPy 1.24 or later.
:class:`cofm_sklearn.Learner` has a ``teach`` that changes nothing when it fails.

Functions that other code imported by name from modAL before the repair are out of
reach; classes are not, since their methods are replaced in place.
"""

import inspect
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.metadata import PackageNotFoundError, version

__all__ = ["modal_wants_metrics", "repair_modal"]


def repair_modal():
    """Repair the modules of modAL, those loaded now and those loaded later.

    Calling it again has no effect. It does not import modAL.
    ``help(cofm_sklearn.compat.modal)`` lists the repairs.

    See Also
    --------
    modal_wants_metrics : Which of modAL's two protocols a learner speaks.

    References
    ----------
    .. [1] T. Danka and P. Horvath, "modAL: A modular active learning framework for
       Python", arXiv:1805.00979, 2018.

    Examples
    --------
    >>> from cofm_sklearn.compat import repair_modal
    >>> repair_modal()
    """
    if any(isinstance(finder, _ModalFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _ModalFinder())
    for name, module in list(sys.modules.items()):
        if _is_modal(name):
            _repair(module)


def modal_wants_metrics(learner):
    """Tell whether a learner's ``query`` unpacks ``(indices, metrics)``.

    modAL 0.4.2 does; modAL 0.4.1 takes a tuple for the final answer. Query strategies
    return what the learner expects.

    Parameters
    ----------
    learner : object
        What modAL hands to the strategy: a learner or a committee, of a class from
        modAL or derived from one. Anything else expects no metrics.

    Returns
    -------
    bool
        True for learners of modAL 0.4.2.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.compat import modal_wants_metrics
    >>> modal_wants_metrics(LogisticRegression())
    False
    """
    for cls in type(learner).__mro__:
        # a subclass may wrap `query`, but modAL's own method does the unpacking
        if _is_modal(cls.__module__) and "query" in vars(cls):
            return "return_metrics" in inspect.signature(vars(cls)["query"]).parameters
    return False


def _is_modal(name):
    return name == "modAL" or name.startswith("modAL.")


def _repair(module):
    try:
        if not version("modAL-python").startswith(("0.4.1", "0.4.2")):
            return
    except PackageNotFoundError:  # a source checkout, which is 0.4.2
        pass
    # numpy, pandas and scikit-learn are loaded by now, since modAL imports them;
    # importing cofm_sklearn must not load them
    from cofm_sklearn.compat.modal_repairs import repair_module

    repair_module(module)


class _ModalFinder(MetaPathFinder):
    """Find modAL's modules as the other finders do, and arrange their repair."""

    def find_spec(self, fullname, path=None, target=None):
        if not _is_modal(fullname):
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if find_spec is None or isinstance(finder, _ModalFinder):
                continue
            spec = find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _RepairingLoader(spec.loader)
                return spec
        return None


class _RepairingLoader(Loader):
    """Execute a module with its own loader, then repair it."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # leave no trace of this loader on the module
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _repair(module)
