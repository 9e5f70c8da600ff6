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
        if self.waiting() is None:
            rows = self.store.query("SELECT count(*) FROM batch")
            self._plan(rows[0][0])
        self.move_on()

    def move_on(self):
        """Plan the batch that waits anew if labels were imported since its point.

        It would not know them, and a first batch would be chosen without any label.
        Inside a transaction.
        """
        waits = "(SELECT number FROM batch WHERE opened IS NULL)"
        since = self.store.query(
            "SELECT max(seq) FROM event WHERE kind = 'import' AND seq > "
            f"(SELECT point FROM batch WHERE number = {waits})"
        )[0][0]
        if since is not None:
            self.store.change(f"DELETE FROM question WHERE batch = {waits}")
            self.store.change(
                "UPDATE batch SET point = (SELECT max(seq) FROM event), computed = 0, "
                "report = NULL WHERE opened IS NULL"
            )

    def waiting(self):
        """Return (number, point, computed) of the batch opened next, or None."""
        rows = self.store.query(
            "SELECT number, point, computed FROM batch WHERE opened IS NULL"
        )
        return rows[0] if rows else None

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
        point, computed = self.store.query(
            "SELECT point, computed FROM batch WHERE number = ?", (number,)
        )[0]
        if computed:
            return None, self.n_instances
        history = History(self.store.events(upto=point))
        asked = self.store.query(
            "SELECT sample FROM question WHERE batch < ?", (number,)
        )
        asked = [sample for (sample,) in asked]
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
            now = self.store.query(
                "SELECT point, computed FROM batch WHERE number = ?", (number,)
            )
            if now[0] != (point, 0):  # moved on, or somebody else was faster
                return None, len(questions)
            settled = History(self.store.events())
            for position, (row, details) in enumerate(questions):
                self.store.change(
                    "INSERT INTO question (sample, batch, position, is_open, details) "
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
        text, point = self.store.query(
            "SELECT report, point FROM batch WHERE number = ?", (number,)
        )[0]
        if taught is None or text is None or "n_labels" in json.loads(text):
            return
        report = json.loads(text) | self.learning.report(taught)
        with self.store.transaction():
            self.store.change(
                "UPDATE batch SET report = ? WHERE number = ? AND point = ?",
                (json.dumps(report), number, point),
            )

    def reports(self):
        """Return all reports, in the order of the batches."""
        rows = self.store.query(
            "SELECT report FROM batch WHERE report IS NOT NULL ORDER BY number"
        )
        return [json.loads(text) for (text,) in rows]

    def hand_out(self, annotator, n):
        """Claim open questions for an annotator, inside a transaction.

        Returns
        -------
        list of (sample, details)
        """
        now = time.time()
        rows = self.store.query(
            "SELECT sample, details, claimed_by, claimed_at FROM question "
            "JOIN batch ON batch.number = question.batch "
            "WHERE is_open AND batch.opened IS NOT NULL ORDER BY batch, position"
        )
        mine = [
            (sample, json.loads(details))
            for sample, details, who, when in rows
            if sample in self.learning.rows
            and (who in (None, annotator) or when < now - _CLAIM_S)
        ][:n]
        for sample, _ in mine:
            self.store.change(
                "UPDATE question SET claimed_by = ?, claimed_at = ? WHERE sample = ?",
                (annotator, now, sample),
            )
        return mine

    def was_asked(self, sample):
        """Tell whether anybody was shown a sample."""
        rows = self.store.query(
            "SELECT claimed_by FROM question WHERE sample = ?", (sample,)
        )
        return bool(rows) and rows[0][0] is not None

    def set_open(self, sample, is_open):
        """Note that a question is open, or settled; inside a transaction."""
        self.store.change(
            "UPDATE question SET is_open = ? WHERE sample = ?", (is_open, sample)
        )

    def n_open(self):
        """Count the questions that were shown to somebody and wait for an answer."""
        rows = self.store.query(
            "SELECT count(*) FROM question WHERE is_open AND claimed_by IS NOT NULL"
        )
        return rows[0][0]

    def _plan(self, number):
        point = self.store.query("SELECT max(seq) FROM event")[0][0] or 0
        self.store.change(
            "INSERT OR IGNORE INTO batch (number, point) VALUES (?, ?)", (number, point)
        )
