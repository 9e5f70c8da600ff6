"""Hugging Face classifiers as priors: zero-shot, or trained on other labels."""

import json

import numpy as np
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.encoders.base import check_model, longest_first
from cofm_sklearn.encoders.cache import MEMORY, EmbeddingCache, content_key
from cofm_sklearn.encoders.folders import folder_fingerprint, read_json
from cofm_sklearn.encoders.weights import find_folder, load_classifier
from cofm_sklearn.priors.base import (
    BasePrior,
    check_descriptions,
    check_raw_texts,
    first_descriptions,
)
from cofm_sklearn.utils.validation import check_integer, check_option

__all__ = ["TransformersPrior"]

_ZERO_SHOT = "zero-shot-classification"
_TASKS = (_ZERO_SHOT, "text-classification")
# Texts between two writes to the cache; an interrupted call loses these.
_BLOCK = 256


class TransformersPrior(BasePrior):
    """Prior from a Hugging Face classification model.

    Either a natural language inference model, which judges whether a text entails the
    hypothesis built from each description; or a model trained on other classes, whose
    labels are mapped to these.

    Parameters
    ----------
    class_descriptions : dict
        Label -> description, or list of them. For ``"text-classification"``, label ->
        label of the model, or list of those, whose probabilities are summed; labels of
        the model that are not mapped are ignored.

    model_name : str or path-like
        A local folder, or else a name on the Hugging Face hub. Only safetensors weights
        are read; pickles and the model's own code are never run.

    task : {"zero-shot-classification", "text-classification"}, \
default="zero-shot-classification"
        Task of the model: inference, or its own classes.

    hypothesis : str, default="This text is about {}."
        Template; ``{}`` stands for the description. For inference only.

    revision : str or None, default=None
        Branch, tag or commit on the hub. Ignored for a local folder.

    device : str, default="auto"
        A torch device, or ``"auto"``: cuda, else mps, else cpu.

    batch_size : int, default=32
        Texts, or pairs of text and description, per forward pass.

    cache : bool, default=True
        Whether to keep probabilities in memory, as embeddings are.

    cache_dir : str, path-like or None, default=None
        Folder in which they are kept between processes.

    verbose : int, default=0
        Above 0, show progress bars.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    descriptions_ : list of list of str
        The descriptions of each class, in the order of `classes_`.

    See Also
    --------
    CombinedPrior : Several priors as one.

    Notes
    -----
    Inference needs one forward pass per text and description, which is slow on a CPU
    with many classes. Several descriptions of a class are averaged.

    References
    ----------
    Yin, W., Hay, J., Roth, D. (2019). Benchmarking Zero-shot Text Classification:
    Datasets, Evaluation and Entailment Approach. EMNLP.

    Examples
    --------
    >>> from cofm_sklearn import TransformersPrior
    >>> prior = TransformersPrior(
    ...     {"bad": "NEGATIVE", "good": "POSITIVE"},
    ...     "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    ...     task="text-classification")
    >>> prior.fit(reviews).predict(reviews)  # doctest: +SKIP
    """

    def __init__(
        self,
        class_descriptions,
        model_name,
        *,
        task=_ZERO_SHOT,
        hypothesis="This text is about {}.",
        revision=None,
        device="auto",
        batch_size=32,
        cache=True,
        cache_dir=None,
        verbose=0,
    ):
        self.class_descriptions = class_descriptions
        self.model_name = model_name
        self.task = task
        self.hypothesis = hypothesis
        self.revision = revision
        self.device = device
        self.batch_size = batch_size
        self.cache = cache
        self.cache_dir = cache_dir
        self.verbose = verbose

    def fit(self, X=None, y=None):
        """Check parameters, texts and the labels of the model, which is not loaded yet.

        Parameters
        ----------
        X : list, tuple, ndarray, Series or one-column frame of str, default=None
            Texts; only checked.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The prior.

        Raises
        ------
        TypeError
            If `class_descriptions` is not a mapping, its keys cannot be sorted, or a
            description, a text or the name of the model is not a str.

        ValueError
            If there are fewer than two classes, a description is empty, two are the
            same, a parameter is out of range, or the model is not found, has no such
            label, or is not an inference model.
        """
        labels, texts = check_descriptions(self.class_descriptions)
        self._check_parameters()
        if X is not None:
            check_raw_texts(self, X)
        own = self._labels_of_model()
        if self.task == _ZERO_SHOT:
            if not any(label.lower().startswith("entail") for label in own):
                raise ValueError(
                    f"model_name={self.model_name!r} is not an inference model: its "
                    f"labels, {own}, include no entailment. Map its labels to the "
                    'classes, with task="text-classification".'
                )
        else:
            for text in (text for names in texts for text in names):
                if text not in own:
                    raise ValueError(
                        f"model_name={self.model_name!r} has no label {text!r}. Its "
                        f"labels are {own}."
                    )
        everything = [text for names in texts for text in names]
        if len(set(everything)) < len(everything):
            raise ValueError("class_descriptions must not repeat a description.")
        self.classes_, self.descriptions_ = np.array(labels), texts
        return self

    def predict_proba(self, X):
        """Return the prior.

        Parameters
        ----------
        X : list, tuple, ndarray, Series or one-column frame of str
            Texts, of length n_samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError, TypeError
            If X is empty or contains anything but texts, or the model is not found, or
            cannot be loaded without running its own code or pickles.

        ImportError
            If transformers is not installed.
        """
        check_is_fitted(self, "classes_")
        texts = check_raw_texts(self, X)
        folder = self._folder()
        fingerprint = folder_fingerprint(folder)
        names = [name for names in self.descriptions_ for name in names]
        asked = self._labels_of_model()
        if self.task == _ZERO_SHOT:
            asked = [self.hypothesis.replace("{}", name) for name in names]
        cache = EmbeddingCache(
            f"{fingerprint}, {self.task}, {json.dumps(asked)}",
            memory=MEMORY if self.cache else None,
            cache_dir=self.cache_dir,
        )
        scores = cache.fetch(
            [content_key(text.encode()) for text in texts],
            lambda missing: self._run_model(folder, fingerprint, texts, missing, names),
        ).astype(np.float64)
        columns = names if self.task == _ZERO_SHOT else asked
        proba = np.empty((len(texts), len(self.classes_)))
        for k, descriptions in enumerate(self.descriptions_):
            part = scores[:, [columns.index(name) for name in descriptions]]
            mean = self.task == _ZERO_SHOT
            proba[:, k] = part.mean(axis=1) if mean else part.sum(axis=1)
        # The model may give all its probability to labels that are not mapped.
        proba += np.finfo(np.float32).tiny
        return proba / proba.sum(axis=1, keepdims=True)

    def description_rows(self, X):
        """Return the first description of each class, if X is texts; else None.

        Parameters
        ----------
        X : array-like
            Samples; only their type matters.

        Returns
        -------
        ndarray of shape (n_classes,), dtype object, or None
            None also for ``"text-classification"``, since label names describe little.
        """
        check_is_fitted(self, "classes_")
        if self.task != _ZERO_SHOT:
            return None
        return first_descriptions(self.descriptions_, X)

    def _run_model(self, folder, fingerprint, texts, positions, names):
        """Yield scores of texts, block by block; for `EmbeddingCache.fetch`."""
        pipeline = load_classifier(
            self.task,
            folder,
            fingerprint,
            self.device,
            model_name=self.model_name,
            verbose=self.verbose,
        )
        options = {"batch_size": self.batch_size}
        columns = names
        if self.task == _ZERO_SHOT:
            # In the order of the descriptions, not by score.
            options |= {
                "candidate_labels": names,
                "hypothesis_template": self.hypothesis,
                "multi_label": False,
            }
        else:
            options |= {"top_k": None, "truncation": True}
            columns = self._labels_of_model()
        blocks = longest_first(texts, positions, _BLOCK, "Classifying", self.verbose)
        for block in blocks:
            # Pipelines reject empty texts.
            answers = pipeline([texts[i] or " " for i in block], **options)
            rows = [_scores(answer, columns) for answer in answers]
            yield block, np.array(rows, dtype=np.float32)

    def _folder(self):
        return find_folder(self.model_name, self.revision, owner=None)

    def _labels_of_model(self):
        """Return the model's own labels, in the order of its outputs."""
        config = read_json(self._folder() / "config.json", {})
        labels = config.get("id2label") or {}
        if not isinstance(labels, dict) or not labels:
            n_labels = config.get("num_labels", 2)
            return [f"LABEL_{k}" for k in range(n_labels)]
        return [str(labels[key]) for key in sorted(labels, key=int)]

    def _check_parameters(self):
        check_model(self.model_name, self.device, self.revision)
        check_option("task", self.task, _TASKS)
        hypothesis = self.hypothesis
        braces = [sign for sign in str(hypothesis) if sign in "{}"]
        if not isinstance(hypothesis, str) or "{}" not in hypothesis or len(braces) > 2:
            raise ValueError(
                "hypothesis must have one {} for the description, and no other braces; "
                f"got {hypothesis!r}."
            )
        check_integer("batch_size", self.batch_size, 1)


def _scores(answer, columns):
    """Return the scores of one pipeline result, in the order of the columns."""
    if isinstance(answer, dict):  # zero-shot
        by_name = dict(zip(answer["labels"], answer["scores"]))
    else:
        by_name = {one["label"]: one["score"] for one in answer}
    return [by_name[name] for name in columns]
