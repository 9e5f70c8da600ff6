"""Raw images all the way: prior, co-decision, query and loops, with a real model."""

import numpy as np
import pandas as pd
import pytest
from modAL.models import ActiveLearner
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    OpenCLIPEncoder,
    ZeroShotPrior,
)

pytest.importorskip("open_clip")
Image = pytest.importorskip("PIL.Image")

NAMES = ["blue", "green", "red"]
PROMPTS = ("a photo of a {} thing", "{}")


@pytest.fixture(scope="module")
def colors(color_images):
    y = np.repeat(NAMES, [20, 15, 10])
    return color_images(y, np.random.RandomState(0)), y


@pytest.fixture
def encoder(clip_folder):
    return OpenCLIPEncoder(clip_folder, device="cpu")


@pytest.fixture
def kinds(colors, tmp_path):
    """Make the same pictures in several kinds."""
    X, _ = colors
    paths = [str(tmp_path / f"{i}.png") for i in range(len(X))]
    for path, picture in zip(paths, X):
        Image.fromarray(picture).save(path)
    objects = np.empty(len(X), dtype=object)
    objects[:] = [Image.fromarray(picture) for picture in X]
    return {
        "array": X,
        "grey": X[..., 0],
        "PIL": objects,
        "list": list(objects),
        "paths": np.array(paths, dtype=object),
        "frame": pd.DataFrame({"file": paths}),
    }


def described(encoder):
    return ZeroShotPrior({name: name for name in NAMES}, encoder, prompts=PROMPTS)


def test_prior_of_raw_images_is_that_of_their_embeddings(encoder, kinds):
    Z = encoder.transform(kinds["array"])
    expected = described(encoder).fit(Z).predict_proba(Z)
    for kind in ("array", "PIL", "list", "paths", "frame"):
        prior = described(encoder).fit(kinds[kind])
        proba = prior.predict_proba(kinds[kind])
        np.testing.assert_allclose(proba, expected, atol=1e-5)
        # Neither images nor their paths have descriptions of the same kind.
        assert prior.description_rows(kinds[kind]) is None
    assert prior.description_rows(Z).shape == (3, 16)
    grey = described(encoder).fit(kinds["grey"])
    assert grey.predict_proba(kinds["grey"]).shape == (45, 3)


def test_prompts_are_averaged(encoder):
    prior = described(encoder).fit(None)
    rows = encoder.encode_prompts(["a photo of a red thing", "red"])
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(
        prior.description_embeddings_[2], mean / np.linalg.norm(mean), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["array", "grey", "PIL", "list", "paths", "frame"])
def test_loop_in_a_pipeline(encoder, colors, kinds, kind):
    model = make_pipeline(
        encoder, CoDecisionClassifier(LogisticRegression(C=100), described(encoder))
    )
    loop = ActiveLearningClassifier(
        model, CoDecisionQuery(), n_instances=4, budget=12, random_state=0
    )
    loop.fit(kinds[kind], colors[1])
    assert loop.learning_curve_["n_labels"].tolist() == [4, 8, 12]
    assert loop.predict_proba(kinds[kind]).shape == (45, 3)
    if kind != "grey":
        assert np.mean(loop.predict(kinds[kind]) == colors[1]) > 0.9


@pytest.mark.parametrize("kind", ["array", "PIL", "paths"])
def test_co_decision_around_a_pipeline(encoder, colors, kinds, kind):
    small = make_pipeline(encoder, LogisticRegression(C=100))
    X, rows = kinds[kind], np.arange(0, 45, 3)
    model = CoDecisionClassifier(small, described(encoder), random_state=0)
    model.fit(X[rows], colors[1][rows])
    assert np.mean(model.predict(X) == colors[1]) > 0.9
    picked = CoDecisionQuery(n_instances=3)(model, X)
    assert len(set(picked)) == 3


@pytest.mark.parametrize("kind", ["array", "PIL", "paths", "frame"])
def test_stock_modal(encoder, colors, kinds, kind):
    X, y = kinds[kind], colors[1]

    def rows(indices):
        return X.iloc[indices] if kind == "frame" else X[indices]

    prior = described(encoder).fit(encoder.transform(X))
    learner = ActiveLearner(
        make_pipeline(encoder, CoDecisionClassifier(LogisticRegression(C=100), prior)),
        query_strategy=CoDecisionQuery(n_instances=4),
    )
    pool = np.arange(len(y))
    for _ in range(3):
        indices, instances = learner.query(rows(pool))
        assert len(instances) == 4
        learner.teach(rows(pool[indices]), y[pool[indices]])
        pool = np.delete(pool, indices)
    assert len(learner.y_training) == 12
    assert np.mean(learner.predict(X) == y) > 0.9


def test_grid_search_embeds_the_pool_once(encoder, colors):
    encoder.clear_cache()
    search = GridSearchCV(
        make_pipeline(encoder, LogisticRegression()),
        {"logisticregression__C": [1, 100]},
        cv=3,
    )
    search.fit(colors[0], colors[1])
    assert encoder.cache_info().embedded == len(colors[0])
