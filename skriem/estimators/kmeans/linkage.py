"""RiemannianSingleLinkage: the tree of clusters by geodesic distance."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ...geometry import Metric
from ...geometry.callers import warn
from ...geometry.models.linkage import condense, cut_at, cut_into, single_linkage
from ...geometry.types import FloatArray, RandomState
from ...support.blocks import by_blocks
from ...support.fitting import all_or_nothing
from ...support.parallel import check_n_jobs
from ...support.rows import check_number
from ...support.state import Estimator
from ..distance import GeodesicDistance
from ..metric_input import MetricConsumerMixin
from ..neighbor_encoder import NeighborEncoder
from .precomputed import DistancesMixin, checked_distances, table_of_distances

if TYPE_CHECKING:
    from typing_extensions import Self


class RiemannianSingleLinkage(DistancesMixin, MetricConsumerMixin, ClusterMixin, Estimator):
    """Robust single linkage by geodesic distance: a tree of clusters.

    Samples join in the order of their geodesic distances, at least those to their
    `min_samples`-th neighbours, so that sparse samples join late (mutual reachability, the
    distance of HDBSCAN). The tree is in SciPy's format, and a cut of it gives clusters as of
    :class:`sklearn.cluster.AgglomerativeClustering`.

    Parameters
    ----------
    n_clusters : int or None, default=2
        The tree is cut at the largest distance that leaves so many clusters of at least
        `min_cluster_size` samples. None if `distance_threshold` says where.
    metric : "auto", "local", "precomputed", metric or estimator, default="auto"
        Where the geometry comes from; see :class:`RiemannianKMeans`. "precomputed": `X` are
        distances between samples, a symmetric matrix.
    distance_threshold : float, default=None
        Clusters at this distance or farther are not merged. `n_clusters` must be None then.
    min_samples : int, default=None
        Samples, itself included, within the core distance of each. 1 is plain single linkage;
        None takes `min_cluster_size`.
    min_cluster_size : int, default=5
        What is smaller is no cluster: its samples get the label -1. With 1 every sample is in a
        cluster.
    random_state : int, RandomState instance or None, default=None
        Used by the encoder if one is fitted and has none of its own, and by approximate
        distances.
    n_jobs : int or None, default=None
        Processes for distances, as in joblib. The result does not depend on it.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample, by their first samples, or -1.
    n_clusters_ : int
        Number of clusters.
    linkage_ : ndarray of shape (n_samples - 1, 4)
        What is joined, at which distance, and how many samples that makes: the format of
        :func:`scipy.cluster.hierarchy.linkage`.
    condensed_tree_ : structured ndarray
        The tree of clusters of at least `min_cluster_size` samples alone, as hdbscan has it: a row
        for every cluster or sample that leaves a cluster, with ``parent``, ``child``,
        ``lambda_val``, one over the distance, and ``child_size``. Samples are numbered from 0,
        clusters from `n_samples` on.
    metric_ : Metric
        The geometry that was used; not there for precomputed distances.
    encoder_ : estimator or None
        The encoder fitted to `X`; None if `X` were points of the metric's space.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when `X` has feature names that are all strings.

    See Also
    --------
    RiemannianKMeans : Clusters around centres, for far more samples.
    GeodesicDistance : The distances, for other estimators.
    skriem.inspection.DendrogramDisplay : Draws the tree.
    sklearn.cluster.HDBSCAN : Chooses clusters from such a tree, with straight lines.

    Notes
    -----
    All distances between samples are computed, as by :class:`GeodesicDistance`: memory grows as
    the square of their number, 10,000 take some gigabytes.

    Single linkage sees a metric through the lengths of short ways alone. Where that is a power of
    the straight distance, as between neighbours under a :class:`NeighborEncoder`, the tree is about
    that of straight lines, at other heights. Under the metric of a decoder it is another one.

    References
    ----------
    Campello, Moulavi and Sander, *Density-based clustering based on hierarchical density
    estimates*, PAKDD 2013.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skriem import RiemannianSingleLinkage
    >>> X, moon = make_moons(200, noise=0.05, random_state=0)
    >>> tree = RiemannianSingleLinkage(n_clusters=2).fit(X)
    >>> bool((tree.labels_ == moon).all() or (tree.labels_ != moon).all())
    True
    >>> from scipy.cluster.hierarchy import fcluster
    >>> len(set(fcluster(tree.linkage_, 2, "maxclust")))
    2
    """

    def __init__(
        self,
        n_clusters: int | None = 2,
        *,
        metric: Literal["auto", "local", "precomputed"] | Metric | BaseEstimator = "auto",
        distance_threshold: float | None = None,
        min_samples: int | None = None,
        min_cluster_size: int = 5,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.distance_threshold = distance_threshold
        self.min_samples = min_samples
        self.min_cluster_size = min_cluster_size
        self.random_state = random_state
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Make the tree and cut it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If not exactly one of `n_clusters` and `distance_threshold` is None, or there are fewer
            samples than `n_clusters` or `min_samples`.

        Warns
        -----
        ConvergenceWarning
            If no cut leaves as many clusters as were asked for.
        """
        self._check_parameters()
        for name in ("metric_", "_distance"):
            self.__dict__.pop(name, None)
        distances = self._distances_within(X)
        n, needed = len(distances), self.min_samples or self.min_cluster_size
        for name, least in (("n_clusters", self.n_clusters or 1), ("min_samples", needed)):
            if n < least:
                raise ValueError(f"n_samples={n} should be >= {name}={least}.")
        if not np.isfinite(distances).all():
            raise ValueError(
                "Some distances between samples are NaN or infinite: there is no tree."
            )
        self.linkage_: FloatArray = single_linkage(distances, needed)
        self.condensed_tree_: NDArray[Any] = condense(self.linkage_, self.min_cluster_size)
        if self.n_clusters is None:
            threshold: Any = self.distance_threshold
            self.labels_: NDArray[np.intp] = cut_at(self.linkage_, threshold, self.min_cluster_size)
        else:
            self.labels_ = cut_into(self.linkage_, self.n_clusters, self.min_cluster_size)
        self.n_clusters_ = int(self.labels_.max()) + 1
        if self.n_clusters is not None and self.n_clusters_ < self.n_clusters:
            warn(
                f"No cut leaves {self.n_clusters} clusters of {self.min_cluster_size} samples; the "
                f"most are {self.n_clusters_}. Lower min_cluster_size.",
                ConvergenceWarning,
            )
        return self

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Cluster of the nearest sample of ``fit``, by geodesic distance.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Of the same kind as in ``fit``; precomputed, distances to the samples of ``fit``.

        Returns
        -------
        ndarray of shape (n_queries,)
            -1 where the nearest sample is in no cluster.
        """
        check_is_fitted(self)
        if hasattr(self, "_distance"):
            distances = self._distance.transform(self._points(X))
        else:
            distances = checked_distances(self, X, reset=False)
        return self.labels_[distances.argmin(axis=1)]

    @property
    def children_(self) -> NDArray[np.intp]:
        """What is joined, (n_samples - 1, 2): samples below `n_samples`, then joined ones."""
        return self.linkage_[:, :2].astype(np.intp)

    @property
    def distances_(self) -> FloatArray:
        """Distances at which it is joined, (n_samples - 1,)."""
        return self.linkage_[:, 2]

    @property
    def n_leaves_(self) -> int:
        """Number of samples."""
        return len(self.linkage_) + 1

    def _check_parameters(self):
        if (self.n_clusters is None) == (self.distance_threshold is None):
            raise ValueError(
                "Exactly one of n_clusters and distance_threshold has to be set, and the other "
                "needs to be None."
            )
        if self.n_clusters is not None:
            check_scalar(self.n_clusters, "n_clusters", numbers.Integral, min_val=1)
        if self.distance_threshold is not None:
            check_number(self.distance_threshold, "distance_threshold", min_val=0)
        if self.min_samples is not None:
            check_scalar(self.min_samples, "min_samples", numbers.Integral, min_val=1)
        check_n_jobs(self.n_jobs)
        check_scalar(self.min_cluster_size, "min_cluster_size", numbers.Integral, min_val=1)

    def _distances_within(self, X):
        """Distances between all samples, (n, n)."""
        if self._is_precomputed:
            self.encoder_ = None
            if issparse(X):
                raise TypeError(
                    "Sparse input is not supported: pass all distances, of a graph those along it, "
                    "scipy.sparse.csgraph.shortest_path(X, directed=False)."
                )
            return table_of_distances(self, X)
        values, rng = self._fit_metric(X)
        points = self._embed_values(values)
        seed = rng.randint(2**31 - 1)
        self._distance = GeodesicDistance(self.metric_, random_state=seed, n_jobs=self.n_jobs)
        return self._distance.fit(points).transform(points)

    def _default_geometry(self, values):
        return NeighborEncoder()
