"""Pictures of the labeller for the documentation, light and dark.

    python -m benchmarks.labeller_pictures

Labels a few of the API docs in JupyterLab, with a co-decision at the side, and writes
docs/images/labeller_light.png, labeller_dark.png and labeller_review.png.
"""

from pathlib import Path

from benchmarks.labeller import jupyter_lab
from cofm_sklearn.datasets import load_api_docs

IMAGES = Path(__file__).parents[1] / "docs" / "images"
NAMES = ("fft", "linalg", "optimize", "signal", "sparse", "stats")

SESSION = f"""
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from cofm_sklearn import (
    AnnotationSession, AnnotationWidget, CoDecisionClassifier,
    SentenceTransformerEncoder, ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs

docs = load_api_docs()
names = [name for name in docs.target_names if name.split(".")[-1] in {NAMES!r}]
texts = docs.data[np.isin(docs.target, names)]
prior = ZeroShotPrior({{name: docs.class_descriptions[name] for name in names}})
model = make_pipeline(
    SentenceTransformerEncoder(),
    CoDecisionClassifier(LogisticRegression(class_weight="balanced"), prior),
)
session = AnnotationSession(texts, model, n_instances=10)
"""


def main():
    docs = load_api_docs()
    topic = dict(zip(docs.data, docs.target))
    with jupyter_lab() as lab:
        lab.write(SESSION, "AnnotationWidget(session)")
        lab.open()
        # High enough for the whole labeller.
        lab.page.set_viewport_size({"width": 1280, "height": 1300})
        labeller = lab.run_all()
        for _ in range(45):
            labeller.locator(".cofm-classes button:enabled").first.wait_for()
            text = labeller.locator(".cofm-text").inner_text()
            labeller.locator(
                ".cofm-classes button", has_text=str(topic[text])
            ).first.click()
            lab.page.wait_for_timeout(150)
        lab.page.wait_for_timeout(5000)
        labeller.locator(".cofm-opinions table").wait_for()
        labeller.screenshot(path=IMAGES / "labeller_light.png")
        lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
        lab.page.wait_for_timeout(1500)
        labeller.screenshot(path=IMAGES / "labeller_dark.png")
        lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})
        labeller.focus()
        lab.page.keyboard.press("r")
        lab.page.locator(".cofm-reviewing").wait_for()
        lab.page.wait_for_timeout(1500)
        labeller.screenshot(path=IMAGES / "labeller_review.png")


if __name__ == "__main__":
    main()
