"""RiemannianKMeans: k-means with geodesic distances and Fréchet means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...geometry import Metric, RiemannianMetric
from ...geometry.callers import warn
from ...geometry.metrics.base import warn_unconverged
from ...geometry.paths.neighbors import nearest_points
from ...geometry.types import FloatArray, RandomState
from ...support.fitting import all_or_nothing
from ...support.rows import (
    check_weights,
    distinct_rows,
    distinct_rows_and_places,
    first_of_each,
)
from ...support.state import Estimator
from ..metric_input import MetricConsumerMixin
from ..neighbor_encoder import NeighborEncoder
from .answers import ClusterAnswersMixin
from .clusters import TOL, AroundMeans, AroundMedoids, FromCenters, Parts, StraightParts
from .explanation import ExplanationMixin, has_coordinates
from .partitions import Means
from .precomputed import PrecomputedMixin
from .runs import RunsMixin

if TYPE_CHECKING:
    from typing_extensions import Self

# Attributes that only some kinds of input have.
NOT_ALWAYS = (
    *("partition_", "conductances_", "gaps_", "medoid_indices_", "cluster_centers_"),
    *("metric_", "_rows", "_from_centers"),
)


class RiemannianKMeans(
    PrecomputedMixin,
    RunsMixin,
    ClusterAnswersMixin,
    ExplanationMixin,
    MetricConsumerMixin,
    ClassNamePrefixFeaturesOutMixin,
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
    metric : "auto", "local", "precomputed", metric or estimator, default="auto"
        Where the geometry comes from.

        - "auto": from `X`, if it carries a metric because it came out of
          :class:`VAETransformer` or :class:`NeighborEncoder`; otherwise `X` is data, a
          ``NeighborEncoder()`` is fitted to it, and a partition is chosen as the notes say.
        - "local": `X` are points, and the metric is their own local-variance metric
          (:func:`skriem.geometry.local_metric`).
        - ``NeighborEncoder(image_shape=(28, 28))``: the same of images.
        - an estimator such as ``VAETransformer(n_components=3)``: cloned and fitted to `X`.
          ``FrozenEstimator(vae)`` is used as it is. With ``VAETransformer(likelihood="auto")``
          `X` may be tables with names and gaps everywhere.
        - a metric such as :class:`skriem.geometry.PullbackMetric`: `X` are points in its
          coordinates.
        - "precomputed": `X` are distances between samples, (n_samples, n_samples), or a sparse
          graph of neighbours; see the notes.
    init : {"k-means++", "random"} or array-like of shape (n_clusters, n_features), \
            default="k-means++"
        "k-means++" draws samples with probability proportional to the squared distance from
        the centres drawn before, measured along shortest paths through the data. "random"
        draws samples. An array gives the centres, in the same space as `X`.
    n_init : int or "auto", default="auto"
        Number of restarts, of which the one with the lowest inertia is kept. "auto": 10 of
        k-means on plain data, 20 under a :class:`~skriem.geometry.NearestNeighborMetric` or with
        precomputed distances, else 10 for "random", 1 otherwise. With "k-means++" and an encoder
        whose prior is a mixture, one more begins with the means of its largest components.
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
    algorithm : {"lloyd", "elkan"}, default="lloyd"
        Ignored; there for code written for :class:`sklearn.cluster.KMeans`.
    copy_x : bool, default=True
        Ignored: `X` is never changed.

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
        Of plain data: the conductance of every partition that was tried, by name, the simplest
        first. That of the worst cluster or, where data are encoded, the mean of all.
    counts_ : ndarray of shape (n_clusters,)
        Weight of the samples of each cluster, of all batches of ``partial_fit`` together.
    n_iter_ : int
        Iterations of the best run.
    metric_ : Metric
        The geometry that was used; not there for precomputed distances, nor are centres but as
        ``medoid_indices_``.
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
    are looked for among the points. The same holds of precomputed distances. Of more than 2000
    points the restarts see landmarks, joined where their cells are neighbours; the best two go on
    among all points, with a few members of every cluster tried in each iteration. Time grows
    about as the number of points.

    Precomputed distances are a symmetric matrix of numbers from 0 on, with zeros in its diagonal.
    A sparse matrix is a graph, such as that of :func:`sklearn.neighbors.kneighbors_graph` with
    ``mode="distance"``: what is stored are lengths of edges, to be gone both ways, and distances
    are shortest paths along them, as in :class:`sklearn.manifold.Isomap`. ``predict`` and
    ``transform`` take distances from new samples to those of ``fit``, (n_new, n_samples), or the
    edges to some of them.

    Of plain data several partitions are made: k-means on the data as they are, k-means on
    features scaled to unit variance, a mixture of normal distributions that begins with the
    latter, and the parts of minimum spanning trees by mutual reachability. (Where data are
    encoded: k-means in the encoder's units, k-means by paths among the codes, parts of their tree.)
    They are compared in one graph of neighbours by conductance, the share of a cluster's edges that
    lead to others. The first is taken whose conductance is at most 1.2 times the least (1.06 where
    encoded). So `KMeans` is what comes out unless something else is clearly better, and ``predict``
    is then its own. Other clusters need not be the cells of one centre each: ``predict`` gives new
    samples the cluster of the nearest sample, and ``transform`` the distances to all centres, the
    smallest of which may be another's where clusters touch or are bent. ``partition_`` and
    ``conductances_`` say what was taken, and why.

    Of a data frame with columns that are no numbers, or with gaps, every column counts alike:
    numbers and dates in units of their standard deviation, categories as indicators with a variance
    of one together; what is missing is filled in from the ten rows most alike. Counts of more than
    50 kinds, as of genes, are given one total in every row, then log(1 + x) is taken.

    Sparse data, such as texts, are never made dense as a whole: of more than 100 columns rows are
    taken along as many singular vectors (:class:`sklearn.decomposition.TruncatedSVD`). Rows without
    negative numbers count by their directions, as under the cosine distance. No column is scaled.
    ``cluster_centers_`` are in these coordinates; ``medoid_indices_`` say which samples they are.

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
        metric: Literal["auto", "local", "precomputed"] | Metric | BaseEstimator = "auto",
        init: Literal["k-means++", "random"] | ArrayLike = "k-means++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 300,
        tol: float = 1e-3,
        random_state: RandomState = None,
        verbose: int = 0,
        n_jobs: int | None = None,
        algorithm: Literal["lloyd", "elkan"] = "lloyd",
        copy_x: bool = True,
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
        self.algorithm = algorithm
        self.copy_x = copy_x

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the centres.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Data, or points that carry a metric; see `metric`. Frames may have names and gaps.
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
        for name in NOT_ALWAYS:
            self.__dict__.pop(name, None)
        if self._is_precomputed:
            return self._fit_precomputed(X, sample_weight)
        values, rng = self._fit_metric(X, sample_weight)
        weights = check_weights(sample_weight, values)
        rows, row_weights, places = distinct_rows_and_places(values, weights)
        candidates = self._candidates(rows, row_weights) if self._plain else None
        self.n_clusters_: int = self._number_of_clusters(candidates, rng)
        if self.n_clusters_ > len(values):
            raise ValueError(f"n_samples={len(values)} should be >= n_clusters={self.n_clusters_}.")
        # The metric of plain data is made of their distinct points.
        points: Any = self.metric_.points
        if not self._plain:
            codes = self._embed_values(rows)
            points, point_weights = distinct_rows(codes, row_weights)
        if len(points) < self.n_clusters_:
            warn(
                f"Only {len(points)} distinct points for n_clusters={self.n_clusters_}: some "
                "centres coincide. Possibly due to duplicate points in X.",
                ConvergenceWarning,
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
            # Rows without weight have no place.
            embedded = codes[places]
            if (places < 0).any():
                embedded[places < 0] = self._embed_values(values[places < 0])
            self.labels_, distances = self._clusters.to_own(embedded)
            self.inertia_ = float(weights @ distances**2)
            if self._among_points:
                self.medoid_indices_ = nearest_points(embedded, self.cluster_centers_, 1)[1][:, 0]
        self._n_features_out = self.n_clusters_
        self.counts_: NDArray[Any] = np.bincount(self.labels_, weights, minlength=self.n_clusters_)
        return self

    @available_if(has_coordinates)
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
            ``labels_`` and ``inertia_`` are those of this batch, for the centres before they moved.
            Centres that have moved are no samples any more, and there are no ``medoid_indices_``.
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X, sample_weight=sample_weight)
        points = self._points(X)
        weights = check_weights(sample_weight, points)
        (labels, distances), centers = self._clusters.to_own(points), self.cluster_centers_.copy()
        new = np.bincount(labels, weights, minlength=self.n_clusters_)
        counts = self.counts_ + new
        for k in np.flatnonzero(new):
            mean = self.metric_.frechet_mean(points[labels == k], weights[labels == k], tol=TOL)
            way = self.metric_.geodesic(centers[k : k + 1], mean[None], tol=TOL)
            warn_unconverged(way, ConvergenceWarning)
            centers[k] = way.curve([new[k] / counts[k]])[0, 0]
        self.cluster_centers_, self.counts_, self.labels_ = centers, counts, labels
        self.inertia_ = float(weights @ np.square(distances))
        self.__dict__.pop("medoid_indices_", None)
        return self

    def _default_geometry(self, values):
        return NeighborEncoder(verbose=self.verbose)

    @property
    def _among_points(self):
        """Whether centres are looked for among the points, where distances are all known."""
        return not isinstance(self.metric_, RiemannianMetric)

    @property
    def _clusters(self):
        """What the fitted attributes say, put together."""
        check_is_fitted(self)
        if hasattr(self, "_from_centers"):
            return FromCenters(None, None)
        if self._means is not None:
            parts = self.metric_, self.cluster_centers_, self._point_labels
            return StraightParts(*parts, Means(*self._means))
        if self._point_labels is not None:
            return Parts(self.metric_, self.cluster_centers_, self._point_labels)
        if self._among_points:
            return AroundMedoids(self.metric_, self.cluster_centers_)
        return AroundMeans(self.metric_, self.cluster_centers_, self._is_large)
