"""Label in a notebook: what people see of a session."""

import base64
import io
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from cofm_sklearn.annotation.session import AnnotationSession
from cofm_sklearn.annotation.store import StoreError
from cofm_sklearn.encoders.image_reading import MAX_PIXELS, read_rgb
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.images import is_images
from cofm_sklearn.utils.validation import check_option

__all__ = ["AnnotationWidget"]

_KINDS = ("auto", "text", "image")
# Questions that wait in the browser, so that the next one is there at once.
_N_AHEAD = 8
# Characters of a text that are sent at once, and pixels of an image's longer side.
_MAX_CHARACTERS, _MAX_SIDE = 20_000, 768
_N_SUSPECTS = 20


class AnnotationWidget:
    """Label a session's questions in a notebook, by mouse or by keyboard.

    Shows one sample at a time, what foundation model and small model think of it, why
    it was asked, and how far the session has come. Keys: 1 to 9 choose a class, S
    skips, U takes the last answer back, R reviews labels that are likely wrong. With
    more than nine classes, type a part of a name and press Enter. What a sample holds
    is shown as text or as an image, never run.

    Nothing is kept here: after a reload of the page or a restart of the kernel, run the
    cell again, and the same question is there.

    Parameters
    ----------
    session : AnnotationSession
        Where questions come from and answers go to.

    kind : {"auto", "text", "image"}, default="auto"
        How samples are shown. Paths given as str are texts to ``"auto"``.

    Raises
    ------
    ImportError
        If anywidget is not installed, when it is shown.

    TypeError, ValueError
        If `session` is none, or `kind` is unknown.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from cofm_sklearn.annotation import AnnotationSession, AnnotationWidget
    >>> texts = ["a cheap loan", "lunch at noon", "cheap pills", "see you at noon"]
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> session = AnnotationSession(texts, model, classes=["ham", "spam"])
    >>> widget = AnnotationWidget(session)  # the last line of a cell shows it
    >>> reply = widget.handle({"type": "hello"})
    >>> len(reply["questions"])
    4
    """

    def __init__(self, session, *, kind="auto"):
        if not isinstance(session, AnnotationSession):
            raise TypeError(
                f"session must be an AnnotationSession, got {type(session).__name__}."
            )
        check_option("kind", kind, _KINDS)
        self.session = session
        self.kind = kind
        self._view = None
        self._long = {}  # id -> text that the browser has the beginning of

    def _repr_mimebundle_(self, **settings):
        if self._view is None:
            self._view = _view_class()()
            self._view.on_msg(self._on_message)
        return self._view._repr_mimebundle_(**settings)

    def _on_message(self, view, message, buffers):
        view.send(self.handle(message))

    def handle(self, message):
        """Do what the browser asks for.

        Parameters
        ----------
        message : dict
            ``type`` is one of ``hello``, ``answer``, ``skip``, ``undo``, ``relabel``,
            ``review`` and ``text``; ``seq`` numbers it; ``id`` names a sample, and
            ``label`` is a position in ``session.classes``.

        Returns
        -------
        dict
            ``ack`` is the number; ``questions`` are those that are open, ``progress``
            says how far the session is; ``error`` tells what was refused, and then
            nothing has changed.
        """
        message = message if isinstance(message, dict) else {}
        reply = {"ack": message.get("seq")}
        try:
            reply |= self._do(message)
        except (StoreError, ValueError, TypeError, RuntimeError) as error:
            reply["error"] = str(error)
        if message.get("type") == "text":
            return reply
        try:
            reply |= {"questions": self._questions(), "progress": self._progress()}
        except (StoreError, RuntimeError) as error:
            reply["error"] = str(error)
        return reply

    def _do(self, message):
        session, kind = self.session, message.get("type")
        if kind == "hello":
            return {"classes": [str(name) for name in session.classes]}
        if kind == "undo":
            session.undo()
            return {"undone": True}
        if kind == "review":
            found = session._background.run(lambda: session.review(_N_SUSPECTS))
            return {"review": [self._describe(one) for one in found]}
        sample = message.get("id")
        if not isinstance(sample, str):
            raise ValueError(f"id must be a str, got {sample!r}.")
        if kind == "skip":
            session.skip(sample)
        elif kind == "answer":
            session.answer(sample, self._label(message))
        elif kind == "relabel":
            session.relabel(sample, self._label(message))
        elif kind == "text":
            start, text = message.get("start"), self._long.get(sample, "")
            if not isinstance(start, int) or not 0 <= start <= len(text):
                raise ValueError(f"start must be from 0 to {len(text)}, got {start!r}.")
            return {"id": sample, "more": text[start : start + _MAX_CHARACTERS]}
        else:
            raise ValueError(f"type {kind!r} is not known.")
        return {}

    def _label(self, message):
        classes, label = self.session.classes, message.get("label")
        if isinstance(label, bool) or not isinstance(label, int):
            raise ValueError(f"label must be a position of a class, got {label!r}.")
        if not 0 <= label < len(classes):
            raise ValueError(f"label must be from 0 to {len(classes) - 1}: {label}.")
        return classes[label]

    def _questions(self):
        return [self._describe(one) for one in self.session.ask(_N_AHEAD, wait=False)]

    def _progress(self):
        progress = self.session.progress()
        return {
            "n_labels": progress.n_labels,
            "n_pool": progress.n_pool,
            "n_skipped": progress.n_skipped,
            "counts": [progress.counts[name] for name in self.session.classes],
            "noise_rate": progress.noise_rate,
            "accuracy": progress.accuracy,
            "interval": progress.accuracy_interval,
            "curve": progress.curve,
            "stop": progress.should_stop,
            "stop_reason": progress.stop_reason,
        }

    def _describe(self, question):
        classes = self.session.classes

        def listed(proba):
            return None if proba is None else [float(proba[name]) for name in classes]

        return {
            "id": question.id,
            "reason": question.reason,
            "prior": listed(question.prior_proba),
            "small": listed(question.small_proba),
            "both": listed(question.proba),
            "label": None if question.label is None else classes.index(question.label),
            "quality": question.label_quality,
            **self._show(question.id, question.sample),
        }

    def _show(self, name, sample):
        if self.kind == "image" or (self.kind == "auto" and is_images([sample])):
            try:
                return {"image": _as_jpeg(sample)}
            except (ValueError, TypeError, OSError, ImportError) as error:
                return {"broken": f"This image cannot be shown: {error}"}
        text = _as_text(sample)
        if len(text) > _MAX_CHARACTERS:
            self._long[name] = text
        return {"text": text[:_MAX_CHARACTERS], "n_characters": len(text)}


def _as_text(sample):
    if hasattr(sample, "items"):  # a row of a frame
        return "\n".join(f"{name}: {value}" for name, value in sample.items())
    return str(sample)


def _as_jpeg(sample):
    where = str(sample) if isinstance(sample, str | PathLike) else "the image"
    image = read_rgb(sample, where, MAX_PIXELS)
    pil = import_optional("PIL.Image", needed_by="AnnotationWidget")
    if max(image.size) > _MAX_SIDE:
        image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    elif max(image.size) < _MAX_SIDE // 4:
        # Tiny images are shown large, with their pixels.
        factor = _MAX_SIDE // 4 // max(image.size)
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, pil.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


@lru_cache(maxsize=1)
def _view_class():
    """Make the class of the browser's half, which needs anywidget."""
    anywidget: Any = import_optional("anywidget", needed_by="AnnotationWidget")
    folder = Path(__file__).parent

    class LabellerView(anywidget.AnyWidget):
        _esm = folder / "widget.js"
        _css = folder / "widget.css"

    return LabellerView
