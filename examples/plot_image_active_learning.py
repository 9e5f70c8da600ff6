"""
Label images with a CLIP model
==============================

A pool of images has no labels, and some classes are rare. A CLIP model predicts a class
for every image. These predictions and the labels so far decide together which images a
person should look at next. One answer in five is wrong.

The images are the handwritten digits of scikit-learn. To run without a network, the
example trains its own CLIP model on other digits, with captions of which 30 % are
wrong. For your own images, use a model from the hub instead:
``OpenCLIPEncoder("ViT-B-32", pretrained="laion2b_s34b_b79k")``.
"""

# %%
# The pool has few sevens and many ones, as real pools do. The other images are used for
# pretraining and never shown again.

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import open_clip
import pandas as pd
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    OpenCLIPEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import make_long_tail
from cofm_sklearn.query import RandomQuery, UncertaintyQuery
from cofm_sklearn.simulation import (
    LearningCurveDisplay,
    NoisyOracle,
    compare_strategies,
)

WORDS = np.array(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
)
digits = load_digits()
images = (digits.images * 15.9).astype(np.uint8)
X_web, X, shown_in, y = train_test_split(
    images, digits.target, train_size=0.4, stratify=digits.target, random_state=0
)
X_pool, X_test, y_pool, y_test = train_test_split(
    X, WORDS[y], test_size=0.4, stratify=y, random_state=0
)
rows = make_long_tail(y_pool, ratio=20, random_state=0)
X_pool, y_pool = X_pool[rows], y_pool[rows]
print(pd.Series(y_pool).value_counts().to_dict())

# %%
# A foundation model for digits: a tiny CLIP learns which caption belongs to which
# image. It is saved like any open_clip model and loaded again without running pickled
# code.

torch.manual_seed(0)
torch.set_num_threads(1)
vision = {"image_size": 16, "patch_size": 4, "width": 64, "layers": 2, "head_width": 32}
text = {
    "context_length": 12,
    "vocab_size": 49408,
    "width": 32,
    "heads": 2,
    "layers": 1,
}
config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
clip = open_clip.CLIP(**config)
tokens = open_clip.SimpleTokenizer(context_length=12)(
    [f"a photo of the digit {word}." for word in WORDS]
)
pixels = torch.from_numpy(X_web / 255).float()[:, None].expand(-1, 3, -1, -1)
pixels = (torch.nn.functional.interpolate(pixels, size=16, mode="bicubic") - 0.5) / 0.25
rng = np.random.RandomState(0)
wrong = rng.uniform(size=len(pixels)) < 1 / 3
caption = np.where(wrong, rng.randint(10, size=len(pixels)), shown_in)
optimizer = torch.optim.AdamW(clip.parameters(), lr=5e-4)
for _ in range(20):
    for batch in np.array_split(rng.permutation(len(pixels)), 6):
        shown = clip.encode_image(pixels[batch], normalize=True)
        said = clip.encode_text(tokens, normalize=True)[caption[batch]]
        loss = open_clip.ClipLoss()(shown, said, clip.logit_scale.exp())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

folder = Path(tempfile.mkdtemp()) / "clip-digits"
folder.mkdir()
preprocess = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
(folder / "open_clip_config.json").write_text(
    json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
)
save_file(clip.state_dict(), folder / "open_clip_model.safetensors")

# %%
# The encoder takes raw images and is a step of a pipeline. Images are embedded once.
# Before any label, the descriptions alone tell the digits apart to some extent.

encoder = OpenCLIPEncoder(folder)
prior = ZeroShotPrior(
    {word: f"the digit {word}" for word in WORDS.tolist()},
    prompts=["a photo of {}."],
    encoder=encoder,
)
small_model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
prior_alone = balanced_accuracy_score(y_test, prior.fit(X_pool).predict(X_test))
print(f"prior alone: {prior_alone:.2f}")
together = make_pipeline(encoder, CoDecisionClassifier(small_model, prior))
alone = make_pipeline(encoder, small_model)

# %%
# Three ways to spend 120 labels. Every fifth answer is wrong.

ways = {
    "co-decision": (together, CoDecisionQuery()),
    "margin": (alone, UncertaintyQuery()),
    "random": (alone, RandomQuery()),
}
records = compare_strategies(
    ways,
    X_pool,
    y_pool,
    eval_set=(X_test, y_test),
    noise=0.2,
    n_instances=10,
    budget=120,
)
print(records.groupby(["strategy", "n_labels"])["balanced_accuracy"].mean().unstack(0))

# %%
# The curves, and what a loop of the co-decision asks about: the images of the first
# rounds with the answers they got. Answers that both models find improbable are red.
#
# Here, the prior is worth more than 120 answers, and nearly all of the lead of the
# co-decision comes from it. The first answers even cost something: ten of them, some
# wrong, are too few to tell a good prior from a bad one. Later the co-decision is about
# as good as the prior alone, and not clearly better.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.6), layout="constrained", width_ratios=[1, 1.1]
)
LearningCurveDisplay.from_records(records, ax=left)
left.axhline(prior_alone, color="grey", linestyle=":", linewidth=1)
left.annotate("prior alone", (15, prior_alone), (0, 4), textcoords="offset points")
left.set_title("Balanced accuracy on test images")

loop = ActiveLearningClassifier(
    together,
    CoDecisionQuery(),
    n_instances=10,
    budget=120,
    oracle=NoisyOracle(0.2, random_state=0),
    scoring=[],
    random_state=0,
).fit(X_pool, y_pool)
quality = loop.estimator_[-1].label_quality_
n_columns, n_rows = 10, 4
mosaic = np.full((n_rows * 13, n_columns * 10), 255, dtype=np.uint8)
for k, i in enumerate(loop.labeled_indices_[: n_columns * n_rows]):
    down, across = 13 * (k // n_columns), 10 * (k % n_columns)
    mosaic[down : down + 8, across : across + 8] = 255 - X_pool[i]
    right.text(
        across + 3.5,
        down + 9.7,
        loop.labels_[k],
        ha="center",
        va="center",
        fontsize=7,
        color="tab:red" if quality[k] < 0.5 else "black",
    )
right.imshow(mosaic, cmap="gray", vmin=0, vmax=255)
right.set_axis_off()
n_red = int(np.sum(quality < 0.5))
n_wrong = int(np.sum(loop.labels_ != y_pool[loop.labeled_indices_]))
right.set_title(
    f"The first images asked for, and the answers\n(of all 120, {n_red} are doubted; "
    f"{n_wrong} are wrong)"
)
plt.show()
