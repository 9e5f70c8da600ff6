"""Time from a key press to the next sample, in a real browser.

    python -m benchmarks.labeller

Starts JupyterLab on this machine and drives it with the system's chromium: one key
after the other, while models train in the background. The texts have 40 words; their
embeddings are made up, as if an encoder had cached them. Writes
benchmarks/results/labeller.json: for each pool size, in milliseconds, the time from the
key to the next sample in the page, the time until the page knows that the answer is
saved, and the part of that time spent in Python.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
START_S = 90

POOL = """
import json
import time
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from cofm_sklearn import (
    AnnotationSession, AnnotationWidget, CoDecisionClassifier, ZeroShotPrior
)

N_CLASSES, WIDTH = 8, 384
rng = np.random.RandomState(0)
centres = rng.normal(size=(N_CLASSES, WIDTH)).astype(np.float32)
table = rng.standard_normal((N_POOL, WIDTH)).astype(np.float32)
table += 0.4 * centres[np.arange(N_POOL) % N_CLASSES]
table /= np.linalg.norm(table, axis=1, keepdims=True)
words = np.array([f"word{i}" for i in range(2000)])
drawn = words[rng.randint(2000, size=(N_POOL, 40))]
texts = [f"{i}: " + " ".join(row) for i, row in enumerate(drawn)]


class Table(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return table[[int(text.partition(":")[0]) for text in X]]

    def encode_prompts(self, texts):
        return centres[[int(text) for text in texts]]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.requires_fit = True, False
        return tags


class Timed(AnnotationWidget):
    def handle(self, message):
        start = time.perf_counter()
        reply = super().handle(message)
        with open("took.jsonl", "a") as file:
            took = 1000 * (time.perf_counter() - start)
            file.write(json.dumps([message["type"], took]) + chr(10))
        return reply


prior = ZeroShotPrior({f"topic {k}": str(k) for k in range(N_CLASSES)}, Table())
model = make_pipeline(Table(), CoDecisionClassifier(LogisticRegression(), prior))
session = AnnotationSession(texts, model, store="labels.sqlite")
"""

WATCH = """
() => {
  const labeller = document.querySelector(".cofm-labeller");
  const sample = labeller.querySelector(".cofm-sample");
  window.cofmTimes = [];
  window.cofmSaved = [];
  let pressed = null, sent = null;
  document.addEventListener("keydown", () => {
    pressed = sent = performance.now();
  }, true);
  new MutationObserver(() => {
    if (pressed !== null && sample.querySelector(".cofm-text")) {
      window.cofmTimes.push(performance.now() - pressed);
      pressed = null;
    }
  }).observe(sample, { childList: true, subtree: true });
  new MutationObserver(() => {
    if (sent !== null && labeller.getAttribute("aria-busy") === "false") {
      window.cofmSaved.push(performance.now() - sent);
      sent = null;
    }
  }).observe(labeller, { attributeFilter: ["aria-busy"] });
}
"""


class Lab:
    """JupyterLab with one notebook, in one page of a browser."""

    def __init__(self, page, url, folder):
        self.page = page
        self.url = url
        self.folder = folder

    def write(self, *cells):
        """Write the notebook."""
        import nbformat

        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in cells]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python"}
        nbformat.write(notebook, self.folder / "label.ipynb")

    def open(self):
        """Open the notebook, or reopen it after a reload."""
        self.page.goto(self.url)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.idle()

    def idle(self):
        """Wait until the kernel is idle."""
        self.page.wait_for_selector(
            '.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000
        )

    def command(self, name, arguments=None, *, wait=True):
        """Run one of JupyterLab's commands."""
        call = "([name, args]) => window.jupyterapp.commands.execute(name, args)"
        if not wait:
            call = call.replace("=> ", "=> void ")
        self.page.wait_for_function("() => window.jupyterapp !== undefined")
        return self.page.evaluate(call, [name, arguments or {}])

    def restart(self):
        """Restart the kernel, and wait until the new one is there."""
        # The status may be that of the old kernel, which is about to stop.
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        )
        self.idle()

    def run_all(self):
        """Run all cells; return the labeller."""
        # The command does nothing until JupyterLab has registered the notebook.
        for _ in range(20):
            self.page.locator(".jp-Cell").first.click()
            self.command("notebook:run-all-cells", wait=False)
            self.page.wait_for_timeout(500)
            prompt = self.page.locator(".jp-InputPrompt").first.text_content()
            if prompt.strip("[]: "):
                break
        return self.labeller()

    def labeller(self):
        """Wait until the labeller shows a sample."""
        # A labeller from before a reload may still be there, above, and ready.
        labeller = self.page.locator(".cofm-labeller").last
        shown = labeller.locator(".cofm-sample[data-id]:not([data-id=''])")
        shown.wait_for(timeout=90_000)
        ready = labeller.locator(".cofm-classes button:enabled").first
        ready.wait_for(timeout=90_000)
        return labeller


@contextmanager
def jupyter_lab():
    """Start JupyterLab on a loopback port and a browser; stop both at the end."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RuntimeError("chromium is not installed; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        work = folder / "work"
        work.mkdir()
        quiet = folder / "settings/@jupyterlab/apputils-extension"
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false}'
        )
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "jupyterlab",
                        "--no-browser",
                        "--allow-root",
                    ),
                    *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
                    *(f"--IdentityProvider.token={token}", f"--notebook-dir={work}"),
                    "--expose-app-in-browser",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                    "--LabApp.news_url=None",
                    "--LabApp.extension_manager=readonly",
                ],
                env=os.environ
                | {
                    "HOME": name,
                    "JUPYTER_CONFIG_DIR": f"{name}/config",
                    "JUPYTER_DATA_DIR": f"{name}/data",
                    "JUPYTER_RUNTIME_DIR": f"{name}/runtime",
                    "JUPYTERLAB_SETTINGS_DIR": f"{name}/settings",
                    "JUPYTERLAB_WORKSPACES_DIR": f"{name}/workspaces",
                    "IPYTHONDIR": f"{name}/ipython",
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
                stdout=log,
                stderr=log,
            )
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait_for(f"{url}api?token={token}", server, folder / "log")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox"]
                )
                page = browser.new_page(viewport={"width": 1100, "height": 900})
                page.set_default_timeout(30_000)
                yield Lab(page, f"{url}doc/tree/label.ipynb?reset&token={token}", work)
                browser.close()
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(url, server, log):
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def measure(n_pool, n_keys, pause_s):
    """Return the times for a pool of this size, in milliseconds."""
    with jupyter_lab() as lab:
        lab.write(POOL.replace("N_POOL", str(n_pool)), "Timed(session)")
        lab.open()
        start = time.monotonic()
        labeller = lab.run_all()
        first = time.monotonic() - start
        labeller.focus()
        lab.page.evaluate(WATCH)
        for k in range(n_keys):
            text = labeller.locator(".cofm-text").inner_text()
            lab.page.keyboard.press(str(int(text.partition(":")[0]) % 8 + 1))
            lab.page.wait_for_function(
                "(n) => window.cofmTimes.length >= n", arg=k + 1, timeout=120_000
            )
            lab.page.wait_for_timeout(1000 * pause_s)
        # All key presses are stored once the kernel has caught up.
        lab.page.wait_for_function(
            "(n) => document.querySelector('.cofm-line strong').textContent"
            ".startsWith(n + ' of')",
            arg=str(n_keys),
            timeout=120_000,
        )
        times = lab.page.evaluate("() => window.cofmTimes")
        saved = lab.page.evaluate("() => window.cofmSaved")
        lines = (lab.folder / "took.jsonl").read_text().splitlines()
    python = [took for kind, took in map(json.loads, lines) if kind == "answer"]
    return {
        "first sample, s": round(first, 1),
        "next sample": summary(times),
        "saved": summary(saved),
        "Python": summary(python),
    }


def summary(times):
    """Return median, 95th percentile and maximum of times in milliseconds."""
    found = {
        "median_ms": np.median(times),
        "p95_ms": np.quantile(times, 0.95),
        "longest_ms": np.max(times),
    }
    return {name: round(float(value), 1) for name, value in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", type=int, nargs="+", default=[3000, 100_000])
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds of reading")
    parser.add_argument("--results", type=Path, default=RESULTS / "labeller.json")
    args = parser.parse_args()
    result = {
        "keys": args.keys,
        "pause_s": args.pause,
        "pools": {str(n): measure(n, args.keys, args.pause) for n in args.pools},
    }
    args.results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
