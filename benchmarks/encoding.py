"""Overhead of the encoders over the models they wrap, and savings by the cache.

    python -m benchmarks.encoding

In one run, alternately: the same samples in the same batches directly through open_clip
or sentence-transformers, through our encoder with an empty cache, and through it again.
Writes benchmarks/results/encoding.json: medians over repetitions, also of ratios. The
image model has random weights, as nothing here depends on them.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from cofm_sklearn import OpenCLIPEncoder, SentenceTransformerEncoder
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.encoders.weights import find_folder

RESULTS = Path(__file__).parent / "results" / "encoding.json"
BATCH = 64


def make_clip(name, folder):
    """Save an open_clip model with random weights for the encoder."""
    config = open_clip.get_model_config(name)
    preprocess = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    )
    weights = open_clip.create_model(name).state_dict()
    save_file(
        {k: v.contiguous() for k, v in weights.items()},
        folder / "open_clip_model.safetensors",
    )


def image_turns(n_samples, name, folder):
    """Return the samples, their direct embedding, and an encoder."""
    make_clip(name, folder)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (n_samples, 256, 256, 3)).astype(np.uint8)

    def by_hand():
        rows = []
        with torch.inference_mode():
            for start in range(0, n_samples, BATCH):
                batch = [
                    preprocess(Image.fromarray(image))
                    for image in images[start : start + BATCH]
                ]
                rows.append(model.encode_image(torch.stack(batch), normalize=True))
        return torch.cat(rows).numpy()

    return images, by_hand, OpenCLIPEncoder(folder, batch_size=BATCH)


def text_turns(n_samples):
    """Return the samples, their direct embedding, and an encoder."""
    texts = list(load_api_docs().data[:n_samples])
    encoder = SentenceTransformerEncoder(batch_size=BATCH)
    model = SentenceTransformer(str(find_folder(encoder.model_name)))

    def by_hand():
        return model.encode(texts, batch_size=BATCH, normalize_embeddings=True)

    return texts, by_hand, encoder


def compare(samples, by_hand, encoder, n_turns):
    """Time all ways alternately, and return their times."""

    def timed(function, *args):
        start = perf_counter()
        Z = function(*args)
        return perf_counter() - start, Z

    by_hand(), encoder.fit_transform(samples[:2])  # loads and warms up
    rows = []
    for _ in range(n_turns):
        hand, Z = timed(by_hand)
        encoder.clear_cache()
        ours, first = timed(encoder.transform, samples)
        cached, second = timed(encoder.transform, samples)
        np.testing.assert_allclose(first, Z, atol=1e-5)
        np.testing.assert_array_equal(first, second)
        rows.append((hand, ours, cached))
    hand, ours, cached = (statistics.median(c) for c in zip(*rows, strict=True))
    overhead = statistics.median(row[1] / row[0] - 1 for row in rows)
    gain = statistics.median(row[1] / row[2] for row in rows)
    return {
        "samples": len(samples),
        "turns": n_turns,
        "seconds by hand": round(hand, 2),
        "seconds with the encoder": round(ours, 2),
        "seconds from its cache": round(cached, 4),
        "overhead": round(overhead, 3),
        "times faster from the cache": round(gain),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--model", default="ViT-B-32", help="architecture of open_clip")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    results = {"texts": compare(*text_turns(args.texts), args.turns)}
    with tempfile.TemporaryDirectory() as folder:
        turns = image_turns(args.images, args.model, Path(folder))
        results["images"] = compare(*turns, args.turns)
    text = json.dumps(results, indent=2) + "\n"
    args.results.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
