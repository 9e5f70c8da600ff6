"""
When to stop asking
===================

``StabilizedPredictions`` stops a loop when new labels no longer change the predictions
of the model. It needs no labels of its own. Where does it stop, on easy data and with
wrong labels? And what would the labels that it saves have gained?
"""

# %%
# The data
# --------
# The handwritten digits of scikit-learn: images of 8 x 8 pixels in ten classes.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
from cofm_sklearn.loop import StabilizedPredictions
from cofm_sklearn.simulation import NoisyOracle

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# A loop that stops by itself
# ---------------------------
# ``budget`` is the most that the loop may spend. The rule says why it stopped.


def make_loop(noise, seed):
    """Query 20 labels per round, with a share of wrong ones."""
    return ActiveLearningClassifier(
        LogisticRegression(max_iter=1000),
        CoDecisionQuery(),
        n_instances=20,
        budget=500,
        oracle=NoisyOracle(noise),
        stopping=StabilizedPredictions(),
        random_state=seed,
    )


X_pool, X_test, y_pool, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
loop = make_loop(noise=0, seed=0).fit(X_pool, y_pool, eval_set=(X_test, y_test))
print(f"{len(loop.labels_)} labels: {loop.stopping_.decision_.reason}")

# %%
# Go on, to see what was missed
# -----------------------------
# With ``warm_start``, the same loop continues from its labels. We use three splits,
# with right labels and with every fourth label wrong.

curves, stops = [], []
for noise in [0, 0.25]:
    for seed in range(3):
        X_pool, X_test, y_pool, y_test = train_test_split(
            X, y, test_size=0.4, stratify=y, random_state=seed
        )
        loop = make_loop(noise, seed)
        loop.fit(X_pool, y_pool, eval_set=(X_test, y_test))
        where = {"noise": noise, "seed": seed}
        stops.append({**where, "labels": len(loop.queried_indices_)})
        loop.set_params(stopping=None, warm_start=True)
        loop.fit(X_pool, y_pool, eval_set=(X_test, y_test))
        curves.append(loop.learning_curve_.assign(**where))
        curve = loop.learning_curve_.set_index("n_labels")["balanced_accuracy"]
        stops[-1] |= {
            "there": curve[stops[-1]["labels"]],
            "at the end": curve.iloc[-1],
        }
curves, stops = pd.concat(curves), pd.DataFrame(stops)
print(stops.round(3))

# %%
# The picture
# -----------
# Left: every line is a run to the end, and the mark shows where it would have stopped.
# Right: what is given up by stopping there, compared with 500 labels.
#
# With right labels, it stops after about a quarter of the 500 labels. With wrong
# labels, the predictions keep changing, so it goes on longer, as it should. In both
# cases, the predictions settle before the curve does, and a few points are given up.
# The rule knows when the model has settled, not how good it is. A higher ``threshold``
# stops later.

colours = {0: "#0072B2", 0.25: "#D55E00"}
names = {0: "right labels", 0.25: "a quarter wrong"}
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4.2), layout="constrained", width_ratios=[1.5, 1]
)
for noise, colour in colours.items():
    runs = curves[curves["noise"] == noise]
    for _, curve in runs.groupby("seed"):
        left.plot(
            curve["n_labels"], curve["balanced_accuracy"], color=colour, alpha=0.6
        )
    stopped = stops[stops["noise"] == noise]
    left.scatter(
        stopped["labels"],
        stopped["there"],
        s=90,
        marker="X" if noise else "o",
        color=colour,
        edgecolor="black",
        zorder=3,
        label=f"{names[noise]}: stops here",
    )
    right.scatter(
        stopped["labels"],
        stopped["at the end"] - stopped["there"],
        s=90,
        marker="X" if noise else "o",
        color=colour,
        edgecolor="black",
    )
left.set(title="Where it stops", xlabel="labels asked for", ylabel="balanced accuracy")
left.legend(frameon=False, loc="lower right")
right.margins(y=0.2)
right.set(title="Given up by stopping", xlabel="labels when it stops", ylim=0)
right.set(ylabel="loss of balanced accuracy", xlim=(0, 500))
for axes in (left, right):
    axes.grid(alpha=0.3)
plt.show()
