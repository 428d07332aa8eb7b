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

from .graph import Attached, with_sources
from .neighbors import subgraph

# In a graph of at most so many nodes all distances are looked at; in larger ones those between so
# many points that stand for the others.
MOST_COMPARED, N_LANDMARKS = 2000, 1000
# Landmarks for each cluster, at the least, and rounds in which they are drawn.
PER_CLUSTER, N_ROUNDS = 4, 5


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
    def costs_within(self, rows, labels, tries, weights):
        """Sums of squares from members to all others of their clusters, at most.

        Parameters
        ----------
        rows : ndarray of shape (k,) int
            Centres.
        labels : ndarray of shape (n,) int
            Which of them is nearest.
        tries : ndarray of shape (n_tries, k) int
            In every row a member of each cluster.
        weights : ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n_tries, k)
        """

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

    def costs_within(self, rows, labels, tries, weights):
        found = np.empty(tries.shape)
        for k in range(len(rows)):
            inside = labels == k
            found[:, k] = self.distances[tries[:, k]][:, inside] ** 2 @ weights[inside]
        return found

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
        distances, cell = self._cells(rows)
        total = distances[self.ends.nodes] + self.ends.distances
        best = total.argmin(1)[:, None]
        nodes, found = (np.take_along_axis(x, best, 1)[:, 0] for x in (self.ends.nodes, total))
        # Nothing leads to a place off the graph.
        labels = np.maximum(cell[nodes], 0)
        labels[rows], found[rows] = cell[self.starts[rows]], 0.0
        return labels, found

    def costs_within(self, rows, labels, tries, weights):
        cell = self._cells(rows)[1]
        cell[self.starts] = labels
        inner, inside = subgraph(self.weights, cell), cell[self.ends.nodes] == labels[:, None]
        found = np.empty(tries.shape)
        for cost, members in zip(found, tries):
            distances = dijkstra(inner, indices=self.starts[members], min_only=True)
            total = distances[self.ends.nodes] + self.ends.distances
            total = np.where(inside, total, np.inf).min(1)
            total[members] = 0.0
            cost[:] = np.bincount(labels, weights * total**2, minlength=len(rows))
        return found

    def _cells(self, rows):
        """How far every node is from the nearest of some points, and which it is, or -1, (N,)."""
        distances, _, sources = dijkstra(
            self.weights, indices=self.starts[rows], min_only=True, return_predecessors=True
        )
        # Of several at one node the first counts.
        label = np.full(len(distances), -1)
        label[self.starts[rows[::-1]]] = np.arange(len(rows))[::-1]
        return distances, np.where(sources >= 0, label[np.maximum(sources, 0)], -1)

    def sketch(self, weights, n_clusters, rng, needed=()):
        if self.weights.shape[0] <= MOST_COMPARED:
            return Sketch(np.arange(self.n), self.from_rows(np.arange(self.n)) ** 2, weights, True)
        m = min(self.n, max(N_LANDMARKS, PER_CLUSTER * n_clusters))
        rows = self._landmarks(m, weights, rng, needed)
        mass = np.bincount(self.nearest(rows)[0], weights, minlength=len(rows))
        return Sketch(rows, self._between(rows) ** 2, mass, False)

    def _landmarks(self, m, weights, rng, needed):
        """Some points: of each part of the graph, the needed, and drawn by what they add.

        In rounds, with probability to the squared distance from those before (Bahmani et al.,
        *Scalable k-means++*, VLDB 2012).
        """
        part = connected_components(self.weights, directed=False)[1][self.starts]
        chosen = np.unique(np.r_[np.unique(part, return_index=True)[1], needed]).astype(int)
        for _ in range(N_ROUNDS):
            mass = weights * self.nearest(chosen)[1] ** 2
            size = min(m // N_ROUNDS, np.count_nonzero(mass))
            if size:
                drawn = rng.choice(self.n, size, replace=False, p=mass / mass.sum())
                chosen = np.union1d(chosen, drawn)
        return chosen

    def _between(self, rows):
        """Lengths of paths between some points that cross from cell to cell, (m, m)."""
        m = len(rows)
        to_nodes, cell = self._cells(rows)
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
    starts[off] = weights.shape[0] + np.arange(len(off))
    return Paths(with_sources(weights, tied.rows(off)), starts, tied)
