"""
A large pool on disk
====================

A pool need not fit into memory: ``CoDecisionQuery`` reads it once, in blocks. If a pool
has more than 4,096 samples, the query draws 2,048 candidates that represent it. How
long does a query take as the pool grows, and what do the candidates lose?
"""

# %%
# A pool of 200,000 rows
# ----------------------
# Real embeddings of 1,525 texts, shortened by a random projection and repeated with
# some noise until there are enough. They are written to a file, block by block, and
# opened memory-mapped. There is never more than one block in memory.

import tempfile
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from modAL.uncertainty import margin_sampling
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.preprocessing import normalize
from sklearn.random_projection import GaussianRandomProjection

from cofm_sklearn import CoDecisionQuery, SentenceTransformerEncoder
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
Z = SentenceTransformerEncoder().fit_transform(docs.data)
Z = normalize(GaussianRandomProjection(64, random_state=0).fit_transform(Z))
path = Path(tempfile.mkdtemp()) / "pool.npy"
rng = np.random.RandomState(0)
pool = np.lib.format.open_memmap(path, "w+", np.float32, (200_000, 64))
for start in range(0, len(pool), 20_000):
    rows = rng.randint(len(Z), size=20_000)
    block = Z[rows] + 0.03 * rng.standard_normal((20_000, 64))
    pool[start : start + 20_000] = normalize(block)
pool.flush()
pool = np.load(path, mmap_mode="r")
print(f"{path.stat().st_size / 2**20:.0f} MiB on disk, {type(pool).__name__}")

# %%
# One query at four sizes
# -----------------------
# Any fitted classifier can be the learner. We ask for 100 samples, and for comparison
# also with modAL's margin sampling and the same model.

model = LogisticRegression(max_iter=1000).fit(Z[::10], docs.target[::10])
strategies = {
    "co-decision": CoDecisionQuery(random_state=0),
    "margin sampling of modAL": margin_sampling,
}
times = []
for size in [2_000, 10_000, 50_000, 200_000]:
    for name, strategy in strategies.items():
        start = perf_counter()
        strategy(model, pool[:size], n_instances=100)
        times.append({"rows": size, "strategy": name, "s": perf_counter() - start})
times = pd.DataFrame(times).pivot(index="rows", columns="strategy", values="s")
print(times.round(2))

# %%
# What the candidates lose
# ------------------------
# On 4,000 rows, the exact query (``max_candidates=None``) is fast enough for a
# comparison. We tell the query only to cover the pool (``sharpness=0, balance=0``), so
# the coverage shows what is lost. There are five seeds for each number of candidates.
# Random picks are the lower limit.

small_pool = np.asarray(pool[:4_000])
WIDTH = 0.5


def coverage(picked):
    """Return the mean similarity of samples to their nearest pick."""
    _, distance = pairwise_distances_argmin_min(small_pool, small_pool[picked])
    return np.exp(-(distance**2) / (2 * WIDTH**2)).mean()


lost = []
for seed in range(5):
    at_random = np.random.RandomState(seed).choice(4_000, 50, replace=False)
    lost.append({"candidates": "random\npicks", "coverage": coverage(at_random)})
    for n in [64, 256, 1024, 2048, None]:
        strategy = CoDecisionQuery(
            sharpness=0,
            balance=0,
            kernel_width=WIDTH,
            max_candidates=n,
            random_state=seed,
        )
        picked = strategy.select(small_pool, n_instances=50)
        name = "all\n4,000" if n is None else f"{n:,}"
        lost.append({"candidates": name, "coverage": coverage(picked)})
lost = pd.DataFrame(lost)
print(lost.groupby("candidates", sort=False)["coverage"].mean().round(3))

# %%
# The picture
# -----------
# Left: with a hundred times the rows, a query takes at most a few times as long. In
# larger pools, the greedy part looks only at 2,048 candidates; the time for reading and
# scoring grows. Margin sampling is faster, because it only scores and sorts. (The
# seconds depend on the machine that made this page.) Right: fewer candidates cover less
# of the pool. 2,048 of 4,000 are close to all of them, a few hundred are not. Dots are
# the seeds.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
left.plot(times["co-decision"], "o-", color="#0072B2", label="CoDecisionQuery")
left.plot(
    times["margin sampling of modAL"], "s--", color="#D55E00", label="margin (modAL)"
)
left.set(xscale="log", xlabel="rows in the pool", ylabel="seconds", ylim=0)
left.set_title("Time of a query for 100 samples")
left.set_xticks(times.index, [f"{size // 1000}k" for size in times.index])
left.minorticks_off()
left.legend(frameon=False)
for i, (_, rows) in enumerate(lost.groupby("candidates", sort=False)):
    right.plot([i] * len(rows), rows["coverage"], "o", color="#0072B2", alpha=0.5)
right.set_xticks(range(6), lost["candidates"].unique())
right.margins(y=0.2)
right.set(title="What 50 picks cover", xlabel="candidates", ylabel="coverage", ylim=0)
for axes in (left, right):
    axes.grid(alpha=0.3)
plt.show()
