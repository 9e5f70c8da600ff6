"""The labeller in JupyterLab, driven by a real browser on this machine."""

import os
import shutil

import pytest
from sklearn.dummy import DummyClassifier

from benchmarks.labeller import jupyter_lab
from cofm_sklearn.annotation import AnnotationSession

pytest.importorskip("playwright")
pytest.importorskip("jupyterlab")
if shutil.which("chromium") is None and "COFM_BROWSER" not in os.environ:
    # .ci/run installs it and says so: there its absence is an error.
    pytest.skip("chromium is not installed", allow_module_level=True)

SPAM = """
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from cofm_sklearn import AnnotationSession, AnnotationWidget

texts = [
    f"win a free prize, call {i}" if i % 3 == 0 else f"see you at lunch, table {i}"
    for i in range(120)
]
model = make_pipeline(TfidfVectorizer(), LogisticRegression())
session = AnnotationSession(
    texts, model, classes=["ham", "spam"], n_instances=6, store="labels.sqlite"
)
"""

NASTY = """
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from cofm_sklearn import AnnotationSession, AnnotationWidget

texts = [
    "<script>window.hacked = 1</script><b>bold?</b>",
    "<img src=x onerror='window.hacked = 2'>",
    "\\u05e9\\u05dc\\u05d5\\u05dd \\u05e2\\u05d5\\u05dc\\u05dd, right to left",
    "\\U0001f469\\u200d\\U0001f52c \\U0001f3f3\\ufe0f\\u200d\\U0001f308 emoji",
    "x" * 100_000,
    "",
    "the last one",
]


def in_order(learner, X_pool, n_instances=1):
    return np.arange(n_instances)


model = make_pipeline(HashingVectorizer(n_features=64), LogisticRegression())
session = AnnotationSession(
    texts, model, in_order, classes=["<i>one</i>", "two"], n_instances=7
)
"""

IMAGES = """
import numpy as np
from pathlib import Path
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from cofm_sklearn import AnnotationSession, AnnotationWidget


class Size(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.arange(len(X), dtype=float)[:, None] + 1


def in_order(learner, X_pool, n_instances=1):
    return np.arange(n_instances)


red = np.zeros((32, 48, 3), np.uint8)
red[..., 0] = 200
Image.fromarray(red).save("good.png")
Path("bad.png").write_bytes(b"no image")
session = AnnotationSession(
    [Path("good.png"), Path("bad.png"), red[:16, :16]],
    make_pipeline(Size(), LogisticRegression()),
    in_order,
    classes=["red", "blue"],
)
"""

# Shown again by its own cell, as a person would after a reload.
SHOW = "AnnotationWidget(session)"


@pytest.fixture(scope="module")
def lab():
    with jupyter_lab() as lab:
        yield lab


def text_of(labeller):
    return labeller.locator(".cofm-sample").inner_text()


def press(lab, labeller, key):
    """Press a key, and wait until the page shows something else."""
    before = text_of(labeller)
    labeller.focus()
    lab.page.keyboard.press(key)
    lab.page.wait_for_function(
        "([before, k]) => [...document.querySelectorAll('.cofm-sample')].at(-1)"
        ".innerText !== before",
        arg=[before, 0],
    )


def wait_for_head(lab, text):
    lab.page.wait_for_function(
        "(text) => [...document.querySelectorAll('.cofm-line')].at(-1)"
        ".innerText.includes(text)",
        arg=text,
    )


def label_by_content(lab, labeller):
    # The next batch may still be on its way.
    labeller.locator(".cofm-classes button:enabled").first.wait_for()
    press(lab, labeller, "2" if "prize" in text_of(labeller) else "1")


def test_label_undo_skip_review_reload_restart_and_go_on(lab):
    lab.write(SPAM, SHOW)
    lab.open()
    labeller = lab.run_all()

    first = text_of(labeller)  # by mouse
    labeller.get_by_role("button", name="ham").click()
    wait_for_head(lab, "1 of 120")
    assert text_of(labeller) != first

    second = text_of(labeller)  # by keyboard
    press(lab, labeller, "2")
    wait_for_head(lab, "2 of 120")

    labeller.focus()  # undo
    lab.page.keyboard.press("u")
    wait_for_head(lab, "1 of 120")
    assert text_of(labeller) == second

    press(lab, labeller, "s")  # skip
    wait_for_head(lab, "1 skipped")

    for _ in range(18):
        label_by_content(lab, labeller)
    wait_for_head(lab, "19 of 120")

    labeller.get_by_role("button", name="Review suspects").click()
    lab.page.wait_for_selector(".cofm-reviewing")
    given = labeller.locator(".cofm-classes button[aria-pressed=true]").inner_text()
    suspect = text_of(labeller)
    other = "1" if given.startswith("spam") else "2"
    press(lab, labeller, other)
    labeller.focus()
    lab.page.keyboard.press("r")
    lab.page.wait_for_selector(".cofm-reviewing", state="detached")
    wait_for_head(lab, "19 of 120")

    here = text_of(labeller)
    lab.command("docmanager:save")
    lab.open()  # the page is loaded again; the kernel goes on
    # Not in its middle: the earlier labeller may be there by now, with its buttons.
    lab.page.locator(".jp-Cell").last.locator(".jp-InputPrompt").click()
    lab.page.keyboard.press("Shift+Enter")
    labeller = lab.labeller()
    assert text_of(labeller) == here
    wait_for_head(lab, "19 of 120")

    lab.restart()
    lab.command("notebook:clear-all-cell-outputs")
    labeller = lab.run_all()
    assert text_of(labeller) == here
    label_by_content(lab, labeller)
    wait_for_head(lab, "20 of 120")

    path = lab.folder / "labels.sqlite"
    texts = [
        f"win a free prize, call {i}" if i % 3 == 0 else f"see you at lunch, table {i}"
        for i in range(120)
    ]
    with AnnotationSession(
        texts, DummyClassifier(), classes=["ham", "spam"], store=path
    ) as session:
        frame = session.export()
    assert len(frame) == 20
    corrected = frame.set_index("sample").loc[suspect, "label"]
    assert corrected == ("ham" if other == "1" else "spam")


def test_untrusted_samples_are_shown_as_text(lab):
    lab.write(NASTY, SHOW)
    lab.open()
    labeller = lab.run_all()
    assert (
        labeller.locator(".cofm-classes button")
        .first.inner_text()
        .startswith("<i>one</i>")
    )
    seen = []
    while "no more questions" not in text_of(labeller):
        text, body = text_of(labeller), labeller.locator(".cofm-sample")
        seen.append(text)
        assert body.locator("script, img, b, i").count() == 0
        if text.startswith("xxx"):
            assert len(labeller.locator(".cofm-text").inner_text()) == 20_000
            body.get_by_role("button").click()
            lab.page.wait_for_function(
                "() => document.querySelector('.cofm-text').innerText.length === 40000"
            )
        if "right to left" in text:
            direction = "(node) => getComputedStyle(node).direction"
            assert labeller.locator(".cofm-text").evaluate(direction) == "rtl"
        press(lab, labeller, "1")
        if len(seen) == 7:
            wait_for_head(lab, "7 of 7")
            labeller.locator(".cofm-sample", has_text="no more questions").wait_for()
    assert len(seen) == 7
    assert "<script>window.hacked = 1</script><b>bold?</b>" in seen
    assert "<img src=x onerror='window.hacked = 2'>" in seen
    assert "(empty text)" in seen
    assert any("\U0001f469" in text for text in seen)
    assert lab.page.evaluate("() => window.hacked") is None


def test_images_and_broken_ones(lab):
    lab.write(IMAGES, SHOW)
    lab.open()
    labeller = lab.run_all()
    body, widths, broken = labeller.locator(".cofm-sample"), [], 0
    for _ in range(3):
        if body.locator("img").count():
            body.locator("img").evaluate("(node) => node.decode()")
            size = "(node) => node.naturalWidth"
            widths.append(body.locator("img").evaluate(size))
            label, shown = "1", body.locator("img").get_attribute("src")
        else:
            assert "bad.png cannot be read" in text_of(labeller)
            broken += 1
            label, shown = "s", ""
        labeller.focus()
        lab.page.keyboard.press(label)
        lab.page.wait_for_function(
            "(shown) => document.querySelector('.cofm-sample img')?.src !== shown",
            arg=shown,
        )
    assert broken == 1
    # Tiny images are shown larger: 48 pixels by 4, and 16 by 12.
    assert sorted(widths) == [192, 192]
    wait_for_head(lab, "2 of 3")
    wait_for_head(lab, "1 skipped")


def test_keyboard_alone_reaches_everything(lab):
    lab.write(SPAM.replace("labels.sqlite", ":memory:"), SHOW)
    lab.open()
    labeller = lab.run_all()
    labeller.focus()
    names = []
    for _ in range(7):
        lab.page.keyboard.press("Tab")
        names.append(lab.page.evaluate("() => document.activeElement.innerText"))
    reached = " ".join(names)
    for name in ("ham", "spam", "Undo", "Skip", "Review suspects"):
        assert name in reached
    assert labeller.get_attribute("role") == "region"
    assert labeller.get_attribute("aria-label") == "Labelling"
    assert labeller.locator(".cofm-sample").get_attribute("aria-live") == "polite"
    assert labeller.get_by_role("status").count() == 1
    assert labeller.get_by_role("group", name="Classes").count() == 1
    assert labeller.get_by_role("list", name="Labels per class").count() == 1
