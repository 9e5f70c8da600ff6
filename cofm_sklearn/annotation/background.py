"""Training in the background during labelling."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

from sklearn import config_context, get_config

from cofm_sklearn.annotation.store import StoreError

__all__ = ["Background"]


class Background:
    """Compute the next batch in one thread, or on demand.

    Parameters
    ----------
    batches : Batches

    enabled : bool
        With False, the batch is computed when needed; the questions are the same. It
        uses the thread for this, too, which catches every kind of error.
    """

    def __init__(self, batches, enabled):
        self.batches = batches
        self.enabled = enabled
        self._pool = ThreadPoolExecutor(1, "annotation")
        self._plan = None  # number and point of the batch in progress
        self._batch: Future | None = None
        self._reports: list[Future] = []
        self._look: Future | None = None

    def start(self):
        """Start computing the next batch, if not started yet; return immediately."""
        if self.enabled:
            self._begin()

    def _begin(self):
        number, point, computed = self.batches.waiting()
        if computed or self._plan == (number, point):
            return number, point, computed
        self._batch = self._submit(self.batches.compute, number)
        self._plan = number, point
        # Questions first: accuracy takes longer, and can wait.
        report = self._submit(self._report, number, self._batch)
        self._reports = [*(job for job in self._reports if _matters(job)), report]
        return number, point, computed

    def finish(self):
        """Wait until the next batch is computed.

        Returns
        -------
        bool
            False if there is nothing left to ask.
        """
        # Read once, as another process may open this batch and plan the next meanwhile.
        number, point, computed = self._begin()
        if computed:
            return True
        if self._batch is not None:
            self._batch.exception()
        if not self.enabled:
            self.wait()
        self.raise_error()
        self._plan = None  # if there was nothing to ask, try again next time
        # By now, another process may have opened the batch, or an import replanned it.
        return self.batches.waiting() != (number, point, 0)

    def is_busy(self, patience):
        """Tell whether the next batch is still being computed after some seconds.

        Without background training, it is computed when needed.
        """
        if not self.enabled:
            return False
        computed = self._begin()[2]
        if computed or self._batch is None:
            return False
        wait([self._batch], patience)
        return not self._batch.done()

    def look(self, measure):
        """Schedule `measure` after the running jobs; return immediately."""
        if self.enabled and (self._look is None or self._look.done()):
            self._look = self._submit(measure)

    def wait(self):
        """Wait for all running jobs."""
        for job in self._jobs():
            job.exception()

    def _jobs(self):
        jobs = [self._batch, *self._reports, self._look]
        return [job for job in jobs if job is not None]

    def raise_error(self):
        """Raise an error of the background thread, once."""
        # Errors of scores are ignored: the next batch fails in the same way, loudly.
        jobs = [job for job in self._jobs() if job is not self._look]
        failed = [job for job in jobs if job.done() and job.exception()]
        if not failed:
            return
        self._reports = [job for job in self._reports if not job.done()]
        if self._batch in failed:
            self._plan = self._batch = None  # retry in the next call
        raise self._failure(failed[0].exception())

    def run(self, work):
        """Run a job in the thread, which catches every kind of error."""
        job = self._submit(work)
        error = job.exception()
        if error is not None:
            raise self._failure(error)
        return job.result()

    def _submit(self, work, *args):
        # The settings of scikit-learn belong to a thread.
        return self._pool.submit(_with_settings, get_config(), work, args)

    def _failure(self, error):
        # Without background training, training is part of the call.
        of_the_call = () if self.enabled else (ValueError, TypeError)
        if isinstance(error, (StoreError, *of_the_call)):
            return error
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        failure = RuntimeError(
            f"Training in the background failed: {reason}. All answers are kept, and "
            "labelling can continue; the next call tries again."
        )
        failure.__cause__ = error
        return failure

    def close(self):
        """Stop the thread after its current job."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _report(self, number, batch):
        if batch.exception() is None and batch.result()[1]:
            self.batches.report(number, batch.result()[0])


def _with_settings(settings, work, args):
    with config_context(**settings):
        return work(*args)


def _matters(job):
    return not job.done() or job.exception() is not None
