"""Validate and write what annotators do."""

import json
import warnings

import numpy as np
from pandas.api.types import is_list_like

from cofm_sklearn.annotation.class_changes import (
    CLASS_CHANGES,
    check_change,
    classes_after,
    renamed_by,
    standing,
)
from cofm_sklearn.annotation.history import History
from cofm_sklearn.annotation.learning import label_of
from cofm_sklearn.utils.texts import is_missing

__all__ = ["Answers", "check_name"]


class Answers:
    """Access of a session with one pool to the history of a store.

    Parameters
    ----------
    store : AnnotationStore

    batches : Batches

    classes : list
        All classes given to the session.

    rows : dict of str to int
        Row of each sample id of the pool.

    Attributes
    ----------
    history : History
        The history; current after `refresh`, and after every write here.

    classes : list
        All classes, after all changes.
    """

    def __init__(self, store, batches, classes, rows):
        self.store = store
        self.batches = batches
        self.classes = classes
        self.rows = rows
        self.history = History()

    def enter_file(self):
        """Read the file, and reject one with other classes."""
        with self.store.transaction():
            given, self.classes = self.classes, self.store.note("classes", self.classes)
            events = self.store.events()
            changes = [event for event in events if event.kind in CLASS_CHANGES]
            states = [self.classes]
            for event in changes:
                states.append(classes_after(states[-1], event))
            known = [
                n
                for n, state in enumerate(states)
                if json.dumps(state) == json.dumps(given) and _go_on(changes, n)
            ]
            if not known:
                raise ValueError(
                    f"The store {self.store.path} holds labels of the classes "
                    f"{states[-1]}, but this session has {given}. Use these. For other "
                    "classes, change them with add_class, rename_class and "
                    "merge_classes; or export the labels with these, and read them "
                    "into another file with import_labels."
                )
            self.catch_up()
            # The estimator may have the original classes, or the current ones.
            self.batches.tell_known(known[0])
            for sample in self.history.answers:
                self.batches.set_open(sample, False)
            self.batches.plan_first()

    def refresh(self):
        """Read what other processes have written.

        Returns
        -------
        History
            Snapshot of the current history; later writes do not change it.
        """
        with self.store.transaction():
            self.catch_up()
            return self.history.snapshot()

    def say(self, kind, ids, labels, annotator, also=()):
        """Write answers, corrections or skips: all, or none if one is invalid.

        Samples in `also` get the label of the first one without being asked.
        """
        ids = [ids] if isinstance(ids, str) or not is_list_like(ids) else list(ids)
        for sample in ids:
            if not isinstance(sample, str):
                raise TypeError(f"ids must be str, as in Question.id; got {sample!r}.")
        if kind == "skip":
            labels = [None] * len(ids)
        else:
            labels = list(labels) if is_list_like(labels) else [labels]
        if len(labels) != len(ids):
            raise ValueError(f"There are {len(ids)} ids, but {len(labels)} labels.")
        said = [(kind, *one) for one in zip(ids, labels)]
        said += [("label", sample, labels[0]) for sample in also]
        if len({sample for _, sample, _ in said}) < len(said):
            raise ValueError("ids repeats an id; list each sample once.")
        for _, sample, _ in said:
            self.check_in_pool(sample)
        with self.store.transaction():
            self.catch_up()  # the classes may have changed
            for kind, sample, label in said:
                self._check_state(kind, sample, annotator)
                if kind != "skip":
                    self._check_label(label)
            # Events of one action bear the number of the first, so undo knows them.
            first = self.store.last() + 1 if also else None
            for kind, sample, label in said:
                is_check = kind == "answer" and self.batches.is_check(sample)
                text = None if kind == "skip" else self._check_label(label)
                kind = "check" if is_check else kind
                self.store.append(annotator, kind, sample, text, first)
                self.batches.set_open(sample, False)

    def change(self, kind, content, annotator):
        """Change the classes, or describe one."""
        content = [c.item() if isinstance(c, np.generic) else c for c in content]
        with self.store.transaction():
            self.catch_up()
            check_change(kind, content, self.classes)
            event = self.store.append(annotator, kind, "", json.dumps(content))
            self.batches.recast(self.classes, event)
            self.batches.move_on()
        self.refresh()

    def release(self, annotator):
        """Release the check set for training; return its number of labels."""
        with self.store.transaction():
            self.catch_up()
            n = len(self.history.checks)
            if n:
                self.store.append(annotator, "release", "")
                self.batches.move_on()
        self.refresh()
        return n

    def undo(self, annotator):
        """Undo an annotator's last action; return its first sample."""
        with self.store.transaction():
            self.catch_up()
            events = self.history.last_action(annotator)
            if not events:
                raise ValueError(f"There is nothing to undo for {annotator!r}.")
            if events[0].kind in CLASS_CHANGES:
                self._restore(events[0], annotator)
                return events[0].sample
            for event in reversed(events):
                self.store.append(annotator, "undo", event.sample, target=event.seq)
            undone = {event.seq for event in events}
            for event in events:
                settled = self.history.is_settled_without(event.sample, undone)
                self.batches.set_open(event.sample, not settled)
            self.batches.move_on()
        return events[0].sample

    def _restore(self, change, annotator):
        """Undo a change of the classes; inside a transaction."""
        changes, content = self.history.changes, json.loads(change.label)
        said = f"{change.kind} {', '.join(repr(c) for c in content if c is not None)}"
        if change != standing(changes)[-1]:
            raise ValueError(
                f"{annotator!r} cannot undo {said}: the classes were changed again "
                "later. Undo the later change first."
            )
        if changes.index(change) < self.batches.told.n_known:
            raise ValueError(
                f"This session was opened with the classes after {said}. To undo this "
                "change, open the session with the earlier classes."
            )
        if change.kind == "add" and self.history.has_label(json.dumps(content[0])):
            raise ValueError(
                f"The class {content[0]!r} has labels, so it cannot be removed. "
                "Correct these labels, or merge the class into another one."
            )
        text = json.dumps([change.kind, *content])
        event = self.store.append(annotator, "restore", "", text, target=change.seq)
        self.batches.recast(self.classes, event)
        self.batches.move_on()

    def take_in(self, labels, *, overwrite):
        """Write labels from elsewhere; labels given here stay.

        A warning counts the labels that are skipped for any reason except being here
        already.

        Parameters
        ----------
        labels : list of (id, label, annotator)

        overwrite : bool
            Whether they replace earlier labels of the same annotator.

        Returns
        -------
        int
            Number of new labels.

        Raises
        ------
        ValueError
            If a label is not a class, or no sample is in the pool; then nothing is
            written.
        """
        strange = [sample for sample, _, _ in labels if sample not in self.rows]
        if strange and len(strange) == len(labels):
            raise ValueError(
                f"None of the {len(labels)} samples of these labels is in the pool of "
                f"this session, e.g. {strange[0]!r}. Do they belong to another X?"
            )
        said: dict[tuple, str] = {}
        n_unlike = 0
        for sample, label, name in labels:
            if sample in self.rows:
                key, label = (sample, check_name(name)), self._check_label(label)
                n_unlike += said.get(key, label) != label
                said[key] = label
        n_new = n_other = 0
        with self.store.transaction():
            self.catch_up()
            for label in said.values():  # the classes may have changed
                self._check_label(label_of(label))
            first = self.store.last() + 1
            for (sample, name), label in said.items():
                before = self.history.said_by(sample, name)
                if before and (before[-1] == label or not overwrite):
                    n_other += label not in before
                    continue
                self.store.append(name, "import", sample, label, first)
                self.batches.set_open(sample, False)
                n_new += 1
            self.batches.move_on()
        found = [
            (len(strange), "of a sample that is not in the pool, e.g. {0!r}"),
            (n_other, "that its annotator gave otherwise; overwrite=True replaces it"),
            (n_unlike, "that a later row of the same sample contradicts"),
        ]
        left_out = "; ".join(f"{n} {why.format(*strange[:1])}" for n, why in found if n)
        if left_out:
            warnings.warn(
                f"{n_new} of {len(labels)} labels were new. Skipped, by number and "
                f"reason: {left_out}.",
                stacklevel=3,
            )
        return n_new

    def classes_by_text(self):
        """Return the classes by their texts, earlier names included."""
        now: dict[str, str] = {}
        for change in standing(self.refresh().changes):
            renamed = renamed_by(change)
            now = {old: renamed.get(name, name) for old, name in now.items()} | renamed
        found = {str(json.loads(old)): json.loads(name) for old, name in now.items()}
        return found | {str(label): label for label in self.classes}

    def catch_up(self):
        """Read new events, inside a transaction, so that nothing is written meanwhile.

        The next call reads what this transaction writes, since it may still fail.
        """
        for event in self.store.events(after=self.history.last):
            self.history.add(event)
            if event.kind in CLASS_CHANGES:
                self.classes = classes_after(self.classes, event)

    def _check_state(self, kind, sample, annotator):
        answers = self.history.answers.get(sample, {})
        if kind == "relabel":
            if not answers:
                raise ValueError(f"id {sample!r} has no label yet; use answer.")
            return
        if kind == "label":
            if answers:
                raise ValueError(f"id {sample!r} has a label; use relabel.")
            return
        if not self.batches.was_asked(sample):
            raise ValueError(
                f"id {sample!r} was never asked about. Answer what ask returns; "
                "for other labels, use import_labels."
            )
        if annotator in answers:
            raise ValueError(
                f"id {sample!r} has been answered by {annotator!r} with "
                f"{label_of(answers[annotator].label)!r}; use relabel to correct it."
            )
        if kind == "skip" and self.history.is_settled(sample):
            raise ValueError(f"id {sample!r} is already answered or skipped.")

    def check_in_pool(self, sample):
        """Raise a ValueError unless a sample is in the pool."""
        if not isinstance(sample, str) or sample not in self.rows:
            raise ValueError(f"id {sample!r} is not in the pool of this session.")

    def _check_label(self, label):
        label = label.item() if isinstance(label, np.generic) else label
        if isinstance(label, float) and label.is_integer():
            label = int(label)  # integers beside missing values become float
        text = json.dumps(label) if isinstance(label, str | int) else None
        if text not in {json.dumps(name) for name in self.classes}:
            cure = " Drop the rows without a label." if is_missing(label) else ""
            raise ValueError(
                f"Unknown label {label!r}; the classes are {self.classes}. Nothing was "
                f"written.{cure}"
            )
        return text


def _go_on(changes, n):
    """Tell whether none of the first n changes was undone later."""
    first = {event.seq for event in changes[:n]}
    return not any(event.target in first for event in changes[n:])


def check_name(annotator):
    """Return the name of an annotator, or raise an error."""
    if not isinstance(annotator, str) or not annotator:
        raise ValueError(f"annotator must be a name, got {annotator!r}.")
    return annotator
