"""How many clusters plain data have: where partitions show more than in data without any.

What is found is compared with what k-means finds in points without structure, drawn uniformly from
the box of the data's principal axes (Tibshirani, Walther and Hastie, *Estimating the number of
clusters in a data set via the gap statistic*, JRSS B 2001). What is compared is not the spread of
the clusters but their worst conductance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state

from ...support.rows import distinct_rows_and_places, first_of_each
from .medoid_runs import Settings
from .plain_candidates import PlainCandidates

# Numbers that are tried, and one more.
MOST = 10
# Draws without structure, and starts of k-means.
N_DRAWS, N_STARTS = 3, 3
# Conductances below this are all the same.
SLACK = 0.003
# With all gaps below this there is one cluster.
LEAST = 1.0
# A score is computed on at most so many samples.
MAX_SAMPLES = 5000


class Count(NamedTuple):
    """A number of clusters, and what it was chosen by."""

    n_clusters: int
    gaps: dict  # log of the conductance without structure over that found, by number of clusters


def count_clusters(candidates, settings, rng):
    """The number of clusters that stands out.

    Of the gaps g that number k is taken that has the largest 2 g(k) - g(k + 1): a large gap, and a
    smaller one after it.

    Parameters
    ----------
    candidates : Candidates
    settings : Settings
    rng : RandomState

    Returns
    -------
    Count
    """
    numbers = range(2, 1 + min(MOST + 1, len(candidates.X) - 1))
    settings, empty = settings._replace(n_runs=N_STARTS), _without_structure(candidates, rng)
    gaps = {}
    for k in numbers:
        settings = settings._replace(n_clusters=k)
        found = candidates.simplest(candidates.of(settings, settings, rng)).conductance
        gaps[k] = _gap(found, empty, settings, rng)
    if len(gaps) < 2 or max(gaps.values()) < LEAST:
        return Count(1, gaps)
    return Count(max(list(gaps)[:-1], key=lambda k: 2.0 * gaps[k] - gaps[k + 1]), gaps)


def conductance_gap(estimator: BaseEstimator, X: ArrayLike, y: object = None) -> float:
    """How much better an estimator's clusters are separated than in data without structure.

    A scorer for :class:`~sklearn.model_selection.GridSearchCV` that needs no labels. It looks at
    nothing but the data and the labels, so that it compares estimators whatever metric they use,
    pipelines and scikit-learn's own among them.

    Parameters
    ----------
    estimator : clusterer or Pipeline that ends in one
        Fitted, with ``predict``.
    X : array-like of shape (n_samples, n_features)
        Data as the estimator was given them. Of more than 5000 samples a fixed sample is used.
    y : Ignored

    Returns
    -------
    float
        Log of the worst conductance of the clusters that k-means finds in points drawn uniformly
        over that of the clusters of `X`: 0 where they are as hard to tell apart as there, larger
        where they are separated. 0 if all samples fall into one cluster.

    See Also
    --------
    geodesic_silhouette : By the estimator's own distances.

    Notes
    -----
    The conductance of a cluster is the share of the edges of a graph of nearest neighbours that
    lead out of it. ``RiemannianKMeans(n_clusters="auto")`` chooses by the same gaps, and not
    simply the largest, see there.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_moons
    >>> from skriem import RiemannianKMeans, conductance_gap
    >>> X = make_moons(300, noise=0.05, random_state=0)[0]
    >>> ours = conductance_gap(RiemannianKMeans(2, random_state=0).fit(X), X)
    >>> ours > 2.0 > conductance_gap(KMeans(2, random_state=0).fit(X), X)
    True
    """
    clusterer: Any = estimator
    labels = np.asarray(clusterer.predict(X))
    values, rng = check_array(X, dtype=np.float64), check_random_state(0)
    if len(values) > MAX_SAMPLES:
        kept = rng.choice(len(values), MAX_SAMPLES, replace=False)
        values, labels = values[kept], labels[kept]
    rows, weights, places = distinct_rows_and_places(values, np.ones(len(values)))
    # Not all clusters need have come along.
    clusters, labels = np.unique(labels[first_of_each(places, len(rows))], return_inverse=True)
    n_clusters = len(clusters)
    if not 1 < n_clusters < len(rows):
        return 0.0
    candidates = PlainCandidates(rows, weights)
    found = candidates.judge("", labels, n_clusters).conductance
    settings = Settings(n_clusters, "k-means++", N_STARTS, max_iter=300, tol=1e-3)
    return _gap(found, _without_structure(candidates, rng), settings, rng)


def _gap(found, empty, settings, rng):
    """Log of the mean worst conductance without structure over one that was found."""
    expected = np.mean([draw.kmeans(settings, rng).conductance for draw in empty])
    return float(np.log((expected + SLACK) / (found + SLACK)))


def _without_structure(candidates, rng):
    """Several draws of as many points, uniform in the box of the principal axes."""
    x = candidates.views.given
    turned = x @ np.linalg.svd(x - x.mean(0), full_matrices=False)[2].T
    low, high = turned.min(0), turned.max(0)
    return [
        candidates.with_points(rng.uniform(low, high, size=turned.shape)) for _ in range(N_DRAWS)
    ]
