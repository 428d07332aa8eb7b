"""What the benchmarks share: MNIST, peaks of memory, processes of their own."""

import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from sklearn.datasets import fetch_openml


def load_mnist(path, part="train"):
    """Images as rows of numbers between 0 and 1, and their labels.

    From an archive with X_train, y_train, X_test and y_test, or from OpenML without a path.
    """
    if path is None:
        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        rows = slice(60_000) if part == "train" else slice(60_000, None)
        return X[rows] / 255.0, y[rows].astype(int)
    with np.load(path) as data:
        X, y = data[f"X_{part}"], data[f"y_{part}"].astype(int)
    return X.reshape(len(X), -1) / 255.0, y


def peak_megabytes():
    """The most memory that this process has held so far."""
    try:
        # What getrusage says includes the process that this one was started by.
        with open("/proc/self/status") as status:
            (line,) = (line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(function, *arguments):
    """The result of a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
