"""Points of which nothing is known but distances: a table of them, or paths through a graph.

What :mod:`.medoids` clusters. Through a graph the nearest of several points is one run of
Dijkstra's algorithm from all of them, and a coarse picture of all distances is one more: of the
cells of some landmarks those that edges join are neighbours (Mehlhorn, *A faster approximation
algorithm for the Steiner problem in graphs*, Information Processing Letters 1988).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from .graph import Attached

# In a graph of at most so many nodes all distances are looked at; in larger ones those between so
# many points that stand for the others.
MOST_COMPARED, N_LANDMARKS = 2000, 1000
# Landmarks for each cluster, at the least.
PER_CLUSTER = 4


class Sketch(NamedTuple):
    """Some of the points with the distances between them, and what weight each stands for."""

    rows: np.ndarray  # (m,) int
    squares: np.ndarray  # (m, m), of distances
    weights: np.ndarray  # (m,)
    is_whole: bool  # whether these are all points, and the distances are exact


class Among(ABC):
    """Distances between n points."""

    n: int

    @abstractmethod
    def from_rows(self, rows, limit=np.inf):
        """Distances from some points to all, (len(rows), n); beyond the limit they may be inf."""

    @abstractmethod
    def nearest(self, rows):
        """Which of some points is nearest to each, (n,) int, and how far it is, (n,)."""

    @abstractmethod
    def sketch(self, weights, n_clusters, rng, needed=()):
        """All points, or as many as can be compared with each other, with those that are needed."""


class Table(Among):
    """Distances that are all known.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
    """

    def __init__(self, distances):
        self.distances, self.n = distances, len(distances)

    def from_rows(self, rows, limit=np.inf):
        return self.distances[rows]

    def nearest(self, rows):
        found = self.distances[rows]
        return found.argmin(0), found.min(0)

    def sketch(self, weights, n_clusters, rng, needed=()):
        return Sketch(np.arange(self.n), self.distances**2, weights, True)


@dataclass(frozen=True)
class Paths(Among):
    """Lengths of shortest paths through a graph, of which points are nodes or tied to some.

    Parameters
    ----------
    weights : sparse matrix of shape (N, N)
        Lengths of edges, in both directions but for those out of what is tied.
    starts : ndarray of shape (n,) int
        Where paths from the points begin.
    ends : Attached
        Where paths to the points end, and how far from there the points are.
    """

    weights: csr_matrix
    starts: np.ndarray
    ends: Attached

    @property
    def n(self):
        return len(self.starts)

    def from_rows(self, rows, limit=np.inf):
        nodes, back = np.unique(self.starts[rows], return_inverse=True)
        found = np.atleast_2d(dijkstra(self.weights, indices=nodes, limit=limit))[back]
        found = (found[:, self.ends.nodes] + self.ends.distances).min(2)
        found[np.arange(len(rows)), rows] = 0.0
        return found

    def nearest(self, rows):
        distances, _, sources = dijkstra(
            self.weights, indices=self.starts[rows], min_only=True, return_predecessors=True
        )
        # Of several at one node the first counts.
        label = np.zeros(len(distances), dtype=np.intp)
        label[self.starts[rows[::-1]]] = np.arange(len(rows))[::-1]
        total = distances[self.ends.nodes] + self.ends.distances
        best = total.argmin(1)[:, None]
        nodes, found = (np.take_along_axis(x, best, 1)[:, 0] for x in (self.ends.nodes, total))
        # Nothing leads to a place off the graph.
        labels = label[np.maximum(sources[nodes], 0)]
        labels[rows], found[rows] = label[self.starts[rows]], 0.0
        return labels, found

    def sketch(self, weights, n_clusters, rng, needed=()):
        if self.weights.shape[0] <= MOST_COMPARED:
            return Sketch(np.arange(self.n), self.from_rows(np.arange(self.n)) ** 2, weights, True)
        m = min(self.n, max(N_LANDMARKS, PER_CLUSTER * n_clusters))
        rows = self._landmarks(m, rng, needed)
        mass = np.bincount(self.nearest(rows)[0], weights, minlength=len(rows))
        return Sketch(rows, self._between(rows) ** 2, mass, False)

    def _landmarks(self, m, rng, needed):
        """Some points, and one at least of each part of the graph."""
        part = connected_components(self.weights, directed=False)[1][self.starts]
        first_of_parts = np.unique(part, return_index=True)[1]
        drawn = rng.choice(self.n, m, replace=False)
        return np.unique(np.concatenate([drawn, first_of_parts, np.asarray(needed, dtype=int)]))

    def _between(self, rows):
        """Lengths of paths between some points that cross from cell to cell, (m, m)."""
        m = len(rows)
        to_nodes, _, sources = dijkstra(
            self.weights, indices=self.starts[rows], min_only=True, return_predecessors=True
        )
        cell = np.full(len(to_nodes), -1)
        cell[self.starts[rows]] = np.arange(m)
        cell = np.where(sources >= 0, cell[np.maximum(sources, 0)], -1)
        edges = self.weights.tocoo()
        first, last = cell[edges.row], cell[edges.col]
        lengths = to_nodes[edges.row] + edges.data + to_nodes[edges.col]
        crossing = (first != last) & (first >= 0) & (last >= 0)
        first, last, lengths = first[crossing], last[crossing], lengths[crossing]
        # The shortest of the edges between two cells, whichever way it goes.
        low, high = np.minimum(first, last), np.maximum(first, last)
        order = np.lexsort((lengths, high, low))
        low, high, lengths = low[order], high[order], lengths[order]
        shortest = np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])][: len(low)]
        graph = csr_matrix((lengths[shortest], (low[shortest], high[shortest])), shape=(m, m))
        return dijkstra(graph, directed=False)


def paths_between(weights, tied):
    """Paths between places that are tied to the nodes of a graph.

    Parameters
    ----------
    weights : sparse matrix of shape (N, N)
        Lengths of edges, symmetric.
    tied : Attached
        Places at a distance of 0 are nodes themselves.

    Returns
    -------
    Paths
    """
    starts = tied.nodes[:, 0].astype(np.intp)
    off = np.flatnonzero(tied.distances[:, 0] > 0.0)
    if not len(off):
        return Paths(
            weights, starts, Attached(tied.points, tied.nodes[:, :1], tied.distances[:, :1])
        )
    # Places are nodes of their own, out of which edges lead, but none to them.
    n_nodes, k = weights.shape[0], tied.nodes.shape[1]
    starts[off] = np.arange(n_nodes, n_nodes + len(off))
    weights = csr_matrix(
        (
            np.concatenate([weights.data, tied.distances[off].ravel()]),
            np.concatenate([weights.indices, tied.nodes[off].ravel()]),
            np.concatenate([weights.indptr, weights.nnz + k * np.arange(1, len(off) + 1)]),
        ),
        shape=(n_nodes + len(off),) * 2,
    )
    return Paths(weights, starts, tied)
