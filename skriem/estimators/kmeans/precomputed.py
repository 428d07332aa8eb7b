"""Clusters of samples of which only the distances are known, or some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ...geometry.callers import warn
from ...geometry.paths.among import Paths, Table
from ...geometry.paths.graph import Attached
from ...support.rows import check_size, check_weights
from .medoid_runs import best_medoids

# By what share of the largest a distance there may differ from the one back.
SYMMETRIC = 1e-6


class DistancesMixin:
    """``metric="precomputed"``: distances in place of data."""

    def __sklearn_tags__(self: Any) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.pairwise = tags.input_tags.positive_only = self._is_precomputed
        return tags

    @property
    def _is_precomputed(self: Any) -> bool:
        return isinstance(self.metric, str) and self.metric == "precomputed"


class PrecomputedMixin(DistancesMixin):
    """The same of k-means: medoids of a table of distances or of a graph."""

    def __sklearn_tags__(self: Any) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.input_tags.sparse = self._makes_rows
        return tags

    @property
    def _makes_rows(self: Any) -> bool:
        """Of graphs of distances, and of data whose geometry is for this estimator to find."""
        return isinstance(self.metric, str) and self.metric != "local"

    def _fit_precomputed(self: Any, X: Any, sample_weight: Any) -> Any:
        """Find the most central samples, and how far from them all others are."""
        if not isinstance(self.init, str) or isinstance(self.n_clusters, str):
            raise ValueError(
                "metric='precomputed' needs a number for n_clusters, and 'k-means++' or 'random' "
                "for init: there are no coordinates."
            )
        among = _graph(self, X) if issparse(X) else Table(table_of_distances(self, X))
        weights = check_weights(sample_weight, range(among.n))
        if among.n < self.n_clusters:
            raise ValueError(f"n_samples={among.n} should be >= n_clusters={self.n_clusters}.")
        self.n_clusters_ = self.n_clusters
        self.encoder_ = None
        rng = check_random_state(self.random_state)
        found = best_medoids(among, weights, self._settings(embedded=False), rng)
        if not found.converged:
            warn(
                f"K-means did not converge in {self.max_iter} iterations; raise max_iter or tol.",
                ConvergenceWarning,
            )
        self.medoid_indices_, self.n_iter_ = found.rows, len(found.inertia)
        self._from_centers = among.from_rows(found.rows)
        self.labels_, distances = among.nearest(found.rows)
        self.inertia_ = float(weights @ distances**2)
        self._n_features_out = self.n_clusters_
        self.counts_ = np.bincount(self.labels_, weights, minlength=self.n_clusters_)
        return self

    def _points(self: Any, X: Any) -> Any:
        """New samples in the coordinates of the metric, or by their distances to the centres."""
        check_is_fitted(self)
        if not hasattr(self, "_from_centers"):
            return super()._points(X)  # type: ignore[misc]
        X = checked_distances(self, X, reset=False)
        if not issparse(X):
            return X[:, self.medoid_indices_]
        if not np.diff(X.indptr).all():
            raise ValueError(
                "Some rows of X have no entries: of a sparse matrix what is stored are neighbours "
                "of the new samples among those of fit. Raise n_neighbors."
            )
        # By way of the best of the neighbours.
        ways = X.data[:, None] + self._from_centers.T[X.indices]
        return np.minimum.reduceat(ways, X.indptr[:-1], axis=0)


def checked_distances(estimator, X, reset):
    """Distances to the samples of fit, as a dense matrix or a sparse one of rows."""
    X = validate_data(
        estimator, X, accept_sparse="csr", dtype=np.float64, reset=reset, ensure_min_samples=1
    )
    values = X.data if issparse(X) else X
    if not values.size:
        return X
    if values.min() < 0.0:
        raise ValueError(
            "Negative values in data: X must be distances with metric='precomputed', and none is "
            "below zero. Are these similarities?"
        )
    check_size(values)
    return X


def _square(estimator, X):
    X = checked_distances(estimator, X, reset=True)
    if X.shape[0] != X.shape[1]:
        raise ValueError(
            f"metric='precomputed' takes the distances between all samples, a square matrix; X has "
            f"shape {X.shape}. For features leave metric='auto'."
        )
    if X.shape[0] < 2:
        raise ValueError("Found array with 1 sample(s) while a minimum of 2 is required.")
    return X


def table_of_distances(estimator, X):
    """A symmetric matrix of distances."""
    X = _square(estimator, X)
    slack = SYMMETRIC * X.max()
    if X.diagonal().max() > slack:
        raise ValueError(
            "X must have zeros in its diagonal with metric='precomputed': the distance of a sample "
            "to itself. Are these similarities?"
        )
    if np.abs(X - X.T).max() > slack:
        raise ValueError(
            "X must be symmetric with metric='precomputed'. If distances differ by direction, pass "
            "0.5 * (X + X.T), or np.minimum(X, X.T)."
        )
    return X


def _graph(estimator, X):
    """Paths along the edges of a sparse matrix."""
    X = _square(estimator, X)
    # A stored zero is no edge for Dijkstra's algorithm.
    edges = np.maximum(X.data, np.finfo(float).tiny)
    weights = csr_matrix((edges, X.indices, X.indptr), shape=X.shape)
    weights = weights.maximum(weights.T).tocsr()
    n, n_parts = X.shape[0], connected_components(weights, directed=False)[0]
    if n_parts > estimator.n_clusters:
        raise ValueError(
            f"The graph has {n_parts} parts that no edge joins, more than "
            f"n_clusters={estimator.n_clusters}: between them there are no distances. Raise the "
            "number of neighbours, or n_clusters."
        )
    itself = np.arange(n)
    return Paths(weights, itself, Attached(None, itself[:, None], np.zeros((n, 1))))
