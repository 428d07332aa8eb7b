"""Partitions of plain data, and which of them shows in the data themselves.

Candidates are k-means, a mixture of normal distributions and parts of a spanning tree, in
increasing order of what they can follow. They are compared by their worst conductance in one
graph of neighbours, which needs no metric and does not know where a partition came from.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from ._views import views_of
from .geometry.conductance import worst_conductance
from .geometry.gaussians import mixture_from_partition
from .geometry.neighbors import neighbors_of_each, undirected
from .geometry.spanning_tree import cut_tree, spanning_tree

# Neighbours of every point in the graph that partitions are compared in.
N_COMPARED = 7
# Neighbours among which the edges of trees are, and the one that tells how dense a place is,
# or a nearer one where there are fewer than ten points for each.
N_TREE, MIN_SAMPLES = 10, 5
# Parts of a tree count only if they are about the same for fewer and for more samples: their
# mean adjusted Rand index with those.
OTHERS, STABLE = (3, 10), 0.6
# A simpler partition is kept if its conductance is at most this many times the least, after
# so many edges have been added to what leaves a cluster.
FACTOR, EDGES = 1.2, 3.0
# Samples for each parameter of a covariance matrix's row.
SAMPLES_PER_ROW = 2


class Partition(NamedTuple):
    """A way to divide points."""

    name: str
    labels: np.ndarray  # (n,) int
    conductance: float


class Setting(NamedTuple):
    """Parameters of k-means."""

    init: object
    n_init: int
    max_iter: int
    tol: float


class Candidates:
    """Everything about distinct rows that does not depend on the number of clusters.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Distinct rows.
    weights : ndarray of shape (n,)
    codes : ndarray of shape (n, d) or None
        The same rows as an encoder sees them.
    """

    def __init__(self, X, weights, codes=None):
        self.X, self.weights, self.codes = X, weights, codes
        self.views = views_of(X, weights)

    @cached_property
    def _neighbors(self):
        """Neighbours in every view, and among the codes."""
        views = self.views.compared
        if self.codes is not None:
            views = (*views, self.codes)
        k = min(N_TREE, len(self.X) - 1)
        return [(view, *neighbors_of_each(view, k)) for view in views]

    @cached_property
    def _trees(self):
        """Spanning trees of the data as given, scaled, and of the codes.

        For each of them a list, with other numbers of samples that tell the density.
        """
        views = [self._neighbors[0], self._neighbors[1], *self._neighbors[3:]]
        numbers = [max(1, min(m, len(self.X) // 10)) for m in (MIN_SAMPLES, *OTHERS)]
        return [[spanning_tree(*view, number) for number in numbers] for view in views]

    @cached_property
    def graph(self):
        """Edges to neighbours, counted over the views of the data."""
        n, k = len(self.X), min(N_COMPARED, len(self.X) - 1)
        ones = np.ones((n, k))
        return sum(undirected(index[:, :k], ones, n) for _, _, index in self._neighbors[:3])

    def of(self, n_clusters, setting, rng):
        """Candidates for a number of clusters, the simplest first.

        Returns
        -------
        list of Partition
        """
        if n_clusters == 1 or len(self.X) <= n_clusters:
            labels = np.minimum(np.arange(len(self.X)), n_clusters - 1)
            return [self._partition("k-means", labels, n_clusters)]
        found = {
            "k-means": self._kmeans(self.views.given, n_clusters, setting, rng),
            "scaled k-means": self._kmeans(self.views.scaled, n_clusters, setting, rng),
        }
        smooth = self.views.compared[1]
        if isinstance(setting.init, str):
            found["mixture"] = self._mixture(smooth, found["scaled k-means"], n_clusters, rng)
            names = "tree", "scaled tree", "tree of codes"
            for name, trees in zip(names, self._trees):
                found[name] = self._parts(trees, n_clusters)
        if self.codes is not None:
            start = self._kmeans(self.codes, n_clusters, setting, rng)
            found["k-means of codes"] = start
            found["mixture of codes"] = self._mixture(self.codes, start, n_clusters, rng)
        return [
            self._partition(name, labels, n_clusters)
            for name, labels in found.items()
            if labels is not None
        ]

    def _partition(self, name, labels, n_clusters):
        return Partition(name, labels, worst_conductance(self.graph, labels, n_clusters))

    def _kmeans(self, x, n_clusters, setting, rng):
        return (
            KMeans(
                n_clusters,
                init=setting.init,
                n_init=setting.n_init,
                max_iter=setting.max_iter,
                tol=setting.tol,
                random_state=rng.randint(2**31 - 1),
            )
            .fit(x, sample_weight=self.weights)
            .labels_
        )

    def _mixture(self, x, labels, n_clusters, rng):
        """A mixture that begins with a partition, or None if there are too few points for it."""
        counts = np.bincount(labels, minlength=n_clusters)
        if len(x) < SAMPLES_PER_ROW * n_clusters * x.shape[1] or not counts.all():
            return None
        return mixture_from_partition(x, labels, self.weights, n_clusters, rng)

    def _parts(self, trees, n_clusters):
        """Parts of the first of the trees, or None if the others have quite different ones."""
        parts, *others = (cut_tree(tree, n_clusters, self.weights) for tree in trees)
        if np.mean([adjusted_rand_score(parts, other) for other in others]) < STABLE:
            return None
        return parts

    def simplest(self, partitions, n_clusters):
        """The first of the candidates that is about as well separated as any of them."""
        slack = EDGES * n_clusters / max(self.graph.sum(), 1.0)
        scores = np.array([partition.conductance for partition in partitions]) + slack
        return partitions[np.flatnonzero(scores <= FACTOR * scores.min())[0]]
