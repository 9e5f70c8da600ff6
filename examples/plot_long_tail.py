"""
A long tail: which samples are queried
======================================

Some classes have twenty times as many samples as others. Random samples mostly belong
to the large classes, so the model learns little about the small ones. A query can do
better: it can look for what the model does not know, and give small classes more
weight.

The picture shows which topics were asked about, and what that does for the rare
classes.
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic.
# The topics differ in size by nature; nothing was removed.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.query import RandomQuery, UncertaintyQuery
from cofm_sklearn.simulation import LearningCurveDisplay

docs = load_api_docs()
Z, y = SentenceTransformerEncoder().fit_transform(docs.data), docs.target
sizes = pd.Series(y).value_counts()
print(sizes.to_dict())

# %%
# Four ways to ask
# ----------------
# The co-decision, its query without the prior, and random and margin sampling.

small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
prior = ZeroShotPrior(docs.class_descriptions)
ways = {
    "co-decision": (CoDecisionClassifier(small_model, prior), CoDecisionQuery()),
    "co-decision's query, no prior": (small_model, CoDecisionQuery()),
    "margin": (small_model, UncertaintyQuery()),
    "random": (small_model, RandomQuery()),
}

# %%
# The loops
# ---------
# 160 labels, 20 per round, on three splits into pool and held-out texts. The recall of
# the rare classes is the mean over the smallest third of them.

records, asked = [], []
for seed in range(3):
    Z_pool, Z_test, y_pool, y_test = train_test_split(
        Z, y, test_size=0.3, stratify=y, random_state=seed
    )
    for name, (model, strategy) in ways.items():
        loop = ActiveLearningClassifier(
            model, strategy, n_instances=20, budget=160, random_state=seed
        ).fit(Z_pool, y_pool, eval_set=(Z_test, y_test))
        records.append(loop.learning_curve_.assign(strategy=name, seed=seed))
        counts = pd.Series(loop.labels_).value_counts()
        asked.append(counts.reindex(sizes.index, fill_value=0).rename(name))
records = pd.concat(records, ignore_index=True)
asked = pd.concat(asked, axis=1).T.groupby(level=0).mean().T
print(records.groupby(["n_labels", "strategy"])["rare_class_recall"].mean().unstack())
print(asked.round(1))

# %%
# The picture
# -----------
# Left: the share of each topic that was asked about. Random sampling asks about a
# seventh of every topic, apart from chance. Both queries ask less about the largest
# topic, and somewhat more about the rare ones together.
#
# Right: the co-decision knows the rare topics from their descriptions before it asks.
# Nearly all of its lead comes from this. Without the prior, its query is not better
# than margin sampling here. The topics below the dashed line are the rare ones. Each
# has 5 to 14 texts held out, so the curves are rough. Bands are standard errors over
# the splits.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 4.8), layout="constrained", width_ratios=[1, 1.15]
)
shown = LearningCurveDisplay.from_records(records, metric="rare_class_recall", ax=right)
right.set(title="Rare topics found among held-out texts", ylim=(0, 1.2))
right.legend(frameon=False, fontsize=9, loc="upper center", ncols=2)
share = asked.div(pd.Series(y_pool).value_counts(), axis=0).reindex(sizes.index)
for name in ["random", "margin", "co-decision"]:
    line = shown.lines_[name]
    left.plot(
        share[name],
        np.arange(len(share)),
        color=line.get_color(),
        marker=line.get_marker(),
        linestyle="none",
    )
left.axhline(len(share) - len(share) // 3 - 0.5, color="grey", linestyle="--", lw=1)
left.set_yticks(
    np.arange(len(share)), [f"{topic} ({sizes[topic]})" for topic in share.index]
)
left.invert_yaxis()
left.set(
    title="What was asked about",
    xlabel="share of the topic's texts in the pool",
    xlim=0,
)
left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
left.grid(axis="y", alpha=0.3)
plt.show()
