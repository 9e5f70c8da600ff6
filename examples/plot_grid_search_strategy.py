"""
Search over net, resampling and query strategy at once
======================================================

A whole active-learning loop is one estimator. One ``GridSearchCV`` can therefore
compare the width of a skorch net, resampling, and the settings of the query strategy.
The score of each candidate is what its loop reaches on held-out samples with the same
number of labels.

The data are the first lines of docstrings of scipy, numpy and scikit-learn, embedded by
a sentence transformer. The label is the topic, and some topics are rarer than others.
"""

# %%
# Five topics, the rarest with 16 docstrings. Each text is embedded once.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionQuery,
    NetClassifier,
    SafeSampler,
    SentenceTransformerEncoder,
)
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
topics = ["stats", "signal", "sparse", "fft", "spatial"]
rows = np.isin(docs.target, topics)
y = np.asarray(docs.target)[rows]
X = SentenceTransformerEncoder().fit_transform(np.asarray(docs.data)[rows])

# %%
# The small model is a pipeline: SMOTE, inside a ``SafeSampler`` so that it copes with
# topics of one or two labels, and a net on the embeddings that knows all topics from
# the start. The loop around it asks for 40 labels, 10 at a time.

model = Pipeline(
    [
        ("sampler", SafeSampler(SMOTE(random_state=0))),
        (
            "net",
            NetClassifier(
                "mlp", classes=topics, max_epochs=15, batch_size=64, device="cpu"
            ),
        ),
    ]
)
loop = ActiveLearningClassifier(
    model,
    CoDecisionQuery(),
    n_instances=10,
    budget=40,
    scoring=[],
    random_state=0,
)

# %%
# Parameter names reach from the loop down to the module of the net.

search = GridSearchCV(
    loop,
    {
        "query_strategy__sharpness": [0.0, 2.0],
        "estimator__sampler": ["passthrough", model["sampler"]],
        "estimator__net__module__hidden": [(), (64,)],
    },
    scoring="balanced_accuracy",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    n_jobs=2,
).fit(X, y)

# %%
# One line per choice of net and resampling. On the left, the query only covers the pool
# (sharpness 0); on the right, it looks where the net is uncertain. Lines that cross
# suggest that the settings depend on each other. With 64 hidden units, SMOTE is better
# after a query that spreads, and worse after a query for uncertain samples. The net
# without a hidden layer is better with SMOTE after both. If you tuned one setting after
# the other, you would miss this. The bars are standard errors over only three folds, so
# this is no proof.

results = pd.DataFrame(search.cv_results_)
results["net"] = results["param_estimator__net__module__hidden"].map(
    lambda hidden: "64 hidden units" if hidden else "no hidden layer"
)
results["sampler"] = results["param_estimator__sampler"].map(
    lambda sampler: "as labelled" if isinstance(sampler, str) else "SMOTE"
)
colours = {"no hidden layer": "tab:blue", "64 hidden units": "tab:orange"}
dashes = {"as labelled": "--", "SMOTE": "-"}
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for shift, ((net, sampler), group) in enumerate(results.groupby(["net", "sampler"])):
    group = group.sort_values("param_query_strategy__sharpness")
    axes.errorbar(
        np.arange(len(group)) + 0.03 * (shift - 1.5),
        group["mean_test_score"],
        group["std_test_score"] / np.sqrt(search.n_splits_),
        color=colours[net],
        linestyle=dashes[sampler],
        marker="o",
        capsize=3,
        label=f"{net}, {sampler}",
    )
axes.set_xticks(
    [0, 1], ["spread over the pool\n(sharpness 0)", "where unsure\n(sharpness 2)"]
)
axes.set_xlim(-0.3, 1.3)
axes.set_xlabel("query strategy")
axes.set_ylabel("balanced accuracy, 40 labels")
axes.set_title("Net, resampling and query, compared at once")
axes.legend(frameon=False, fontsize=9)
plt.show()
