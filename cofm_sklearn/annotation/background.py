"""Training beside the person who labels."""

from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Background"]


class Background:
    """Computes the waiting batch in one thread, or on demand.

    Parameters
    ----------
    batches : Batches

    enabled : bool
        False computes when the batch is needed; the questions are the same.
    """

    def __init__(self, batches, enabled):
        self.batches = batches
        self._pool = ThreadPoolExecutor(1, "annotation") if enabled else None
        self._plan = None  # number and point of the batch that is being computed
        self._batch: Future | None = None
        self._reports: list[Future] = []

    def start(self):
        """Begin with the batch that waits, if nobody has; returns at once."""
        number, point, computed = self.batches.waiting()
        if self._pool is None or computed or self._plan == (number, point):
            return
        self._plan = number, point
        self._batch = self._pool.submit(self.batches.compute, number)
        # Questions first: accuracy takes longer, and nobody waits for it.
        report = self._pool.submit(self._report, number, self._batch)
        self._reports = [*(job for job in self._reports if _matters(job)), report]

    def finish(self):
        """Wait until the waiting batch is computed.

        Returns
        -------
        bool
            False if there is nothing left to ask.
        """
        self.start()
        number, point, computed = self.batches.waiting()
        if computed:
            return True
        if self._batch is None:  # there is no thread
            taught, n_questions = self.batches.compute(number)
            if n_questions:
                self.batches.report(number, taught)
        else:
            self._batch.exception()
            self.raise_error()
            self._plan = None  # if there was nothing to ask, look again next time
        # By now the batch may be opened by another process, or moved on by an import.
        return self.batches.waiting() != (number, point, 0)

    def wait(self):
        """Wait for all that is under way."""
        for job in [self._batch, *self._reports]:
            if job is not None:
                job.exception()

    def raise_error(self):
        """Raise once what went wrong in the background."""
        done = [j for j in [self._batch, *self._reports] if j is not None and j.done()]
        failed = [job for job in done if job.exception()]
        if not failed:
            return
        self._reports = [job for job in self._reports if not job.done()]
        if self._batch in failed:
            self._plan = self._batch = None  # the next call tries again
        error = failed[0].exception()
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise RuntimeError(
            f"Training in the background failed: {reason}. All answers are kept, and "
            "labelling can go on; the next call tries again."
        ) from error

    def close(self):
        """End the thread, after what it is doing now."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _report(self, number, batch):
        if batch.exception() is None and batch.result()[1]:
            self.batches.report(number, batch.result()[0])


def _matters(job):
    return not job.done() or job.exception() is not None
