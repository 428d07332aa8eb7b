"""RiemannianKMeans: k-means with geodesic distances and Fréchet means."""

from __future__ import annotations

import numbers
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_scalar

from ._blocks import by_blocks
from ._medoid_runs import N_RUNS, Settings, cluster_points
from ._metric import MetricConsumerMixin
from ._neighbor import NeighborEncoder
from ._parallel import results
from ._partitions import Candidates
from ._progress import Progress
from ._rows import check_weights, distinct_rows
from .geometry import Metric, NearestNeighborMetric, clustering, medoids
from .geometry.metric import warn_unconverged
from .geometry.types import FloatArray, RandomState

if TYPE_CHECKING:
    from typing_extensions import Self

# Larger data sets settle on a sample of this size before the loop sees all of them.
N_SAMPLE = 500
# Steps of the k-means that finds representatives of larger ones.
N_CELL_ITER = 5
# Restarts of k-means on plain data.
N_STARTS = 10
# Relative tolerance of the distances that are reported.
TOL = 1e-2


class RiemannianKMeans(
    MetricConsumerMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseEstimator,
):
    """K-means clustering by geodesic distance.

    Like :class:`sklearn.cluster.KMeans`, with two replacements: distances are lengths of
    shortest curves under a Riemannian metric, and centres are Fréchet means, the points with
    the least sum of squared geodesic distances.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters and centres.
    metric : "auto", "local", metric or estimator, default="auto"
        Where the geometry comes from.

        - "auto": from `X`, if it carries a metric because it came out of
          :class:`VAETransformer` or :class:`NeighborEncoder`; otherwise `X` is data, and a
          ``NeighborEncoder()`` is fitted to it, of whose metrics the one is taken under which
          clusters are best separated.
        - "local": `X` are points, and the metric is their own local-variance metric
          (:func:`skriem.geometry.local_metric`).
        - an estimator such as ``VAETransformer(n_components=3)``: cloned and fitted to `X`.
          ``FrozenEstimator(vae)`` is used as it is.
        - a metric such as :class:`skriem.geometry.PullbackMetric`: `X` are points in its
          coordinates.
    init : {"k-means++", "random"} or array-like of shape (n_clusters, n_features), \
            default="k-means++"
        "k-means++" draws samples with probability proportional to the squared distance from
        the centres drawn before, measured along shortest paths through the data. "random"
        draws samples. An array gives the centres, in the same space as `X`.
    n_init : int or "auto", default="auto"
        Number of restarts, of which the one with the lowest inertia is kept. "auto": 20 under a
        :class:`~skriem.geometry.NearestNeighborMetric`, else 10 for "random", 1 otherwise.
    max_iter : int, default=300
        Largest number of iterations of a single run.
    tol : float, default=1e-3
        A run ends when an iteration lowers the inertia by less than this fraction.
    random_state : int, RandomState instance or None, default=None
        Determines seeding, and the encoder if one is fitted and has none of its own.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate and inertia.
    n_jobs : int or None, default=None
        Processes for the restarts where geodesics are solved for, as in joblib. The result does
        not depend on it.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_dims)
        Fréchet means, in the coordinates of `metric_`: those of the codes, or of the data where
        :class:`NeighborEncoder` leaves data.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample.
    inertia_ : float
        Weighted sum of the samples' squared geodesic distances to their centres.
    counts_ : ndarray of shape (n_clusters,)
        Weight of the samples of each cluster, of all batches of ``partial_fit`` together.
    n_iter_ : int
        Iterations of the best run.
    metric_ : Metric
        The geometry that was used.
    encoder_ : estimator or None
        The encoder fitted to `X`; None if `X` were points of the metric's space.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when `X` has feature names that are all strings.

    See Also
    --------
    NeighborEncoder : What plain data go through first.
    VAETransformer : Makes codes that carry the metric of their decoder.
    geodesic_silhouette : Scorer to choose `n_clusters` and other settings without labels.
    sklearn.cluster.KMeans : The same with straight lines.

    Notes
    -----
    The loop works on curves of fixed resolution, for which the inertia never rises.
    ``labels_`` and ``inertia_`` are computed at the end as in ``predict`` and ``transform``,
    whose distances are within one per cent.
    Most distances are never computed: chords in the embedding space and the triangle
    inequality (Elkan, ICML 2003) exclude most centres.

    Of more than 2000 distinct points the loop sees 2000, spread over the others and weighted
    with them. ``predict`` then solves for geodesics only where two centres are about equally
    far by approximate distances (:meth:`skriem.geometry.Metric.approximate_pairwise`), from
    which ``inertia_`` is computed as well.

    Under a nearest-neighbour metric distances are paths through the points, and Fréchet means
    are looked for among the points (among 2000 of them if there are more).

    References
    ----------
    Arvanitidis, Hansen and Hauberg, *Latent Space Oddity: on the curvature of deep generative
    models*, ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_circles
    >>> from skriem import RiemannianKMeans
    >>> X, ring = make_circles(500, factor=0.5, noise=0.03, random_state=0)
    >>> labels = RiemannianKMeans(n_clusters=2, random_state=0).fit_predict(X)
    >>> bool(np.all(labels == ring) or np.all(labels != ring))
    True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        metric: Literal["auto", "local"] | Metric | BaseEstimator = "auto",
        init: Literal["k-means++", "random"] | ArrayLike = "k-means++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 300,
        tol: float = 1e-3,
        random_state: RandomState = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all samples alike.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are fewer samples than clusters; if `X` carry a metric and `metric` asks
            for another, or for an encoder; if weights are negative or do not match.

        Warns
        -----
        ConvergenceWarning
            If the best run ended early, or there are fewer distinct points than clusters.
        """
        self._check_parameters()
        values, rng = self._fit_metric(X, sample_weight)
        weights = check_weights(sample_weight, values)
        if self.n_clusters > len(values):
            raise ValueError(f"n_samples={len(values)} should be >= n_clusters={self.n_clusters}.")
        rows, row_weights = distinct_rows(values, weights)
        points, point_weights = distinct_rows(self._embed_values(rows), row_weights)
        if len(points) < self.n_clusters:
            warnings.warn(
                f"Only {len(points)} distinct points for n_clusters={self.n_clusters}: some "
                "centres coincide. Possibly due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=2,
            )
        if self._plain:
            self._fit_partition(rows, row_weights, rng)
        else:
            find = self._fit_among_points if self._among_points else self._fit_means
            self._keep(find(points, point_weights, rng))
        self._n_features_out = self.n_clusters
        z = torch.as_tensor(self._embed_values(values))
        if self._among_points or len(z) > clustering.MANY:
            nearest = self._find_nearest(z)
            distance = nearest.distance
        else:
            centers = torch.as_tensor(self.cluster_centers_)
            nearest = clustering.assign(self.metric_, z, centers)
            geodesics = clustering.refine(self.metric_, z, centers, nearest, TOL)
            warn_unconverged(geodesics, ConvergenceWarning)
            distance = geodesics.length
        self.labels_: NDArray[np.intp] = nearest.labels.numpy()
        self.inertia_ = float(weights @ distance.numpy() ** 2)
        self.counts_: NDArray[Any] = np.bincount(self.labels_, weights, minlength=self.n_clusters)
        return self

    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Move the centres towards a further batch of samples, for data that come in parts.

        The first batch is clustered as in :meth:`fit` and settles the metric, and the encoder
        if there is one. Of every later one each sample goes to the nearest centre, and each
        centre moves along the geodesic to the Fréchet mean of its new samples, by their share
        of all that it has seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind in every call; at least `n_clusters` samples in the first.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all samples alike.

        Returns
        -------
        self
            ``labels_`` are those of this batch, for the centres before they moved.
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X, sample_weight=sample_weight)
        points = self._points(X)
        weights = check_weights(sample_weight, points)
        labels, centers = self._nearest(points), self.cluster_centers_.copy()
        new = np.bincount(labels, weights, minlength=self.n_clusters)
        counts = self.counts_ + new
        for k in np.flatnonzero(new):
            mean = self.metric_.frechet_mean(points[labels == k], weights[labels == k], tol=TOL)
            way = self.metric_.geodesic(centers[k : k + 1], mean[None], tol=TOL)
            warn_unconverged(way, ConvergenceWarning)
            centers[k] = way.curve([new[k] / counts[k]])[0, 0]
        self.cluster_centers_, self.counts_, self.labels_ = centers, counts, labels
        return self

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Index of the nearest centre of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``: data if the estimator fitted its own encoder,
            otherwise points of the metric's space.

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below `n_clusters`.

        Raises
        ------
        ValueError
            If `X` carry another metric than `metric_`.
        """
        return self._nearest(self._points(X))

    @by_blocks
    def transform(self, X: ArrayLike) -> FloatArray:
        """Geodesic distances of the samples to the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            In the unit of the metric, which is that of the data unless they were scaled;
            float64.
        """
        return self._to_centers(self._points(X))

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Minus the weighted sum of squared geodesic distances to the nearest centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all samples alike.

        Returns
        -------
        float
            Not positive; the larger the better. For the samples of ``fit`` it is minus
            ``inertia_``, up to the accuracy of the distances.
        """
        points = self._points(X)
        weights = check_weights(sample_weight, points)
        if self._among_points:
            distance = self._find_nearest(torch.as_tensor(points)).distance.numpy()
        else:
            distance = self._distances(points, self._nearest(points))
        return -float(weights @ distance**2)

    def _check_parameters(self):
        check_scalar(self.n_clusters, "n_clusters", numbers.Integral, min_val=1)
        check_scalar(self.max_iter, "max_iter", numbers.Integral, min_val=1)
        check_scalar(self.tol, "tol", numbers.Real, min_val=0)
        if not (isinstance(self.n_init, str) and self.n_init == "auto"):
            check_scalar(self.n_init, "n_init", numbers.Integral, min_val=1)
        if isinstance(self.init, str) and self.init not in ("k-means++", "random"):
            raise ValueError(
                f"init must be 'k-means++', 'random' or an array of centres, got {self.init!r}."
            )

    def _default_encoder(self):
        return NeighborEncoder(verbose=self.verbose)

    @property
    def _plain(self):
        """Whether `X` were data, and their geometry was for this estimator to find."""
        return self.encoder_ is not None and isinstance(self.metric, str)

    @property
    def _among_points(self):
        """Whether centres are looked for among the points, where distances are all known."""
        return isinstance(self.metric_, NearestNeighborMetric)

    def _n_runs(self):
        if not isinstance(self.init, str):
            return 1
        if self.n_init == "auto":
            if self._plain:
                return N_STARTS
            if self._among_points:
                return N_RUNS
            return 10 if self.init == "random" else 1
        return self.n_init

    def _fit_means(self, points, weights, rng):
        """The best of several runs whose centres are Fréchet means."""
        z, w = self._representatives(points, weights, rng)
        starts = [self._initial_centers(z, w, rng) for _ in range(self._n_runs())]
        tasks = (
            delayed(_run)(self.metric_, z, w, *start, self.max_iter, self.tol, self.verbose)
            for start in starts
        )
        return min(results(tasks, self.n_jobs), key=lambda run: run.inertia[-1])

    def _fit_among_points(self, points, weights, rng):
        """The best of several runs whose centres are some of the points."""
        init = self.init if isinstance(self.init, str) else self._given_centers().numpy()
        settings = Settings(self.n_clusters, init, self._n_runs(), self.max_iter, self.tol)
        return cluster_points(self.metric_, points, weights, settings, rng, self.verbose)

    def _fit_partition(self, rows, weights, rng):
        """The partition of plain data that shows in them, and its most central points."""
        metric, codes = self.metric_, None
        init = self.init if isinstance(self.init, str) else self._checked_init()
        settings = Settings(self.n_clusters, init, self._n_runs(), self.max_iter, self.tol)
        at, mass = np.arange(len(rows)), weights
        if self.encoder_.autoencoder_ is not None:
            codes = self._embed_values(rows)
            at = metric.nearest(codes)
            mass = np.bincount(at, weights)
        candidates = Candidates(rows, weights, codes)
        found = candidates.of(settings, rng)
        if codes is not None:
            among = self._fit_among_points(metric.points, mass, rng)
            labels = metric.pairwise(codes, among.centers.numpy()).argmin(1)
            found.insert(0, candidates.judge("paths among codes", labels, self.n_clusters))
        best = candidates.simplest(found)
        self.partition_ = best.name
        self.conductances_ = {partition.name: partition.conductance for partition in found}
        self.n_iter_ = best.n_iter
        self._point_labels = np.zeros(len(metric.points), dtype=np.intp)
        self._point_labels[at] = best.labels
        central = medoids.central_members(
            metric.graph.weights, metric.graph.points, self._point_labels, mass, rng
        )
        self.cluster_centers_ = metric.points[np.resize(central, self.n_clusters)]

    def _representatives(self, points, weights, rng):
        """The points, or as many of them as a run can take, with the weights of those around."""
        if len(points) > clustering.MANY:
            cells = KMeans(
                clustering.MANY,
                init="random",
                n_init=1,
                max_iter=N_CELL_ITER,
                random_state=rng.randint(2**31 - 1),
            ).fit(points, sample_weight=weights)
            weights = np.bincount(cells.labels_, weights, minlength=clustering.MANY)
            points = points[pairwise_distances_argmin(cells.cluster_centers_, points)]
            points, weights = distinct_rows(points, weights)
        return torch.as_tensor(points), torch.as_tensor(weights)

    def _initial_centers(self, z, weights, rng):
        """Centres of one run, and rows of the sample it settles on first."""
        if not isinstance(self.init, str):
            centers = self._given_centers()
        elif self.init == "random":
            n = min(self.n_clusters, len(z))
            rows = rng.choice(len(z), n, replace=False)
            centers = z[np.resize(rows, self.n_clusters)]
        else:
            centers = z[clustering.seed(self.metric_, z, self.n_clusters, weights, rng)]
        if len(z) <= 2 * N_SAMPLE:
            return centers, None
        n = max(N_SAMPLE, 20 * self.n_clusters)
        return centers, np.sort(rng.choice(len(z), min(n, len(z)), replace=False))

    def _keep(self, clusters):
        """Store a clustering around centres."""
        if not clusters.converged:
            warnings.warn(
                f"K-means did not converge in {self.max_iter} iterations; raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.cluster_centers_: FloatArray = clusters.centers.numpy()
        self.n_iter_ = len(clusters.inertia)
        self._point_labels = None

    def _checked_init(self):
        centers = np.array(self.init, dtype=np.float64)
        expected = (self.n_clusters, self.n_features_in_)
        if centers.shape != expected:
            raise ValueError(f"init must have shape {expected}, got {centers.shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init must be finite.")
        return centers

    def _given_centers(self):
        return torch.as_tensor(self._embed_values(self._checked_init()))

    def _to_centers(self, points):
        """Distances of the points to all centres, (n, n_clusters)."""
        if self._among_points:
            return self.metric_.pairwise(points, self.cluster_centers_)
        rows, labels = np.indices((len(points), self.n_clusters)).reshape(2, -1)
        return self._distances(points[rows], labels).reshape(len(points), -1)

    def _distances(self, points, labels):
        """Distances of the points to the centres with the given labels, (n,)."""
        geodesics = self.metric_.geodesic(points, self.cluster_centers_[labels], tol=TOL)
        warn_unconverged(geodesics, ConvergenceWarning)
        return geodesics.length

    def _nearest(self, points):
        if self._point_labels is not None:
            return self._point_labels[self.metric_.nearest(points)]
        return self._find_nearest(torch.as_tensor(points)).labels.numpy()

    def _find_nearest(self, z):
        """The nearest centre of every row of a tensor."""
        centers = torch.as_tensor(self.cluster_centers_)
        if self._point_labels is not None:
            labels = torch.as_tensor(self._point_labels[self.metric_.nearest(z.numpy())])
            distance = self.metric_.pairwise(z, centers)[torch.arange(len(z)), labels]
            return clustering.Nearest(labels, distance)
        if self._among_points:
            found = self.metric_.pairwise(z, centers).min(1)
            return clustering.Nearest(found.indices, found.values)
        find = clustering.nearest if len(z) > clustering.MANY else clustering.assign
        return find(self.metric_, z, centers)


def _run(metric, z, weights, centers, sample, max_iter, tol, verbose):
    """One run of the loop, on a sample first where there is one."""
    if sample is not None:
        centers = clustering.lloyd(
            metric, z[sample], centers, weights[sample], max_iter, tol
        ).centers
    with Progress("RiemannianKMeans", "iteration", None, verbose) as progress:
        return clustering.lloyd(
            metric,
            z,
            centers,
            weights,
            max_iter,
            tol,
            lambda inertia: progress.step(f"inertia {inertia:.6g}"),
        )
