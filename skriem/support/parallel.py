"""Tasks on whatever joblib runs them: threads, processes, a cluster."""

import sys
from concurrent.futures import BrokenExecutor, CancelledError

from joblib import Parallel

MAX_ATTEMPTS = 3


def results(tasks, n_jobs):
    """Results of joblib's delayed calls, in order, each as soon as it is there.

    A worker that dies may take with it what others need. Tasks that are lost in this way are
    sent out again.
    """
    tasks, done = list(tasks), 0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            for result in Parallel(n_jobs=n_jobs, return_as="generator")(tasks[done:]):
                done += 1
                yield result
            return
        except (BrokenExecutor, CancelledError):
            if attempt == MAX_ATTEMPTS:
                raise


def is_task():
    """Whether what runs now was called by joblib: as one task of many, or to be cached."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "joblib":
            return True
        frame = frame.f_back
    return False
