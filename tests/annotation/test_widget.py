"""The labeller in Python: messages, replies and the session's state."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn.annotation import AnnotationSession, AnnotationWidget
from cofm_sklearn.loop import StabilizedPredictions

TEXTS = [f"{'cheap pills' if i % 3 == 0 else 'lunch'} number {i}" for i in range(60)]
CLASSES = ["ham", "spam"]


def model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression())


@pytest.fixture
def widget():
    with AnnotationSession(
        TEXTS, model(), classes=CLASSES, n_instances=6, background=False
    ) as session:
        yield AnnotationWidget(session)


def answer(widget, one, label=None):
    label = int("cheap" in one["text"]) if label is None else label
    return widget.handle({"type": "answer", "id": one["id"], "label": label})


def test_hello_brings_classes_questions_and_progress(widget):
    reply = widget.handle({"type": "hello", "seq": 1})
    assert reply["ack"] == 1
    assert reply["classes"] == CLASSES
    assert len(reply["questions"]) == 6
    assert reply["questions"][0]["text"] in TEXTS
    assert reply["progress"]["n_pool"] == 60
    assert reply["progress"]["counts"] == [0, 0]
    assert "error" not in reply


def test_a_round_of_answers_leads_to_questions_with_opinions(widget):
    reply = widget.handle({"type": "hello"})
    for _ in range(18):
        one = reply["questions"][0]
        reply = answer(widget, one)
        assert "error" not in reply
        assert one["id"] not in {left["id"] for left in reply["questions"]}
    assert sum(reply["progress"]["counts"]) == 18
    one = reply["questions"][0]
    assert one["small"] == pytest.approx(one["both"])
    assert sum(one["small"]) == pytest.approx(1)
    frame = widget.session.export()
    assert len(frame) == 18
    assert set(frame["label"]) == set(CLASSES)


def test_near_duplicates_are_undone_with_the_answer_from_another_widget_too(widget):
    one, two, *others = widget.handle({"type": "hello"})["questions"]
    also = [other["id"] for other in others[:2]]
    answer(widget, one)
    widget.handle({"type": "answer", "id": two["id"], "label": 0, "also": also})
    again = AnnotationWidget(widget.session)  # the cell was run again
    assert again.handle({"type": "undo"})["progress"]["n_labels"] == 1
    assert again.handle({"type": "undo"})["progress"]["n_labels"] == 0


def test_undo_brings_the_sample_back_first(widget):
    one, two, *_ = widget.handle({"type": "hello"})["questions"]
    answer(widget, one)
    widget.handle({"type": "skip", "id": two["id"]})
    reply = widget.handle({"type": "undo"})
    assert reply["undone"]
    assert reply["progress"]["n_skipped"] == 0
    assert two["id"] in {left["id"] for left in reply["questions"]}
    reply = widget.handle({"type": "undo"})
    assert reply["questions"][0]["id"] == one["id"]
    assert reply["progress"]["n_labels"] == 0
    assert "nothing" in widget.handle({"type": "undo"})["error"].lower()


def test_review_shows_labels_and_relabel_mends_them(widget):
    reply = widget.handle({"type": "hello"})
    for _ in range(20):
        reply = answer(widget, reply["questions"][0])
    review = widget.handle({"type": "review"})["review"]
    assert 1 <= len(review) <= 20
    assert all(one["label"] in (0, 1) and 0 <= one["quality"] <= 1 for one in review)
    one, other = review[0], 1 - review[0]["label"]
    reply = widget.handle({"type": "relabel", "id": one["id"], "label": other})
    assert "error" not in reply
    labels = widget.session.export().set_index("id")["label"]
    assert labels[one["id"]] == CLASSES[other]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "answer", "id": "no such id", "label": 0},
        {"type": "answer", "id": None, "label": 0},
        {"type": "answer", "label": 0},
        {"type": "answer", "id": "FIRST", "label": 2},
        {"type": "answer", "id": "FIRST", "label": -1},
        {"type": "answer", "id": "FIRST", "label": True},
        {"type": "answer", "id": "FIRST", "label": "spam"},
        {"type": "answer", "id": "FIRST"},
        {"type": "skip", "id": 3},
        {"type": "relabel", "id": "FIRST", "label": 0},
        {"type": "text", "id": "FIRST", "start": 10**9},
        {"type": "text", "id": "FIRST"},
        {"type": "eval", "id": "FIRST"},
        {},
        None,
        ["answer"],
    ],
)
def test_bad_messages_are_answered_and_change_nothing(widget, message):
    before = widget.handle({"type": "hello"})
    if isinstance(message, dict) and message.get("id") == "FIRST":
        message = message | {"id": before["questions"][0]["id"]}
    assert widget.handle(message)["error"]
    after = widget.handle({"type": "hello"})
    assert after["questions"] == before["questions"]
    assert after["progress"] == before["progress"]


def test_the_same_answer_twice_is_refused(widget):
    one = widget.handle({"type": "hello"})["questions"][0]
    assert "error" not in answer(widget, one)
    assert "error" in answer(widget, one)
    assert widget.session.progress().n_labels == 1


def test_long_texts_come_in_pieces():
    long = "".join(chr(97 + i % 26) for i in range(50_123))
    with AnnotationSession([long, "other"], model(), classes=CLASSES) as session:
        widget = AnnotationWidget(session)
        questions = widget.handle({"type": "hello"})["questions"]
        one = next(one for one in questions if one["n_characters"] > 5)
        assert one["n_characters"] == len(long)
        text = one["text"]
        while len(text) < len(long):
            message = {"type": "text", "id": one["id"], "start": len(text), "seq": 9}
            reply = widget.handle(message)
            assert reply["ack"] == 9
            assert len(reply["more"]) <= 20_000
            text += reply["more"]
        assert text == long


def test_images_of_every_kind_and_broken_ones(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (40, 2000, 3)).astype(np.uint8)
    wide, broken = tmp_path / "wide.png", tmp_path / "broken.png"
    Image.fromarray(pixels).save(wide)
    broken.write_bytes(wide.read_bytes()[:100])
    widget = AnnotationWidget.__new__(AnnotationWidget)
    widget.kind, widget._long = "image", {}
    for good in (str(wide), wide, pixels[:8, :8], Image.fromarray(pixels)):
        image = widget._show("id", good)["image"]
        assert image.startswith("data:image/jpeg;base64,")
        assert len(image) < 200_000
    assert "broken.png" in widget._show("id", broken)["broken"]
    assert "missing.png" in widget._show("id", tmp_path / "missing.png")["broken"]
    widget.kind = "auto"
    assert "image" in widget._show("id", wide)
    assert widget._show("id", str(wide))["text"] == str(wide)


def test_rows_of_a_frame_are_shown_by_column():
    frame = pd.DataFrame({"title": ["a", "b"], "price": [1.5, 2.0]})
    widget = AnnotationWidget.__new__(AnnotationWidget)
    widget.kind, widget._long = "auto", {}
    assert widget._show("id", frame.iloc[1])["text"] == "title: b\nprice: 2.0"


def test_bad_arguments_are_named(widget):
    with pytest.raises(TypeError, match="session must be an AnnotationSession"):
        AnnotationWidget(None)
    with pytest.raises(ValueError, match="kind must be one of"):
        AnnotationWidget(widget.session, kind="video")


def test_it_shows_itself_with_code_and_style(widget):
    bundle = widget._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "export default" in widget._view._esm
    assert ".cofm-labeller" in widget._view._css


def test_figures_wait_for_a_pause():
    with AnnotationSession(
        TEXTS, model(), classes=CLASSES, n_instances=30, check_share=0
    ) as session:
        widget = AnnotationWidget(session)
        reply = widget.handle({"type": "hello"})
        while not reply["questions"]:
            reply = widget.handle({"type": "more"})
        for _ in range(12):
            reply = answer(widget, reply["questions"][0])
        session.wait()
        # Fast annotators get the next questions before a new measurement.
        reply = answer(widget, reply["questions"][0])
        session.wait()
        reply = widget.handle({"type": "more"})
        assert reply["progress"]["n_measured"] != 13
        session.wait()
        reply = widget.handle({"type": "more"})
        assert reply["progress"]["n_measured"] == 13


def test_what_a_stopping_rule_says_is_shown():
    rule = StabilizedPredictions(threshold=0.5, window=1, random_state=0)
    with AnnotationSession(
        TEXTS,
        model(),
        classes=CLASSES,
        n_instances=6,
        background=False,
        check_share=0,
        stopping=rule,
    ) as session:
        widget = AnnotationWidget(session)
        reply = widget.handle({"type": "hello"})
        assert not reply["progress"]["stop"]
        for _ in range(30):
            reply = answer(widget, reply["questions"][0])
        assert reply["progress"]["stop"]
        assert "agree" in reply["progress"]["stop_reason"]
        assert session.progress().should_stop
    assert not hasattr(rule, "history_")
