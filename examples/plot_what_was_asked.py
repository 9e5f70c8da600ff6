"""
What was queried, and why
=========================

You can watch a query strategy while it works. This example shows the pool on a map,
with the samples that were asked about in each round, and how useful the query found
every other text.
"""

# %%
# The data
# --------
# Five topics of docstrings of scipy, numpy and scikit-learn, of different sizes. The
# prior reads a description of each topic.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.models import fit_to_pool

docs = load_api_docs()
topics = ["special", "linalg", "ndimage", "optimize", "integrate"]
rows = np.isin(docs.target, topics)
texts, y = docs.data[rows], docs.target[rows]
Z = SentenceTransformerEncoder().fit_transform(texts)
prior = ZeroShotPrior({topic: docs.class_descriptions[topic] for topic in topics})
model = fit_to_pool(
    CoDecisionClassifier(
        LogisticRegression(class_weight="balanced", max_iter=1000),
        prior,
        random_state=0,
    ),
    Z,
)

# %%
# Three rounds by hand
# --------------------
# The loop is a few lines: the query sees the pool and the model, the true labels
# answer, and the model is trained again. ``return_utilities`` returns how useful each
# text was when the first one of the batch was picked.

strategy = CoDecisionQuery(n_instances=12, random_state=0)
labelled = np.empty(0, dtype=int)
rounds = []
for _ in range(3):
    pool = np.setdiff1d(np.arange(len(y)), labelled)
    proba = X_labeled = None
    if len(labelled):
        proba = model.proba_without_neighbors(Z[pool])
        X_labeled = Z[labelled]
    picked, utilities = strategy.select(
        Z[pool], proba, X_labeled=X_labeled, return_utilities=True
    )
    worth = np.full(len(y), np.nan)
    worth[pool] = utilities
    rounds.append({"asked": pool[picked], "worth": worth, "before": labelled})
    labelled = np.append(labelled, pool[picked])
    model.fit(Z[labelled], y[labelled])
for number, this in enumerate(rounds, start=1):
    counts = pd.Series(y[this["asked"]]).value_counts()
    print(f"round {number}: {counts.to_dict()}")

# %%
# Where the two models differ
# ---------------------------
# These are the texts about which prior and small model disagree most after 36 labels.

small, prior_says = model.small_model_proba(Z), model.prior_proba(Z)
differ = small.argmax(axis=1) != prior_says.argmax(axis=1)
distance = np.abs(small - prior_says).sum(axis=1) / 2
for name, said in {"prior": prior_says, "small model": small}.items():
    right = model.classes_[said.argmax(axis=1)] == y
    print(
        f"they differ on {differ.sum()} texts; {name} is right on {right[differ].sum()}"
    )
for i in np.argsort(-distance)[:5]:
    print(
        f"{texts[i][:60]!r}: prior {model.classes_[prior_says[i].argmax()]}, small "
        f"model {model.classes_[small[i].argmax()]}, truth {y[i]}"
    )

# %%
# A map of the pool
# -----------------
# t-SNE puts texts with similar embeddings near each other. It is only for the picture:
# the query works in all 384 dimensions.

place = TSNE(init="pca", perplexity=30, random_state=0).fit_transform(Z)

# %%
# The picture
# -----------
# Shades of blue show how useful each text was to the query. In round 1 nothing is
# known, so all texts are about equally useful, those among many others a little more,
# and the picks spread. Later, texts near a label are less useful, and so are texts
# about which prior and small model together are certain.
#
# The last map shows the true topics, and where the two models disagree. This is mostly
# inside the largest topic, part of which the prior takes for others. The query does not
# look for disagreement: it asks where both together are uncertain and nothing near is
# labelled.

markers = dict(zip(topics, "osD^v"))
colours = dict(zip(topics, ["#0072B2", "#56B4E9", "#E69F00", "#CC79A7", "#009E73"]))
figure, grid = plt.subplots(2, 2, figsize=(9, 8.4), layout="constrained")
for number, (axes, this) in enumerate(zip(grid.flat, rounds), start=1):
    worth = this["worth"] / np.nanmax(this["worth"])
    shades = axes.scatter(*place.T, c=worth, s=14, cmap="Blues", vmin=-0.15, vmax=1)
    axes.scatter(*place[this["before"]].T, marker="x", s=30, color="0.4", lw=1)
    axes.scatter(
        *place[this["asked"]].T, marker="*", s=150, color="#D55E00", edgecolor="black"
    )
    axes.set_title(f"Round {number}: asked now (star), before (cross)", fontsize=10)
bar = figure.colorbar(shades, ax=grid[0], label="worth to the query", shrink=0.8)
bar.ax.set_ylim(0, 1)
last = grid[1, 1]
for topic in topics:
    of_topic = y == topic
    last.scatter(
        *place[of_topic].T, s=14, marker=markers[topic], c=colours[topic], label=topic
    )
last.scatter(
    *place[differ].T, s=60, facecolor="none", edgecolor="black", label="models disagree"
)
last.set_title("The truth")
last.legend(
    fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False
)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
plt.show()
