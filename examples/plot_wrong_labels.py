"""
Find the wrong labels
=====================

People make mistakes. In this example, one answer in five is wrong and names the topic
that is most similar to the right one. Nobody knows which answers these are. The
co-decision estimates for every label how probable it is that the label is right. It
uses two models: the prior, which has never seen a label, and the small model, which has
not seen the label that it judges.

Are the suspects really the wrong ones, and what do you gain by knowing them?
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic. We
# use the eight largest topics.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    CoDecisionClassifier,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import flip_labels, load_api_docs
from cofm_sklearn.noise import find_suspects
from cofm_sklearn.simulation import NoiseMatrixDisplay, SuspectsDisplay

docs = load_api_docs()
topics, sizes = np.unique(docs.target, return_counts=True)
largest = topics[np.argsort(sizes)[-8:]].tolist()
rows = np.isin(docs.target, largest)
texts, y = docs.data[rows], docs.target[rows]
Z = SentenceTransformerEncoder().fit_transform(texts)
descriptions = {topic: docs.class_descriptions[topic] for topic in largest}

# %%
# Labels of which a fifth is wrong
# --------------------------------
# 240 texts have a label. ``flip_labels`` finds the similar topic from the embeddings.


def draw(seed):
    """Split the texts, and label 240 of the pool: some of the answers are wrong."""
    pool, test = train_test_split(
        np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed
    )
    answers = flip_labels(
        y[pool], noise=0.2, kind="asymmetric", X=Z[pool], random_state=seed
    )
    return pool[:240], answers[:240], pool, test


labelled, given, pool, test = draw(seed=0)
wrong = given != y[labelled]
print(f"{wrong.sum()} of {len(given)} labels are wrong")

# %%
# Judge the labels
# ----------------
# ``label_quality_`` is the probability that a label is right. Whether there are wrong
# labels at all is decided for all labels together, from the predictions of both models.
# This only works if the small model can be certain. With the default ``C=1``, its
# probabilities on these embeddings are so similar that for this draw no label is
# suspected.

small_model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
prior = ZeroShotPrior(descriptions).fit(Z[pool])
model = CoDecisionClassifier(small_model, prior, random_state=0)
model.fit(Z[labelled], given)
low, high = model.noise_rate_interval_
print(
    f"estimated share of wrong labels: {model.noise_rate_:.2f} ({low:.2f}-{high:.2f})"
)
suspects = find_suspects(given, model.label_quality_)
print(f"{len(suspects)} suspects, {wrong[suspects].sum()} of them are wrong")

# %%
# The worst suspects
# ------------------
# The table shows the given label, the prediction of each model, and how probable it is
# that the label is right. The darker a cell, the less its model believes the label.

display = SuspectsDisplay.from_estimator(
    model, Z[labelled], given, samples=texts[labelled], n_suspects=8
)
display.figure_.set_size_inches(10, 3.4)
plt.show()

# %%
# What is taken for what
# ----------------------
# Left: the confusion that the model estimates. Right: the true one.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
believed = NoiseMatrixDisplay.from_estimator(model, ax=left)
NoiseMatrixDisplay.from_labels(y[labelled], given, ax=right)
left.set_title("Believed")
right.set_title("True")
plt.show()

# %%
# What it is worth
# ----------------
# We use five draws of labels. How many wrong labels do you find if you check the least
# probable labels first, judged by both models or by the small model alone? And how good
# is the co-decision if it takes every label for right, weights labels by their quality
# (the default), or gets the suspects corrected by a second look?

found, scores = [], []
for seed in range(5):
    labelled, given, pool, test = draw(seed)
    truth, wrong = y[labelled], given != y[labelled]
    prior = ZeroShotPrior(descriptions).fit(Z[pool])
    model = CoDecisionClassifier(small_model, prior, random_state=seed)
    alone = CoDecisionClassifier(small_model, random_state=seed)
    believer = CoDecisionClassifier(
        small_model, prior, label_noise=None, random_state=seed
    )
    model.fit(Z[labelled], given)
    alone.fit(Z[labelled], given)
    for name, judge in {"both": model, "small model": alone}.items():
        order = np.argsort(judge.label_quality_)
        share = np.cumsum(wrong[order]) / wrong.sum()
        found.append(pd.Series(share, index=np.arange(1, 241), name=name))
    best = np.minimum(np.arange(1, 241) / wrong.sum(), 1)
    found.append(pd.Series(best, index=np.arange(1, 241), name="best"))
    suspects = find_suspects(given, model.label_quality_)
    mended = given.copy()
    mended[suspects] = truth[suspects]
    versions = {
        "all taken\nfor right": believer.fit(Z[labelled], given),
        "weighed by\nquality": model,
        "suspects\ncorrected": clone(model).fit(Z[labelled], mended),
        "no wrong\nlabel": clone(model).fit(Z[labelled], truth),
    }
    scores.append(
        {
            name: balanced_accuracy_score(y[test], version.predict(Z[test]))
            for name, version in versions.items()
        }
    )
scores = pd.DataFrame(scores)
print(scores.mean().round(3))

# %%
# The picture
# -----------
# Left: if you check the 48 least probable labels, a fifth of all, you find most of the
# wrong ones. Even a perfect order cannot find them with fewer checks than there are
# wrong labels. Right: the balanced accuracy on held-out texts, with a dot per draw and
# a bar for the mean.

found = pd.concat(found, axis=1).T.groupby(level=0).mean().T
print(found.loc[[24, 48, 72, 96]].round(2))
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4.2), layout="constrained", width_ratios=[1, 1.1]
)
left.plot(found["best"], color="grey", linestyle=":", label="best possible")
left.plot(found["both"], color="#0072B2", label="prior and small model")
left.plot(
    found["small model"], color="#D55E00", linestyle="--", label="small model alone"
)
left.plot([0, 240], [0, 1], color="grey", linewidth=0.8, label="chance")
left.set(title="Wrong labels found", xlabel="labels looked at, least likely first")
left.set(ylabel="share of all wrong labels", xlim=(0, 240), ylim=(0, 1.02))
left.legend(frameon=False, loc="lower right")
for i, name in enumerate(scores):
    right.plot([i] * len(scores), scores[name], "o", color="#0072B2", alpha=0.5)
    right.plot([i - 0.25, i + 0.25], [scores[name].mean()] * 2, color="black", lw=2)
right.set_xticks(range(len(scores.columns)), scores.columns, fontsize=9)
right.set(title="What it is worth", ylabel="balanced accuracy")
right.grid(axis="y", alpha=0.3)
plt.show()
