"""The API-docs data: real, offline, unambiguous, the same every time."""

import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.datasets.api_docs import _summary


@pytest.fixture(scope="module")
def docs():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_api_docs()


def test_shapes_and_classes_agree(docs):
    assert docs.data.shape == docs.target.shape == docs.names.shape
    assert docs.data.dtype == object
    assert all(isinstance(text, str) for text in docs.data)
    assert docs.target.dtype.kind == "U"
    np.testing.assert_array_equal(docs.target_names, np.unique(docs.target))
    assert list(docs.class_descriptions) == docs.target_names.tolist()
    assert docs.frame is None


def test_imbalanced_by_nature_and_large_enough(docs):
    counts = np.unique(docs.target, return_counts=True)[1]
    assert 1_200 < counts.sum() < 2_500
    assert 11 <= len(counts) <= 16
    assert counts.min() >= 12
    assert counts.max() > 10 * counts.min()


def test_no_text_occurs_twice(docs):
    assert len(set(docs.data)) == len(docs.data)


def test_texts_are_sentences_without_markup_or_module_paths(docs):
    for text, name in zip(docs.data, docs.names):
        assert len(text.split()) >= 3, name
        assert text == " ".join(text.split())
        assert name not in text
        for mark in ("`", "scipy.", "numpy.", "sklearn.", ".. "):
            assert mark not in text, name
        assert not text.startswith(name.rpartition(".")[2] + "("), "a signature"


def test_each_text_comes_from_the_docstring_of_its_name(docs):
    rng = np.random.default_rng(0)
    for i in rng.choice(len(docs.data), 100, replace=False):
        module, _, attribute = docs.names[i].rpartition(".")
        docstring = getattr(import_module(module), attribute).__doc__
        plain = " ".join(docstring.replace("`", "").replace(":math:", "").split())
        assert docs.data[i] in plain


def test_no_exceptions_and_no_deprecated_names(docs):
    for name in docs.names:
        module, _, attribute = name.rpartition(".")
        exported = getattr(import_module(module), attribute)
        assert not (
            isinstance(exported, type) and issubclass(exported, BaseException)
        ), name
        assert not exported.__doc__.lstrip().startswith(("DEPRECATED", ".. deprecated"))


def test_return_X_y_and_as_frame_give_the_same_rows(docs):
    X, y = load_api_docs(return_X_y=True)
    np.testing.assert_array_equal(X, docs.data)
    np.testing.assert_array_equal(y, docs.target)
    X, y = load_api_docs(return_X_y=True, as_frame=True)
    assert isinstance(X, pd.DataFrame)
    assert isinstance(y, pd.Series)
    framed = load_api_docs(as_frame=True)
    assert framed.frame.columns.tolist() == ["text", "topic"]
    assert X["text"].tolist() == framed.frame["text"].tolist() == docs.data.tolist()
    assert y.tolist() == docs.target.tolist()


@pytest.mark.slow
def test_a_new_process_gives_the_same_data_and_imports_no_torch(docs):
    script = (
        "import sys; from cofm_sklearn.datasets import load_api_docs;"
        "docs = load_api_docs();"
        "assert 'torch' not in sys.modules;"
        "print(*docs.names, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == docs.names.tolist()


@pytest.mark.slow
def test_python_without_docstrings_is_refused():
    script = "from cofm_sklearn.datasets import load_api_docs; load_api_docs()"
    done = subprocess.run(
        [sys.executable, "-OO", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "without the option -OO" in done.stderr


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the mean.\n\nMore.", "Return the mean."),
        ("f(x[, out])\n\nf(x, out=None)\n\nReturn the mean.", "Return the mean."),
        ("f(x,\n  axes=(0, 1))\nReturn the mean.", "Return the mean."),
        ("out = f(x, y)\n\nReturn the mean.", "Return the mean."),
        ("cos(x) - 1 for tiny angles only", "cos(x) - 1 for tiny angles only"),
        ("Solve ``A x = b`` for\n:math:`x` here.", "Solve A x = b for x here."),
        ("Return it.", ""),
        ("Alias for the other function.", ""),
        ("General warning for :mod:`scipy.sparse`.", ""),
        ("Return the mean.\n\n.. deprecated:: 1.0\n   Gone soon.", ""),
        ("DEPRECATED: the function is deprecated", ""),
        (
            "Return the mean.\n\nParameters\n----------\na : x\n.. deprecated:: 1.0",
            "Return the mean.",
        ),
        ("", ""),
    ],
)
def test_summary(docstring, expected):
    assert _summary(docstring) == expected
