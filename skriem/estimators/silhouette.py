"""How well clusters are separated by geodesic distance: a score that needs no labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import silhouette_samples
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..support.pipelines import last_step
from .metric_input import MetricConsumerMixin

# Silhouettes are computed on at most so many samples.
MAX_SAMPLES = 1000


def cluster_silhouettes(distances, labels, weights=None):
    """Mean silhouette of each cluster, (n_clusters_found,); zero if there is only one.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
    labels : ndarray of shape (n,)
    weights : ndarray of shape (n,) or None
    """
    found, labels = np.unique(labels, return_inverse=True)
    if not 1 < len(found) < len(labels):
        return np.zeros(1)
    values = silhouette_samples(distances, labels, metric="precomputed")
    weights = np.ones(len(labels)) if weights is None else weights
    return np.bincount(labels, weights * values) / np.bincount(labels, weights)


def geodesic_silhouette(estimator: BaseEstimator, X: ArrayLike, y: object = None) -> float:
    """Silhouette of an estimator's clusters by its own geodesic distances, mean over clusters.

    A scorer for :class:`~sklearn.model_selection.GridSearchCV`: chooses the number of clusters,
    the latent dimension and other settings without labels.

    Parameters
    ----------
    estimator : RiemannianKMeans, RiemannianSingleLinkage, RiemannianNormal or Pipeline
        Fitted; a Pipeline ends in one of them. Samples that are in no cluster are left out.
    X : array-like of shape (n_samples, n_features)
        Of more than 1000 samples a fixed sample of 1000 is used.
    y : Ignored

    Returns
    -------
    float
        Between -1 and 1, larger where samples are closer to their own cluster than to others.
        0 if all samples fall into one cluster.

    Raises
    ------
    TypeError
        If the estimator is none of these.

    Notes
    -----
    The silhouette (Rousseeuw, *Silhouettes: a graphical aid to the interpretation and validation
    of cluster analysis*, 1987) compares each sample's mean distance to its own cluster with that
    to the nearest other. Averaging within clusters first keeps large ones from hiding small
    ones. Distances are :meth:`~skriem.geometry.Metric.approximate_pairwise`.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skriem import RiemannianKMeans, geodesic_silhouette
    >>> X = make_moons(200, noise=0.05, random_state=0)[0]
    >>> search = GridSearchCV(
    ...     RiemannianKMeans(random_state=0), {"n_clusters": [2, 3, 4]}, scoring=geodesic_silhouette
    ... ).fit(X)
    >>> search.best_params_
    {'n_clusters': 2}
    """
    samples: Any = np.array(X) if isinstance(X, (list, tuple)) else X
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(last, MetricConsumerMixin) or not hasattr(last, "predict"):
        raise TypeError(
            "geodesic_silhouette scores RiemannianKMeans, RiemannianSingleLinkage or "
            f"RiemannianNormal, alone or at the end of a Pipeline, got {type(last).__name__}."
        )
    check_is_fitted(last)
    if not hasattr(last, "metric_"):
        raise TypeError(
            "geodesic_silhouette measures distances between samples, which an estimator with "
            "metric='precomputed' cannot: use sklearn.metrics.silhouette_score(X, labels, "
            "metric='precomputed')."
        )
    # Sparse matrices have no length.
    n = samples.shape[0] if hasattr(samples, "shape") else len(samples)
    if n > MAX_SAMPLES:
        rows = np.sort(check_random_state(0).choice(n, MAX_SAMPLES, replace=False))
        samples = samples.iloc[rows] if hasattr(samples, "iloc") else samples[rows]
    scored, samples = last_step(estimator, samples)
    labels, points = scored.predict(samples), scored._points(samples)
    # A tree leaves samples in no cluster.
    labels, points = labels[labels >= 0], points[labels >= 0]
    if not len(points):
        return 0.0
    return float(cluster_silhouettes(scored.metric_.approximate_pairwise(points), labels).mean())
