"""Partitions of data that have codes: k-means, paths among the codes, and parts of their tree."""

from functools import cached_property

import numpy as np
from sklearn.decomposition import PCA

from ...geometry import NearestNeighborMetric
from ...geometry.models.conductance import conductances
from ...geometry.paths.neighbors import undirected
from ..views import MAX_COMPARED, neighbors_in, reduced
from .medoid_runs import cluster_points, straight_kmeans
from .partitions import N_COMPARED, N_TREE, Candidates, Partition, stable_parts, trees_of

# The power of paths among codes, unless the metric's is lower: layouts make gaps wide, and sparse
# places within a cluster are none.
SOFTER = 1.5
# Of more samples k-means is started on some.
MAX_STARTED = 10_000


class EncodedCandidates(Candidates):
    """Partitions of rows with codes, compared by the mean conductance among neighbours.

    Codes are laid out after a graph of neighbours and find what shows in it. Where clusters are
    round, so does k-means, and with many neighbours by chance it is the better one.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    weights : ndarray of shape (n,)
    codes : ndarray of shape (n, d)
    metric : NearestNeighborMetric
        Of the codes.
    near : ndarray of shape (n, k) int
        The neighbours that the codes were made from, the nearest first.
    scaled : bool
        Whether features were scaled for that. K-means sees them in the same units: features that
        hardly ever vary are outliers in others, and clusters of outliers well separated ones.
    """

    # Where clusters are round, k-means is within some hundredths of what codes show.
    factor = 1.06

    def __init__(self, X, weights, codes, metric, near, scaled=False):
        super().__init__(X, weights)
        self.codes, self.metric, self.near, self.scaled = codes, metric, near, scaled

    @property
    def _scalings(self):
        return (self.scaled,)

    @cached_property
    def graph(self):
        near = self.near[:, :N_COMPARED]
        return undirected(near, np.ones(near.shape), len(near))

    @cached_property
    def places(self):
        return self.metric.nearest(self.codes)

    @cached_property
    def _trees(self):
        k = min(N_TREE, len(self.X) - 1)
        return trees_of(self.codes, *neighbors_in(self.codes, k))

    def judge(self, name, labels, n_clusters, n_iter=1):
        mean = conductances(self.graph, labels, n_clusters).mean()
        return Partition(name, labels, float(mean), n_iter)

    def others(self, labels, settings, embedded, rng, verbose):
        k = settings.n_clusters
        found = {"paths among codes": self._paths(embedded, rng, verbose)}
        if isinstance(settings.init, str):
            found["tree of codes"] = stable_parts(self._trees, k, self.weights)
        return [self.judge(name, labels, k) for name, labels in found.items() if labels is not None]

    def with_points(self, points):
        seen = reduced(points)
        _, near = neighbors_in(seen, self.near.shape[1])
        return EncodedCandidates(points, self.weights, seen, self.metric, near, self.scaled)

    def _straight(self, x, settings, rng):
        if not isinstance(settings.init, str):
            return super()._straight(x, settings, rng)
        some = slice(None, None, -(-len(x) // MAX_STARTED))
        runs = (
            straight_kmeans(x, self.weights, settings._replace(init=init, n_runs=1), rng)
            for init in [*self._starts(x[some], some, settings, rng)] or [settings.init]
        )
        return min(runs, key=lambda run: run.inertia_)

    def _starts(self, x, some, settings, rng):
        """Means of partitions of some rows of a view, where there are fewer ways to go wrong.

        Along k - 1 principal components is what k-means would find if a sample could belong to
        clusters in part (Ding and He, *K-means clustering via principal component analysis*,
        ICML 2004); along more of them, and among codes, is what these leave out.
        """
        k = settings.n_clusters
        # The random numbers of the solver decide nothing that matters here.
        along = PCA(min(MAX_COMPARED, *x.shape), random_state=0).fit_transform(x)
        for seen in (along[:, : k - 1], along, self.codes[some]):
            if len(np.unique(seen, axis=0)) < k:
                continue
            labels = straight_kmeans(seen, self.weights[some], settings, rng).labels_
            share = self.weights[some] * (labels == np.arange(k)[:, None])
            yield share @ x / share.sum(1, keepdims=True)

    def _paths(self, settings, rng, verbose):
        """K-means by paths among codes, under the metric with a power of its own."""
        metric = self.metric
        softer = NearestNeighborMetric(metric.points, metric.scale, min(metric.power, SOFTER))
        mass = np.bincount(self.places, self.weights)
        among = cluster_points(softer, softer.points, mass, settings, rng, verbose)
        return softer.pairwise(self.codes, among.centers.numpy()).argmin(1)
