"""Training beside the person who labels."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

from cofm_sklearn.annotation.store import StoreError

__all__ = ["Background"]


class Background:
    """Computes the waiting batch in one thread, or on demand.

    Parameters
    ----------
    batches : Batches

    enabled : bool
        False computes when the batch is needed; the questions are the same. It does
        so in the thread, too, which catches every kind of error.
    """

    def __init__(self, batches, enabled):
        self.batches = batches
        self.enabled = enabled
        self._pool = ThreadPoolExecutor(1, "annotation")
        self._plan = None  # number and point of the batch that is being computed
        self._batch: Future | None = None
        self._reports: list[Future] = []
        self._look: Future | None = None

    def start(self):
        """Begin with the batch that waits, if nobody has; returns at once."""
        if self.enabled:
            self._begin()

    def _begin(self):
        number, point, computed = self.batches.waiting()
        if computed or self._plan == (number, point):
            return number, point, computed
        self._batch = self._pool.submit(self.batches.compute, number)
        self._plan = number, point
        # Questions first: accuracy takes longer, and nobody waits for it.
        report = self._pool.submit(self._report, number, self._batch)
        self._reports = [*(job for job in self._reports if _matters(job)), report]
        return number, point, computed

    def finish(self):
        """Wait until the waiting batch is computed.

        Returns
        -------
        bool
            False if there is nothing left to ask.
        """
        # Asked once: another process may open this one and plan the next meanwhile.
        number, point, computed = self._begin()
        if computed:
            return True
        if self._batch is not None:
            self._batch.exception()
        if not self.enabled:
            self.wait()
        self.raise_error()
        self._plan = None  # if there was nothing to ask, look again next time
        # By now the batch may be opened by another process, or moved on by an import.
        return self.batches.waiting() != (number, point, 0)

    def is_busy(self, patience):
        """Tell whether the waiting batch is still being computed, after some seconds.

        Without a thread of its own, it is computed when it is needed.
        """
        if not self.enabled:
            return False
        computed = self._begin()[2]
        if computed or self._batch is None:
            return False
        wait([self._batch], patience)
        return not self._batch.done()

    def look(self, measure):
        """Measure what was said last, after what is under way; returns at once."""
        if self.enabled and (self._look is None or self._look.done()):
            self._look = self._pool.submit(measure)

    def wait(self):
        """Wait for all that is under way."""
        for job in self._jobs():
            job.exception()

    def _jobs(self):
        jobs = [self._batch, *self._reports, self._look]
        return [job for job in jobs if job is not None]

    def raise_error(self):
        """Raise once what went wrong in the background."""
        # Of figures nothing is said: the next batch fails in the same way, and loudly.
        jobs = [job for job in self._jobs() if job is not self._look]
        failed = [job for job in jobs if job.done() and job.exception()]
        if not failed:
            return
        self._reports = [job for job in self._reports if not job.done()]
        if self._batch in failed:
            self._plan = self._batch = None  # the next call tries again
        raise self._failure(failed[0].exception())

    def run(self, work):
        """Do what may train in the thread, where no kind of error is missed."""
        job = self._pool.submit(work)
        error = job.exception()
        if error is not None:
            raise self._failure(error)
        return job.result()

    def _failure(self, error):
        # Without a thread of its own, training is a part of the call.
        of_the_call = () if self.enabled else (ValueError, TypeError)
        if isinstance(error, (StoreError, *of_the_call)):
            return error
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        failure = RuntimeError(
            f"Training in the background failed: {reason}. All answers are kept, and "
            "labelling can go on; the next call tries again."
        )
        failure.__cause__ = error
        return failure

    def close(self):
        """End the thread, after what it is doing now."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _report(self, number, batch):
        if batch.exception() is None and batch.result()[1]:
            self.batches.report(number, batch.result()[0])


def _matters(job):
    return not job.done() or job.exception() is not None
