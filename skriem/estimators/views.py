"""The same data in several units: what partitions are looked for in and compared by.

Whether features keep their proportions cannot be told from the data alone. So there are three
views of them: as given, every feature in units of its standard deviation, and every feature in
units of its spread among neighbours, which the distance between clusters does not change.
"""

from functools import cached_property

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from ..geometry.paths.neighbors import MAX_TREE_DIMS, neighbors_of_each
from .autoencoder.parts import common_unit, feature_moments

# Neighbours that tell how much a feature varies locally, and the least that it may vary, in
# units of its standard deviation.
N_LOCAL, LEAST = 5, 0.02
# A feature with so few values, or with few values for the number of samples, comes in steps.
MAX_LEVELS, SHARE = 10, 0.02
# Features of two values are left out of comparisons if there are at most so many times as many of
# them as others.
INDICATORS_PER_OTHER = 2
# More features than this, of many samples, are compared by as many principal components.
MAX_COMPARED, MAX_ROWS = 50, 2000


class Views:
    """Distinct rows of data, with their features that vary, in several units, (n, p) each.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    weights : ndarray of shape (n,)

    Attributes
    ----------
    given : ndarray of shape (n, p)
    scaled : ndarray of shape (n, p)
    compared : tuple of three ndarrays of shape (n, q)
        In which neighbours are looked for.
    center : ndarray of shape (p,)
    units : tuple of two ndarrays of shape (p,)
        What the features of `given` and of `scaled` were divided by.
    varying : ndarray of shape (n_features,) bool
    """

    def __init__(self, X, weights):
        center, variance, varying = feature_moments(X, weights)
        unit = common_unit(variance, varying)
        if not varying.any():
            varying[:1] = True
        self._spread = np.sqrt(variance[varying]) / unit
        self._spread[self._spread == 0.0] = 1.0
        self.given = (X[:, varying] - center[varying]) / unit
        self.center, self.varying = center[varying], varying
        self.units = np.full(len(self._spread), unit), unit * self._spread

    @property
    def scaled(self):
        return self.given / self._spread

    @cached_property
    def compared(self):
        x = self.given
        steps, n_values = _steps(x)
        # Whether two categories are alike says little about where there are gaps, unless nearly
        # all features are of that kind.
        telling = n_values > 2
        if INDICATORS_PER_OTHER * telling.sum() < (~telling).sum():
            telling[:] = True
        smooth = _softened(x[:, telling], steps[telling])
        scaled = smooth / self._spread[telling]
        local = local_spread(scaled)
        return tuple(reduced(view) for view in (smooth, scaled, scaled / local))


def of_two_values(x):
    """Whether each feature takes at most two values, as indicators of categories do, (p,) bool."""
    return np.array([len(np.unique(column)) <= 2 for column in x.T])


def neighbors_in(view, k):
    """Distances and rows of the neighbours of every row of a view, (n, k) each."""
    if view.shape[1] <= MAX_TREE_DIMS or len(view) <= k + 1:
        return neighbors_of_each(view, k)
    # Rounding matters little here: views are centred and have units of their own.
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(view).kneighbors()


def local_spread(x, unit=1.0):
    """How much every feature varies among neighbours, (p,).

    At least :data:`LEAST` times a unit, one for all or one for each feature.
    """
    x = x[:: max(1, len(x) // MAX_ROWS)]
    if len(x) < 3:
        return np.ones(x.shape[1])
    _, index = neighbors_in(reduced(x), min(N_LOCAL, len(x) - 1))
    off = np.stack([np.square(x[near] - x).mean(0) for near in index.T])
    return np.maximum(np.sqrt(off.mean(0) / 2.0), LEAST * unit)


def _steps(x):
    """The smallest step of features that take few values, 0 for others, and how many values each
    takes, two (p,) arrays.
    """
    found, n_values = np.zeros(x.shape[1]), np.zeros(x.shape[1], dtype=int)
    most = max(MAX_LEVELS, SHARE * len(x))
    for j, column in enumerate(x.T):
        values = np.unique(column)
        n_values[j] = len(values)
        if 1 < len(values) <= most and len(values) < len(x) / 2:
            found[j] = np.diff(values).min()
    return found, n_values


def _softened(x, steps):
    """Features in steps, spread over their steps, so that a step by itself is no gap.

    By how much a row is moved depends on its place in the order of all rows and on nothing
    else: multiples of irrational numbers, modulo one, are spread evenly.
    """
    rank = np.empty(len(x))
    rank[np.lexsort(x.T[::-1])] = np.arange(len(x))
    ratios = np.sqrt(_primes(np.count_nonzero(steps)))
    moved = x.copy()
    moved[:, steps > 0] += steps[steps > 0] * (rank[:, None] * ratios % 1.0 - 0.5)
    return moved


def _primes(n):
    """The first n prime numbers."""
    found, number = [], 2
    while len(found) < n:
        if all(number % p for p in found):
            found.append(number)
        number += 1
    return np.array(found, dtype=float)


def reduced(x):
    """Many rows of many features by their principal components, others as they are."""
    if x.shape[1] <= MAX_COMPARED or len(x) <= MAX_ROWS:
        return x
    # The random numbers of the solver decide nothing that matters here.
    return PCA(MAX_COMPARED, random_state=0).fit_transform(x)
