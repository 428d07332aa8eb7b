"""GeodesicDistance: geodesic distances as an input for any estimator."""

from __future__ import annotations

import numbers
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from joblib import delayed, effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..geometry import Metric, RiemannianMetric
from ..geometry.callers import warn
from ..geometry.chunks import MAX_GRID_DIMS
from ..geometry.metrics.base import warn_unconverged
from ..geometry.types import FloatArray, RandomState
from ..support.blocks import by_blocks
from ..support.fitting import all_or_nothing
from ..support.latent import LatentArray
from ..support.memory import check_memory
from ..support.parallel import check_n_jobs, results
from ..support.progress import Progress
from ..support.state import Estimator
from .metric_input import MetricConsumerMixin

if TYPE_CHECKING:
    from typing_extensions import Self

Method = Literal["auto", "exact", "grid", "graph", "landmarks"]
METHODS = get_args(Method)
# With method="auto", the distances to more samples than this are approximate, and those to more
# than the second go by way of a part of them.
MAX_EXACT_SAMPLES, MAX_GRAPH_SAMPLES = 100, 2000
# Samples that a grid is put around, or that paths go through.
N_LANDMARKS = 1000
# Tolerance of exact lengths.
TOL = 1e-2
# Rows of a matrix of distances that are a task of their own.
BLOCK = 256


class GeodesicDistance(
    MetricConsumerMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
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
    method : {"auto", "exact", "grid", "graph", "landmarks"}, default="auto"
        "exact" solves for every geodesic, to one per cent. The others are for many pairs. They
        take the length of a path and correct it by what exact geodesics between a sample of
        pairs are shorter. "grid": along a grid of the space, which must have at most 3
        dimensions. "graph": through the fitted samples, or straight if that is shorter.
        "landmarks": the same through 1000 of them, if there are more, and the outermost along
        every coordinate. "auto": exact for up to 100 samples in ``fit``, then a grid where there
        can be one, else a graph for up to 2000. For points of a :class:`NeighborEncoder`
        distances have a closed form, whatever is asked for.
    random_state : int, RandomState instance or None, default=None
        Draws landmarks; used by the encoder if one is fitted and has none of its own.
    n_jobs : int or None, default=None
        Processes, as in joblib. The result does not depend on it.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate and time left.

    Attributes
    ----------
    X_fit_ : ndarray of shape (n_samples, n_dims)
        Samples of ``fit`` in the coordinates of `metric_`.
    method_ : {"exact", "grid", "graph", "landmarks"}
        How distances are found.
    error_estimate_ : dict
        Relative errors to expect, ``"median"`` and ``"quantile_99"``: from exact geodesics
        between a sample of the fitted samples, pairs without a finite one left out, or the
        tolerance if all are exact. Of points of a
        :class:`NeighborEncoder` they are zero unless their graph lacks edges, which it may in more
        than three dimensions and of more than 2000 points.
    metric_ : Metric
    encoder_ : estimator or None
        The encoder fitted to `X`; None if `X` were points of the metric's space.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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

    def __init__(
        self,
        metric: Literal["auto", "local"] | Metric | BaseEstimator = "auto",
        *,
        method: Method = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.metric = metric
        self.method = method
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None) -> Self:
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
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        check_n_jobs(self.n_jobs)
        values, rng = self._fit_metric(X)
        self.X_fit_: FloatArray = self._embed_values(values)
        n, d = self.X_fit_.shape
        self.method_: str = self.method
        if self._closed_form or (self.method == "auto" and n <= MAX_EXACT_SAMPLES):
            self.method_ = "exact"
        elif self.method == "auto":
            big = "graph" if n <= MAX_GRAPH_SAMPLES else "landmarks"
            self.method_ = "grid" if d <= MAX_GRID_DIMS else big
        if self.method_ == "grid" and d > MAX_GRID_DIMS:
            raise ValueError(
                f"method='grid' is for up to {MAX_GRID_DIMS} dimensions; this metric has {d}. Use "
                "'graph' or 'landmarks'."
            )
        self._around: Any = None
        self.__dict__.pop("_shortcuts", None)
        metric: Any = self.metric_
        errors: Any = TOL
        if self._closed_form:
            errors = metric.path_errors(rng)
        elif self.method_ != "exact":
            points = self.X_fit_ if self.method_ == "graph" else self._landmarks(rng)
            self._around = self.metric_.with_points(points)
            errors = self._shortcuts.errors
            if not len(errors):
                raise ValueError(
                    "No two samples have a distance that is finite and not zero, which approximate "
                    "ones could be compared with. Use method='exact'."
                )
        self.error_estimate_ = {
            "median": float(np.median(errors)),
            "quantile_99": float(np.quantile(errors, 0.99)),
        }
        self._n_features_out = n
        return self

    @by_blocks
    def transform(self, X: ArrayLike) -> FloatArray:
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

    def pairwise(self, X: ArrayLike, Y: ArrayLike | None = None) -> FloatArray:
        """Geodesic distances between the samples of `X` and of `Y`, or of `X`.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Of the same kind as in ``fit``.
        Y : array-like of shape (m, n_features), default=None
            None takes `X`.

        Returns
        -------
        ndarray of shape (n, m)
        """
        points = self._points(X)
        return self._distances(points, points if Y is None else self._points(Y))

    def __call__(self, a: ArrayLike, b: ArrayLike) -> float:
        """Geodesic distance between two samples, given as vectors.

        Estimators that are cloned, as in a search or in cross-validation, clone what `metric=`
        gives them, and a clone is not fitted: pass them ``metric=distance.__call__``.
        """
        check_is_fitted(
            self,
            msg="This %(name)s is not fitted. If it was passed as metric= to an estimator that was "
            "cloned, as in cross-validation, so was it: pass metric=distance.__call__.",
        )
        return float(self._distances(*map(self._point, (a, b)))[0, 0])

    def path(self, a: ArrayLike, b: ArrayLike, n: int = 20) -> LatentArray:
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
        start, end = map(self._point, (a, b))
        geodesic = self.metric_.geodesic(start, end, tol=TOL)
        warn_unconverged(geodesic, ConvergenceWarning)
        return LatentArray(geodesic.curve(np.linspace(0.0, 1.0, n))[0], self.metric_)

    def _point(self, x):
        """A sample given as a vector, as a point (1, d)."""
        if self._reads_tables and hasattr(x, "to_frame") and hasattr(x, "index"):
            # A row of a frame knows the names of the columns.
            x = x.to_frame().T
        return self._points(x if hasattr(x, "columns") else np.reshape(x, (1, -1)))

    @property
    def _closed_form(self):
        """Whether the metric knows all distances without solving for geodesics."""
        return not isinstance(self.metric_, RiemannianMetric)

    @cached_property
    def _shortcuts(self):
        """What approximate distances are found with."""
        return self._around.make_shortcuts(use_grid=self.method_ == "grid")

    def __getstate__(self):
        # Large, and found again when it is needed.
        return {k: v for k, v in super().__getstate__().items() if k != "_shortcuts"}

    def _landmarks(self, rng):
        """Some of the samples, the outermost among them."""
        X = self.X_fit_
        if len(X) <= N_LANDMARKS:
            return X
        drawn = rng.choice(len(X), N_LANDMARKS, replace=False)
        return X[np.unique(np.concatenate([drawn, X.argmin(0), X.argmax(0)]))]

    def _distances(self, A, B):
        n, m = len(A), len(B)
        check_memory(
            8 * n * m,
            f"A matrix of {n} by {m} distances",
            "Ask for it in parts: transform takes some rows at a time.",
        )
        if self.method_ != "exact":
            return self._approximate(A, B)
        if self._closed_form:
            return self.metric_.pairwise(A, None if np.array_equal(A, B) else B)
        if np.array_equal(A, B):
            i, j = np.triu_indices(n, k=1)
            result = np.zeros((n, n))
            result[i, j] = result[j, i] = self._exact(A, B, i, j)
            return result
        i, j = np.indices((n, m)).reshape(2, -1)
        return self._exact(A, B, i, j).reshape(n, m)

    def _approximate(self, A, B):
        """All distances, in blocks of rows; above the diagonal where it is one set."""
        symmetric, ends = np.array_equal(A, B), self._shortcuts.tie(torch.tensor(B))
        parts = [slice(first, first + BLOCK) for first in range(0, len(A), BLOCK)]
        tasks = (
            delayed(_block)(self._shortcuts, A[rows], ends, rows.start if symmetric else 0)
            for rows in parts
        )
        result = np.empty((len(A), len(B)))
        with Progress("GeodesicDistance", "block", len(parts), self.verbose) as progress:
            for rows, block in zip(parts, results(tasks, self.n_jobs)):
                if symmetric:
                    result[rows.start :, rows] = block.T
                    square = block[:, : len(block)]
                    block[:, : len(block)] = np.minimum(square, square.T)
                    result[rows, rows.start :] = block
                else:
                    result[rows] = block
                progress.step()
        if symmetric:
            np.fill_diagonal(result, 0.0)
        lost = int((~np.isfinite(result)).sum())
        if lost:
            warn(
                f"{lost} of {result.size} distances are NaN or infinite: so is the metric at these "
                "points or around them.",
                ConvergenceWarning,
            )
        return result

    def _exact(self, A, B, i, j):
        """Distances between the rows `i` of `A` and the rows `j` of `B`."""
        n_jobs = effective_n_jobs(self.n_jobs)
        tasks = (
            delayed(self.metric_.geodesic)(A[rows], B[columns], tol=TOL)
            for rows, columns in zip(np.array_split(i, n_jobs), np.array_split(j, n_jobs))
        )
        parts = list(results(tasks, self.n_jobs))
        for part in parts:
            warn_unconverged(part, ConvergenceWarning)
        return np.concatenate([part.length for part in parts])


def _block(shortcuts, A, ends, first):
    """Distances from some rows to the tied points from a first one on."""
    return shortcuts.between(torch.tensor(A), ends).numpy()[:, first:]
