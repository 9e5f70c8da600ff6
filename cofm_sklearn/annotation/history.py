"""What was said so far, folded from the events in the order they were written."""

from copy import copy
from dataclasses import dataclass

__all__ = ["Event", "History"]

_SAID = {"answer", "relabel", "import"}


@dataclass(frozen=True)
class Event:
    """One line of the history; lines are only ever added.

    Attributes
    ----------
    seq : int
        Its number, from 1 up, in the order of writing.

    time : float
        Seconds since 1970, UTC.

    annotator : str
        Who said it.

    kind : {"answer", "relabel", "import", "skip", "undo"}
        What was done.

    sample : str
        Id of the sample.

    label : str or None
        The label as JSON; None for a skip and an undo.

    target : int or None
        Number of the event that an undo takes back.
    """

    seq: int
    time: float
    annotator: str
    kind: str
    sample: str
    label: str | None = None
    target: int | None = None


class History:
    """The labels that a list of events amounts to.

    Parameters
    ----------
    events : iterable of Event, default=()
        In the order of their numbers.

    Attributes
    ----------
    last : int
        Number of the last event; 0 before any.

    answers : dict of str to dict of str to Event
        By sample in the order of the first answer, then by annotator: the event whose
        label counts. A correction takes the place of imported labels that it differs
        from, whoever they are from; answers of other people stay beside it.

    skipped : dict of str to Event
        Samples that were put aside and have no answer.

    Examples
    --------
    >>> from cofm_sklearn.annotation.history import Event, History
    >>> history = History([
    ...     Event(1, 0.0, "ann", "answer", "s1", '"ham"'),
    ...     Event(2, 1.0, "ann", "relabel", "s1", '"spam"'),
    ...     Event(3, 2.0, "ann", "undo", "s1", target=2)])
    >>> history.answers["s1"]["ann"].label
    '"ham"'
    """

    def __init__(self, events=()):
        self.last = 0
        self.answers = {}
        self.skipped = {}
        self._standing = {}  # annotator -> their events that were not undone
        self._of_sample = {}  # sample -> events that were not undone
        for event in events:
            self.add(event)

    def add(self, event):
        """Take in the next event."""
        self.last = event.seq
        mine = self._standing.setdefault(event.annotator, [])
        about = self._of_sample.setdefault(event.sample, [])
        if event.kind == "undo":
            mine[:] = [e for e in mine if e.seq != event.target]
            about[:] = [e for e in about if e.seq != event.target]
        else:
            mine.append(event)
            about.append(event)
        self._settle(event.sample, about)

    def is_settled(self, sample):
        """Tell whether a sample has an answer or was skipped."""
        return sample in self.answers or sample in self.skipped

    def said_by(self, sample, annotator):
        """Return the labels that an annotator gave, whether or not they count now."""
        return [
            event.label
            for event in self._of_sample.get(sample, ())
            if event.annotator == annotator and event.kind in _SAID
        ]

    def last_of(self, annotator):
        """Return what an annotator can undo next, or None."""
        mine = self._standing.get(annotator)
        return mine[-1] if mine else None

    def snapshot(self):
        """Return a copy to read, which further events do not change."""
        copied = copy(self)
        copied.answers, copied.skipped = dict(self.answers), dict(self.skipped)
        return copied

    def _settle(self, sample, about):
        answers: dict[str, Event] = {}
        skipped = None
        for event in about:
            if event.kind in _SAID:
                if event.kind == "relabel":
                    answers = {
                        name: said
                        for name, said in answers.items()
                        if said.kind != "import" or said.label == event.label
                    }
                answers[event.annotator] = event
            else:
                skipped = event
        # A sample keeps its place as long as it has an answer.
        if answers:
            self.answers[sample] = answers
        else:
            self.answers.pop(sample, None)
        if skipped is not None and not answers:
            self.skipped[sample] = skipped
        else:
            self.skipped.pop(sample, None)
