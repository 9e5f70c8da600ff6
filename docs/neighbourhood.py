"""Draw docs/images/neighbourhood.png: a text of the API docs among its neighbours.

python docs/neighbourhood.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    NeighborGraph,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs

PICTURE = Path(__file__).parent / "images" / "neighbourhood.png"
N_LABELS = 100
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def find(model, Z, y, labelled):
    """Return a text that is right only with its neighbours, the surest of those that
    have a labelled one."""
    proba = model.predict_proba(Z)
    said = model.classes_[proba.argmax(axis=1)]
    alone = model.classes_[model._decide_alone(Z).argmax(axis=1)]
    right = (said == y) & (alone != y)
    right[labelled] = False
    has_labels = np.isin(model.neighbors_.neighbors_, labelled).sum(axis=1) > 0
    nodes = model.neighbors_.sample_indices_
    candidates = nodes[right[nodes] & has_labels]
    return candidates[proba[candidates].max(axis=1).argmax()]


def main():
    docs = load_api_docs()
    encoder = SentenceTransformerEncoder()
    Z, y = encoder.transform(docs.data), docs.target
    prior = ZeroShotPrior(docs.class_descriptions, encoder).fit(Z)
    small = LogisticRegression(class_weight="balanced")
    query = CoDecisionQuery(random_state=0)
    labelled = query.select(Z, n_instances=N_LABELS)
    model = CoDecisionClassifier(small, prior, neighbors=NeighborGraph().fit(Z))
    model.set_params(random_state=0).fit(Z[labelled], y[labelled])
    graph = model.neighbors_
    shown = find(model, Z, y, labelled)
    _, near = graph.kneighbors(Z[[shown]])
    around = graph.sample_indices_[near[0]]
    around = np.concatenate([[shown], around[around != shown]])
    alone = model.classes_[model._decide_alone(Z[around]).argmax(axis=1)]
    together = model.predict(Z[[shown]])[0]
    names = list(dict.fromkeys([*y[around], *alone]))
    colour = dict(zip(names, COLOURS, strict=False))
    figure, axes = plt.subplots(figsize=(9.4, 4.8), layout="constrained")
    for row, sample in enumerate(around):
        given = sample in labelled
        kind = y[sample] if given else alone[row]
        marker = "*" if row == 0 else "s" if given else "o"
        axes.scatter(0, -row, s=190 if row == 0 else 80, marker=marker, c=colour[kind])
        text = docs.data[sample]
        text = text if len(text) < 60 else text[:57] + "..."
        if row == 0:
            note = f"{kind} alone, {together} with its neighbours"
        else:
            note = f"labelled {kind}" if given else f"co-decision: {kind}"
        weight = "bold" if row == 0 else "normal"
        for shift, words, shade in (
            (16, text, "black"),
            (400, note, colour[together if row == 0 else kind]),
        ):
            axes.annotate(
                words,
                (0, -row),
                (shift, 0),
                textcoords="offset points",
                va="center",
                color=shade,
                fontweight=weight,
                fontsize=9,
            )
    axes.axhline(-0.5, color="#999999", lw=0.8)
    axes.set(xlim=(-0.03, 1), ylim=(-len(around) + 0.4, 0.6))
    axes.axis("off")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
