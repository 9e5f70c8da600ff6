"""Check set: randomly drawn samples, held out from training."""

import hashlib

import numpy as np

__all__ = ["draw_number", "n_checks"]


def draw_number(sample, seed):
    """Return the fixed random number from 0 to 1 of a sample.

    It depends only on the sample's id and the seed, so the check set is the same in any
    process, in any order of the pool, and after rows were added.
    """
    digest = hashlib.blake2b(f"{seed}:{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def n_checks(first, n, share):
    """Return the number of check questions among `first` to ``first + n - 1``."""
    return int(np.floor((first + n) * share + 1e-9) - np.floor(first * share + 1e-9))
