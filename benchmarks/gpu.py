"""How much faster a GPU is than the processor beside it.

    python -m benchmarks.gpu

In one run, alternately on both: embedding texts and images, training and using a net,
and choosing among candidates. Writes benchmarks/results/gpu.json: medians of the
repetitions in seconds, and the ratio. The image model has random weights, as nothing
here depends on them.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from tqdm.auto import tqdm

from benchmarks.encoding import make_clip
from cofm_sklearn import (
    CoDecisionQuery,
    Learner,
    NetClassifier,
    OpenCLIPEncoder,
    SentenceTransformerEncoder,
)
from cofm_sklearn.datasets import load_api_docs

RESULTS = Path(__file__).parent / "results" / "gpu.json"
DEVICES = ("cpu", "cuda")


def texts():
    """Embed 600 texts with all-MiniLM-L6-v2."""
    samples = list(load_api_docs().data[:600])
    for device in DEVICES:
        encoder = SentenceTransformerEncoder(device=device, cache=False)
        yield device, lambda e=encoder: e.transform(samples)


def images(folder, precision):
    """Embed 256 images with a ViT-B-32."""
    rng = np.random.RandomState(0)
    samples = rng.randint(0, 256, (256, 224, 224, 3)).astype(np.uint8)
    make_clip("ViT-B-32", folder)
    for device in DEVICES:
        form = precision if device == "cuda" else "fp32"
        encoder = OpenCLIPEncoder(folder, device=device, precision=form, cache=False)
        yield device, lambda e=encoder: e.transform(samples)


def data(n_samples):
    X, y = make_blobs(n_samples, 384, centers=10, cluster_std=8.0, random_state=0)
    return normalize(X).astype(np.float32), y


def training(n_samples, **settings):
    """Train a net on embeddings, by default the default net."""
    X, y = data(n_samples)
    for device in DEVICES:
        net = NetClassifier(device=device, random_state=0, **settings)
        yield device, lambda net=net: net.fit(X, y)


def training_on_images(n_samples):
    """Train a convolutional net on images of 32 by 32 pixels."""
    rng = np.random.RandomState(0)
    y = rng.randint(10, size=n_samples)
    X = rng.rand(n_samples, 32, 32, 3).astype(np.float32)
    for device in DEVICES:
        net = NetClassifier("conv", device=device, random_state=0)
        yield device, lambda net=net: net.fit(X, y)


def predicting(n_samples):
    """Predict with the default net."""
    X, y = data(n_samples)
    for device in DEVICES:
        net = NetClassifier(device=device, random_state=0).fit(X[:300], y[:300])
        yield device, lambda net=net: net.predict_proba(X)


def query(n_samples, max_candidates):
    """Query 100 samples of a pool, on the CPU with NumPy."""
    X, y = data(n_samples)
    for device in DEVICES:
        strategy = CoDecisionQuery(
            device=None if device == "cpu" else device,
            max_candidates=max_candidates,
            random_state=0,
        )
        learner = Learner(LogisticRegression(), strategy).teach(X[:300], y[:300])
        yield device, lambda learner=learner: learner.query(X, n_instances=100)


def compare(ways, n_turns):
    """Time both devices alternately, after one turn each that loads and warms up."""
    ways = dict(ways)
    seconds = {device: [] for device in ways}
    for turn in range(n_turns + 1):
        for device, run in ways.items():
            torch.cuda.synchronize()
            start = perf_counter()
            run()
            torch.cuda.synchronize()
            if turn:
                seconds[device].append(perf_counter() - start)
    cpu, cuda = (statistics.median(seconds[device]) for device in DEVICES)
    return {
        "seconds on the CPU": round(cpu, 4),
        "seconds on the GPU": round(cuda, 4),
        "times faster": round(cpu / cuda, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA GPU here")
    machine = f"{torch.cuda.get_device_name()}, {os.cpu_count()} cores"
    results = {"machine": machine, "torch": torch.__version__, "turns": args.turns}
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "600 texts, all-MiniLM-L6-v2": texts(),
            "256 images, ViT-B-32": images(Path(folder), "fp32"),
            "256 images, ViT-B-32, fp16 on the GPU": images(Path(folder), "fp16"),
            "training a net on 30 embeddings": training(30),
            "training a net on 300 embeddings": training(300),
            "training a net on 1,000 embeddings": training(1_000),
            "training two layers of 1,024 on 300 embeddings": training(
                300, module__hidden=(1024, 1024)
            ),
            "training a convolutional net on 300 images": training_on_images(300),
            "predicting 100,000 embeddings with a net": predicting(100_000),
            "query in a pool of 3,000": query(3_000, "auto"),
            "query in a pool of 20,000, all of it candidates": query(20_000, None),
        }
        for name, ways in tqdm(parts.items()):
            results[name] = compare(ways, args.turns)
            text = json.dumps(results, indent=2) + "\n"
            args.results.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
