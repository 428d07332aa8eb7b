"""GeodesicDistance: geodesic distances as an input for any estimator."""

import numbers

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ._latent import LatentArray
from ._metric import MetricConsumerMixin
from .geometry.metric import warn_unconverged

# With method="auto", the distances to more samples than this are measured through the graph.
MAX_EXACT_SAMPLES = 100
# Tolerance of exact lengths.
TOL = 1e-2


class GeodesicDistance(
    MetricConsumerMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Geodesic distances to the samples of ``fit``.

    Turns codes, or data, into a matrix of distances that any estimator with
    ``metric="precomputed"`` takes, like :class:`sklearn.neighbors.KNeighborsTransformer`::

        make_pipeline(VAETransformer(), GeodesicDistance(), DBSCAN(metric="precomputed"))

    A fitted object can be called with two points, ``distance(a, b)``, and so serves as the
    ``metric=`` of estimators that take a function.

    Parameters
    ----------
    metric : "auto", "local", metric or estimator, default="auto"
        Where the geometry comes from; see :class:`RiemannianKMeans`.
    method : {"auto", "exact", "graph"}, default="auto"
        "exact" solves for every geodesic. "graph" takes shortest paths through the fitted
        samples, typically some percent longer, and much cheaper for many pairs. "auto" is
        exact for up to 100 samples in ``fit``.
    random_state : int, RandomState instance or None, default=None
        Used by the encoder if one is fitted and has none of its own.
    n_jobs : int or None, default=None
        Processes for exact geodesics, as in joblib.

    Attributes
    ----------
    X_fit_ : ndarray of shape (n_samples, n_dims)
        Samples of ``fit`` in the coordinates of `metric_`.
    method_ : {"exact", "graph"}
        How distances are found.
    metric_ : PullbackMetric
    encoder_ : estimator or None
        The encoder fitted to `X`; None if `X` were points of the metric's space.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Defined when `X` has feature names that are all strings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import GeodesicDistance
    >>> X = load_iris().data[::5]
    >>> D = GeodesicDistance(random_state=0).fit_transform(X)
    >>> D.shape
    (30, 30)
    """

    def __init__(self, metric="auto", *, method="auto", random_state=None, n_jobs=None):
        self.metric = metric
        self.method = method
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Remember the samples and settle the metric.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored

        Returns
        -------
        self
        """
        if self.method not in ("auto", "exact", "graph"):
            raise ValueError(f"method must be 'auto', 'exact' or 'graph', got {self.method!r}.")
        values, _ = self._fit_metric(X)
        self.X_fit_ = self._embed_values(values)
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = "exact" if len(values) <= MAX_EXACT_SAMPLES else "graph"
        self._graph_metric = self.metric_.with_points(self.X_fit_)
        self._n_features_out = len(self.X_fit_)
        return self

    def transform(self, X):
        """Geodesic distances from the samples of `X` to those of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        ndarray of shape (n_queries, n_samples)
        """
        return self._distances(self._points(X), self.X_fit_)

    def pairwise(self, X, Y=None):
        """Geodesic distances between the samples of `X` and of `Y`, or of `X`.

        Returns
        -------
        ndarray of shape (n, m)
        """
        points = self._points(X)
        return self._distances(points, points if Y is None else self._points(Y))

    def __call__(self, a, b):
        """Geodesic distance between two samples, given as vectors."""
        return float(self._distances(*(self._points(np.reshape(x, (1, -1))) for x in (a, b)))[0, 0])

    def path(self, a, b, n=20):
        """Points at constant speed along the geodesic between two samples.

        Parameters
        ----------
        a, b : array-like of shape (n_features,)
            Of the same kind as in ``fit``.
        n : int, default=20
            Number of points, both ends included.

        Returns
        -------
        ndarray of shape (n, n_dims)
            In the coordinates of `metric_`, which they carry. The ``inverse_transform`` of the
            encoder that made the codes decodes them to a sequence.
        """
        check_scalar(n, "n", numbers.Integral, min_val=2)
        ends = [self._points(np.reshape(x, (1, -1))) for x in (a, b)]
        geodesic = self.metric_.geodesic(*ends, tol=TOL)
        warn_unconverged(geodesic, ConvergenceWarning)
        return LatentArray(geodesic.curve(np.linspace(0.0, 1.0, n))[0], self.metric_)

    def _distances(self, A, B):
        if np.array_equal(A, B):
            i, j = np.triu_indices(len(A), k=1)
            result = np.zeros((len(A), len(A)))
            result[i, j] = result[j, i] = self._between(A, B, i, j)
            return result
        i, j = np.indices((len(A), len(B))).reshape(2, -1)
        return self._between(A, B, i, j).reshape(len(A), len(B))

    def _between(self, A, B, i, j):
        """Distances between the rows `i` of `A` and the rows `j` of `B`."""
        if self.method_ == "graph":
            return self._graph_metric.path_lengths(A, B)[i, j]
        n_jobs = effective_n_jobs(self.n_jobs)
        parts = Parallel(n_jobs=n_jobs)(
            delayed(self.metric_.geodesic)(A[rows], B[columns], tol=TOL)
            for rows, columns in zip(np.array_split(i, n_jobs), np.array_split(j, n_jobs))
        )
        for part in parts:
            warn_unconverged(part, ConvergenceWarning)
        return np.concatenate([part.length for part in parts])
