"""Shared by the encoders: caching, checks of model names, tags."""

from os import PathLike

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from tqdm.auto import tqdm

from cofm_sklearn.encoders.cache import MEMORY, EmbeddingCache
from cofm_sklearn.encoders.file import embed_to_file

__all__ = ["BaseEncoder", "check_model", "longest_first", "unit_rows"]


class BaseEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base class of encoders, which embed each sample once.

    An encoder has the parameters `normalize`, `cache`, `cache_dir` and `verbose`, and
    defines ``_check_samples(X)``, which returns samples that can be sliced;
    ``_content_keys(samples, positions)``, bytes per position; ``_open()``, which
    returns the source of the model and its cache (`_cache`); and ``_run_model(source,
    fingerprint, samples, positions)``, which yields positions and their rows.
    """

    def transform_to_file(self, X, path, *, dtype="float32", block_size=8192):
        """Embed samples into a ``.npy`` file; an interrupted call can be resumed.

        Embeddings are written to disk as they are computed: to `cache_dir`, or without
        one to ``<path>.cache``, which is removed once the file is complete. After an
        interruption, a kill or an error, the next call embeds only what is missing,
        whatever the order of the samples. With a `cache_dir`, a pool that has grown
        costs only its new samples. Memory use does not depend on the number of samples.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples, as for `transform`.

        path : str or path-like
            The file. It appears when it is complete, with ``<path>.json`` beside it,
            which records its samples and encoder.

        dtype : {"float32", "float16"}, default="float32"
            Data type of the file. Half precision takes half the space.

        block_size : int, default=8192
            Number of samples in memory at once.

        Returns
        -------
        memmap of shape (n_samples, d)
            The file, read-only. If it already exists with the same samples and encoder,
            nothing is computed.

        Raises
        ------
        ValueError, TypeError
            As `transform`; if `path` is a folder or its folder does not exist; if the
            file has other samples, or those of another encoder or dtype; if another
            process is writing it; if a parameter is out of range.

        OSError
            If the disk is full or the file cannot be written. Finished work is kept.

        Examples
        --------
        >>> import tempfile
        >>> from cofm_sklearn import SentenceTransformerEncoder
        >>> encoder = SentenceTransformerEncoder()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Z = encoder.transform_to_file(["a text", "more"], f"{folder}/pool.npy")
        ...     Z.shape, str(Z.dtype)
        ((2, 384), 'float32')
        """
        return embed_to_file(self, X, path, dtype=dtype, block_size=block_size)

    def cache_info(self):
        """Return the cache statistics of this model in this process.

        Returns
        -------
        CacheInfo
            Named tuple ``(hits, misses, embedded, n_items, bytes)``, shared by all
            encoders with the same model; samples and prompts count alike. `embedded`
            counts those that the model embedded.
        """
        return self._open()[1].info()

    def clear_cache(self):
        """Clear this model's cache in memory and reset its counters.

        Files in `cache_dir` stay; delete the folder to remove them.
        """
        self._open()[1].clear()

    def _embed(self, samples, wanted=None):
        # Samples are not sliced: errors name positions in the caller's X.
        wanted = range(len(samples)) if wanted is None else wanted
        keys = self._content_keys(samples, wanted)
        source, cache = self._open()

        def compute(missing):
            positions = [wanted[k] for k in missing]
            found = self._run_model(source, cache.namespace, samples, positions)
            for part, rows in found:
                yield [wanted.index(i) for i in part], rows

        return self._fetch(cache, keys, compute)

    def _fetch(self, cache, keys, compute):
        Z = cache.fetch(keys, compute)
        return unit_rows(Z) if self.normalize else Z

    def _cache(self, fingerprint):
        memory = MEMORY if self.cache else None
        return EmbeddingCache(fingerprint, memory=memory, cache_dir=self.cache_dir)

    def _identity(self):
        """Return a str of everything that determines a row besides the sample."""
        return f"{self._open()[1].namespace}, normalize={self.normalize}"

    def _check_finite(self, rows, cure):
        if not np.isfinite(rows).all():
            raise ValueError(
                f"model_name={self.model_name!r} returned values that are not "
                f"finite. Its weights may be damaged{cure}."
            )
        return rows

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def check_model(model_name, device, revision=None, *, kind="a model"):
    """Raise a TypeError unless these parameters have the right types.

    `kind` tells the error what `model_name` is the name of.
    """
    if not isinstance(model_name, str | PathLike) or not model_name:
        raise TypeError(
            f"model_name must be a str, the name of {kind} or the path of a folder, "
            f"got {model_name!r}."
        )
    if not isinstance(device, str):
        raise TypeError(f'device must be a str like "auto", got {device!r}.')
    if not isinstance(revision, str | None):
        raise TypeError(f"revision must be a str or None, got {revision!r}.")


def longest_first(texts, positions, block_size, desc, verbose):
    """Yield blocks of positions under a progress bar, those of the longest texts first.

    So a batch that does not fit into memory fails early.
    """
    positions = sorted(positions, key=lambda i: -len(texts[i]))
    with tqdm(
        total=len(positions), desc=desc, unit="text", disable=verbose <= 0
    ) as progress:
        for start in range(0, len(positions), block_size):
            block = positions[start : start + block_size]
            yield block
            progress.update(len(block))


def unit_rows(Z):
    """Scale rows to unit L2 norm; a row of zeros stays as it is."""
    norms = np.linalg.norm(Z, axis=1, keepdims=True)
    return Z / np.where(norms > 0, norms, np.float32(1))
