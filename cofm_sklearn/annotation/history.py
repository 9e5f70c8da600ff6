"""History of a session, built from its events in order."""

from copy import copy
from dataclasses import dataclass, replace

from cofm_sklearn.annotation.class_changes import CLASS_CHANGES, renamed_by

__all__ = ["Event", "History"]

_SAID = {"answer", "relabel", "import", "check", "label"}


@dataclass(frozen=True)
class Event:
    """One event of the history, which is append-only.

    Attributes
    ----------
    seq : int
        Sequence number, from 1.

    time : float
        Seconds since 1970, UTC.

    annotator : str
        Name of the annotator.

    kind : {"answer", "check", "label", "relabel", "import", "skip", "undo", "add", \
"rename", "merge", "describe", "restore", "release"}
        What was done: a question of the query or of the check set was answered; a
        sample was labelled without being asked; and so on. The last six have no
        sample: changes of the classes, the undo of one, and the release of the check
        set.

    sample : str
        Id of the sample; empty if there is none.

    label : str or None
        The label, or the change of the classes, as JSON; None for a skip, an undo and a
        release.

    target : int or None
        Number of the event that an undo or a restore reverts; of labels that one action
        gave together, the number of the first.
    """

    seq: int
    time: float
    annotator: str
    kind: str
    sample: str
    label: str | None = None
    target: int | None = None


class History:
    """The current labels after a list of events.

    Parameters
    ----------
    events : iterable of Event, default=()
        Events in the order of their numbers.

    Attributes
    ----------
    last : int
        Number of the last event; 0 if there are none.

    answers : dict of str to dict of str to Event
        By sample in the order of the first answer, then by annotator: the event with
        the current label. A correction replaces imported labels that it differs from,
        whoever gave them; answers of other people stay beside it. Labels are named as
        after all changes of the classes.

    checks : set of str
        Answered samples of the check set that were not released.

    changes : list of Event
        Changes of the classes, including undone ones and the restores.

    skipped : dict of str to Event
        Skipped samples without an answer.

    reviewed : set of str
        Samples with a single label that was confirmed or corrected later.

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
        self.checks = set()
        self.changes = []
        self.skipped = {}
        self.reviewed = set()
        self._standing = {}  # annotator -> their events that were not undone
        self._of_sample = {}  # sample -> events that were not undone
        self._before = {}  # change -> labels before it, by number of their event
        self._released = 0  # number of the last release
        for event in events:
            self.add(event)

    def add(self, event):
        """Apply the next event."""
        self.last = event.seq
        if event.kind in CLASS_CHANGES:
            self.changes.append(event)
            mine = self._standing.setdefault(event.annotator, [])
            if event.kind == "restore":
                _remove(mine, event.target)
            else:
                mine.append(event)
            self._rename(event)
            return
        if event.kind == "release":
            self._released = event.seq
            self.checks.clear()
            return
        mine = self._standing.setdefault(event.annotator, [])
        about = self._of_sample.setdefault(event.sample, [])
        if event.kind == "undo":
            _remove(mine, event.target)
            _remove(about, event.target)
        else:
            mine.append(event)
            about.append(event)
        self._settle(event.sample, about)

    def is_settled(self, sample):
        """Tell whether a sample has an answer or was skipped."""
        return sample in self.answers or sample in self.skipped

    def is_settled_without(self, sample, undone):
        """Tell whether it is without some events, given by their numbers."""
        return any(e.seq not in undone for e in self._of_sample.get(sample, ()))

    def said_by(self, sample, annotator):
        """Return the labels that an annotator gave, current or not."""
        return [
            event.label
            for event in self._of_sample.get(sample, ())
            if event.annotator == annotator and event.kind in _SAID
        ]

    def corrections(self):
        """Return the labels that were corrected, and count those that were confirmed.

        Returns
        -------
        mended : list of (str, str, Event)
            Sample, previous label, and correction, in order.

        n_kept : int
            Number of confirmed labels.
        """
        mended, n_kept = [], 0
        for sample, about in self._of_sample.items():
            before = None
            for event in about:
                if event.kind not in _SAID:
                    continue
                if event.kind == "relabel" and event.label == before:
                    n_kept += 1
                elif event.kind == "relabel":
                    mended.append((sample, before, event))
                before = event.label
        return sorted(mended, key=lambda one: one[2].seq), n_kept

    def has_label(self, label):
        """Tell whether a label, as JSON, was given and not undone."""
        return any(
            e.label == label for about in self._of_sample.values() for e in about
        )

    def last_action(self, annotator):
        """Return the events that an annotator would undo next, in order."""
        mine = self._standing.get(annotator, [])
        first = mine[-1].target if mine else None
        if first is None or mine[-1].kind in CLASS_CHANGES:
            return mine[-1:]
        return [event for event in mine if event.target == first]

    def snapshot(self):
        """Return a copy for reading that further events do not change."""
        copied = copy(self)
        copied.answers, copied.skipped = dict(self.answers), dict(self.skipped)
        copied.reviewed, copied.checks = set(self.reviewed), set(self.checks)
        copied.changes = list(self.changes)
        return copied

    def _rename(self, change):
        renamed = renamed_by(change)
        came_back = self._before.pop(change.target, {})
        before = self._before[change.seq] = {}
        for sample, about in self._of_sample.items():
            now = [
                came_back.get(event.seq, renamed.get(event.label, event.label))
                for event in about
            ]
            if now != [event.label for event in about]:
                before.update((event.seq, event.label) for event in about)
                about[:] = [replace(e, label=text) for e, text in zip(about, now)]
                self._settle(sample, about)

    def _settle(self, sample, about):
        answers: dict[str, Event] = {}
        skipped = last = None
        for event in about:
            if event.kind in _SAID:
                last = event
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
        if any(e.kind == "check" and e.seq > self._released for e in about):
            self.checks.add(sample)
        else:
            self.checks.discard(sample)
        labels = {event.label for event in answers.values()}
        if last is not None and last.kind == "relabel" and labels == {last.label}:
            self.reviewed.add(sample)
        else:
            self.reviewed.discard(sample)
        if skipped is not None and not answers:
            self.skipped[sample] = skipped
        else:
            self.skipped.pop(sample, None)


def _remove(events, seq):
    """Remove an event by its number, quickly if it is the last one."""
    if events and events[-1].seq == seq:
        events.pop()
    else:
        events[:] = [event for event in events if event.seq != seq]
