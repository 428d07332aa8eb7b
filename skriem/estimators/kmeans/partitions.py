"""Ways to divide distinct rows, in increasing order of what they can follow, and the choice.

Candidates are compared by conductance in a graph of neighbours, which needs no metric and does
not know where a partition came from.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ...geometry.paths.spanning_tree import cut_tree, spanning_trees
from ..views import Views
from .medoid_runs import straight_kmeans

# Neighbours of every point in the graph that partitions are compared in.
N_COMPARED = 7
# Neighbours among which the edges of trees are, and the one that tells how dense a place is,
# or a nearer one where there are fewer than ten points for each.
N_TREE, MIN_SAMPLES = 10, 5
# Parts of a tree count only if they are about the same for fewer and for more samples: their
# mean adjusted Rand index with those.
OTHERS, STABLE = (3, 10), 0.6
# Edges that are added to what leaves a cluster before conductances are compared.
EDGES = 3.0
# Where a cluster has more edges to others than within, a partition shows nothing.
MOST = 0.5
# Rows that are compared with means at once.
ROWS_AT_ONCE = 10_000


class Means(NamedTuple):
    """Means of clusters, to the nearest of which a sample belongs."""

    points: np.ndarray  # (k, n_features)
    per_unit: np.ndarray  # (n_features,), of differences; 0 where these do not count

    def distances(self, X):
        """Distances of the rows of `X` to the means, (n, k)."""
        # Not by products of matrices: what they round depends on the other rows.
        squares = [np.square((X - point) * self.per_unit).sum(1) for point in self.points]
        return np.sqrt(np.stack(squares, axis=1))


class Partition(NamedTuple):
    """A way to divide points."""

    name: str
    labels: np.ndarray  # (n,) int
    conductance: float
    n_iter: int = 1
    means: Means | None = None  # if they say what belongs where


class Candidates(ABC):
    """Distinct rows, and the ways to divide them, for any number of clusters.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    weights : ndarray of shape (n,)
    in_one_unit : bool
        Whether features are known to be in proportion, so that none is scaled.

    Attributes
    ----------
    views : Views
    factor : float
        A simpler partition is kept if its conductance is at most this many times the least.
    """

    factor = 1.2

    def __init__(self, X, weights, in_one_unit=False):
        self.X, self.weights, self.in_one_unit = X, weights, in_one_unit
        self.views = Views(X, weights)

    @property
    def _scalings(self):
        """Whether features are scaled for k-means, once for each partition of it."""
        return (False,) if self.in_one_unit else (False, True)

    @property
    @abstractmethod
    def graph(self):
        """Neighbours, by which partitions are compared, a sparse matrix (n, n)."""

    @property
    @abstractmethod
    def places(self):
        """The point of the metric at which every row is, (n,) int."""

    @abstractmethod
    def judge(self, name, labels, n_clusters, n_iter=1):
        """A partition with its conductance, that of all clusters together."""

    @abstractmethod
    def others(self, labels, settings, embedded, rng, verbose):
        """Candidates beside k-means, whose last labels are given, the simplest first."""

    @abstractmethod
    def with_points(self, points):
        """The same of as many other points, in which k-means is looked for only."""

    def of(self, settings, embedded, rng, verbose=0):
        """Candidates for a number of clusters, the simplest first.

        Parameters
        ----------
        settings, embedded : Settings
            With `init` in the coordinates of the data and of the metric, if it is an array.
        rng : RandomState
        verbose : int

        Returns
        -------
        list of Partition
        """
        k = settings.n_clusters
        if k == 1 or len(self.X) <= k:
            return [Partition("k-means", np.minimum(np.arange(len(self.X)), k - 1), 0.0)]
        found = [self.kmeans(settings, rng, scaled) for scaled in self._scalings]
        return found + self.others(found[-1].labels, settings, embedded, rng, verbose)

    def kmeans(self, settings, rng, scaled=False):
        """The partition of k-means on the data as given, or scaled to unit variance."""
        x, init = self.views.scaled if scaled else self.views.given, settings.init
        if not isinstance(init, str):
            init = (init[:, self.views.varying] - self.views.center) / self.views.units[scaled]
        kmeans = self._straight(x, settings._replace(init=init), rng)
        name = "scaled k-means" if scaled else "k-means"
        found = self.judge(name, kmeans.labels_, settings.n_clusters, kmeans.n_iter_)
        return found._replace(means=self._means(kmeans.cluster_centers_, self.views.units[scaled]))

    def _means(self, centers, units):
        """Centres in the coordinates of a view as means of the data."""
        points = np.zeros((len(centers), self.X.shape[1]))
        per_unit = np.zeros(self.X.shape[1])
        points[:, self.views.varying] = self.views.center + centers * units
        per_unit[self.views.varying] = 1.0 / units
        return Means(points, per_unit)

    def settled(self, partition):
        """A partition whose labels are what its means say to the last bit, if it has means."""
        if partition.means is None:
            return partition
        parts = np.array_split(self.X, -(-len(self.X) // ROWS_AT_ONCE))
        labels = np.concatenate([partition.means.distances(part).argmin(1) for part in parts])
        if len(np.unique(labels)) < len(np.unique(partition.labels)):
            return partition._replace(means=None)
        return partition._replace(labels=labels)

    def _straight(self, x, settings, rng):
        """K-means of a view."""
        return straight_kmeans(x, self.weights, settings, rng)

    def simplest(self, partitions):
        """The first of the candidates that is about as well separated as any of them."""
        if len(partitions) == 1:
            return partitions[0]
        n_clusters = partitions[0].labels.max() + 1
        slack = EDGES * n_clusters / max(self.graph.sum(), 1.0)
        seen = [p for k, p in enumerate(partitions) if k == 0 or p.conductance <= MOST]
        least = min(partition.conductance for partition in seen)
        return next(p for p in seen if p.conductance + slack <= self.factor * (least + slack))


def trees_of(points, distances, near):
    """Spanning trees of points, with several numbers of samples that tell the density.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    distances, near : ndarrays of shape (n, k)
        Their neighbours.

    Returns
    -------
    list of Tree
    """
    numbers = [max(1, min(m, len(points) // 10)) for m in (MIN_SAMPLES, *OTHERS)]
    return spanning_trees(points, distances, near, numbers)


def stable_parts(trees, n_clusters, weights):
    """Parts of the first of the trees, or None if the others have quite different ones."""
    parts, *others = (cut_tree(tree, n_clusters, weights) for tree in trees)
    if np.mean([adjusted_rand_score(parts, other) for other in others]) < STABLE:
        return None
    return parts
