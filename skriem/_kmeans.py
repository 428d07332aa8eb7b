"""RiemannianKMeans: k-means with geodesic distances and Fréchet means."""

from __future__ import annotations

import numbers
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ._blocks import by_blocks
from ._clusters import TOL, AroundMeans, AroundMedoids, Parts
from ._fitting import all_or_nothing
from ._mean_runs import cluster_by_means
from ._medoid_runs import N_RUNS, Settings, cluster_points
from ._metric import MetricConsumerMixin
from ._neighbor import NeighborEncoder
from ._number_of_clusters import count_clusters
from ._partitions import Candidates
from ._plain_runs import cluster_plain
from ._rows import (
    check_number,
    check_weights,
    distinct_rows,
    distinct_rows_and_places,
    first_of_each,
)
from ._state import Estimator
from .geometry import Metric, RiemannianMetric, clustering
from .geometry.metric import warn_unconverged
from .geometry.neighbors import nearest_points
from .geometry.types import FloatArray, RandomState

if TYPE_CHECKING:
    from typing_extensions import Self

# Restarts of k-means on plain data.
N_STARTS = 10
# Attributes that only some kinds of input have.
NOT_ALWAYS = "partition_", "conductances_", "gaps_", "medoid_indices_"


class RiemannianKMeans(
    MetricConsumerMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    Estimator,
):
    """K-means clustering by geodesic distance.

    Like :class:`sklearn.cluster.KMeans`, with two replacements: distances are lengths of
    shortest curves under a Riemannian metric, and centres are Fréchet means, the points with
    the least sum of squared geodesic distances.

    Of plain data nobody knows beforehand whether straight lines do. Then k-means is one of
    several partitions, and the simplest is taken that shows in the data; see the notes.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters and centres. "auto", for plain data: the number from 1 to 10 that stands
        out; see the notes.
    metric : "auto", "local", metric or estimator, default="auto"
        Where the geometry comes from.

        - "auto": from `X`, if it carries a metric because it came out of
          :class:`VAETransformer` or :class:`NeighborEncoder`; otherwise `X` is data, a
          ``NeighborEncoder()`` is fitted to it, and a partition is chosen as the notes say.
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
        Number of restarts, of which the one with the lowest inertia is kept. "auto": 10 of
        k-means on plain data, 20 under a :class:`~skriem.geometry.NearestNeighborMetric`, else 10
        for "random", 1 otherwise.
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
        :class:`NeighborEncoder` leaves data. Of plain data they are samples.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample.
    medoid_indices_ : ndarray of shape (n_clusters,)
        Where centres are samples, as those of plain data are: which of them, so that
        ``X[medoid_indices_]`` are the centres in whatever space the samples came from.
    inertia_ : float
        Weighted sum of the samples' squared geodesic distances to the centres of their clusters.
        The metric does not depend on `n_clusters`, so that values for several compare.
    n_clusters_ : int
        Number of clusters: `n_clusters`, or the one that was found.
    gaps_ : dict of int to float
        With ``n_clusters="auto"``: how much better clusters are separated than in data without
        structure, for every number from 2 on.
    partition_ : str
        Of plain data: which partition was taken.
    conductances_ : dict of str to float
        Of plain data: the worst conductance of every partition that was tried, by name, the
        simplest first.
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

    Of plain data several partitions are made: k-means on the data as they are, k-means on
    features scaled to unit variance, a mixture of normal distributions that begins with the
    latter, and the parts of minimum spanning trees by mutual reachability. (Where an encoder is
    trained, k-means by paths among its codes comes first.) They are compared in one graph of
    neighbours by their worst cluster's conductance: the share of its edges that lead to others.
    The first is taken whose conductance is at most 1.2 times the least. So `KMeans` is what comes
    out unless something else is clearly better. Clusters then need not be the cells of one centre
    each: ``predict`` gives a new sample the cluster of the nearest sample, and ``transform`` the
    distances to all centres, the smallest of which may be another's where clusters touch or are
    bent. ``partition_`` and ``conductances_`` say what was taken, and why.

    ``n_clusters="auto"`` compares the worst conductance with that of k-means on as many points
    drawn uniformly from the box of the data's principal axes. The gap is the log of their ratio, as
    in the gap statistic (Tibshirani, Walther and Hastie, *Estimating the number of clusters in a
    data set via the gap statistic*, JRSS B 2001). The number k is taken with the largest
    2 gap(k) - gap(k + 1), or 1 if no gap is above 1.

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

    cluster_centers_: FloatArray

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = 8,
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

    @all_or_nothing
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
        for name in NOT_ALWAYS:
            self.__dict__.pop(name, None)
        weights = check_weights(sample_weight, values)
        rows, row_weights, places = distinct_rows_and_places(values, weights)
        candidates = self._candidates(rows, row_weights) if self._plain else None
        self.n_clusters_: int = self._number_of_clusters(candidates, rng)
        if self.n_clusters_ > len(values):
            raise ValueError(f"n_samples={len(values)} should be >= n_clusters={self.n_clusters_}.")
        # The metric of plain data is made of their distinct points.
        points: Any = self.metric_.points
        if not self._plain:
            points, point_weights = distinct_rows(self._embed_values(rows), row_weights)
        if len(points) < self.n_clusters_:
            warnings.warn(
                f"Only {len(points)} distinct points for n_clusters={self.n_clusters_}: some "
                "centres coincide. Possibly due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self._plain:
            found = self._fit_plain(candidates, rng)
            self.inertia_ = float(row_weights @ found.distances**2)
            self.medoid_indices_ = first_of_each(places, len(rows))[found.central]
            # Rows without weight took no part.
            self.labels_: NDArray[np.intp] = found.labels[places]
            if (places < 0).any():
                rest = self._embed_values(values[places < 0])
                self.labels_[places < 0] = self._clusters.labels(rest)
        else:
            self._fit_centers(points, point_weights, rng)
            embedded = self._embed_values(values)
            self.labels_, distances = self._clusters.to_own(embedded)
            self.inertia_ = float(weights @ distances**2)
            if self._among_points:
                self.medoid_indices_ = nearest_points(embedded, self.cluster_centers_, 1)[1][:, 0]
        self._n_features_out = self.n_clusters_
        self.counts_: NDArray[Any] = np.bincount(self.labels_, weights, minlength=self.n_clusters_)
        return self

    @all_or_nothing
    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Move the centres towards a further batch of samples, for data that come in parts.

        The first batch is clustered as in :meth:`fit` and settles the metric, and the encoder
        if there is one. Of every later one each sample goes to the cluster that :meth:`predict`
        says, and each centre moves along the geodesic to the Fréchet mean of its new samples, by
        their share of all that it has seen.

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
            ``labels_`` are those of this batch, for the centres before they moved. Centres that
            have moved are no samples any more, and there are no ``medoid_indices_``.
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X, sample_weight=sample_weight)
        points = self._points(X)
        weights = check_weights(sample_weight, points)
        labels, centers = self._clusters.labels(points), self.cluster_centers_.copy()
        new = np.bincount(labels, weights, minlength=self.n_clusters_)
        counts = self.counts_ + new
        for k in np.flatnonzero(new):
            mean = self.metric_.frechet_mean(points[labels == k], weights[labels == k], tol=TOL)
            way = self.metric_.geodesic(centers[k : k + 1], mean[None], tol=TOL)
            warn_unconverged(way, ConvergenceWarning)
            centers[k] = way.curve([new[k] / counts[k]])[0, 0]
        self.cluster_centers_, self.counts_, self.labels_ = centers, counts, labels
        self.__dict__.pop("medoid_indices_", None)
        return self

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Cluster of each sample: that of the nearest centre or, for plain data, datum.

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
        return self._clusters.labels(self._points(X))

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
            In the unit of the metric; float64.
        """
        return self._clusters.to_centers(self._points(X))

    @by_blocks
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Memberships of the samples in the clusters, as in fuzzy c-means with exponent 2.

        They are inverse to the squares of the distances to the centres or, for plain data, to the
        nearest sample of each cluster, from one ordinary step between neighbours on. The largest
        is that of the cluster that :meth:`predict` says, up to the accuracy of distances. They are
        no probabilities of a model; those of :class:`RiemannianNormal` are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Rows sum to one.
        """
        return self._clusters.memberships(self._points(X))

    @by_blocks
    def score_samples(self, X: ArrayLike) -> FloatArray:
        """How ordinary samples are: minus their distance to the data, the lower the more abnormal.

        For plain data the distance to the fifth nearest sample, itself included, in units of its
        median in the cluster, so that -1 is ordinary in dense clusters and in sparse ones.
        Otherwise the geodesic distance to the centre of the cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Not positive.
        """
        return self._clusters.scores(self._points(X))

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Minus the weighted sum of squared geodesic distances to the centres of the clusters.

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
        return -float(weights @ self._clusters.to_own(points)[1] ** 2)

    def _check_parameters(self):
        if not (isinstance(self.n_clusters, str) and self.n_clusters == "auto"):
            check_scalar(self.n_clusters, "n_clusters", numbers.Integral, min_val=1)
        elif not isinstance(self.init, str):
            raise ValueError("init cannot be an array of centres if n_clusters='auto'.")
        check_scalar(self.max_iter, "max_iter", numbers.Integral, min_val=1)
        check_number(self.tol, "tol", min_val=0)
        if not (isinstance(self.n_init, str) and self.n_init == "auto"):
            check_scalar(self.n_init, "n_init", numbers.Integral, min_val=1)
        if isinstance(self.init, str) and self.init not in ("k-means++", "random"):
            raise ValueError(
                f"init must be 'k-means++', 'random' or an array of centres, got {self.init!r}."
            )

    def _default_geometry(self, values):
        return NeighborEncoder(verbose=self.verbose)

    @property
    def _plain(self):
        """Whether `X` were data, and their geometry was for this estimator to find."""
        return self.encoder_ is not None and isinstance(self.metric, str)

    @property
    def _among_points(self):
        """Whether centres are looked for among the points, where distances are all known."""
        return not isinstance(self.metric_, RiemannianMetric)

    @property
    def _clusters(self):
        """What the fitted attributes say, put together."""
        check_is_fitted(self)
        if self._point_labels is not None:
            return Parts(self.metric_, self.cluster_centers_, self._point_labels)
        if self._among_points:
            return AroundMedoids(self.metric_, self.cluster_centers_)
        return AroundMeans(self.metric_, self.cluster_centers_, self._is_large)

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

    def _settings(self, embedded):
        """The parameters that all runs share; centres that are given as points if `embedded`."""
        init = self.init
        if not isinstance(init, str):
            init = self._embed_values(self._given_centers()) if embedded else self._given_centers()
        return Settings(self.n_clusters_, init, self._n_runs(), self.max_iter, self.tol)

    def _fit_centers(self, points, weights, rng):
        """The best of several runs."""
        settings = self._settings(embedded=True)
        if self._among_points:
            best = cluster_points(self.metric_, points, weights, settings, rng, self.verbose)
        else:
            best = cluster_by_means(
                self.metric_, points, weights, settings, rng, self.n_jobs, self.verbose
            )
        if not best.converged:
            warnings.warn(
                f"K-means did not converge in {self.max_iter} iterations; raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.cluster_centers_ = best.centers.numpy()
        self.n_iter_ = len(best.inertia)
        self._point_labels, self._is_large = None, len(points) > clustering.MANY

    def _candidates(self, rows, weights):
        """What partitions of plain data are made from."""
        encoded = self.encoder_.autoencoder_ is not None
        return Candidates(rows, weights, self._embed_values(rows) if encoded else None)

    def _number_of_clusters(self, candidates, rng):
        if not isinstance(self.n_clusters, str):
            return self.n_clusters
        if candidates is None:
            raise ValueError(
                "n_clusters='auto' is for plain data. For points of a metric's space give a "
                "number, or search for one with GridSearchCV and scoring=geodesic_silhouette."
            )
        self.n_clusters_ = 1
        count = count_clusters(candidates, self._settings(embedded=False), rng)
        self.gaps_ = count.gaps
        return count.n_clusters

    def _fit_plain(self, candidates, rng):
        """The partition of plain data that shows in them."""
        settings = self._settings(embedded=False), self._settings(embedded=True)
        found = cluster_plain(self.metric_, candidates, *settings, rng, self.verbose)
        if self.verbose:
            best = found.best
            print(f"[RiemannianKMeans] {best.name}: worst conductance {best.conductance:.3g}")
        self.partition_, self.n_iter_ = found.best.name, found.best.n_iter
        self.conductances_ = found.conductances
        self.cluster_centers_, self._point_labels = found.centers, found.point_labels
        return found

    def _given_centers(self):
        centers = np.array(self.init, dtype=np.float64)
        expected = (self.n_clusters, self.n_features_in_)
        if centers.shape != expected:
            raise ValueError(f"init must have shape {expected}, got {centers.shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init must be finite.")
        return centers
