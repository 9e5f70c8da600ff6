"""
Finding a class through its neighbours
======================================

Thousands of texts have no label, but they still carry information: the foundation model
recognises which of them belong together. With a `NeighborGraph` of the pool, the few
labels spread to similar texts.

In this example, there are no class descriptions, and every topic has three labels.
That is too little for the small model alone.
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic.
# Three texts of each topic are labelled.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score

from cofm_sklearn import (
    CoDecisionClassifier,
    NeighborGraph,
    SentenceTransformerEncoder,
)
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
texts, topics = docs.data, docs.target
Z = SentenceTransformerEncoder().transform(texts)
rng = np.random.RandomState(0)
labelled = np.concatenate(
    [
        rng.choice(np.flatnonzero(topics == topic), size=3, replace=False)
        for topic in np.unique(topics)
    ]
)
others = np.setdiff1d(np.arange(len(texts)), labelled)

# %%
# With and without the neighbours
# -------------------------------
# The graph is fitted on the pool, which takes no label. Otherwise the two classifiers
# are the same: trust, temperature and noise are learned without the graph.

graph = NeighborGraph().fit(Z)
small_model = LogisticRegression(class_weight="balanced")
models = {
    "without": CoDecisionClassifier(small_model, random_state=0),
    "with neighbours": CoDecisionClassifier(
        small_model, neighbors=graph, random_state=0
    ),
}
predicted = {}
for name, model in models.items():
    model.fit(Z[labelled], topics[labelled])
    predicted[name] = model.predict(Z[others])
    score = balanced_accuracy_score(topics[others], predicted[name])
    print(f"{name:>15}: balanced accuracy {score:.3f}")
print(f"The neighbours' weight is {models['with neighbours'].neighbor_weight_:.2f}.")

# %%
# One neighbourhood
# -----------------
# We take the topic that gained most, and one of its texts that only the neighbours
# classify correctly. Which texts are its neighbours? None of them has a label here:
# labels spread in steps, from neighbour to neighbour.

classes = models["without"].classes_
recall = pd.DataFrame(
    {
        name: recall_score(topics[others], said, labels=classes, average=None)
        for name, said in predicted.items()
    },
    index=classes,
)
gain = recall["with neighbours"] - recall["without"]
topic = gain.idxmax()
found = (
    (topics[others] == topic)
    & (predicted["with neighbours"] == topic)
    & (predicted["without"] != topic)
)
shown = others[np.flatnonzero(found)[0]]
print(f"{topic}: {texts[shown]!r}")
_, near = graph.kneighbors(Z[shown : shown + 1])
for node in graph.sample_indices_[near[0]]:
    if node != shown:
        known = f"labelled {topics[node]}" if node in labelled else "no label"
        print(f"  {known:>20} | {texts[node]}")

# %%
# The picture
# -----------
# The recall of each topic without the neighbours (open) and with them (filled). Not
# every topic gains. A topic that lies among the samples of another one loses some
# samples to it.

order = gain.sort_values().index
figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
rows = np.arange(len(order))
axes.hlines(
    rows, recall.loc[order].min(axis=1), recall.loc[order].max(axis=1), color="#999999"
)
axes.scatter(
    recall.loc[order, "without"],
    rows,
    facecolors="white",
    edgecolors="#0072B2",
    zorder=2,
    label="without neighbours",
)
axes.scatter(
    recall.loc[order, "with neighbours"],
    rows,
    color="#009E73",
    zorder=3,
    label="with neighbours",
)
axes.set_yticks(rows, order)
axes.set(xlabel="recall, three labels per topic", xlim=(0, 1))
axes.grid(axis="x", alpha=0.3)
axes.legend(frameon=False, loc="lower right")
plt.show()
