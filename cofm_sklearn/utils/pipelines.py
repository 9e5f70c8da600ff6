"""Inspect pipelines of scikit-learn and imbalanced-learn."""

import re
import warnings
from inspect import Parameter, signature

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion

from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import is_mixed_frame, is_numeric

__all__ = [
    "allows_nan",
    "can_freeze",
    "check_takes",
    "encodes_categories",
    "fit_without_labels",
    "needs_labels",
    "params_named",
    "pipeline_example",
    "resamples",
    "split_pipeline",
]

_SPEAKS_OF_LABELS = re.compile(r"\b(y|labels?|targets?|None|NoneType)\b")


def allows_nan(estimator):
    """Tell whether an estimator, or the first step of a pipeline, may accept NaN."""
    steps, model = split_pipeline(estimator)
    first = steps[0] if steps else model
    if isinstance(first, ColumnTransformer | FeatureUnion):
        return True  # they do not say; the parts that do not accept it raise errors
    if isinstance(first, CalibratedClassifierCV):
        return allows_nan(first.estimator)
    if not hasattr(first, "__sklearn_tags__"):
        return False
    return first.__sklearn_tags__().input_tags.allow_nan


def split_pipeline(estimator):
    """Split a (nested) pipeline into its transformers and its final model.

    Parameters
    ----------
    estimator : estimator
        Any estimator; pipelines may be nested.

    Returns
    -------
    transformers : list of transformer
        The steps before the model, in order. Samplers are left out, since they do
        nothing in prediction.

    model : estimator
        The last step; the estimator itself if it is not a pipeline.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cofm_sklearn.utils.pipelines import split_pipeline
    >>> split_pipeline(make_pipeline(StandardScaler(), LogisticRegression()))
    ([StandardScaler()], LogisticRegression())
    """
    steps, model = _unfold(estimator)
    transformers = [
        step
        for step in steps
        if hasattr(step, "transform") and not hasattr(step, "fit_resample")
    ]
    return transformers, model


def _unfold(estimator):
    """Return all steps of a (nested) pipeline before its final model, and the model."""
    steps = []
    while getattr(estimator, "steps", None):
        *before, (_, estimator) = estimator.steps
        steps += [step for _, step in before]
    return steps, estimator


def resamples(estimator):
    """Tell whether a (nested) pipeline has a sampler before its final model.

    The model is then trained on other samples than those of `fit`.

    Parameters
    ----------
    estimator : estimator
        Any estimator; pipelines may be nested.

    Returns
    -------
    bool
    """
    return any(hasattr(step, "fit_resample") for step in _unfold(estimator)[0])


def params_named(estimator, name):
    """Return the parameters of an estimator and its parts that have a name.

    Parameters
    ----------
    estimator : estimator
        Any estimator with parameters.

    name : str
        The last part of their names.

    Returns
    -------
    dict of str to object

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cofm_sklearn.utils.pipelines import params_named
    >>> params_named(make_pipeline(StandardScaler(), LogisticRegression()), "C")
    {'logisticregression__C': 1.0}
    """
    found = estimator.get_params(deep=True).items()
    return {path: value for path, value in found if path.split("__")[-1] == name}


def encodes_categories(estimator):
    """Tell whether an estimator, or a part of it, takes numbers for categories.

    Parameters
    ----------
    estimator : estimator
        Any estimator with parameters.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from cofm_sklearn.utils.pipelines import encodes_categories
    >>> encodes_categories(make_pipeline(OneHotEncoder(), LogisticRegression()))
    True
    >>> encodes_categories(LogisticRegression())
    False
    """
    # Boosting takes categories of a frame ("from_dtype"), or the given columns.
    given = params_named(estimator, "categorical_features").values()
    return bool(params_named(estimator, "categories")) or any(
        value is not None and not isinstance(value, str) for value in given
    )


def needs_labels(step):
    """Tell whether a transformer declares that it needs labels to be fitted.

    Parameters
    ----------
    step : transformer
        A scikit-learn or custom transformer.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler, TargetEncoder
    >>> from cofm_sklearn.utils.pipelines import needs_labels
    >>> needs_labels(TargetEncoder()), needs_labels(StandardScaler())
    (True, False)
    """
    if isinstance(step, FrozenEstimator):
        return False  # its `fit` does nothing
    tags = step.__sklearn_tags__() if hasattr(step, "__sklearn_tags__") else None
    if tags is not None and tags.target_tags.required:
        return True
    y = signature(step.fit).parameters.get("y")
    return y is not None and y.default is Parameter.empty


def can_freeze(step):
    """Tell whether a transformer learns in `fit`, and FrozenEstimator can wrap it.

    Parameters
    ----------
    step : transformer
        A scikit-learn or custom transformer.

    Returns
    -------
    bool
        False without scikit-learn's tags, which FrozenEstimator needs.
    """
    return hasattr(step, "__sklearn_tags__") and step.__sklearn_tags__().requires_fit


def fit_without_labels(step, X):
    """Fit a clone of a transformer on samples alone.

    Parameters
    ----------
    step : transformer
        Not modified.

    X : array-like of length n_samples
        Samples.

    Returns
    -------
    transformer or None
        The fitted clone; None if the transformer needs labels.
    """
    if isinstance(step, FrozenEstimator):
        return step
    if needs_labels(step):
        return None
    try:
        return clone(step, safe=False).fit(X)
    except (AttributeError, TypeError, ValueError) as error:
        # `SelectKBest`, `SelectFromModel` and many others find out in `fit`.
        if _SPEAKS_OF_LABELS.search(str(error)):
            return None
        raise


def pipeline_example(X, model):
    """Return the code of a pipeline that makes numbers of samples, for messages."""
    encoder = "SentenceTransformerEncoder()"
    if is_mixed_frame(X):
        encoder = "make_column_transformer(...)"
    return f"make_pipeline({encoder}, {model})"


def check_takes(estimator, X, name="X"):
    """Reject early, where possible, samples that an estimator cannot take.

    Parameters
    ----------
    estimator : estimator
        The estimator to be trained on them.

    X : array-like of length n_samples
        Samples, checked.

    name : str, default="X"
        Name of the argument, used in errors.

    Raises
    ------
    ValueError
        If X has several columns, and the first step takes texts.

    Warns
    -----
    UserWarning
        If X is not a table of numbers and goes straight into a scikit-learn classifier.
    """
    steps, model = split_pipeline(estimator)
    first = steps[0] if steps else model
    tags = first.__sklearn_tags__() if hasattr(first, "__sklearn_tags__") else None
    if tags is None or is_numeric(X):
        return
    takes_texts = tags.input_tags.string and not tags.input_tags.two_d_array
    if is_mixed_frame(X) and takes_texts:
        texts = [column for column in X.columns if is_text(X[[column]])]
        column = texts[0] if texts else X.columns[0]
        raise ValueError(
            f"{name} is a frame with the columns {list(X.columns)}, but "
            f"{type(first).__name__} takes texts. Give the column of texts alone, for "
            f"example df[{column!r}], or select columns with a ColumnTransformer."
        )
    is_plain = type(model).__module__.startswith("sklearn.") and not steps
    if is_mixed_frame(X) and hasattr(model, "categorical_features"):
        return  # its trees may read columns of categories
    if is_plain and not tags.input_tags.string:
        warnings.warn(
            f"{type(model).__name__} cannot be trained on {name}, which is not a table "
            "of numbers. Put an encoder before it, for example "
            f"{pipeline_example(X, f'{type(model).__name__}()')}.",
            stacklevel=3,
        )
