"""On a CUDA GPU, all that takes a device does what it does on the CPU.

Skipped where there is no GPU. CONTRIBUTING says how to run them.
"""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    NetClassifier,
    OpenCLIPEncoder,
    PrecomputedPrior,
    SentenceTransformerEncoder,
    TransformersPrior,
)
from cofm_sklearn.query.coverage import covered_by, greedy_coverage, to_device
from cofm_sklearn.utils.optional import resolve_device
from tests.encoders.conftest import COLORS, save_clip
from tests.encoders.test_other_models import TEXTS, make_model
from tests.priors.test_transformers_model import DESCRIPTIONS
from tests.priors.test_transformers_model import TEXTS as NEWS
from tests.priors.test_transformers_model import make_model as make_bert

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU"
)
NET = {"lr": 0.05, "max_epochs": 20, "random_state": 0}


@pytest.fixture
def pool():
    X, y = make_blobs(
        600,
        n_features=8,
        centers=3,
        cluster_std=3.0,
        center_box=(-4, 4),
        random_state=0,
    )
    return normalize(X).astype(np.float32), np.array(["ham", "spam", "eggs"])[y]


def test_auto_is_the_gpu():
    assert resolve_device("auto", "a test") == "cuda"
    assert resolve_device("cuda:0", "a test") == "cuda:0"


def test_coverage_picks_the_same_samples(pool):
    X = pool[0]
    weight = np.random.RandomState(0).rand(len(X)).astype(np.float32)
    picks = []
    for device in (None, "cuda"):
        Z = to_device(X, device)
        covered = covered_by(Z, Z[:5], 0.3)
        assert device is None or covered.device.type == "cuda"
        picks.append(greedy_coverage(Z, weight, covered, 20, 0.3))
    assert_array_equal(picks[0][0], picks[1][0])
    assert_allclose(picks[0][1], picks[1][1], rtol=1e-4, atol=1e-5)


def test_query_asks_for_the_same_samples(pool):
    X, y = pool
    first = np.arange(0, 60, 6)
    asked = [
        Learner(
            CoDecisionClassifier(LogisticRegression(), random_state=0),
            CoDecisionQuery(device=device, random_state=0),
        )
        .teach(X[first], y[first])
        .query(X, n_instances=20)
        for device in (None, "cuda")
    ]
    assert_array_equal(*asked)


def test_net_learns_on_the_gpu_what_it_learns_on_the_cpu(pool):
    X, y = pool
    nets = [
        NetClassifier(device=device, **NET).fit(X[:300], y[:300])
        for device in ("cpu", "cuda")
    ]
    assert nets[1].device_ == "cuda"
    assert next(nets[1].net_.module_.parameters()).is_cuda
    assert_allclose(*[net.score(X[300:], y[300:]) for net in nets], atol=0.05)


def test_auto_is_the_gpu_for_images_and_for_wide_nets(pool):
    X, y = pool
    net = NetClassifier(device="auto", max_epochs=1, random_state=0)
    assert net.fit(X, y).device_ == "cpu"
    assert not next(net.net_.module_.parameters()).is_cuda
    net.set_params(module__hidden=(400, 400))
    assert net.fit(X, y).device_ == "cuda"
    assert next(net.net_.module_.parameters()).is_cuda
    assert_array_equal(clone(net).fit(X, y).predict_proba(X), net.predict_proba(X))
    lazy = NetClassifier(lambda n_inputs, n_outputs: torch.nn.LazyLinear(n_outputs))
    assert lazy.fit(X, y).device_ == "cpu"
    conv = NetClassifier("conv", device="auto", max_epochs=1)
    assert conv.fit(X[:, None].repeat(8, axis=1), y).device_ == "cuda"


def test_seed_fixes_a_net_on_the_gpu_and_leaves_torch_alone(pool):
    X, y = pool
    X = X[:, None].repeat(8, axis=1)  # images of 8 by 8 pixels
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    first, second = (
        NetClassifier("conv", module__dropout=0.5, device="cuda", **NET)
        .fit(X, y)
        .predict_proba(X)
        for _ in range(2)
    )
    assert_array_equal(first, second)
    assert_array_equal(torch.cuda.get_rng_state(), before)


def test_net_from_the_gpu_opens_without_one(pool, tmp_path):
    X, y = pool
    net = NetClassifier(device="cuda", **NET).fit(X, y)
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps((net, X)))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "import torch; assert not torch.cuda.is_available()\n"
        "net, X = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "proba = net.predict_proba(X)\n"
        "net.set_params(device='cpu').fit(X[:50], net.predict(X[:50]))\n"
        "Path(sys.argv[1]).write_bytes(pickle.dumps(proba))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, path],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    assert_allclose(pickle.loads(path.read_bytes()), net.predict_proba(X), atol=1e-4)


def test_texts_get_the_same_rows(tmp_path):
    folder, model = make_model(tmp_path, "mpnet")
    encoder = SentenceTransformerEncoder(folder, device="auto", batch_size=2)
    wanted = model.encode(TEXTS, normalize_embeddings=True)
    assert_allclose(encoder.transform(TEXTS), wanted, atol=1e-4)


@pytest.mark.parametrize(("precision", "atol"), [("fp32", 1e-3), ("fp16", 0.02)])
def test_images_get_the_same_rows(precision, atol, tmp_path):
    folder = save_clip(tmp_path)
    rng = np.random.RandomState(0)
    colors = np.array(list(COLORS.values()))[:, None, None]
    images = np.clip(colors + rng.randint(-20, 20, (3, 32, 32, 3)), 0, 255)
    images = images.astype(np.uint8)
    rows = [
        OpenCLIPEncoder(folder, device=device, precision=form).transform(images)
        for device, form in [("cpu", "fp32"), ("cuda", precision)]
    ]
    assert_allclose(*rows, atol=atol)
    assert rows[1].dtype == np.float32


def test_transformers_prior_says_the_same(tmp_path):
    folder = make_bert(tmp_path, ["contradiction", "neutral", "entailment"])
    proba = [
        TransformersPrior(DESCRIPTIONS, folder, device=device)
        .fit(NEWS)
        .predict_proba(NEWS)
        for device in ("cpu", "auto")
    ]
    assert_allclose(*proba, atol=1e-4)


def test_loop_with_a_net_has_the_same_course_twice(pool):
    X, y = pool
    classes, codes = np.unique(y, return_inverse=True)
    X = np.hstack([np.eye(3)[codes] * 0.4 + 0.2, X])
    courses = []
    for _ in range(2):
        learner = Learner(
            CoDecisionClassifier(
                NetClassifier(device="cuda", **NET),
                prior=PrecomputedPrior(classes, columns=[0, 1, 2]),
                random_state=0,
            ),
            CoDecisionQuery(device="cuda", random_state=0),
        )
        asked = []
        for _ in range(3):
            samples = learner.query(X, n_instances=5)
            learner.teach(X[samples], y[samples])
            asked.append(samples)
        courses.append((np.concatenate(asked), learner.predict_proba(X)))
        assert (learner.predict(X) == y).mean() > 0.8
    assert_array_equal(courses[0][0], courses[1][0])
    assert_array_equal(courses[0][1], courses[1][1])
