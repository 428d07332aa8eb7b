"""Partitions of plain data: k-means, a mixture of normal distributions, and parts of trees."""

from functools import cached_property

import numpy as np

from ...geometry.models.conductance import conductances
from ...geometry.models.gaussians import mixture_from_partition
from ...geometry.paths.neighbors import undirected
from ..views import neighbors_in
from .partitions import N_COMPARED, N_TREE, Candidates, Partition, stable_parts, trees_of

# Samples for each parameter of a covariance matrix's row.
SAMPLES_PER_ROW = 2


class PlainCandidates(Candidates):
    """Partitions of rows, compared by the worst conductance among neighbours in several views."""

    @property
    def _compared(self):
        """The data in the units in which they are compared."""
        return self.views.compared[:1] if self.in_one_unit else self.views.compared

    @cached_property
    def _neighbors(self):
        """Neighbours in every view."""
        k = min(N_TREE, len(self.X) - 1)
        return [(view, *neighbors_in(view, k)) for view in self._compared]

    @cached_property
    def _trees(self):
        """Spanning trees of the data as given and scaled, by name."""
        views = {"tree": self._neighbors[0]}
        if not self.in_one_unit:
            views["scaled tree"] = self._neighbors[1]
        return {name: trees_of(*view) for name, view in views.items()}

    @cached_property
    def graph(self):
        """Edges to neighbours, counted over the views."""
        n, k = len(self.X), min(N_COMPARED, len(self.X) - 1)
        ones = np.ones((n, k))
        return sum(undirected(index[:, :k], ones, n) for _, _, index in self._neighbors)

    @property
    def places(self):
        return np.arange(len(self.X))

    def judge(self, name, labels, n_clusters, n_iter=1):
        worst = conductances(self.graph, labels, n_clusters).max()
        return Partition(name, labels, float(worst), n_iter)

    def others(self, labels, settings, embedded, rng, verbose):
        if not isinstance(settings.init, str):
            # They cannot be told where to begin.
            return []
        k = settings.n_clusters
        found = {"mixture": self._mixture(labels, k, rng)}
        found |= {name: stable_parts(trees, k, self.weights) for name, trees in self._trees.items()}
        return [self.judge(name, labels, k) for name, labels in found.items() if labels is not None]

    def with_points(self, points):
        return PlainCandidates(points, self.weights, self.in_one_unit)

    def _mixture(self, labels, n_clusters, rng):
        """A mixture that begins with a partition, or None if there are too few points for it."""
        x = self._compared[:2][-1]
        counts = np.bincount(labels, minlength=n_clusters)
        if len(x) < SAMPLES_PER_ROW * n_clusters * x.shape[1] or not counts.all():
            return None
        return mixture_from_partition(x, labels, self.weights, n_clusters, rng)
