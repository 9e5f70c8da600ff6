"""
When the prior is useless
=========================

What if the foundation model knows nothing about your classes, or their descriptions are
wrong? In this example, every topic gets the description of another one, so the prior is
confidently wrong. The labels have to reveal that, and the loop has to do without the
prior.

We compare three loops: with the right descriptions, with swapped ones, and with no
prior at all.
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic.
# Each text is embedded once.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
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
from cofm_sklearn.simulation import LearningCurveDisplay, compare_strategies

docs = load_api_docs()
Z, y = SentenceTransformerEncoder().fit_transform(docs.data), docs.target

# %%
# Swapped descriptions
# --------------------
# Each topic takes the description of the next one in the alphabet.

topics = docs.target_names
swapped = {
    topic: docs.class_descriptions[other]
    for topic, other in zip(topics, np.roll(topics, -1))
}
print({topic: swapped[topic] for topic in ["fft", "stats"]})
for descriptions in (docs.class_descriptions, swapped):
    said = ZeroShotPrior(descriptions).fit(Z).predict(Z)
    print(f"prior alone: {balanced_accuracy_score(y, said):.2f}")

# %%
# Three loops
# -----------
# 96 labels, 12 per round, on three splits into pool and held-out texts. The learning
# curve also records trust, the weight of the prior. Its first point is the model
# without any label, for which the prior decides alone.

small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
models = {
    "right descriptions": CoDecisionClassifier(
        small_model, ZeroShotPrior(docs.class_descriptions)
    ),
    "swapped descriptions": CoDecisionClassifier(small_model, ZeroShotPrior(swapped)),
    "no prior": small_model,
}
scoring = {
    "balanced_accuracy": "balanced_accuracy",
    "trust": lambda model, X, y: getattr(model, "trust_", 0.0),
}
n_seeds = 3
records = [
    compare_strategies(
        {name: (model, CoDecisionQuery()) for name, model in models.items()},
        Z,
        y,
        n_instances=12,
        budget=96,
        seeds=n_seeds,
        scoring=scoring,
    )
]
# Without labels, on the same splits.
for seed in range(n_seeds):
    Z_pool, Z_test, _, y_test = train_test_split(
        Z, y, test_size=0.3, stratify=y, random_state=seed
    )
    for name in ["right descriptions", "swapped descriptions"]:
        start = clone(models[name]).fit(Z_pool)
        first = balanced_accuracy_score(y_test, start.predict(Z_test))
        row = {"strategy": name, "seed": seed, "n_labels": 0, "trust": start.trust_}
        records.append(pd.DataFrame([{**row, "balanced_accuracy": first}]))
records = pd.concat(records, ignore_index=True)
for score in scoring:
    print(records.groupby(["n_labels", "strategy"])[score].mean().unstack().round(2))

# %%
# The picture
# -----------
# Above: without labels, there is only the prior, and the swapped one is worse than
# guessing (0.06). After the first batch, it has almost no trust left, and the curve is
# no worse than that of the loop without a prior; here it is even above it.
#
# Below: trust. This caution also affects the right descriptions: trust in them falls as
# well, and later rises again to one quarter. Meanwhile they help as training samples of
# the small model. Bands are standard errors over the splits.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6.4), sharex=True, layout="constrained", height_ratios=[3, 2]
)
LearningCurveDisplay.from_records(records, ax=above)
above.set(title="Balanced accuracy on held-out texts", xlabel=None, ylim=(0, 0.85))
with_prior = records[records["strategy"] != "no prior"]
LearningCurveDisplay.from_records(with_prior, metric="trust", ax=below, legend=False)
below.set(title="Trust in the prior", ylabel="trust_", ylim=(-0.05, 1.05))
below.set_xticks(sorted(set(records["n_labels"])))
plt.show()
