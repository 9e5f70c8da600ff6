"""Images of the benchmark, embedded by the model pretrained for it.

One half of the images is for pretraining, the other for the benchmark; no image is in
both.
"""

from pathlib import Path

import numpy as np

from benchmarks.images.pretrain import RECIPES, TEMPLATES, pretrain
from benchmarks.savings.data import Corpus
from cofm_sklearn import OpenCLIPEncoder

__all__ = ["HUB_MODEL", "load_images", "make_encoder", "read_half"]

# The model that `--prior hub` downloads.
HUB_MODEL = ("ViT-B-32", "laion2b_s34b_b79k")
_FILE = "cifar10.npz"


def read_half(folder, split):
    """Read one half of the images.

    Parameters
    ----------
    folder : str or None
        Folder of ``cifar10.npz``.

    split : {"train", "test"}
        The half of the pretraining, or that of the benchmark.

    Returns
    -------
    images : ndarray of shape (n_samples, 32, 32, 3), dtype uint8

    y : ndarray of shape (n_samples,), dtype int64

    class_names : tuple of str

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    """
    path = Path(folder or ".") / _FILE
    if folder is None or not path.exists():
        raise FileNotFoundError(
            f"{_FILE} is not there. Name its folder with --data; the file holds "
            "`image`, `y`, `split` and `class_names`."
        )
    with np.load(path) as file:
        half = file["split"] == split
        y = file["y"][half].astype(np.int64)
        return file["image"][half], y, tuple(str(name) for name in file["class_names"])


def make_encoder(dataset, folder, cache, *, quiet=True):
    """Return the encoder of a data set; train its model if there is none yet.

    Parameters
    ----------
    dataset : str
        A key of `benchmarks.savings.data.IMAGES`.

    folder : str
        Folder of the images.

    cache : str
        Folder for models and embeddings.

    quiet : bool, default=True
        Whether to hide the progress of the training.

    Returns
    -------
    OpenCLIPEncoder
    """
    kind = dataset.split()[-1]
    if kind == "hub":
        return OpenCLIPEncoder(*HUB_MODEL, cache_dir=cache)
    target = Path(cache) / f"open_clip-cifar10-{kind}"
    images, y, names = read_half(folder, "train")
    pretrain(images, y, names, RECIPES[kind], target, quiet=quiet)
    return OpenCLIPEncoder(target, cache_dir=cache, batch_size=256)


def load_images(dataset, folder, cache):
    """Load the benchmark's half of the images for the savings benchmark.

    Parameters
    ----------
    dataset, folder, cache
        As in `make_encoder`.

    Returns
    -------
    Corpus
    """
    images, y, names = read_half(folder, "test")
    encoder = make_encoder(dataset, folder, cache)
    return Corpus(encoder.transform(images), y, names, names, None, encoder, TEMPLATES)
