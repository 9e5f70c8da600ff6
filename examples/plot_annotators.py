"""
Several people, and whom to believe
===================================

Several people label, and they are not equally careful. ``combine_annotators`` finds one
label per sample from all answers and the predictions of the model, and estimates how
reliable each person is. ``spread_answers`` trains on every answer instead.
``AskAgainQuery`` finds the samples where another opinion is worth most.
"""

# %%
# The data
# --------
# First lines of docstrings of scipy, numpy and scikit-learn. The label is the topic. We
# use eight topics.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from modAL.models import ActiveLearner
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
from cofm_sklearn.datasets import flip_labels, load_api_docs
from cofm_sklearn.noise import combine_annotators, spread_answers
from cofm_sklearn.query import AskAgainQuery

docs = load_api_docs()
topics, sizes = np.unique(docs.target, return_counts=True)
largest = sorted(topics[np.argsort(sizes)[-8:]].tolist())
rows = np.isin(docs.target, largest)
texts, y = docs.data[rows], docs.target[rows]
Z = SentenceTransformerEncoder().fit_transform(texts)
Z_pool, Z_test, y_pool, y_test = train_test_split(
    Z, y, test_size=0.3, stratify=y, random_state=0
)

# %%
# Five people
# -----------
# They are wrong in 5, 10, 20, 40 and 60 % of their answers. Two of them see each of 200
# texts, so most disagreements are one person's word against another's.

people = ["Ada", "Ben", "Cem", "Dana", "Eve"]
error_rates = [0.05, 0.1, 0.2, 0.4, 0.6]
truth = y_pool[:200]


def ask_people(seed):
    """Return what everybody would answer about each text, and which two were asked."""
    would_say = np.empty((200, 5), dtype=object)
    for person, rate in enumerate(error_rates):
        would_say[:, person] = flip_labels(
            truth, noise=rate, classes=largest, random_state=10 * seed + person
        )
    turn = np.random.default_rng(seed).permuted(np.tile(range(5), (200, 1)), axis=1)
    return would_say, turn


def answers_of(would_say, turn, n_asked):
    """Keep the answers of the first people asked; None elsewhere."""
    place = np.argsort(turn, axis=1)  # position at which each person is asked
    return np.where(place < np.reshape(n_asked, (-1, 1)), would_say, None)


would_say, turn = ask_people(seed=0)
answers = answers_of(would_say, turn, 2)
print(pd.DataFrame(answers[:5], columns=people).fillna("-"))

# %%
# One label per text
# ------------------
# If two people disagree, the majority is a coin toss. The prediction of the model,
# trained on other texts, breaks the tie and shows who is careful. Part of it comes from
# the prior, which no answer can mislead.

small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
prior = ZeroShotPrior({topic: docs.class_descriptions[topic] for topic in largest})
model = CoDecisionClassifier(small_model, prior.fit(Z_pool), random_state=0)


def combine(answers):
    """Label the texts by majority, train on them, and combine answers and model."""
    majority = combine_annotators(answers, classes=largest)
    model.fit(Z_pool[:200], majority.labels)
    return majority, combine_annotators(
        answers, model.oof_proba_, classes=model.classes_
    )


majority, combined = combine(answers)
for name, found in {"majority": majority, "with the model": combined}.items():
    print(f"{name}: {np.mean(found.labels == truth):.2f} of the labels are right")
print(dict(zip(people, combined.annotator_quality.round(2).tolist())))

# %%
# Train on it
# -----------
# Train on one label per text, or on all answers, each weighted by how much better than
# guessing its author is.


def accuracy(labels, rows=slice(0, 200), weight=None):
    """Return balanced accuracy on held-out texts after training on some labels."""
    found = clone(small_model).fit(Z_pool[rows], labels, sample_weight=weight)
    return balanced_accuracy_score(y_test, found.predict(Z_test))


rows, every_answer, weight = spread_answers(answers, combined.annotator_quality)
trained = {
    "majority": accuracy(majority.labels),
    "with the model": accuracy(combined.labels),
    "all answers, weighed": accuracy(every_answer, rows, weight),
    "the truth": accuracy(truth),
}
print({name: round(score, 3) for name, score in trained.items()})

# %%
# Ask a third person
# ------------------
# ``AskAgainQuery`` finds the texts where another answer is worth most: those whose
# label is probably wrong, given everything that is known. If there are not enough of
# them, it returns fewer than you ask for. The learner here is modAL's.


def ask_again(answers, labels):
    """Select up to 40 texts for a third opinion."""
    learner = ActiveLearner(clone(model), X_training=Z_pool[:200], y_training=labels)
    return AskAgainQuery(CoDecisionQuery()).select_again(
        learner, answers, n_instances=40
    )


doubtful = ask_again(answers, combined.labels)
print(f"{len(doubtful)} doubtful texts; the first ones:")
for i in doubtful[:4]:
    said = {who: word for who, word in zip(people, answers[i]) if word is not None}
    print(f"  {said}, truth: {truth[i]}")

# %%
# What that is worth
# ------------------
# We repeat this five times: the same people give other answers about the same texts. 40
# third opinions go to random texts, or a few of them go to the doubtful texts.

labels_right, skills, n_doubtful = [], [], []
for seed in range(5):
    would_say, turn = ask_people(seed)
    answers = answers_of(would_say, turn, 2)
    majority, combined = combine(answers)
    doubtful = ask_again(answers, combined.labels)
    at_random = np.random.RandomState(seed).permutation(200)[:40]
    labels = {"majority\nof two": majority, "with the\nmodel": combined}
    for name, again in {
        "40 more,\nat random": at_random,
        "few more,\nwhere in doubt": doubtful,
    }.items():
        n_asked = np.full(200, 2)
        n_asked[again] = 3
        _, labels[name] = combine(answers_of(would_say, turn, n_asked))
    labels_right.append(
        {name: np.mean(found.labels == truth) for name, found in labels.items()}
    )
    skills.append(combined.annotator_quality)
    n_doubtful.append(len(doubtful))
labels_right, skills = pd.DataFrame(labels_right), np.array(skills)
print(labels_right.mean().round(3))
print("doubtful texts:", n_doubtful)

# %%
# The picture
# -----------
# Left: the model recognises who is careful. The estimates are pulled towards the mean
# of all people: all but Eve are a little better than estimated, and Eve is a little
# worse.
#
# Right: nearly all of the gain comes from adding the model to the people. It leaves
# four to eight of the 200 labels in doubt. Third opinions help little here, on these
# few texts or on 40 random ones: a label that is wrong without being in doubt is not
# found in this way. Dots are five draws, bars are their means.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 4.2), layout="constrained", width_ratios=[1, 1.4]
)
position = np.arange(5)
left.plot(position, 1 - np.array(error_rates), "_", color="black", ms=34, mew=2)
left.plot(np.tile(position, (5, 1)), skills, "o", color="#0072B2", alpha=0.5)
left.plot([], [], "_", color="black", ms=14, mew=2, label="true")
left.plot([], [], "o", color="#0072B2", alpha=0.5, label="estimated")
left.set_xticks(position, people)
left.set(title="Who is careful", ylabel="share of right answers")
left.set(xlim=(-0.5, 4.5), ylim=(0, 1))
left.legend(frameon=False, loc="lower left")
for i, name in enumerate(labels_right):
    right.plot([i] * 5, labels_right[name], "o", color="#0072B2", alpha=0.5)
    mean = labels_right[name].mean()
    right.plot([i - 0.25, i + 0.25], [mean, mean], color="black", lw=2)
right.set_xticks(range(4), labels_right.columns, fontsize=9)
right.set(title="Labels that are right", ylabel="share of 200 texts")
for axes in (left, right):
    axes.grid(axis="y", alpha=0.3)
plt.show()
