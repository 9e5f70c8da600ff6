"""Encoding that is killed again and again: is every row right, and none made twice?

    python -m benchmarks.resume

Encodes 20,000 short texts to a file in a process that is killed (`SIGKILL`) at a random
moment three times, then lets it finish. Every text that goes through the model is
counted. Writes benchmarks/results/resume.json.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cofm_sklearn import SentenceTransformerEncoder

RESULTS = Path(__file__).parent / "results" / "resume.json"

CHILD = """
import sys
from sentence_transformers import SentenceTransformer
from benchmarks.resume import make_texts
from cofm_sklearn import SentenceTransformerEncoder

folder, n_texts = sys.argv[1], int(sys.argv[2])
encode = SentenceTransformer.encode


def counted(self, texts, **settings):
    rows = encode(self, texts, **settings)
    with open(f"{folder}/log", "a") as log:
        log.write("".join(f"{text}\\n" for text in texts))
    return rows


SentenceTransformer.encode = counted
texts = make_texts(n_texts)
SentenceTransformerEncoder().transform_to_file(texts, f"{folder}/pool.npy")
"""


def make_texts(n_texts):
    """Return short texts, all different."""
    return [f"sentence {i * 7919 % n_texts} of the pool" for i in range(n_texts)]


def count(log):
    """Return the texts that went through the model so far."""
    return len(log.read_text().splitlines()) if log.exists() else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    rng = random.Random()
    killed_at = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"

        def start():
            command = [sys.executable, "-c", CHILD, folder, str(args.texts)]
            return subprocess.Popen(command)

        for _ in range(args.kills):
            # Somewhere in the next third, a block or two from where it goes on.
            goal = count(log) + rng.uniform(0.02, 0.3) * args.texts
            process = start()
            while count(log) < goal and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 2))
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                raise SystemExit("The process ended before it was killed.")
            killed_at.append(count(log))
        if start().wait():
            raise SystemExit("The last process failed.")
        Z = np.array(np.load(f"{folder}/pool.npy", mmap_mode="r"))
        seen = log.read_text().splitlines()
    expected = SentenceTransformerEncoder().transform(make_texts(args.texts))
    results = {
        "texts": args.texts,
        "killed after": killed_at,
        "embedded in all": len(seen),
        "embedded twice": len(seen) - len(set(seen)),
        "rows": len(Z),
        "largest difference": float(np.abs(Z - expected).max()),
    }
    args.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
