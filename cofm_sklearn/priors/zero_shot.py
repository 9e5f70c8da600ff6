"""Class probabilities from class descriptions, without labels."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.preprocessing import normalize
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.encoders import SentenceTransformerEncoder
from cofm_sklearn.priors.base import BasePrior, check_descriptions
from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import (
    check_number,
    check_unit_embeddings,
    is_numeric,
    n_rows,
    row_blocks,
)

__all__ = ["ZeroShotPrior"]

# The mean of few samples says little about the pool, so the default centre counts as
# this many extra samples.
_CENTER_SAMPLES = 10


class ZeroShotPrior(BasePrior):
    """Zero-shot classifier that compares samples with class descriptions.

    One frozen encoder embeds samples and descriptions, both sides are centred, and
    ``softmax(scale * cosine)`` over the classes is the prior. Centring removes what all
    samples have in common (the topic of the pool) and what all descriptions have in
    common (their phrasing).

    Parameters
    ----------
    class_descriptions : dict
        Label -> one description, or a list of them, whose embeddings are averaged.

    encoder : transformer or None, default=None
        Encoder with ``transform(X)`` and ``encode_prompts(texts)``, for example
        `OpenCLIPEncoder`. None uses `SentenceTransformerEncoder()`.

    prompts : sequence of str, default=("{}",)
        Templates; ``{}`` is replaced by the description; embeddings are averaged.

    scale : float, default=30.0
        Sharpness of the softmax (inverse temperature), above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    encoder_ : transformer
        The encoder in use.

    descriptions_ : list of list of str
        The descriptions of each class, in the order of `classes_`.

    description_embeddings_ : ndarray of shape (n_classes, d), dtype float32
        One row of unit L2 norm per class.

    center_ : ndarray of shape (d,), dtype float32
        The mean subtracted from the samples: their own mean, shrunk towards that of the
        descriptions when samples are few; for images, towards 0.

    Notes
    -----
    Images and texts lie apart in their encoder's space (the modality gap). Centring
    each side by its own mean closes the gap. The mean of the descriptions is no guide
    to that of the images, so few images are hardly centred; without images, this is the
    ordinary zero-shot rule.

    References
    ----------
    Liang, W. et al. (2022). Mind the Gap: Understanding the Modality Gap in
    Multi-modal Contrastive Representation Learning. NeurIPS.

    Radford, A. et al. (2021). Learning Transferable Visual Models From Natural
    Language Supervision. ICML. (zero-shot classification, prompt ensembles)

    Mu, J., Viswanath, P. (2018). All-but-the-Top: Simple and Effective
    Postprocessing for Word Representations. ICLR. (centring of embeddings)

    Examples
    --------
    >>> from cofm_sklearn import ZeroShotPrior
    >>> texts = ["the match ended two to one", "shares fell after the report",
    ...          "the goalkeeper was injured", "the bank raised its rates"]
    >>> prior = ZeroShotPrior({"sport": "a sports game", "money": "the economy"})
    >>> prior.fit(texts).predict(texts)
    array(['sport', 'money', 'sport', 'money'], dtype='<U5')
    """

    def __init__(self, class_descriptions, encoder=None, prompts=("{}",), scale=30.0):
        self.class_descriptions = class_descriptions
        self.encoder = encoder
        self.prompts = prompts
        self.scale = scale

    def fit(self, X=None, y=None):
        """Embed the descriptions and learn the centre of unlabelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples, \
default=None
            Unlabelled samples, preferably the whole pool. Numbers are treated as
            embeddings of `encoder`; anything else is embedded first. Without X, the
            centre is that of the descriptions; with an image encoder, 0.

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
            description is not a str.

        ValueError
            If there are fewer than two classes, a description is empty, a template
            lacks ``{}``, `scale` is not above 0, or X is empty, not finite or of the
            wrong width.
        """
        labels, texts = check_descriptions(self.class_descriptions)
        _check_prompts(self.prompts)
        check_number("scale", self.scale, closed="neither")
        self.classes_ = np.array(labels)
        self.encoder_ = (
            SentenceTransformerEncoder()
            if self.encoder is None
            else clone(self.encoder)
        )
        self.descriptions_ = texts
        D = self._embed_descriptions()
        self.description_embeddings_ = D
        center, weight = D.mean(axis=0), 1.0
        if _is_of_images(self.encoder_):
            center = np.zeros_like(center)
        if X is not None:
            n_samples = n_rows(X)
            weight = _CENTER_SAMPLES / (n_samples + _CENTER_SAMPLES)
            center = (1 - weight) * self._mean(X, n_samples) + weight * center
        self.center_ = center.astype(np.float32)
        return self

    def predict_proba(self, X):
        """Return the prior.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Numbers are treated as embeddings of `encoder`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If X is empty, not finite or of the wrong width.
        """
        check_is_fitted(self, "center_")
        Z = normalize(self.embed(X) - self.center_, copy=False)
        D = self.description_embeddings_
        D = normalize(D - D.mean(axis=0))
        return softmax(self.scale * (Z @ D.T).astype(np.float64), axis=1)

    def embed(self, X):
        """Embed raw samples; validate and normalize embeddings.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, d), dtype float32
            Rows of unit L2 norm.

        Raises
        ------
        ValueError
            If X is empty, not finite or of the wrong width.
        """
        check_is_fitted(self, "description_embeddings_")
        if n_rows(X) == 0:
            raise ValueError("X is empty: there are no samples (0 samples) to embed.")
        if not is_numeric(X):
            X = self.encoder_.transform(X)
        Z = check_unit_embeddings(
            X, name="X", n_features=self.description_embeddings_.shape[1]
        )
        return Z.toarray() if sparse.issparse(Z) else Z

    def closeness(self, X):
        """Return the cosine similarity of centred samples and each description.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Unlike in `predict_proba`, descriptions are not compared with each other.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        check_is_fitted(self, "center_")
        Z = normalize(self.embed(X) - self.center_, copy=False)
        return (Z @ self.description_embeddings_.T).astype(np.float64)

    def description_rows(self, X):
        """Return the descriptions as samples: one per class, of the same type as X.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Samples; only their type matters.

        Returns
        -------
        ndarray of shape (n_classes, d) or (n_classes,) or None
            Embeddings, shifted so that their mean is that of the samples; or texts; or
            None if X is neither, such as images.
        """
        check_is_fitted(self, "center_")
        if is_text(X) and not _is_of_images(self.encoder_):
            return np.array([texts[0] for texts in self.descriptions_], dtype=object)
        if not is_numeric(X):
            return None
        D = self.description_embeddings_
        return D - D.mean(axis=0) + self.center_

    def _mean(self, X, n_samples):
        """Return the mean embedding; numbers are read in blocks."""
        blocks = row_blocks(X) if n_samples and is_numeric(X) else [X]
        total = sum(self.embed(Z).sum(axis=0, dtype=np.float64) for Z in blocks)
        return total / n_samples

    def _embed_descriptions(self):
        """Average the prompts and descriptions of each class; rows have unit norm."""
        filled = [
            [p.replace("{}", text) for text in texts for p in self.prompts]
            for texts in self.descriptions_
        ]
        Z = np.asarray(
            self.encoder_.encode_prompts([text for texts in filled for text in texts])
        )
        starts = np.cumsum([0, *(len(texts) for texts in filled)][:-1])
        sums = np.add.reduceat(normalize(Z), starts, axis=0)
        return normalize(sums).astype(np.float32)


def _is_of_images(encoder):
    """Tell whether the encoder embeds images, so that strings are paths."""
    return get_tags(encoder).input_tags.three_d_array


def _check_prompts(prompts):
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        raise ValueError(
            f'prompts must be a list of templates such as ["{{}}"], got {prompts!r}.'
        )
    for prompt in prompts:
        if not isinstance(prompt, str) or prompt.count("{}") != 1:
            raise ValueError(
                f"prompts must each have one {{}} for the description, got {prompt!r}."
            )
