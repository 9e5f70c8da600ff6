"""
How trust changes with more labels
==================================

The prior and the small model decide together. The weight of the prior is its *trust*,
from 0 to 1. Before the first label, it is 1; then the labels decide how far the prior
can be trusted. The prior in this example is a good one.

The example looks inside a loop, at what the model reports after every round:
``trust_``, ``prior_evidence_``, and how good each half is without the other.
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic.
# Each text is embedded once.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
Z, y = SentenceTransformerEncoder().fit_transform(docs.data), docs.target

# %%
# The two models
# --------------
# A prior that reads one description per topic, and a logistic regression that is
# trained again in every round.

prior = ZeroShotPrior(docs.class_descriptions)
small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
model = CoDecisionClassifier(small_model, prior)

# %%
# What to write down in every round
# ---------------------------------
# ``scoring`` takes any functions of the model and the held-out samples, so the learning
# curve can also record attributes of the model.


def score_half(proba, model, y):
    """Return the balanced accuracy of one of the models."""
    return balanced_accuracy_score(y, model.classes_[proba.argmax(axis=1)])


scoring = {
    "trust": lambda model, X, y: model.trust_,
    "evidence": lambda model, X, y: model.prior_evidence_,
    "prior": lambda model, X, y: score_half(model.prior_proba(X), model, y),
    "small model": lambda model, X, y: score_half(model.small_model_proba(X), model, y),
    "co-decision": lambda model, X, y: score_half(model.predict_proba(X), model, y),
}

# %%
# The loop
# --------
# 200 labels, 20 per round, on three splits into pool and held-out texts.

curves = []
for seed in range(3):
    Z_pool, Z_test, y_pool, y_test = train_test_split(
        Z, y, test_size=0.3, stratify=y, random_state=seed
    )
    loop = ActiveLearningClassifier(
        model,
        CoDecisionQuery(),
        n_instances=20,
        budget=200,
        scoring=scoring,
        random_state=seed,
    ).fit(Z_pool, y_pool, eval_set=(Z_test, y_test))
    curves.append(loop.learning_curve_)
curves = pd.concat(curves).groupby("n_labels")[list(scoring)]
print(curves.mean().round(2))

# %%
# The picture
# -----------
# Above: the first 20 labels already show that the prior helps. Trust is about one
# quarter from 60 labels on: the small model has learned most of the prior from the
# descriptions, which must not count twice, and it improves with every label. Both
# curves are estimated from scratch in every round, so a single round can change them.
#
# Below: the co-decision starts above the prior and rises. The small model starts high,
# too, because it uses the prior already: the descriptions are among its training
# samples. It goes on learning, and with the last labels it comes close to the
# co-decision, because the prior does not learn from labels. The pool still
# makes a difference: a loop knows it, so labels spread to similar texts
# (:class:`~cofm_sklearn.NeighborGraph`). Bands show the range over the splits.

colours = {
    "trust": "#000000",
    "evidence": "#CC79A7",
    "prior": "#E69F00",
    "small model": "#0072B2",
    "co-decision": "#009E73",
}
names = {
    "trust": "trust_: weight of the prior",
    "evidence": "prior_evidence_: does it help at all?",
}
styles = {
    "trust": "-",
    "evidence": "--",
    "prior": ":",
    "small model": "--",
    "co-decision": "-",
}
figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6.4), sharex=True, layout="constrained"
)
mean, low, high = curves.mean(), curves.min(), curves.max()
for column in scoring:
    axes = above if column in names else below
    axes.plot(
        mean[column],
        color=colours[column],
        linestyle=styles[column],
        marker="o",
        markersize=4,
        label=names.get(column, column),
    )
    axes.fill_between(
        mean.index, low[column], high[column], color=colours[column], alpha=0.15, lw=0
    )
above.set(ylabel="0: not at all, 1: fully", ylim=(-0.13, 1.03))
above.set_title("What the labels say of the prior")
above.legend(frameon=False, loc="lower right", ncols=2, borderaxespad=0)
below.set(ylabel="balanced accuracy", xlabel="labels asked for", ylim=(0.6, 0.9))
below.set_title("How good the two halves are, and both together")
below.legend(frameon=False, loc="lower right")
for axes in (above, below):
    axes.grid(alpha=0.3)
plt.show()
