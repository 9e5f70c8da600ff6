"""Images to embeddings with a frozen open_clip model."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import PathLike

import numpy as np
from tqdm.auto import tqdm

from cofm_sklearn.encoders.base import BaseEncoder, check_model
from cofm_sklearn.encoders.cache import content_key
from cofm_sklearn.encoders.image_reading import picture_key, picture_name, read_rgb
from cofm_sklearn.encoders.image_weights import find_clip, load_clip
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.images import check_images
from cofm_sklearn.utils.texts import check_texts
from cofm_sklearn.utils.validation import check_integer, check_option

__all__ = ["OpenCLIPEncoder"]

_PRECISIONS = ("fp32", "fp16", "bf16")


class OpenCLIPEncoder(BaseEncoder):
    """Embed images, and texts in the same space, with a frozen open_clip model.

    A stateless transformer: `fit` learns nothing, and `transform` works without it.
    Rows are cached by the content of each image, so each image is embedded once, not
    once per round. The model is loaded on first use, shared by all encoders of the
    process, and never pickled.

    Parameters
    ----------
    model_name : str or path-like, default="ViT-B-32"
        An architecture of open_clip (``open_clip.list_models()``), a local folder with
        ``open_clip_config.json`` and a checkpoint, or ``"hf-hub:owner/name"``.

    pretrained : str, path-like or None, default="laion2b_s34b_b79k"
        A tag of open_clip (``open_clip.list_pretrained()``), a local checkpoint, or a
        folder as above. Ignored if `model_name` is a folder or on the hub. Checkpoints
        must be safetensors, or tensors that torch reads without running pickled code.

    device : str, default="auto"
        A torch device, or ``"auto"``: cuda, else mps, else cpu.

    precision : {"fp32", "fp16", "bf16"}, default="fp32"
        Precision of the weights. Use half precision on GPUs only.

    batch_size : int, default=64
        Images per forward pass.

    num_workers : int, default=0
        Threads that read and scale images while the model computes; 0 reads them
        between batches. Results do not depend on it.

    normalize : bool, default=True
        Whether rows are scaled to unit L2 norm.

    max_pixels : int, default=89_478_485
        Images with more pixels are rejected before decoding, since a small
        file can hold an image that fills the memory.

    cache : bool, default=True
        Whether to keep rows in memory, shared by all encoders with the same model in
        this process, up to 1 GiB in total.

    cache_dir : str, path-like or None, default=None
        Folder in which rows are kept between processes, in one SQLite file per model.

    verbose : int, default=0
        Above 0, show progress bars.

    See Also
    --------
    SentenceTransformerEncoder : The same for texts.

    Notes
    -----
    Images are converted to 8-bit RGB before the model's own preprocessing: the EXIF
    orientation is applied, transparent parts become white, grey becomes RGB, palettes
    are resolved, 16 bits are scaled to 8, and only the first frame is used. For images
    that are already 8-bit RGB, rows equal those of open_clip.

    Rows match the input, so `transform` cannot skip an unreadable image: it raises an
    error. If some files of a pool may be broken, check first::

        keep = encoder.readable(paths)  # warns about the others
        paths, y = paths[keep], y[keep]

    The cache identifies an image file by its bytes, other images by their pixels, and a
    model by the content of its checkpoint; it does not distinguish devices.

    References
    ----------
    Radford, A. et al. (2021). Learning Transferable Visual Models From Natural
    Language Supervision. ICML.

    Cherti, M. et al. (2023). Reproducible Scaling Laws for Contrastive Language-Image
    Learning. CVPR. (open_clip, and the default weights)

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn import OpenCLIPEncoder
    >>> encoder = OpenCLIPEncoder("ViT-B-32", "laion2b_s34b_b79k")
    >>> images = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    >>> encoder.readable(images)
    array([ True,  True])
    >>> encoder.transform(images).shape  # doctest: +SKIP
    (2, 512)
    """

    def __init__(
        self,
        model_name="ViT-B-32",
        pretrained="laion2b_s34b_b79k",
        *,
        device="auto",
        precision="fp32",
        batch_size=64,
        num_workers=0,
        normalize=True,
        max_pixels=89_478_485,
        cache=True,
        cache_dir=None,
        verbose=0,
    ):
        self.model_name = model_name
        self.pretrained = pretrained
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.normalize = normalize
        self.max_pixels = max_pixels
        self.cache = cache
        self.cache_dir = cache_dir
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check parameters and images; no file is opened and no model is loaded.

        Parameters
        ----------
        X : array-like of length n_samples
            Images; see `transform`.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The encoder.

        Raises
        ------
        ValueError, TypeError
            If a parameter is not valid or X does not hold images.
        """
        self._check_samples(X)
        return self

    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : array-like of length n_samples
            An array of shape ``(n, height, width)`` or ``(n, height, width, 1|3|4)``,
            or a list, tuple, object array, Series or one-column frame of file paths,
            PIL images and such arrays of one image. Pixels are uint8, uint16, or
            floats from 0 to 1.

        Returns
        -------
        ndarray of shape (n_samples, d), dtype float32
            One row per image, of unit L2 norm if `normalize`.

        Raises
        ------
        ValueError
            If an image cannot be read or is too large (its index and path are named),
            has a wrong shape or values, if X is empty, if a parameter has a wrong
            value, or if the model is not found, cannot be loaded without running
            pickled code, or gives values that are not finite.

        TypeError
            If X or an element of it is not an image, or a parameter has a wrong type.

        ImportError
            If open_clip is not installed.
        """
        return self._embed(self._check_samples(X))

    def encode_prompts(self, texts):
        """Embed class descriptions or other prompts, in the space of `transform`.

        Parameters
        ----------
        texts : list, tuple, ndarray, Series or one-column frame of str
            Prompts, of length n_prompts. The model truncates long prompts.

        Returns
        -------
        ndarray of shape (n_prompts, d), dtype float32
            One row per prompt, of unit L2 norm if `normalize`.

        Raises
        ------
        ValueError, TypeError, ImportError
            If a prompt is not a text, or as in `transform`.
        """
        texts = check_texts(texts, name="texts")
        self._check_parameters()
        source, cache = self._open()

        def compute(positions):
            loaded = load_clip(source, cache.namespace, self.device, self.precision)
            tokenize = loaded.tokenizer()
            for part in self._batches(positions):
                tokens = tokenize([texts[i] for i in part]).to(loaded.device)
                yield part, self._forward(loaded.model.encode_text, tokens)

        keys = [content_key(b"text\0" + text.encode()) for text in texts]
        return self._fetch(cache, keys, compute)

    def readable(self, X):
        """Tell which images can be read, without embedding them.

        Parameters
        ----------
        X : array-like of length n_samples
            Images; see `transform`.

        Returns
        -------
        ndarray of shape (n_samples,), dtype bool
            False where `transform` would raise an error. Use it to select both samples
            and labels. A warning lists the first bad images with the reasons.

        Raises
        ------
        ValueError, TypeError
            If a parameter is not valid or X does not hold images.
        """
        images = self._check_samples(X)

        def trouble(i):
            try:
                self._read(images, i)
            except (ValueError, TypeError) as error:
                return str(error)
            return None

        with self._threads() as run:
            troubles = list(run(trouble, range(len(images))))
        found = [reason for reason in troubles if reason is not None]
        if found:
            more = f" And {len(found) - 3} more." if len(found) > 3 else ""
            warnings.warn(
                f"{len(found)} of {len(images)} images cannot be used. "
                f"{' '.join(found[:3])}{more}",
                stacklevel=2,
            )
        return np.array([reason is None for reason in troubles])

    def logit_scale(self):
        """Return the model's own softmax scale for cosine similarities.

        For ``ZeroShotPrior(..., scale=encoder.logit_scale())``. A method, not an
        attribute, since it loads the model and scikit-learn reads attributes to display
        an estimator.

        Returns
        -------
        float
            Above 0.

        Raises
        ------
        ValueError, TypeError, ImportError
            As in `encode_prompts`.
        """
        self._check_parameters()
        source, cache = self._open()
        loaded = load_clip(source, cache.namespace, self.device, self.precision)
        return float(loaded.model.logit_scale.exp())

    def _check_samples(self, X):
        images = check_images(X)
        self._check_parameters()
        return images

    def _content_keys(self, images, positions):
        def key(i):
            return picture_key(images[i], picture_name(images[i], i), self.max_pixels)

        with self._threads() as run:
            return list(run(key, positions))

    def _read(self, images, i):
        return read_rgb(images[i], picture_name(images[i], i), self.max_pixels)

    def _run_model(self, source, fingerprint, images, positions):
        torch = import_optional("torch", needed_by="OpenCLIPEncoder")
        loaded = load_clip(source, fingerprint, self.device, self.precision)

        def prepare(i):
            return loaded.preprocess(self._read(images, i))

        batches = self._batches(positions)
        with (
            self._threads() as run,
            tqdm(
                total=len(positions),
                desc="Embedding",
                unit="image",
                disable=self.verbose <= 0,
            ) as progress,
        ):
            # Threads read the next batch while the model computes this one.
            ahead = run(prepare, batches[0])
            for k, part in enumerate(batches):
                pixels = torch.stack(list(ahead))
                if k + 1 < len(batches):
                    ahead = run(prepare, batches[k + 1])
                pixels = pixels.to(loaded.device, loaded.input_dtype)
                rows = self._forward(loaded.model.encode_image, pixels)
                progress.update(len(part))
                yield part, rows

    def _forward(self, encode, batch):
        torch = import_optional("torch", needed_by="OpenCLIPEncoder")
        with torch.inference_mode():
            rows = encode(batch).float().cpu().numpy()
        return self._check_finite(rows, ', or need precision="fp32"')

    def _batches(self, positions):
        step = self.batch_size
        return [positions[i : i + step] for i in range(0, len(positions), step)]

    @contextmanager
    def _threads(self):
        """Yield a function like `map` that uses the threads if there are any."""
        if self.num_workers == 0:
            yield map
            return
        with ThreadPoolExecutor(self.num_workers) as pool:
            yield pool.map

    def _open(self):
        source = find_clip(self.model_name, self.pretrained)
        return source, self._cache(source.fingerprint(self.precision))

    def _check_parameters(self):
        check_model(self.model_name, self.device, kind="an architecture")
        if not isinstance(self.pretrained, str | PathLike | None):
            raise TypeError(
                "pretrained must be a str, the name of a tag or the path of a "
                f"checkpoint, or None; got {self.pretrained!r}."
            )
        check_option("precision", self.precision, _PRECISIONS)
        for name, low in (("batch_size", 1), ("num_workers", 0), ("max_pixels", 1)):
            check_integer(name, getattr(self, name), low)

    @property
    def _n_features_out(self):
        # Called by get_feature_names_out, which scikit-learn also uses to display an
        # estimator in a notebook: so nothing is downloaded or loaded here.
        return find_clip(self.model_name, self.pretrained, download=False).width

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Tells the rest of the package that strings are paths, not texts.
        tags.input_tags.three_d_array = True
        return tags
