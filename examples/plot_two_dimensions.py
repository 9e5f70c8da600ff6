"""
A prior, a small model and three queries in the plane
=====================================================

Embeddings have hundreds of dimensions, and no picture shows them. In this example, the
samples are points in a plane, so you can see where each model draws its borders, and
which samples each query strategy finds worth a question. One of the three classes is
rare, and some of the labels are wrong.
"""

# %%
# The data
# --------
# 500 points in three classes; the rare class has 20. A person has labelled 30 of them,
# drawn at random, and about one answer in six is wrong.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler, normalize

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    NeighborGraph,
    PrecomputedPrior,
)
from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.query import RandomQuery, UncertaintyQuery

classes = ["first", "rare", "second"]
places, codes = make_blobs(
    [280, 20, 200],
    centers=[[-2, 0], [0, 3.2], [2, 0]],
    cluster_std=[1.2, 0.5, 1.2],
    random_state=0,
)
y = np.array(classes)[codes]
labelled = np.random.RandomState(0).permutation(len(y))[:30]
answers = flip_labels(y[labelled], noise=0.17, classes=classes, random_state=0)
wrong = answers != y[labelled]
print(pd.Series(answers).value_counts().to_dict(), f"{wrong.sum()} of them wrong")

# %%
# The models
# ----------
# The prior has one description per class: a place that is near the class, but not in
# its middle. The nearer a sample is to a description, the more probable is the class.
# The package works with embeddings of length 1, so a third coordinate puts the plane
# onto a large sphere. The probabilities of the prior are three more columns.

descriptions = np.array([[-4.5, 1.0], [0.0, 4.5], [1.0, -1.5]])


def as_samples(places):
    """Return the embedding of each place, and beside it what the prior says."""
    raised = np.column_stack([places, np.full(len(places), 8)])
    return np.hstack([normalize(raised), softmax(-cdist(places, descriptions), axis=1)])


X = as_samples(places)
small_model = make_pipeline(
    StandardScaler(),
    PolynomialFeatures(2),
    LogisticRegression(class_weight="balanced", max_iter=1000),
)
prior = PrecomputedPrior(classes, columns=[3, 4, 5]).fit()
model = CoDecisionClassifier(
    small_model, prior, neighbors=NeighborGraph(prior).fit(X), random_state=0
)
model.fit(X[labelled], answers)
alone = CoDecisionClassifier(
    small_model, label_noise=None, neighbors=None, random_state=0
)
alone.fit(X[labelled, :3], answers)
print(f"trust {model.trust_:.2f}, neighbours {model.neighbor_weight_:.2f}")

# %%
# Who draws which border
# ----------------------
# A place has the colour of the class that is predicted there, and is paler the less
# certain the prediction is. Large marks are labels, with a cross if the label is wrong.
# The title gives the balanced accuracy on all samples without a label.

colours = np.array([[0, 114, 178], [213, 94, 0], [0, 158, 115]]) / 255
markers = ["o", "^", "s"]
x_axis, y_axis = np.linspace(-5.6, 5.6, 140), np.linspace(-4, 5.2, 115)
grid = np.stack(np.meshgrid(x_axis, y_axis), axis=-1).reshape(-1, 2)
others = np.setdiff1d(np.arange(len(y)), labelled)


def draw_samples(axes, rows, labels, **style):
    for name, colour, marker in zip(classes, colours, markers, strict=True):
        shown = places[rows[labels == name]]
        axes.scatter(*shown.T, color=colour, marker=marker, label=name, **style)


def draw_regions(axes, title, proba):
    score = balanced_accuracy_score(
        y[others], np.array(classes)[proba(X[others]).argmax(axis=1)]
    )
    table = proba(as_samples(grid))
    winner, certainty = table.argmax(axis=1), table.max(axis=1, keepdims=True)
    shape = (len(y_axis), len(x_axis))
    paint = 1 - (0.15 + 0.5 * certainty) * (1 - colours[winner])
    axes.imshow(
        paint.reshape(*shape, 3),
        extent=(x_axis[0], x_axis[-1], y_axis[0], y_axis[-1]),
        origin="lower",
    )
    draw_samples(axes, labelled, answers, s=34, edgecolors="black", linewidths=0.8)
    axes.scatter(*places[labelled[wrong]].T, marker="x", s=90, color="black", lw=1.5)
    axes.set_title(f"{title}: {score:.2f}", fontsize=10)


figure, panels = plt.subplots(
    2, 2, figsize=(5.4, 5.1), sharex=True, sharey=True, layout="constrained"
)
truth = panels[0, 0]
draw_samples(truth, np.arange(len(y)), y, s=12, linewidths=0)
truth.set_title("The truth", fontsize=10)
truth.legend(fontsize=8, loc="upper right", handletextpad=0.1, borderpad=0.3)
truth.set(aspect="equal", xlim=x_axis[[0, -1]], ylim=y_axis[[0, -1]])
draw_regions(panels[0, 1], "Prior", model.prior_proba)
draw_regions(panels[1, 0], "Small model", lambda X: alone.predict_proba(X[:, :3]))
draw_regions(panels[1, 1], "Co-decision", model.predict_proba)
for axes in panels.flat:
    axes.set(xticks=[], yticks=[])
plt.show()

# %%
# What is worth a question
# ------------------------
# Every strategy gives each sample without a label a utility, and picks a batch of ten:
# the orange circles. Crosses are labels. Margin sampling takes the ten highest
# utilities, and these samples lie close together: the model is uncertain about all of
# them for the same reason. In ``CoDecisionQuery``, labels and earlier picks
# cover the samples around them, so the next pick lies elsewhere. Before the first label
# it does not know which samples are uncertain, and spreads over the pool. Its batches
# contain no sample of the rare class here: one label in the middle of it covers most of
# it, and before the first label 20 of 500 samples are worth little.

learner = Learner(model).teach(X[labelled], answers)
questions = {
    "Random": (RandomQuery(random_state=0), learner),
    "Margin": (UncertaintyQuery(random_state=0), learner),
    "Co-decision": (CoDecisionQuery(random_state=0), learner),
    "Co-decision, no label": (CoDecisionQuery(random_state=0), Learner(clone(model))),
}
figure, panels = plt.subplots(
    2, 2, figsize=(5.4, 5), sharex=True, sharey=True, layout="constrained"
)
summary = {}
for axes, (name, (strategy, asker)) in zip(panels.flat, questions.items(), strict=True):
    cold = asker is not learner
    pool = np.arange(len(y)) if cold else others
    picked, utilities = strategy(asker, X[pool], n_instances=10, return_utilities=True)
    batch = pool[picked]
    drawn = axes.scatter(*places[pool].T, c=utilities, s=12, cmap="cividis_r")
    if not cold:
        axes.scatter(*places[labelled].T, marker="+", s=30, color="black", lw=0.8)
    axes.scatter(*places[batch].T, s=70, facecolors="none", edgecolors="#D55E00", lw=2)
    axes.set_title(name, fontsize=10)
    axes.set(xticks=[], yticks=[], aspect="equal")
    distances = cdist(places[batch], places[batch]) + np.diag(np.full(10, np.inf))
    summary[name] = {
        "rare in batch": int(np.sum(y[batch] == "rare")),
        "median distance to the next pick": np.median(distances.min(axis=0)),
    }
figure.colorbar(
    drawn,
    ax=panels,
    location="bottom",
    ticks=[],
    aspect=40,
    label="utility, from low to high",
)
print(pd.DataFrame(summary).T.round(2))
plt.show()
