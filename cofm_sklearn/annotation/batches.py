"""Batches of questions, each computed at a fixed point of the history.

When batch k is opened, the number of the last event is stored as the point of batch k +
1, which is then computed while people answer batch k. So the questions depend only on
pool, history and seed, and never on how long training took; a batch lost in a crash is
computed again from its point.
"""

import json
import time

import numpy as np

from cofm_sklearn.annotation.check_set import draw_number, n_checks
from cofm_sklearn.annotation.class_changes import (
    CLASS_CHANGES,
    classes_after,
    recast_proba,
)
from cofm_sklearn.annotation.history import History

__all__ = ["Batches"]

# Seconds after which a question shown to an annotator is free for others.
_CLAIM_S = 30 * 60
# Events that invalidate a batch computed before them.
_NEWS = ", ".join(f"'{kind}'" for kind in sorted({"import", "release", *CLASS_CHANGES}))
_TAKEN_BACK = (
    "kind = 'undo' AND target IN "
    "(SELECT seq FROM event WHERE kind IN ('import', 'label') AND seq <= ?) "
    "AND sample NOT IN (SELECT sample FROM question)"
)
_OPINIONS = ("prior_proba", "small_proba", "neighbors_proba", "proba")


class Batches:
    """Plan, compute, open and hand out the batches of one store.

    Parameters
    ----------
    store : AnnotationStore

    learning : Learning

    n_instances : int
        Number of questions per batch.

    check_share : float
        Share of questions drawn at random for the check set.
    """

    def __init__(self, store, learning, n_instances, check_share):
        self.store = store
        self.n_instances = n_instances
        self.check_share = check_share
        self.rows = learning.rows
        self.told = learning  # with the classes given to the session
        self._after = {}  # number of class changes -> Learning after them
        self._drawn = {}  # sample -> its random number

    def learning(self, history):
        """Return the Learning for the current classes of a history."""
        n = len(history.changes)
        found = self._after.get(n)
        if found is None:
            found = self.told.after(history.changes)
            # A batch may still be in progress with the previous classes.
            kept = {k: one for k, one in self._after.items() if k == n - 1}
            self._after = {**kept, n: found}
        return found

    def tell_known(self, n_changes):
        """Set the number of class changes that the estimator knows already."""
        self.told.n_known = n_changes

    def plan_first(self):
        """Plan a batch if none is planned, inside a transaction."""
        if not self.store.rows("batch", "opened IS NULL"):
            self._plan(len(self.store.rows("batch")))
        self.move_on()

    def move_on(self):
        """Plan the next batch again if labels were imported since its point.

        It would not use these labels, and a first batch would be selected without any;
        nor would it know the check set's labels after a release, or changed classes.
        If labels of samples that were not asked about were undone, it would not ask
        about these samples. Inside a transaction.
        """
        number, point, _ = self.waiting()
        since = f"seq > ? AND (kind IN ({_NEWS}) OR {_TAKEN_BACK}) LIMIT 1"
        if self.store.rows("event", since, (point, point)):
            self.store.change("DELETE FROM question WHERE batch = ?", (number,))
            self.store.change(
                "UPDATE batch SET point = ?, computed = 0, report = NULL "
                "WHERE number = ?",
                (self.store.last(), number),
            )

    def waiting(self):
        """Return (number, point, computed) of the next batch to open."""
        rows = self.store.rows("batch", "opened IS NULL")
        if not rows:
            raise self.store.damaged("there is no planned batch")
        number, point, computed, _, _ = rows[0]
        return number, point, computed

    def open_next(self):
        """Open the next batch, and plan another one; inside a transaction.

        Returns
        -------
        bool
            Whether the batch was computed.
        """
        number, _, computed = self.waiting()
        if not computed:
            return False
        self.store.change(
            "UPDATE batch SET opened = ? WHERE number = ?", (time.time(), number)
        )
        self._plan(number + 1)
        return True

    def compute(self, number):
        """Compute a planned batch and store it, unless another process did.

        Returns
        -------
        taught : Taught or None
            The model behind it.

        n_questions : int
            0 if there is nothing left to ask.
        """
        _, point, computed, _, _ = self._batch(number)
        if computed:
            return None, self.n_instances
        history = History(self.store.events(upto=point))
        asked = [row[0] for row in self.store.rows("question", "batch < ?", (number,))]
        gone = {*asked, *history.answers, *history.skipped}
        rows = self.rows
        left = [sample for sample in rows if sample not in gone]
        if not left:
            return None, 0
        checks, n_asked = self._draw(number, left)
        open_ones = [s for s in asked if s in rows and not history.is_settled(s)]
        pending = np.array([rows[s] for s in open_ones], dtype=int)
        learning = self.learning(history)
        taught = learning.teach(history)
        free = [rows[s] for s in left if self._number(s) >= self.check_share]
        candidates = np.array(free, dtype=int)
        questions = learning.choose(taught, candidates, pending, n_asked)
        near = self.near(taught, history, [row for row, _ in questions], gone)
        for (_, details), same in zip(questions, near):
            details["near"] = same
        self._mix(number, questions, [rows[s] for s in checks])
        ids = {row: sample for sample, row in rows.items()}
        stop, reason = learning.should_stop(taught, np.array([rows[s] for s in left]))
        with self.store.transaction():
            _, now, computed, _, _ = self._batch(number)
            if now != point:  # an import has replanned it
                return None, len(questions)
            if computed:  # another process was faster
                return taught, len(questions)
            settled = History(self.store.events())
            for position, (row, details) in enumerate(questions):
                self.store.change(
                    # An existing question was asked before the file lost the batch.
                    "INSERT OR IGNORE INTO question "
                    "(sample, batch, position, is_open, details) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (
                        ids[row],
                        number,
                        position,
                        not settled.is_settled(ids[row]),
                        json.dumps(details),
                    ),
                )
            self.store.change(
                "UPDATE batch SET computed = 1, report = ? WHERE number = ?",
                (json.dumps({"stop": stop, "stop_reason": reason}), number),
            )
        return taught, len(questions)

    def near(self, taught, history, rows, gone=()):
        """Return the ids of each row's near-duplicates if all agree on a class.

        Labelled, queried and check set samples are left out.
        """
        same = taught.learning.nearly_same(rows)
        return [
            self._agreeing(taught, history, row, others, gone)
            for row, others in zip(rows, same)
        ]

    def _agreeing(self, taught, history, row, others, gone):
        learning = taught.learning
        ids = [learning.ids[other] for other in others]
        free = [
            s
            for s in ids
            if s not in gone
            and not history.is_settled(s)
            and self._number(s) >= self.check_share
        ]
        rows = np.array([self.rows[s] for s in free], dtype=np.int64)
        looks = learning.look_at(taught, np.concatenate([[row], rows])) if free else []
        if any(one["proba"] is None for one in looks):
            return []
        expected = {int(np.argmax(one["proba"])) for one in looks}
        name = json.dumps(learning.classes[min(expected)].item()) if expected else None
        said = {e.label for s in ids for e in history.answers.get(s, {}).values()}
        return free if len(expected) == 1 and said <= {name} else []

    def report(self, number, taught):
        """Add accuracy and noise rate to a computed batch; they take longer."""
        _, point, _, _, text = self._batch(number)
        if taught is None or text is None:
            return
        report = self.store.load(text)
        if "n_labels" in report:
            return
        report.update(taught.learning.report(taught))
        with self.store.transaction():
            self.store.change(
                "UPDATE batch SET report = ? WHERE number = ? AND point = ?",
                (json.dumps(report), number, point),
            )

    def reports(self):
        """Return the points of all batches with a report, in order, and the reports."""
        rows = self.store.rows("batch", "report IS NOT NULL ORDER BY number")
        return [(point, self.store.load(report)) for _, point, _, _, report in rows]

    def hand_out(self, annotator, n):
        """Claim open questions for an annotator, inside a transaction.

        Returns
        -------
        list of (sample, details)
        """
        now = time.time()
        mine = self._open_to(annotator)[:n]
        for sample, _ in mine:
            self.store.change(
                "UPDATE question SET claimed_by = ?, claimed_at = ? WHERE sample = ?",
                (annotator, now, sample),
            )
        return mine

    def has_open(self, annotator):
        """Tell whether there is an open question for an annotator."""
        with self.store.transaction():
            if self.waiting()[2]:
                return True
            return bool(self._open_to(annotator))

    def was_asked(self, sample):
        """Tell whether a sample was shown to anyone."""
        rows = self.store.rows("question", "sample = ?", (sample,))
        return bool(rows) and rows[0][4] is not None

    def shown(self):
        """Return the set of samples that were shown to anyone."""
        return {row[0] for row in self.store.rows("question", "claimed_by IS NOT NULL")}

    def is_check(self, sample):
        """Tell whether a sample was queried for the check set."""
        rows = self.store.rows("question", "sample = ?", (sample,))
        return bool(rows) and bool(self.store.load(rows[0][6]).get("check"))

    def recast(self, classes, event):
        """Align all stored predictions with the classes after a change.

        Inside a transaction.
        """
        if classes == classes_after(classes, event):
            return
        for sample, *_, text in self.store.rows("question"):
            details = self.store.load(text)
            for name in _OPINIONS:
                if details.get(name) is not None:
                    details[name] = recast_proba(details[name], classes, event)
            self.store.change(
                "UPDATE question SET details = ? WHERE sample = ?",
                (json.dumps(details), sample),
            )

    def set_open(self, sample, is_open):
        """Mark a question as open or settled; inside a transaction."""
        self.store.change(
            "UPDATE question SET is_open = ? WHERE sample = ?", (is_open, sample)
        )

    def n_open(self):
        """Count the questions that were shown and are not answered yet."""
        return len(self.store.rows("question", "is_open AND claimed_by IS NOT NULL"))

    def _open_to(self, annotator):
        now = time.time()
        rows = self.store.rows(
            "question",
            "is_open AND batch IN (SELECT number FROM batch WHERE opened IS NOT NULL) "
            "ORDER BY batch, position",
        )
        return [
            (sample, self.store.load(details))
            for sample, _, _, _, who, when, details in rows
            if sample in self.rows
            # In both directions, as clocks of other machines may run ahead.
            and (who in (None, annotator) or abs(now - when) > _CLAIM_S)
        ]

    def _number(self, sample):
        if sample not in self._drawn:
            self._drawn[sample] = draw_number(sample, self.told.seed)
        return self._drawn[sample]

    def _draw(self, number, left):
        """Return samples for the check set, and the number left to the query.

        Samples with a low random number are reserved for the check set and never
        queried: so it is a random part of the pool, whatever was queried.
        """
        n, share = self.n_instances, self.check_share
        kept = sorted(
            (s for s in left if self._number(s) < share),
            key=lambda sample: (self._number(sample), sample),
        )
        n_free = len(left) - len(kept)
        # At the end of the pool, all remaining samples are asked about.
        n_kept = max(n_checks(number * n, n, share), n - n_free)
        n_kept = min(n_kept, len(kept))
        return kept[:n_kept], min(n - n_kept, n_free)

    def _mix(self, number, questions, checks):
        """Insert rows of the check set at random positions among the questions."""
        rng = np.random.RandomState([self.told.seed, number])
        for row in checks:
            details = {**dict.fromkeys([*_OPINIONS, "utility"]), "check": True}
            questions.insert(rng.randint(len(questions) + 1), (row, details))

    def _batch(self, number):
        rows = self.store.rows("batch", "number = ?", (number,))
        if not rows:
            raise self.store.damaged(f"batch {number} is missing")
        return rows[0]

    def _plan(self, number):
        self.store.change(
            "INSERT OR IGNORE INTO batch (number, point) VALUES (?, ?)",
            (number, self.store.last()),
        )
