"""Random arguments, valid and invalid ones."""

import numpy as np
import pandas as pd
from scipy import sparse

__all__ = ["Draw"]

_NUMBERS = (0, 1, 2, 3, -1, 0.5, 1.0, -0.5, 1e-300, 1e300, 10**30, np.nan, np.inf)
_TEXTS = ("", "auto", "a", "symmetric", "entropy", "é\n", "no such thing")


class Draw:
    """Draw arguments; with the odds of `evil`, invalid ones.

    Parameters
    ----------
    rng : RandomState
        Draws.

    evil : float
        Probability of an invalid argument.
    """

    def __init__(self, rng, evil):
        self.rng = rng
        self.evil = evil

    def chance(self, odds):
        return self.rng.uniform() < odds

    def one(self, *choices):
        """Return one of the choices."""
        return choices[self.rng.randint(len(choices))]

    def number(self, low, high):
        """Draw an int from low to high, both included."""
        return int(self.rng.randint(low, high + 1))

    def maybe(self, valid):
        """Return the argument, or with the odds of `evil` anything."""
        return self.anything() if self.chance(self.evil) else valid

    def anything(self):
        """Draw something that is hardly ever valid."""
        kind = self.rng.randint(8)
        if kind == 0:
            return self.one(*_NUMBERS)
        if kind == 1:
            return self.one(*_TEXTS)
        if kind == 2:
            return self.one(None, True, False, pd.NA, b"bytes", object(), {}, [], ())
        if kind == 3:
            shape = self.one((0,), (1,), (0, 3), (3, 0), (1, 1), (4, 2), (2, 2, 2), ())
            return np.zeros(shape, dtype=self.one(float, int, bool, object, "U1"))
        if kind == 4:
            return self.one([[]], [None], [1, "a"], [[1], [2, 3]], ["a", "b"], [1, 2])
        if kind == 5:
            return self.one(
                pd.DataFrame(), pd.Series(["a", None]), pd.DataFrame({"x": ["a", "b"]})
            )
        if kind == 6:
            return self.one(sparse.csr_array((2, 2)), {"a": "b"}, {1, 2}, iter([1]))
        return self.one(np.array([1 + 2j]), np.array(["2020-01-01"], "M8[D]"), print)

    def names(self, n=None, *, kind=None):
        """Draw distinct class names of one kind, unsorted."""
        n = self.number(2, 5) if n is None else n
        kind = self.one("int", "str", "bool", "object") if kind is None else kind
        if kind == "bool":
            return np.array([True, False])
        values = self.rng.permutation(10)[:n]
        if kind == "int":
            return values.astype(self.one(np.int64, np.int8, np.float64))
        names = np.array([f"{'long ' * v}{v}" for v in values])
        return names.astype(object) if kind == "object" else names

    def labels(self, names, n):
        """Draw n labels, sometimes with a missing or a single class."""
        shares = self.rng.dirichlet(np.full(len(names), self.one(0.1, 1.0, 10.0)))
        y = names[self.rng.choice(len(names), size=n, p=shares)]
        if self.chance(self.evil):
            y = self.one(
                y[:-1],
                y[:0],
                y[:, None],
                np.array([None, *y[1:]], dtype=object),
                np.array([*y[1:], "other"], dtype=object),
                self.anything(),
            )
        kind = self.rng.randint(5)
        if not isinstance(y, np.ndarray) or y.ndim != 1:
            return y
        return [y, y, y.tolist(), pd.Series(y), y.astype(object)][kind]

    def table(self, n, d):
        """Draw a table of numbers, in any container, sometimes with odd values."""
        X = self.rng.normal(size=(n, d))
        shape = self.rng.randint(8)
        if shape == 0 and n:
            X[:] = X[0]  # all rows alike
        elif shape == 1:
            X[:, 0] = 0.0
        elif shape == 2:
            X = np.round(X)
        elif shape == 3:
            X *= self.one(1e-30, 1e30)
        elif shape == 4 and n:
            X[self.rng.randint(n)] = 0.0
        if self.chance(self.evil):
            bad = self.rng.randint(4)
            if bad == 0 and X.size:
                X[0, 0] = self.one(np.nan, np.inf, -np.inf)
            elif bad == 1:
                X = X[: n // 2]
            elif bad == 2:
                X = X[:, : d // 2]
            else:
                return self.anything()
        kind = self.rng.randint(9)
        if kind == 0:
            return X.tolist()
        if kind == 1:
            return pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
        if kind == 2:
            return sparse.csr_array(X)
        if kind == 3 and np.isfinite(X).all():
            return np.clip(X, -9, 9).astype(self.one(int, np.int8, bool))
        if kind == 4:
            return np.clip(X, -1e30, 1e30).astype(np.float32)
        if kind == 5:
            return np.clip(X, -1e4, 1e4).astype(np.float16)
        return X

    def proba(self, n, k):
        """Draw class probabilities, including ties, zeros and ones."""
        P = self.rng.dirichlet(np.full(k, self.one(0.05, 1.0, 50.0)), size=n)
        P = P.reshape(n, k)
        shape = self.rng.randint(5)
        if shape == 0:
            P = np.full((n, k), 1 / k)
        elif shape == 1:
            P = np.eye(k)[self.rng.randint(k, size=n)].reshape(n, k)
        if self.chance(self.evil):
            return self.one(
                P[:-1], P[:, :-1], P * 2, -P, np.where(P > 0.5, np.nan, P), P[:0]
            )
        if self.chance(self.evil / 2):
            return self.anything()
        return self.one(P, P, P.tolist(), pd.DataFrame(P), P.astype(np.float32))

    def weights(self, n):
        """Draw weights of samples or None."""
        if self.chance(0.5):
            return self.maybe(None)
        w = self.rng.exponential(size=n)
        w[self.rng.uniform(size=n) < 0.3] = 0.0
        if self.chance(self.evil):
            return self.one(w[:-1], -w, w * 0, np.where(w > 1, np.nan, w), w[:, None])
        return w * self.one(1.0, 1e-12, 1e12)

    def seed(self):
        return self.maybe(
            self.one(None, 0, 3, np.random.RandomState(1), np.int64(2), 2**32 - 1)
        )
