"""Docstring summaries of scipy, numpy and scikit-learn, labelled by topic."""

import inspect
import re
import sys
import warnings
from importlib import import_module

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

__all__ = ["load_api_docs"]

# topic -> (public modules it is read from, description for a zero-shot prior)
_TOPICS = {
    "cluster": (
        ("sklearn.cluster", "scipy.cluster.hierarchy", "scipy.cluster.vq"),
        "clustering algorithms, linkage and dendrograms that group similar samples",
    ),
    "datasets": (
        ("sklearn.datasets",),
        "loading, fetching and generating example data sets",
    ),
    "fft": (
        ("scipy.fft", "numpy.fft"),
        "fast Fourier transforms and discrete sine and cosine transforms",
    ),
    "integrate": (
        ("scipy.integrate",),
        "numerical integration of functions and ordinary differential equations",
    ),
    "interpolate": (
        ("scipy.interpolate",),
        "interpolation and splines through given data points",
    ),
    "linalg": (
        ("scipy.linalg", "numpy.linalg"),
        "linear algebra: matrix decompositions, eigenvalues and linear systems",
    ),
    "linear_model": (
        ("sklearn.linear_model",),
        "linear regression and linear classification models such as ridge and lasso",
    ),
    "metrics": (
        ("sklearn.metrics",),
        "scores and losses that evaluate the predictions of a model",
    ),
    "ndimage": (
        ("scipy.ndimage",),
        "image processing: filters, morphology and measurements on images",
    ),
    "optimize": (
        ("scipy.optimize",),
        "minimization of functions, root finding and curve fitting",
    ),
    "preprocessing": (
        ("sklearn.preprocessing",),
        "scaling, encoding and transforming features before learning",
    ),
    "signal": (
        ("scipy.signal",),
        "signal processing: digital filter design, filtering, windows and spectra",
    ),
    "sparse": (
        ("scipy.sparse",),
        "sparse matrices and arrays, their storage formats and construction",
    ),
    "spatial": (
        ("scipy.spatial",),
        "computational geometry: nearest neighbour trees, triangulations and hulls",
    ),
    "special": (
        ("scipy.special",),
        "special mathematical functions such as Bessel, gamma and elliptic functions",
    ),
    "stats": (
        ("scipy.stats", "numpy.random"),
        "statistics: probability distributions, random numbers and hypothesis tests",
    ),
}

# Functions written in C repeat their signature, sometimes twice, on lines of its own
# above the summary. "cos(x) - 1 for ..." is a summary: its line goes on after ")".
_SIGNATURE = re.compile(
    r"\A(?:[\w, ]+ = )?[\w.]+\((?:[^()]|\([^()]*\))*\)\.?(?: *->.*)?[ ]*(?:\n\s*|\Z)"
)
_DEPRECATED = re.compile(
    r"^\.\. deprecated::|^\S.*(?:\bis|\bbeen|\() ?deprecated", re.MULTILINE
)
_PARAMETERS = re.compile(r"^Parameters\n-", re.MULTILINE)
_ROLE = re.compile(r":[\w:]+:`([^`]*)`")
# A dotted path says which module the line is from; an alias line describes nothing.
_UNFIT = re.compile(r"\b(?:scipy|numpy|np|sklearn)\.\w|\balias(?:es)?\b", re.IGNORECASE)
_MIN_WORDS = 3


def _summary(docstring):
    """Return the summary of a docstring as one plain line, "" if it is unsuitable."""
    text = inspect.cleandoc(docstring)
    while match := _SIGNATURE.match(text):
        text = text[match.end() :]
    if _DEPRECATED.search(_PARAMETERS.split(text)[0]):
        return ""
    paragraph = re.split(r"\n\s*\n", text)[0]
    line = " ".join(_ROLE.sub(r"\1", paragraph).replace("`", "").split())
    if line.startswith(".. ") or _UNFIT.search(line):
        return ""
    n_words = sum(bool(re.search(r"[^\W\d_]", word)) for word in line.split())
    return line if n_words >= _MIN_WORDS else ""


def _public_callables(module):
    """Yield the names and objects of a module's public callables."""
    names = getattr(module, "__all__", None) or dir(module)
    for name in sorted(names):
        if name.startswith("_"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exported = getattr(module, name)
        except (DeprecationWarning, FutureWarning):
            continue  # a deprecated name that warns when it is looked up
        if isinstance(exported, type) and issubclass(exported, BaseException):
            continue
        if callable(exported):
            yield name, exported


def _collect():
    """Return rows (qualified name, summary, topic) sorted by name, texts unique."""
    rows: dict[str, tuple[str, str, str]] = {}
    topics_of: dict[str, set[str]] = {}
    for topic, (modules, _) in _TOPICS.items():
        for module_name in modules:
            for name, exported in _public_callables(import_module(module_name)):
                # Not inspect.getdoc: it would repeat the docstring of a base class.
                line = _summary(exported.__doc__ or "")
                if line:
                    topics_of.setdefault(line, set()).add(topic)
                    rows.setdefault(line, (f"{module_name}.{name}", line, topic))
    return sorted(row for line, row in rows.items() if len(topics_of[line]) == 1)


def load_api_docs(*, return_X_y=False, as_frame=False):
    """Load the docstring summaries of scipy, numpy and scikit-learn by topic.

    A text classification data set that is on every machine this package runs on: a
    sample is the summary of a public function, class or distribution, and its label
    the topic, that is the subpackage that exports it. Nothing is downloaded. Class
    sizes are as unequal as those libraries made them, from more than 300 samples
    (``"stats"``) to fewer than 20 (``"spatial"``).

    =================   =========================================
    Classes                                                    16
    Samples total             about 1,500, by the library version
    Type                                      short English texts
    Source                 the installed scipy, numpy and sklearn
    =================   =========================================

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a `Bunch`.

    as_frame : bool, default=False
        If True, ``data`` is a DataFrame with the one column ``"text"`` and ``target``
        a Series named ``"topic"``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes

        data : ndarray of shape (n_samples,) and dtype object, or DataFrame
            The texts (str). Each occurs once.
        target : ndarray of shape (n_samples,) and dtype str, or Series
            The topic of each text.
        target_names : ndarray of shape (16,) and dtype str
            The topics in sorted order.
        feature_names : list of str
            ``["text"]``.
        class_descriptions : dict of str to str
            One short description per topic, e.g. for a zero-shot prior.
        names : ndarray of shape (n_samples,) and dtype object
            The qualified name each text is the summary of.
        DESCR : str
            Description of the data set, with the library versions.
        frame : DataFrame or None
            With ``as_frame=True``, the columns ``"text"`` and ``"topic"``.

    (data, target) : tuple if ``return_X_y`` is True
        The two attributes above.

    Raises
    ------
    RuntimeError
        If Python runs without docstrings (``python -OO``).

    Notes
    -----
    A text is the first paragraph of a docstring on one line, without reStructuredText
    quotes and without the signature that functions written in C put above it. Left
    out are private and deprecated names, aliases, exceptions, summaries of fewer than
    three words, those that spell out a module path (it would tell the label), and
    those that occur under two topics. Samples are sorted by qualified name, so
    shuffle before taking the first rows. The same library versions give the same data.

    Examples
    --------
    >>> from cofm_sklearn.datasets import load_api_docs
    >>> docs = load_api_docs()
    >>> i = docs.names.tolist().index("scipy.fft.dct")
    >>> print(docs.target[i], "|", docs.data[i])
    fft | Return the Discrete Cosine Transform of arbitrary type sequence x.
    >>> docs.class_descriptions["optimize"]
    'minimization of functions, root finding and curve fitting'
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError(
            "load_api_docs reads docstrings. Run Python without the option -OO (and "
            "without PYTHONOPTIMIZE=2), which removes them."
        )
    rows = _collect()
    names, texts, topics = (list(column) for column in zip(*rows))
    data, target, frame = np.array(texts, dtype=object), np.array(topics), None
    if as_frame:
        frame = pd.DataFrame({"text": texts, "topic": topics})
        data, target = frame[["text"]], frame["topic"]
    if return_X_y:
        return data, target
    versions = ", ".join(
        f"{library} {import_module(library).__version__}"
        for library in ("numpy", "scipy", "sklearn")
    )
    return Bunch(
        data=data,
        target=target,
        target_names=np.unique(topics),
        feature_names=["text"],
        class_descriptions={topic: text for topic, (_, text) in _TOPICS.items()},
        names=np.array(names, dtype=object),
        DESCR=(
            f"{len(rows)} docstring summaries of the public API of scipy, numpy and "
            f"scikit-learn in {len(set(topics))} topics. Read from {versions}."
        ),
        frame=frame,
    )
