"""Batches of questions, each computed from a fixed point of the history.

When batch k is opened, the number of the last event is written down as the point of
batch k + 1, which is then computed while people answer batch k. So the questions are
a function of pool, history and seed, and never of how long training took; a batch that
was lost in a crash is computed again from its point.
"""

import json
import time

import numpy as np

from cofm_sklearn.annotation.history import History

__all__ = ["Batches"]

# A question that somebody was shown this long ago, in seconds, is free for others.
_CLAIM_S = 30 * 60


class Batches:
    """Plans, computes, opens and hands out batches of one store.

    Parameters
    ----------
    store : AnnotationStore

    learning : Learning

    n_instances : int
        Questions in a batch.
    """

    def __init__(self, store, learning, n_instances):
        self.store = store
        self.learning = learning
        self.n_instances = n_instances

    def plan_first(self):
        """Plan a batch if there is none that waits, inside a transaction."""
        if not self.store.rows("batch", "opened IS NULL"):
            self._plan(len(self.store.rows("batch")))
        self.move_on()

    def move_on(self):
        """Plan the batch that waits anew if labels were imported since its point.

        It would not know them, and a first batch would be chosen without any label.
        Inside a transaction.
        """
        number, point, _ = self.waiting()
        since = "kind = 'import' AND seq > ? LIMIT 1"
        if self.store.rows("event", since, (point,)):
            self.store.change("DELETE FROM question WHERE batch = ?", (number,))
            self.store.change(
                "UPDATE batch SET point = ?, computed = 0, report = NULL "
                "WHERE number = ?",
                (self.store.last(), number),
            )

    def waiting(self):
        """Return (number, point, computed) of the batch that is opened next."""
        rows = self.store.rows("batch", "opened IS NULL")
        if not rows:
            raise self.store.damaged("there is no batch that waits")
        number, point, computed, _, _ = rows[0]
        return number, point, computed

    def open_next(self):
        """Open the batch that waits, and plan one; inside a transaction.

        Returns
        -------
        bool
            Whether there was a computed one.
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
        """Compute a planned batch and store it, unless somebody else did.

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
        rows = self.learning.rows
        candidates = np.array([r for s, r in rows.items() if s not in gone], dtype=int)
        if not len(candidates):
            return None, 0
        open_ones = [s for s in asked if s in rows and not history.is_settled(s)]
        pending = np.array([rows[s] for s in open_ones], dtype=int)
        taught = self.learning.teach(history)
        questions = self.learning.choose(taught, candidates, pending, self.n_instances)
        ids = {row: sample for sample, row in rows.items()}
        stop, reason = self.learning.should_stop(taught, candidates)
        with self.store.transaction():
            _, now, computed, _, _ = self._batch(number)
            if now != point:  # an import has moved it on
                return None, len(questions)
            if computed:  # somebody else was faster
                return taught, len(questions)
            settled = History(self.store.events())
            for position, (row, details) in enumerate(questions):
                self.store.change(
                    # One that is there was asked before the file lost the batch.
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

    def report(self, number, taught):
        """Add accuracy and noise to a computed batch; they take longer."""
        _, point, _, _, text = self._batch(number)
        if taught is None or text is None:
            return
        report = self.store.load(text)
        if "n_labels" in report:
            return
        report.update(self.learning.report(taught))
        with self.store.transaction():
            self.store.change(
                "UPDATE batch SET report = ? WHERE number = ? AND point = ?",
                (json.dumps(report), number, point),
            )

    def reports(self):
        """Return all reports, in the order of the batches."""
        rows = self.store.rows("batch", "report IS NOT NULL ORDER BY number")
        return [self.store.load(report) for *_, report in rows]

    def hand_out(self, annotator, n):
        """Claim open questions for an annotator, inside a transaction.

        Returns
        -------
        list of (sample, details)
        """
        now = time.time()
        rows = self.store.rows(
            "question",
            "is_open AND batch IN (SELECT number FROM batch WHERE opened IS NOT NULL) "
            "ORDER BY batch, position",
        )
        mine = [
            (sample, self.store.load(details))
            for sample, _, _, _, who, when, details in rows
            if sample in self.learning.rows
            # Either way: clocks of other machines run ahead.
            and (who in (None, annotator) or abs(now - when) > _CLAIM_S)
        ][:n]
        for sample, _ in mine:
            self.store.change(
                "UPDATE question SET claimed_by = ?, claimed_at = ? WHERE sample = ?",
                (annotator, now, sample),
            )
        return mine

    def was_asked(self, sample):
        """Tell whether anybody was shown a sample."""
        rows = self.store.rows("question", "sample = ?", (sample,))
        return bool(rows) and rows[0][4] is not None

    def set_open(self, sample, is_open):
        """Note that a question is open, or settled; inside a transaction."""
        self.store.change(
            "UPDATE question SET is_open = ? WHERE sample = ?", (is_open, sample)
        )

    def n_open(self):
        """Count the questions that were shown to somebody and wait for an answer."""
        return len(self.store.rows("question", "is_open AND claimed_by IS NOT NULL"))

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
