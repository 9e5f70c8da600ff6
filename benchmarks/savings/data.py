"""Data sets of the benchmark: embeddings, labels, descriptions, and their splits."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    NeighborGraph,
    PrecomputedPrior,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs, make_long_tail
from cofm_sklearn.simulation import NoisyOracle, RecordedVotesOracle
from cofm_sklearn.utils.validation import check_unit_embeddings

__all__ = [
    "DATASETS",
    "FOUND",
    "IMAGES",
    "NOISES",
    "PRIORS",
    "Corpus",
    "Split",
    "ask_oracle",
    "draw",
    "fit_prior",
    "label_counts",
    "load",
    "make_split",
    "noises_of",
    "priors_of",
]

MAX_POOL = 3000
MAX_TEST = 3000
TEST_PART = 0.3


@dataclass(frozen=True)
class Setting:
    """Protocol settings of a data set."""

    ratio: float | None  # largest class over smallest; None keeps them as they are
    n_classes: int
    development: bool  # whether parameters of the method were chosen on it


# Texts, and images with an existing prior.
FOUND = {
    "agnews": Setting(ratio=50, n_classes=4, development=True),
    "sms": Setting(ratio=None, n_classes=2, development=True),
    "api_docs": Setting(ratio=None, n_classes=16, development=True),
    "trec": Setting(ratio=20, n_classes=6, development=True),
    "hate": Setting(ratio=None, n_classes=3, development=False),
    "banking77": Setting(ratio=20, n_classes=77, development=False),
    "sst2": Setting(ratio=10, n_classes=2, development=False),
    "cifar10_lite0": Setting(ratio=50, n_classes=10, development=False),
}
# The same images three times: the prior is made weak, as good as possible, or comes
# from a hub model. See benchmarks/images.
IMAGES = {
    f"cifar10 {prior}": Setting(ratio=50, n_classes=10, development=False)
    for prior in ("weak", "best", "hub")
}
DATASETS = FOUND | IMAGES

NOISES = {
    "0": {"noise": 0.0},
    "0.2": {"noise": 0.2},
    "0.4": {"noise": 0.4},
    "0.2 asymmetric": {"noise": 0.2, "kind": "asymmetric"},
    "votes": None,  # answers as recorded from annotators
}

# What the prior reads of each class: a sentence, or whatever there is; the bare name;
# or the sentence of another class, which makes it useless.
PRIORS = ("sentences", "names", "shuffled")
_HAVE_NAMES = ("agnews", "sms", "hate", "trec", "sst2", "api_docs")

# Shares and multiples of max(20, number of classes): first batches are small, to show
# savings on easy data.
_COUNTS = (0.25, 0.5, 0.75, 1, 1.5, *range(2, 16))


@dataclass(frozen=True)
class Corpus:
    """A data set: embeddings, labels 0, 1, ..., a description and a name per class.

    With `has_proba`, the first columns of Z are the probabilities of a prior.
    """

    Z: np.ndarray
    y: np.ndarray
    descriptions: tuple
    names: tuple
    votes: np.ndarray | None = None
    encoder: BaseEstimator | None = None  # of descriptions; None is the text encoder
    prompts: tuple = ("{}",)
    has_proba: bool = False


@dataclass(frozen=True)
class Split:
    """Pool and test set of one seed, and the oracle's answers."""

    Z_pool: np.ndarray
    y_pool: np.ndarray
    answers: np.ndarray
    Z_test: np.ndarray
    y_test: np.ndarray
    classes: np.ndarray
    prior: FrozenEstimator
    neighbors: FrozenEstimator
    n_proba: int = 0  # first columns of Z, for priors only


def noises_of(dataset):
    """Return the kinds of noise used with a data set."""
    return [noise for noise in NOISES if noise != "votes" or dataset == "hate"]


def priors_of(dataset):
    """Return the kinds of prior used with a data set."""
    return [kind for kind in PRIORS if kind != "names" or dataset in _HAVE_NAMES]


def label_counts(n_classes, n_rounds):
    """Return the number of labels after each round, equal for all strategies."""
    unit = max(20, n_classes)
    return [int(share * unit) for share in _COUNTS[:n_rounds]]


@lru_cache(maxsize=2)
def load(dataset, folder, cache):
    """Load a data set.

    Parameters
    ----------
    dataset : str
        A key of `DATASETS`.

    folder : str or None
        Folder of ``<dataset>.npz``; ``"api_docs"`` needs none.

    cache : str
        Folder of the encoder's cache.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    """
    if dataset == "api_docs":
        docs = load_api_docs()
        y = np.searchsorted(docs.target_names, docs.target)
        texts = tuple(docs.class_descriptions[name] for name in docs.target_names)
        Z = SentenceTransformerEncoder(cache_dir=cache).transform(docs.data)
        return Corpus(check_unit_embeddings(Z), y, texts, tuple(docs.target_names))
    if dataset in IMAGES:
        # Imported late, as it needs torch and open_clip.
        from benchmarks.images.data import load_images

        return load_images(dataset, folder, cache)
    path = Path(folder or ".") / f"{dataset}.npz"
    if folder is None or not path.exists():
        raise FileNotFoundError(
            f"{path.name} was not found. Give its folder with --data, or use "
            "--datasets api_docs, which needs no file."
        )
    texts = path.with_name("descriptions.json")
    described = json.loads(texts.read_text()) if texts.exists() else {}
    with np.load(path) as file:
        words = described.get(dataset, {"names": file["class_names"].tolist()})
        names = tuple(words["names"])
        descriptions = tuple(words.get("sentences", names))
        y = file["y"].astype(np.int64)
        if "prior" in file.files:
            Z = check_unit_embeddings(file["features"].astype(np.float32))
            proba = file["prior"].astype(np.float64)
            proba /= proba.sum(axis=1, keepdims=True)  # half precision
            return Corpus(np.hstack([proba, Z]), y, descriptions, names, has_proba=True)
        votes = file["votes"] if "votes" in file.files else None
        Z = check_unit_embeddings(file["minilm"].astype(np.float32))
        return Corpus(Z, y, descriptions, names, votes)


@lru_cache(maxsize=4)
def make_split(dataset, noise, prior, seed, folder, cache):
    """Draw pool, test set and answers; equal for all strategies of a seed.

    Parameters
    ----------
    dataset, noise, prior : str
        Keys of `DATASETS` and `NOISES`, one of `PRIORS`.

    seed : int
        Seed of the split, the order of the tail and the wrong answers.

    folder, cache
        As in `load`.

    Returns
    -------
    Split
    """
    corpus = load(dataset, folder, cache)
    pool, test = draw(corpus.y, DATASETS[dataset].ratio, seed)
    fitted = fit_prior(corpus, corpus.Z[pool], prior, seed, cache)
    return ask_oracle(corpus, pool, test, noise, fitted, seed)


def draw(y, ratio, seed):
    """Draw pool and test set.

    Parameters
    ----------
    y : ndarray of int
        All labels.

    ratio : float or None
        Largest class of the pool over its smallest; None keeps them as they are.

    seed : int
        Seed of both, and of the order of the tail.

    Returns
    -------
    pool, test : ndarray of int
        Rows.
    """
    pool, test = train_test_split(
        np.arange(len(y)),
        test_size=min(MAX_TEST, int(TEST_PART * len(y))),
        stratify=y,
        random_state=seed,
    )
    kept = make_long_tail(y[pool], ratio=ratio, max_samples=MAX_POOL, random_state=seed)
    return pool[kept], test


def ask_oracle(corpus, pool, test, noise, prior, seed):
    """Build a split, with the answers to all queries.

    Parameters
    ----------
    corpus : Corpus
        The data set.

    pool, test : ndarray of int
        Rows of it.

    noise : str
        A key of `NOISES`.

    prior : prior
        The fitted prior.

    seed : int
        Seed of the wrong answers.

    Returns
    -------
    Split
    """
    Z, y = corpus.Z, corpus.y
    classes = np.arange(len(corpus.descriptions))
    if NOISES[noise] is None:
        if corpus.votes is None:
            raise ValueError("This data set has no recorded votes.")
        oracle = RecordedVotesOracle(random_state=seed)
        votes = corpus.votes[pool]
    else:
        oracle, votes = NoisyOracle(**NOISES[noise], random_state=seed), None
    oracle.fit(y[pool], X=Z[pool], votes=votes, classes=classes)
    return Split(
        Z_pool=Z[pool],
        y_pool=y[pool],
        answers=oracle.answer(np.arange(len(pool))),
        Z_test=Z[test],
        y_test=y[test],
        classes=classes,
        prior=prior,
        neighbors=FrozenEstimator(NeighborGraph(prior).fit(Z[pool])),
        n_proba=len(classes) if corpus.has_proba else 0,
    )


def fit_prior(corpus, Z_pool, kind, seed, cache):
    """Fit the prior on the pool, and freeze it."""
    n_classes = len(corpus.descriptions)
    assigned = np.arange(n_classes)
    if kind == "shuffled":
        # Shift along one cycle, so that no class keeps its own description.
        cycle = np.random.RandomState(seed).permutation(n_classes)
        assigned[cycle] = np.roll(cycle, 1)
    if corpus.has_proba:
        columns = PrecomputedPrior(np.argsort(assigned), columns=range(n_classes))
        return FrozenEstimator(columns.fit())
    texts = corpus.names if kind == "names" else corpus.descriptions
    described = {k: texts[assigned[k]] for k in range(n_classes)}
    encoder = corpus.encoder or SentenceTransformerEncoder(cache_dir=cache)
    prior = ZeroShotPrior(described, encoder, prompts=corpus.prompts)
    return FrozenEstimator(prior.fit(Z_pool))
