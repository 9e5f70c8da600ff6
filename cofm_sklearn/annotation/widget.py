"""Notebook labeller: the user interface of a session."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from cofm_sklearn.annotation.pool_map import drawn_map
from cofm_sklearn.annotation.session import AnnotationSession
from cofm_sklearn.annotation.showing import as_jpeg, as_text, shows_image
from cofm_sklearn.annotation.store import StoreError
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.validation import check_option, n_rows

__all__ = ["AnnotationWidget", "script", "style"]

_KINDS = ("auto", "text", "image")
_N_HITS, _N_POINTS, _MAX_HIT, _MAX_CONTEXT = 30, 1500, 140, 500
# How long a message waits for the next questions before the browser retries.
_PATIENCE_S = 0.5
# Questions buffered in the browser, so that the next one appears immediately.
_N_AHEAD = 8
# Characters of text per message, and pixels of an image's longer side.
_MAX_CHARACTERS, _MAX_SIDE, _HIT_SIDE = 20_000, 768, 128
_N_SUSPECTS = 20


class AnnotationWidget:
    """Label a session's questions in a notebook, with mouse or keyboard.

    Shows one sample at a time with the predictions of foundation model and small model,
    why it was selected, and the progress of the session. Keys: Enter or Space accepts
    the predicted class, 1 to 9 choose a class, S skips, U undoes the last answer, R
    reviews labels that are likely wrong, where Enter confirms a label. With more than
    nine classes, type the start of a class name, or its number, and press Enter, which
    takes the class shown; the other keys are then Alt+S, Alt+U and Alt+R. Samples are
    shown as text or images, and never executed.

    The widget stores nothing itself: after reloading the page or restarting the kernel,
    run the cell again, and the same question appears.

    Parameters
    ----------
    session : AnnotationSession
        Session that provides the questions and stores the answers.

    kind : {"auto", "text", "image"}, default="auto"
        How to show samples. ``"auto"`` shows paths given as str as text.

    context : DataFrame or None, default=None
        Columns to show beside each sample: row i belongs to row i of the pool. Models
        do not use them.

    Raises
    ------
    ImportError
        If anywidget is not installed when the widget is displayed.

    TypeError, ValueError
        If `session` is not a session, or `kind` is unknown.

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

    def __init__(self, session, *, kind="auto", context=None):
        if not isinstance(session, AnnotationSession):
            raise TypeError(
                f"session must be an AnnotationSession, got {type(session).__name__}."
            )
        check_option("kind", kind, _KINDS)
        self.session = session
        if context is not None and len(context) != n_rows(session.X):
            raise ValueError(
                f"context has {len(context)} rows for {n_rows(session.X)} samples of "
                "the pool. Pass one row per row of the pool."
            )
        self.kind = kind
        self.context = context
        self._view = None
        self._small = {}  # id -> a small image
        self._long = {}  # id -> text of which the browser has the start

    def _repr_mimebundle_(self, **settings):
        if self._view is None:
            self._view = _view_class()()
            self._view.on_msg(self._on_message)
        return self._view._repr_mimebundle_(**settings)

    def _on_message(self, view, message, buffers):
        view.send(self.handle(message))

    def handle(self, message):
        """Handle a message from the browser.

        Parameters
        ----------
        message : dict
            ``type`` is one of ``hello``, ``answer``, ``label``, ``skip``, ``undo``,
            ``relabel``, ``review``, ``text``, ``more``, ``search``, ``map``, ``show``
            and ``classes``; ``seq`` numbers it; ``id`` is the sample; ``label`` is a
            position in ``session.classes`` after ``changes`` class changes; ``also``
            lists near-duplicates that get the label, too.

        Returns
        -------
        dict
            ``ack`` is the number; ``questions`` are the open ones, ``progress`` is the
            progress of the session, ``classes`` are the possible labels; ``preparing``
            means that questions are still being selected; ``error`` is the error
            message, in which case nothing has changed.
        """
        message = message if isinstance(message, dict) else {}
        reply = {"ack": message.get("seq")}
        try:
            reply |= self._do(message)
        except (StoreError, ValueError, TypeError, RuntimeError) as error:
            reply["error"] = str(error)
        if message.get("type") in ("text", "search", "map", "show"):
            return reply
        try:
            reply |= self._questions() | self._classes()
            reply["progress"] = self._progress()
            if message.get("type") == "more" and not reply["preparing"]:
                # Fast annotators need the next questions first. In a pause, the browser
                # asks for more.
                self.session._background.look(self.session._measure)
        except (StoreError, ValueError, TypeError, RuntimeError) as error:
            reply["error"] = str(error)
        return reply

    def _do(self, message):
        session, kind = self.session, message.get("type")
        if kind in ("hello", "more"):
            return {}
        if kind == "undo":
            session.undo()
            return {"undone": True}
        if kind in ("search", "map", "classes"):
            return getattr(self, f"_do_{kind}")(message)
        if kind == "review":
            found = session._background.run(lambda: session.review(_N_SUSPECTS))
            return {"review": [self._describe(one) for one in found]}
        sample = message.get("id")
        if not isinstance(sample, str):
            raise ValueError(f"id must be a str, got {sample!r}.")
        if kind == "skip":
            session.skip(sample)
        elif kind in ("answer", "label", "relabel"):
            self._say(kind, sample, message)
        elif kind == "show":
            session._answers.check_in_pool(sample)
            return {"found": self._describe(session._found_one(sample))}
        elif kind == "text":
            start, text = message.get("start"), self._long.get(sample, "")
            if not isinstance(start, int) or not 0 <= start <= len(text):
                raise ValueError(f"start must be from 0 to {len(text)}, got {start!r}.")
            return {"id": sample, "more": text[start : start + _MAX_CHARACTERS]}
        else:
            raise ValueError(f"type {kind!r} is unknown.")
        return {}

    def _say(self, kind, sample, message):
        also = message.get("also", [])
        if not isinstance(also, list) or not all(isinstance(s, str) for s in also):
            raise ValueError(f"also must be a list of ids, got {also!r}.")
        session, label = self.session, self._label(message)
        annotator = session._check(None)
        session._answers.say(kind, sample, label, annotator, also)

    def _do_search(self, message):
        session, predicted = self.session, message.get("predicted")
        text = message.get("text") or None
        if text is not None and not isinstance(text, str):
            raise ValueError(f"text must be a str, got {text!r}.")
        if predicted is not None:
            predicted = self._label(message | {"label": predicted})
        order = message.get("order", "pool")
        hits = session._background.run(
            lambda: session.search(text, predicted=predicted, order=order, n=_N_HITS)
        )
        return {"hits": [self._hit(one) for one in hits]}

    def _hit(self, one):
        classes, guess = self.session.classes, None
        if one.proba is not None:
            guess = classes.index(max(one.proba, key=one.proba.__getitem__))
        label = None if one.label is None else classes.index(one.label)
        return {"label": label, "guess": guess, **self._short(one.id)}

    def _do_map(self, message):
        session, classes = self.session, self.session.classes
        frame = session._background.run(session.pool_map)
        drawn = drawn_map(frame, _N_POINTS)
        code = {name: k for k, name in enumerate(classes)}
        points = zip(
            drawn["id"],
            drawn["x"].round(4),
            drawn["y"].round(4),
            map(code.get, drawn["label"]),
            map(code.get, drawn["predicted"]),
            map(bool, drawn["asked"]),
        )
        return {"map": [list(point) for point in points], "n_pool": len(frame)}

    def _do_classes(self, message):
        """Add, rename, merge or describe classes; names are given as text."""
        session, do = self.session, message.get("do")
        name, text = message.get("name"), message.get("text")
        if do == "add":
            session.add_class(self._new_name(name), text or None)
            return {}
        label = self._label(message)
        if do == "rename":
            session.rename_class(label, self._new_name(name))
        elif do == "merge":
            session.merge_classes(label, self._label(message | {"label": name}))
        elif do == "describe":
            session.describe_class(label, text)
        else:
            raise ValueError(f"do must be add, rename, merge or describe, got {do!r}.")
        return {}

    def _new_name(self, name):
        if not isinstance(name, str):
            raise ValueError(f"The name of a class must be a text, got {name!r}.")
        if isinstance(self.session.classes[0], str):
            return name.strip()
        try:
            return int(name)
        except ValueError:
            raise ValueError(
                f"The classes are numbers, which {name!r} is not."
            ) from None

    def _label(self, message):
        classes, label = self.session.classes, message.get("label")
        changes = message.get("changes")
        if changes is not None and changes != self._n_changes():
            raise ValueError("The classes have changed in the meantime. Choose again.")
        if isinstance(label, bool) or not isinstance(label, int):
            raise ValueError(f"label must be a position of a class, got {label!r}.")
        if not 0 <= label < len(classes):
            raise ValueError(f"label must be from 0 to {len(classes) - 1}: {label}.")
        return classes[label]

    def _n_changes(self):
        return len(self.session._answers.history.changes)

    def _classes(self):
        session = self.session
        described = session.descriptions
        return {
            "classes": [str(name) for name in session.classes],
            "descriptions": [described.get(name) for name in session.classes],
            "changes": self._n_changes(),
        }

    def _questions(self):
        session = self.session
        found = session._open_now(_N_AHEAD, _PATIENCE_S)
        return {
            "questions": [self._describe(one) for one in found or ()],
            "preparing": found is None,
        }

    def _progress(self):
        progress = self.session._progress()
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
            "n_measured": progress.n_measured,
            "n_trained": progress.n_labels - progress.n_checks,
            "check": self._check_score(progress.check),
        }

    def _check_score(self, score):
        if score is None:
            return None
        recall, low, high, n = score.recalls[score.rarest]
        return {
            "n": score.n,
            "accuracy": [score.accuracy, *score.accuracy_interval],
            "balanced": [score.balanced_accuracy, *score.balanced_accuracy_interval],
            "rarest": [str(score.rarest), recall, low, high, n],
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
            "near": listed(question.neighbors_proba),
            "both": listed(question.proba),
            "label": None if question.label is None else classes.index(question.label),
            "quality": question.label_quality,
            "check": question.is_check,
            "trust": question.trust,
            "nearest": [
                {"label": classes.index(label), "alike": alike, **self._short(sample)}
                for sample, label, alike in question.nearest
                if label in classes
            ],
            "also": [self._short(sample) for sample in question.near_duplicates],
            "context": self._context(question.index),
            **self._show(question.id, question.sample),
        }

    def _short(self, sample):
        """Return id, and the start of a text or a small image, for lists."""
        X, row = self.session.X, self.session._rows[sample]
        value = X.iloc[row] if hasattr(X, "iloc") else X[row]
        if not shows_image(value, self.kind):
            return {"id": sample, "short": as_text(value)[:_MAX_HIT], "image": None}
        if sample not in self._small:
            self._small[sample] = None
            # An unreadable image is shown by its position in the pool.
            with suppress(ValueError, TypeError, OSError, ImportError):
                self._small[sample] = as_jpeg(value, _HIT_SIDE)
        return {"id": sample, "short": f"image {row}", "image": self._small[sample]}

    def _context(self, row):
        if self.context is None:
            return []
        cells = self.context.iloc[row].items()
        return [[str(name), str(value)[:_MAX_CONTEXT]] for name, value in cells]

    def _show(self, name, sample):
        if shows_image(sample, self.kind):
            try:
                return {"image": as_jpeg(sample, _MAX_SIDE)}
            except (ValueError, TypeError, OSError, ImportError) as error:
                return {"broken": f"This image cannot be shown: {error}"}
        text = as_text(sample)
        if len(text) > _MAX_CHARACTERS:
            self._long[name] = text
        return {"text": text[:_MAX_CHARACTERS], "n_characters": len(text)}


def script():
    """Return the JavaScript module of the widget."""
    parts = [Path(__file__).parent / name for name in ("panels.js", "widget.js")]
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


def style():
    """Return the style sheet of the widget."""
    return (Path(__file__).parent / "widget.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _view_class():
    """Create the view class, which needs anywidget."""
    anywidget: Any = import_optional("anywidget", needed_by="AnnotationWidget")

    class LabellerView(anywidget.AnyWidget):
        _esm = script()
        _css = style()

    return LabellerView
