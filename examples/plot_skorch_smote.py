"""
A net with SMOTE in every round
===============================

Resampling is part of the model, so it belongs in the loop: every round balances the
labels so far with SMOTE and trains a net on them. But SMOTE looks for neighbours within
a class, and in the first rounds some classes have one label. ``SafeSampler`` resamples
what SMOTE can handle and leaves the rest unchanged.
"""

# %%
# The data
# --------
# Six topics of docstrings of scipy, numpy and scikit-learn. The largest has 22 times as
# many texts as the smallest.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionQuery,
    NetClassifier,
    SafeSampler,
    SentenceTransformerEncoder,
)
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.simulation import LearningCurveDisplay

docs = load_api_docs()
topics = ["stats", "signal", "ndimage", "sparse", "integrate", "spatial"]
rows = np.isin(docs.target, topics)
y = docs.target[rows]
Z = SentenceTransformerEncoder().fit_transform(docs.data[rows])
print(pd.Series(y).value_counts().to_dict())

# %%
# Why SMOTE needs help
# --------------------
# Twenty random labels, as in a first round. SMOTE refuses all of them, because some
# classes have too few. ``SafeSampler`` leaves out only classes with a single label.

rng = np.random.RandomState(0)
first = rng.choice(len(y), 20, replace=False)
before = pd.Series(y[first]).value_counts().reindex(topics, fill_value=0)
try:
    SMOTE(random_state=0).fit_resample(Z[first], y[first])
except ValueError as error:
    print("SMOTE alone:", error)
sampler = SafeSampler(SMOTE(random_state=0))
_, made_even = sampler.fit_resample(Z[first], y[first])
after = pd.Series(made_even).value_counts().reindex(topics, fill_value=0)
print(pd.DataFrame({"labelled": before, "after SafeSampler(SMOTE)": after}))
print("passed by:", sampler.passed_classes_)

# %%
# Two models
# ----------
# A skorch net on the embeddings, with and without SMOTE before it. It knows all topics
# from the start, whichever have labels.

net = NetClassifier(
    "mlp",
    module__hidden=(64,),
    classes=topics,
    max_epochs=30,
    batch_size=64,
    device="cpu",
)
models = {
    "net with SMOTE": make_pipeline(SafeSampler(SMOTE(random_state=0)), net),
    "net": make_pipeline(net),
}

# %%
# The loops
# ---------
# Both models are trained again in every round and choose their own labels. We record
# the recall of the three large and the three small topics.


def mean_recall(of):
    """Return a scorer for the mean recall over some topics."""
    return lambda model, X, y: recall_score(
        y, model.predict(X), labels=of, average="macro", zero_division=0
    )


scoring = {"large": mean_recall(topics[:3]), "small": mean_recall(topics[3:])}
records = []
for seed in range(3):
    Z_pool, Z_test, y_pool, y_test = train_test_split(
        Z, y, test_size=0.4, stratify=y, random_state=seed
    )
    for name, model in models.items():
        loop = ActiveLearningClassifier(
            model,
            CoDecisionQuery(),
            n_instances=10,
            budget=80,
            scoring=scoring,
            random_state=seed,
        ).fit(Z_pool, y_pool, eval_set=(Z_test, y_test))
        records.append(loop.learning_curve_.assign(strategy=name, seed=seed))
records = pd.concat(records, ignore_index=True)
print(
    records.groupby(["n_labels", "strategy"])[list(scoring)].mean().unstack().round(2)
)

# %%
# The picture
# -----------
# Left: what the net is trained on after those twenty labels. Right: what SMOTE changes
# for the three small topics. It does not help here: the net without it is as good, and
# in some rounds better. SMOTE can only mix samples that have labels already. Both loops
# also choose their own labels with a query that looks for small classes, so there is
# less to balance. Bands are standard errors over three splits.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
left.barh(topics, before, color="#0072B2", label="labelled")
left.barh(
    topics,
    after - before,
    left=before,
    color="white",
    edgecolor="#0072B2",
    hatch="///",
    label="made by SMOTE",
)
left.invert_yaxis()
left.set(title="One round: what the net learns from", xlabel="training samples")
left.legend(loc="lower right", frameon=False)
LearningCurveDisplay.from_records(records, metric="small", ax=right)
right.set(title="All rounds: the small topics", ylabel="mean recall", ylim=(0, 1))
right.get_legend().set_loc("lower right")
plt.show()
