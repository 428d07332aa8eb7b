"""A table with columns of every kind, and little autoencoders of such tables."""

import numpy as np
import pandas as pd

from skriem import VAETransformer

KINDS = ["categorical", "gaussian", "poisson", "bernoulli", "gaussian", "student_t"]
KINDS += ["negative_binomial", "categorical"]


def numbers(n=40, gaps=0.0, seed=0):
    """Columns of all kinds, as numbers."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    columns = [
        np.arange(n) % 3,
        300.0 * z + 7.0,
        rng.poisson(np.exp(0.5 * z)),
        rng.uniform(size=n) < 0.5,
        0.01 * rng.normal(size=n),
        z + rng.standard_t(3, size=n),
        rng.poisson(np.exp(z) * rng.gamma(2.0, 0.5, n)),
        np.arange(n) % 2,
    ]
    X = np.stack([column.astype(float) for column in columns], axis=1)
    X[rng.uniform(size=X.shape) < gaps] = np.nan
    return X


def frame(n=40, gaps=0.0, seed=0):
    """The same as people have it."""
    X = numbers(n, 0.0, seed)
    found = pd.DataFrame(
        {
            "name": np.array(["red", "green", "blue"])[X[:, 0].astype(int)],
            "income": X[:, 1].astype(np.float32),
            "visits": X[:, 6].astype(np.int64),
            "flag": X[:, 3] > 0,
            "size": pd.Categorical(
                np.array(["S", "M"])[X[:, 7].astype(int)], categories=["S", "M", "L"], ordered=True
            ),
            "day": pd.Series(np.datetime64("2020-01-01") + np.arange(n)).astype("datetime64[ns]"),
            "rank": pd.array(X[:, 0].astype(int), dtype="Int64"),
        }
    )
    return found.mask(np.random.default_rng(1).random(found.shape) < gaps) if gaps else found


def little(**parameters):
    defaults = {"network": (8,), "max_iter": 4, "random_state": 0, "likelihood": "auto"}
    return VAETransformer(**{**defaults, **parameters})
