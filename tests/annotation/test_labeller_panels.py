"""Search, classes, map, near-duplicates, context in the labeller, by keyboard."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.labeller_page import LabellerPage, browser
from cofm_sklearn.annotation import AnnotationSession, AnnotationWidget

pytest.importorskip("playwright")
if shutil.which("chromium") is None and "COFM_BROWSER" not in os.environ:
    # .ci/run installs it and says so: there its absence is an error.
    pytest.skip("chromium is not installed", allow_module_level=True)

EVIL = "<img src=x onerror='window.hacked = 1'><script>window.hacked = 2</script>"
SAID = ["win a free prize", "see you at lunch", "see you at lunch"]
TEXTS = [f"{SAID[i % 3]} number {i}" for i in range(60)]
CLASSES = ["<b>ham</b>", "spam"]


@pytest.fixture(scope="module")
def new_page():
    with browser() as new_page:
        yield new_page


def in_order(learner, X_pool, n_instances=1):
    return np.arange(n_instances)


def make_session(texts=TEXTS, **parameters):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    parameters = {
        "classes": CLASSES,
        "background": False,
        "check_share": 0,
    } | parameters
    return AnnotationSession(texts, model, **parameters)


def label(session, n):
    for question in session.ask(n):
        spam = "prize" in question.sample
        session.answer(question.id, CLASSES[1] if spam else CLASSES[0])


def labels_of(session):
    return session.export().set_index("sample")["label"].to_dict()


def focused(page):
    return page.page.evaluate("() => document.activeElement.innerText")


def no_markup(page):
    """No external text has become an element, or was executed."""
    assert page.page.evaluate("() => window.hacked") is None
    found = page.page.evaluate(
        "() => document.querySelectorAll('.cofm-labeller script, .cofm-labeller "
        "[onerror], .cofm-labeller u, .cofm-classes b').length"
    )
    assert found == 0


def test_find_label_out_of_turn_and_go_on(new_page):
    texts = [*TEXTS[:30], f"{EVIL} prize"]
    with make_session(texts) as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        before = page.text()
        page.page.locator(".cofm-labeller").focus()
        page.press("f")
        page.page.keyboard.type("onerror")
        page.press("Enter")
        hits = page.page.locator(".cofm-hit")
        assert hits.count() == 1
        assert EVIL in hits.first.inner_text()
        assert "no prediction yet" in hits.first.inner_text()
        hits.first.focus()
        page.press("Enter")
        assert EVIL in page.text()
        page.press("2")
        assert labels_of(session) == {texts[-1]: "spam"}
        assert page.text() == before
        assert "labelled spam" in focused(page)  # the hit, where one goes on
        # Opened again, Enter keeps its label, and another one corrects it.
        page.press("Enter")
        page.press("1")
        assert labels_of(session) == {texts[-1]: "<b>ham</b>"}
        page.press("Escape")
        no_markup(page)


def test_classes_are_added_renamed_described_and_merged(new_page):
    with make_session() as session:
        label(session, 12)
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()

        def change(do, **fields):
            panel = page.page.locator("form[aria-label='Change the classes']")
            if not panel.count():
                page.press("c")
            panel.get_by_label("Action", exact=True).select_option(do)
            for name, value in fields.items():
                control = panel.get_by_label(name.replace("_", " "), exact=True)
                if control.evaluate("(node) => node.tagName") == "SELECT":
                    control.select_option(label=value)
                else:
                    control.fill(value)
            panel.get_by_role("button", name="Change").focus()
            page.press("Enter")

        change("add", New_name="<u>news</u>", Description=EVIL)
        assert session.classes == ["<b>ham</b>", "<u>news</u>", "spam"]
        assert session.descriptions == {"<u>news</u>": EVIL}
        names = page.page.locator(".cofm-classes button").all_inner_texts()
        assert [name.split("\n")[0] for name in names] == session.classes
        assert any(EVIL in name for name in names)
        change("rename", Class="spam", New_name="junk")
        assert "junk" in session.classes
        change("describe", Class="junk", Description="what nobody wants")
        assert session.descriptions["junk"] == "what nobody wants"
        counts = session.progress().counts
        change("merge", Class="<u>news</u>", Into="junk")
        assert session.classes == ["<b>ham</b>", "junk"]
        assert session.progress().counts["junk"] == counts["junk"]
        change("add", New_name="junk")
        assert "already" in page.page.locator(".cofm-status").inner_text()
        page.page.locator(".cofm-labeller").focus()
        page.press("u")  # the merge
        assert session.classes == ["<b>ham</b>", "<u>news</u>", "junk"]
        assert session.progress().counts == counts
        for _ in range(4):
            page.press("u")
        assert "Not done" not in page.page.locator(".cofm-status").inner_text()
        assert session.classes == CLASSES
        assert session.descriptions == {}
        assert len(labels_of(session)) == 11
        # A message about the previous classes is rejected.
        reply = AnnotationWidget(session).handle(
            {"type": "answer", "id": session.ask()[0].id, "label": 0, "changes": 1}
        )
        assert "classes have changed" in reply["error"]
        no_markup(page)


def test_near_duplicates_are_labelled_with_one_key_more_and_undone(new_page):
    texts = [f"{TEXTS[i]}" for i in range(24)] + [f"{TEXTS[i]}!" for i in range(24)]
    with make_session(texts, n_instances=6) as session:
        while not any(q.near_duplicates for q in session.ask(1)):
            label(session, 1)
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        (question,) = session.ask(1)
        before = labels_of(session)
        others = page.page.get_by_role("list", name="Near-duplicates")
        assert others.get_by_role("listitem").count() == len(question.near_duplicates)
        page.press("n", "Enter")
        given = {s: v for s, v in labels_of(session).items() if s not in before}
        assert len(given) == 1 + len(question.near_duplicates)
        assert len(set(given.values())) == 1
        page.press("u")
        assert labels_of(session) == before
        page.press("Enter")  # without N, the sample alone
        assert len(labels_of(session)) == len(before) + 1


def test_map_by_arrows(new_page):
    with make_session() as session:
        label(session, 10)
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        page.press("m")
        assert page.page.locator(".cofm-map circle").count() == 60
        assert page.page.locator(".cofm-map circle.cofm-labelled").count() == 10
        titles = page.page.locator(".cofm-map circle title").all_text_contents()
        assert set(titles) == set(CLASSES)
        assert len(titles) == 60
        described = page.page.locator(".cofm-map").get_attribute("aria-label")
        assert "60 of 60 samples, 10 labelled" in described
        colours = page.page.get_by_role("list", name="Colours of the classes")
        assert colours.get_by_role("listitem").all_inner_texts() == CLASSES
        no_markup(page)
        shown = page.text()
        page.press("Enter")  # nothing is chosen yet: nothing happens
        assert len(labels_of(session)) == 10
        page.press("ArrowRight", "ArrowUp", "Enter")
        assert page.page.get_by_role("button", name="Back").count() == 1
        page.press("s")
        assert page.text() == shown


def test_columns_are_shown_beside_the_sample_as_text(new_page):
    context = pd.DataFrame({"from": [EVIL] * 60, "<u>when</u>": range(60)})
    with make_session() as session:
        widget = AnnotationWidget(session, context=context)
        page = LabellerPage(new_page(), widget)
        shown = page.page.locator(".cofm-context").inner_text()
        (question,) = session.ask(1)
        assert EVIL in shown
        assert "<u>when</u>" in shown
        assert str(question.index) in shown
        no_markup(page)
        with pytest.raises(ValueError, match="context has 59 rows for 60 samples"):
            AnnotationWidget(session, context=context[:-1])


def test_a_check_question_shows_no_guess(new_page):
    with make_session(check_share=0.5, n_instances=2) as session:
        label(session, 10)
        while not session.ask(1)[0].is_check:
            label(session, 1)
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        n = len(labels_of(session))
        page.press("Enter")
        assert len(labels_of(session)) == n
        assert "at random" in page.page.locator(".cofm-reason").inner_text()
        assert page.page.locator(".cofm-opinions table").count() == 0
        page.press("1")
        assert len(labels_of(session)) == n + 1


def test_everything_has_a_name_for_screen_readers(new_page):
    with make_session(n_instances=6) as session:
        label(session, 20)
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        for key in ("f", "c", "m"):
            page.page.locator(".cofm-labeller").focus()
            page.press(key)
            nameless = page.page.evaluate(
                """() => [...document.querySelectorAll(
                     ".cofm-labeller :is(button, input, select, svg, ul, ol, dl, table)"
                   )].filter((node) => node.checkVisibility() && !(
                     node.getAttribute("aria-label") || node.innerText?.trim() ||
                     node.labels?.length || node.closest("[aria-hidden]")
                   )).map((node) => node.outerHTML)"""
            )
            assert nameless == []
        snapshot = page.page.locator(".cofm-labeller").aria_snapshot()
        for name in ("Labelling", "Classes", "Labels per class", "Map of the pool"):
            assert name in snapshot


def test_while_the_first_questions_are_chosen_it_says_so(new_page):
    class Slow(TfidfVectorizer):
        def fit_transform(self, X, y=None):
            import time

            time.sleep(3)
            return super().fit_transform(X, y)

        def fit(self, X, y=None):
            self.fit_transform(X, y)
            return self

    model = make_pipeline(Slow(), LogisticRegression())
    with AnnotationSession(TEXTS, model, classes=CLASSES) as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        waiting = page.page.locator(".cofm-empty", has_text="Embedding the pool")
        waiting.wait_for()
        page.page.locator(".cofm-text").wait_for()
        assert page.text() in TEXTS
