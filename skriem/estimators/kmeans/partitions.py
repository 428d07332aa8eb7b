"""Partitions of plain data, and which of them shows in the data themselves.

Candidates are k-means, a mixture of normal distributions and parts of a spanning tree, in
increasing order of what they can follow. They are compared by their worst conductance in one
graph of neighbours, which needs no metric and does not know where a partition came from.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ...geometry.models.conductance import worst_conductance
from ...geometry.models.gaussians import mixture_from_partition
from ...geometry.paths.neighbors import undirected
from ...geometry.paths.spanning_tree import cut_tree, spanning_trees
from ..views import neighbors_in, reduced, views_of
from .medoid_runs import straight_kmeans

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
# Where a cluster has more edges to others than within, a partition shows nothing.
MOST = 0.5
# Samples for each parameter of a covariance matrix's row.
SAMPLES_PER_ROW = 2


class Partition(NamedTuple):
    """A way to divide points."""

    name: str
    labels: np.ndarray  # (n,) int
    conductance: float
    n_iter: int = 1


class Candidates:
    """Everything about distinct rows that does not depend on the number of clusters.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Distinct rows.
    weights : ndarray of shape (n,)
    codes : ndarray of shape (n, d) or None
        The same rows as an encoder sees them.
    in_one_unit : bool
        Whether features are known to be in proportion, so that none is scaled.

    Attributes
    ----------
    views : Views
    graph : sparse matrix of shape (n, n)
    """

    def __init__(self, X, weights, codes=None, in_one_unit=False):
        self.X, self.weights, self.codes = X, weights, codes
        self.views, self.in_one_unit = views_of(X, weights), in_one_unit

    @property
    def _compared(self):
        """The data in the units in which they are compared, codes apart."""
        return self.views.compared[:1] if self.in_one_unit else self.views.compared

    @cached_property
    def _neighbors(self):
        """Neighbours in every view, and among the codes."""
        views = self._compared
        if self.codes is not None:
            views = (*views, self.codes)
        k = min(N_TREE, len(self.X) - 1)
        # What is encoded is compared by components, where half the digits do, in half the time.
        kind = np.float64 if self.codes is None else np.float32
        found = ((view, *neighbors_in(view.astype(kind), k)) for view in views)
        return [(view, distances.astype(np.float64), near) for view, distances, near in found]

    @cached_property
    def _trees(self):
        """Spanning trees of the data as given, scaled, and of the codes, by name.

        For each of them a list, with other numbers of samples that tell the density.
        """
        views = {"tree": self._neighbors[0]}
        if not self.in_one_unit:
            views["scaled tree"] = self._neighbors[1]
        if self.codes is not None:
            views["tree of codes"] = self._neighbors[-1]
        numbers = [max(1, min(m, len(self.X) // 10)) for m in (MIN_SAMPLES, *OTHERS)]
        return {name: spanning_trees(*view, numbers) for name, view in views.items()}

    @cached_property
    def graph(self):
        """Edges to neighbours, counted over the views of the data."""
        n, k = len(self.X), min(N_COMPARED, len(self.X) - 1)
        ones = np.ones((n, k))
        of_data = self._neighbors[: len(self._compared)]
        return sum(undirected(index[:, :k], ones, n) for _, _, index in of_data)

    def of(self, settings, rng):
        """Candidates for a number of clusters, the simplest first.

        Parameters
        ----------
        settings : Settings
            With `init` in the coordinates of the data, if it is an array.
        rng : RandomState

        Returns
        -------
        list of Partition
        """
        k = settings.n_clusters
        if k == 1 or len(self.X) <= k:
            return [Partition("k-means", np.minimum(np.arange(len(self.X)), k - 1), 0.0)]
        found = [self.kmeans(settings, rng)]
        if not self.in_one_unit:
            found.append(self.kmeans(settings, rng, scaled=True))
        if not isinstance(settings.init, str):
            # The others cannot be told where to begin.
            return found
        others = {"mixture": self._mixture(found[-1].labels, k, rng)}
        others |= {name: self._parts(trees, k) for name, trees in self._trees.items()}
        return found + [
            self.judge(name, labels, k) for name, labels in others.items() if labels is not None
        ]

    def judge(self, name, labels, n_clusters, n_iter=1):
        """A partition with its worst conductance."""
        conductance = worst_conductance(self.graph, labels, n_clusters)
        return Partition(name, labels, conductance, n_iter)

    def kmeans(self, settings, rng, scaled=False):
        """The partition of k-means on the data as given, or scaled to unit variance."""
        x, init = self.views.scaled if scaled else self.views.given, settings.init
        if self.codes is not None and isinstance(init, str):
            # What components leave out moves hardly a sample, and most of the time was spent there.
            x = reduced(x)
        if not isinstance(init, str):
            init = (init[:, self.views.varying] - self.views.center) / self.views.units[scaled]
        kmeans = straight_kmeans(x, self.weights, settings._replace(init=init), rng)
        name = "scaled k-means" if scaled else "k-means"
        return self.judge(name, kmeans.labels_, settings.n_clusters, kmeans.n_iter_)

    def _mixture(self, labels, n_clusters, rng):
        """A mixture that begins with a partition, or None if there are too few points for it."""
        x = self._compared[:2][-1]
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

    def simplest(self, partitions):
        """The first of the candidates that is about as well separated as any of them."""
        if len(partitions) == 1:
            return partitions[0]
        n_clusters = partitions[0].labels.max() + 1
        slack = EDGES * n_clusters / max(self.graph.sum(), 1.0)
        seen = [p for k, p in enumerate(partitions) if k == 0 or p.conductance <= MOST]
        least = min(partition.conductance for partition in seen)
        return next(p for p in seen if p.conductance + slack <= FACTOR * (least + slack))
