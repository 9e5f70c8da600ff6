"""Keep the stock ``modAL.models.ActiveLearner`` working with today's libraries.

modAL-python 0.4.1 and 0.4.2 predate scikit-learn 1.8, pandas 2 and numpy 1.24.
:func:`repair_modal`, called when ``cofm_sklearn`` is imported, replaces what is broken
in the modules of modAL that are loaded, and again in each that is loaded later, without
importing modAL itself. Only names inside modAL's own modules and classes change.
Nothing is decided by version numbers: what passes a trial call stays the identical
object.

==============================  ===============================  =====================
What is repaired                Broken since                     Seen as
==============================  ===============================  =====================
``check_X_y`` in the learners   scikit-learn 1.8 has no          ``teach`` and ``fit``
                                ``force_all_finite`` (modAL#196) raise ``TypeError``
``utils.data.data_vstack``      pandas 2 has no                  ``teach`` on frames
                                ``DataFrame.append``; Series,    raises; columns that
                                ragged lists never worked        differ become NaN
``utils.data.data_hstack``      always: no ``return`` for        ``None`` as data with
                                frames                           ``on_transformed``
``utils.data.retrieve_rows``,   always: labels or columns taken  wrong rows returned,
``drop_rows``,                  for row positions; no Series;    or ``KeyError``
``enumerate_data``,             sparse arrays give 1-D rows;     (modAL#20)
``add_row``, ``data_shape``     texts cannot be appended
``expected_error`` (module)     numpy 1.24 has no ``np.float``   cannot be imported
``batch.ranked_batch``          numpy 1.24 to 1.26 have no       ``AttributeError``
                                ``np.bool``; lists
``batch.select_instance``,      always: need ``reshape``         frames and lists
``select_cold_start_instance``                                   raise
uncertainty and disagreement    always: need ``.shape`` before   lists raise
measures,                       the first fit; committees at
``Committee.vote_proba``        every query
``Committee.vote``,             always: votes are floats; no     string labels raise
``Committee`` (classes)         classes of dtype object
``fit`` and ``teach``           always: data is stored before    a failed ``teach``
                                the estimator accepts it         keeps bad labels
                                (modAL#59)                       for good
``bootstrap=True``              always: needs arrays             frames, lists raise
==============================  ===============================  =====================

Functions that other code imported by name from modAL before the repair are out of
reach; classes are not, since their methods are replaced in place. modAL 0.4.2's
``query`` calls a strategy again when it raised, and hides the first error: that is left
as it is.
"""

import __future__

import inspect
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder

__all__ = ["modal_wants_metrics", "repair_modal", "repaired_names"]

# What was replaced in this process, in that order.
_REPAIRED: list[str] = []


def repair_modal():
    """Repair modAL, now where it is loaded and later as it gets loaded.

    Calling it again does nothing. It does not import modAL.

    Returns
    -------
    tuple of str
        Dotted names that this call replaced in modules already loaded; empty if
        modAL is not loaded yet, is healthy, or is already repaired.

    See Also
    --------
    modal_wants_metrics : Which of modAL's two protocols a learner speaks.

    References
    ----------
    .. [1] T. Danka and P. Horvath, "modAL: A modular active learning framework for
       Python", arXiv:1805.00979, 2018.

    Examples
    --------
    >>> from cofm_sklearn.utils.modal import repair_modal
    >>> first = repair_modal()
    >>> repair_modal()
    ()
    """
    if not any(isinstance(finder, _ModalFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ModalFinder())
    loaded = [module for name, module in sys.modules.items() if _is_modal(name)]
    return tuple(_repair(loaded))


def repaired_names():
    """List what has been replaced in modAL in this process.

    Returns
    -------
    tuple of str
        Dotted names, in the order of their repair; empty if modAL is not loaded or is
        healthy.

    Examples
    --------
    >>> import modAL.models
    >>> from cofm_sklearn.utils.modal import repaired_names
    >>> "modAL.utils.data.retrieve_rows" in repaired_names()
    True
    """
    return tuple(_REPAIRED)


def modal_wants_metrics(learner):
    """Tell whether a learner's ``query`` unpacks ``(indices, metrics)``.

    modAL 0.4.2 does, modAL 0.4.1 takes a tuple for the final answer. A query strategy
    returns what its learner understands.

    Parameters
    ----------
    learner : object
        What modAL hands to the strategy: a learner or a committee, of a class from
        modAL or derived from one. Anything else wants no metrics.

    Returns
    -------
    bool
        True for learners of modAL 0.4.2.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.utils.modal import modal_wants_metrics
    >>> modal_wants_metrics(LogisticRegression())
    False
    """
    for cls in type(learner).__mro__:
        # a subclass may wrap `query`, but modAL's own is the one that unpacks
        if _is_modal(cls.__module__) and "query" in vars(cls):
            return "return_metrics" in inspect.signature(vars(cls)["query"]).parameters
    return False


def _is_modal(name):
    return name == "modAL" or name.startswith("modAL.")


def _repair(modules):
    if not modules:
        return []
    # numpy, pandas and scikit-learn are loaded by now, since modAL imports them;
    # importing cofm_sklearn must not load them
    from cofm_sklearn.utils._modal import repair_modules

    names = repair_modules(modules)
    _REPAIRED.extend(names)
    return names


class _ModalFinder(MetaPathFinder):
    """Find modAL's modules as the other finders do, and see to their repair."""

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
        # the module looks as if this loader had never been there
        module.__loader__ = module.__spec__.loader = self._loader
        try:
            self._loader.exec_module(module)
        except AttributeError:
            _exec_with_lazy_annotations(module)
        _repair([module])


def _exec_with_lazy_annotations(module):
    """Execute a module whose annotations name what numpy no longer has."""
    source = module.__loader__.get_source(module.__name__)
    with warnings.catch_warnings():
        # modAL compares strings with `is`; bytecode from the cache does not warn
        warnings.simplefilter("ignore", SyntaxWarning)
        code = compile(
            source,
            module.__spec__.origin,
            "exec",
            flags=__future__.annotations.compiler_flag,
            dont_inherit=True,
        )
    exec(code, vars(module))
