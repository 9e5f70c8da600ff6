"""
The first batch, without labels
===============================

There are no labels and no trained model yet: what should people look at first?
``CoDecisionQuery`` spreads its first batch over the embedding space, so that every part
of the pool has a label near it. A prior made of one sentence per class can predict from
the start.

How many classes does the first batch find, and how good is the classifier after it?
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic.
# There are 16 topics, and the largest has 22 times as many texts as the smallest. Three
# tenths of the texts are held out.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
Z = SentenceTransformerEncoder().fit_transform(docs.data)
Z_pool, Z_test, y_pool, y_test = train_test_split(
    Z, docs.target, test_size=0.3, stratify=docs.target, random_state=0
)
print(pd.Series(y_pool).value_counts().to_dict())

# %%
# Two opinions without labels
# ---------------------------
# The prior compares each text with the descriptions of the topics. The small model
# knows nothing yet.

small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
prior = ZeroShotPrior(docs.class_descriptions).fit(Z_pool)
prior_alone = balanced_accuracy_score(y_test, prior.predict(Z_test))
print(f"prior alone, no label: {prior_alone:.2f}")

# %%
# Two first batches
# -----------------
# Before the first label, the query has only the embeddings. The other batch is drawn at
# random.


def spread(Z_pool, n_labels, seed):
    """Let the query cover the pool."""
    return CoDecisionQuery(random_state=seed).select(Z_pool, n_instances=n_labels)


def at_random(Z_pool, n_labels, seed):
    """Draw from the pool."""
    rng = np.random.RandomState(seed)
    return rng.choice(len(Z_pool), n_labels, replace=False)


batches = {"random": at_random, "spread over the pool": spread}
for name, choose in batches.items():
    print(f"{name}: {sorted(y_pool[choose(Z_pool, 16, seed=0)].tolist())}")

# %%
# What each batch is worth
# ------------------------
# We use five splits into pool and held-out texts. For each kind and size of batch, we
# record the number of topics found, and the balanced accuracy of the small model alone
# and of the co-decision.

records = []
for seed in range(5):
    Z_pool, Z_test, y_pool, y_test = train_test_split(
        Z, docs.target, test_size=0.3, stratify=docs.target, random_state=seed
    )
    prior = ZeroShotPrior(docs.class_descriptions).fit(Z_pool)
    models = {
        "small model": small_model,
        "co-decision": CoDecisionClassifier(small_model, prior),
    }
    for n_labels in [8, 16, 32, 64]:
        for name, choose in batches.items():
            rows = choose(Z_pool, n_labels, seed)
            record = {"batch": name, "n_labels": n_labels}
            record["topics"] = len(np.unique(y_pool[rows]))
            for kind, model in models.items():
                said = model.fit(Z_pool[rows], y_pool[rows]).predict(Z_test)
                record[kind] = balanced_accuracy_score(y_test, said)
            said = prior.predict(Z_test)
            record["prior alone"] = balanced_accuracy_score(y_test, said)
            records.append(record)
table = pd.DataFrame(records)
print(table.groupby(["batch", "n_labels"]).mean().round(2))

# %%
# The picture
# -----------
# The spread batch finds about as many topics as a random one, or one more. But its
# labels teach the small model clearly more, because each represents a region of the
# pool. The prior helps most, before there is any label. With a prior as good as this
# one, it hardly matters which batch comes first. Bands show the range over the splits.

colours = {"random": "#D55E00", "spread over the pool": "#0072B2"}
markers = {"random": "s", "spread over the pool": "o"}
dashes = {"small model": "--", "co-decision": "-"}
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")


def draw_line(axes, name, column, **line):
    """Draw the mean over splits, and from the lowest to the highest of them."""
    by_size = table[table["batch"] == name].groupby("n_labels")[column]
    style = {"color": colours[name], "marker": markers[name], **line}
    axes.plot(by_size.mean(), label=name, **style)
    low, high = by_size.min(), by_size.max()
    axes.fill_between(low.index, low, high, color=colours[name], alpha=0.15, lw=0)


for name in batches:
    draw_line(left, name, "topics")
    for kind, dash in dashes.items():
        draw_line(right, name, kind, linestyle=dash)
left.axhline(16, color="grey", linestyle=":")
left.annotate("all topics", (8, 16), (0, -11), textcoords="offset points", fontsize=9)
left.set(title="Topics found", ylim=(0, 17), xlabel="labels in the first batch")
left.legend(loc="lower right", frameon=False)
prior_alone = table["prior alone"].mean()
right.axhline(prior_alone, color="grey", linestyle=":")
right.annotate("prior alone, no label", (18, prior_alone - 0.06), fontsize=9)
right.annotate("co-decision", (8, prior_alone + 0.05), fontsize=9)
right.annotate("small model alone", (33, 0.27), fontsize=9)
right.set(title="Balanced accuracy after it", ylim=(0, 1))
right.set_xlabel("labels in the first batch")
for axes in (left, right):
    axes.set_xscale("log", base=2)
    axes.set_xticks([8, 16, 32, 64], ["8", "16", "32", "64"])
plt.show()
