"""Clusters as parts of a minimum spanning tree.

Distances are those of mutual reachability (Campello, Moulavi and Sander, *Density-based
clustering based on hierarchical density estimates*, PAKDD 2013): at least the distance of both
points to their `min_samples`-th neighbours, so that sparse points are far from everything. Of
the tree of shortest edges the longest are cut that leave enough on both sides, so that a few
far points are no cluster.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from .neighbors import joints, undirected

# A part holds at least this share of the mean weight of a cluster.
LEAST_PART = 0.25
# Ties between edges are broken by the plain distance, which counts this much.
TIE = 1e-9


class Tree(NamedTuple):
    """A spanning tree, its edges in decreasing length."""

    edges: np.ndarray  # (n - 1, 2) int
    lengths: np.ndarray  # (n - 1,)


def spanning_trees(points, distances, index, numbers):
    """Minimum spanning trees by mutual reachability, of the edges to neighbours.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    distances, index : ndarrays of shape (n, k)
        The neighbours of every point, see
        :func:`~skriem.geometry.paths.neighbors.neighbors_of_each`.
    numbers : sequence of int
        A `min_samples` for each tree, at most k.

    Returns
    -------
    list of Tree
    """
    # What connects the parts of the graph does not depend on how long its edges are.
    bridges = joints(points, undirected(index, distances, len(points)))
    lengths = np.linalg.norm(points[bridges[:, 0]] - points[bridges[:, 1]], axis=1)
    return [_spanning_tree(distances, index, bridges, lengths, number) for number in numbers]


def _spanning_tree(distances, index, bridges, bridge_lengths, min_samples):
    """One of the trees, of the edges to neighbours and those that connect them."""
    n = len(distances)
    core = distances[:, min_samples - 1]

    def reach(plain, i, j):
        return np.maximum(plain, np.maximum(core[i], core[j])) + TIE * plain

    graph = undirected(index, reach(distances, np.arange(n)[:, None], index), n)
    if len(bridges):
        i, j = bridges.T
        graph = graph + csr_matrix((reach(bridge_lengths, i, j), (i, j)), shape=(n, n))
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(-tree.data, kind="stable")
    return Tree(np.stack([tree.row, tree.col], axis=1)[order].astype(int), tree.data[order])


def cut_tree(tree, n_clusters, weights):
    """Remove the longest edges that leave enough on both sides.

    Ends of the tree count for nothing: what hangs on by one edge is no cluster.

    Parameters
    ----------
    tree : Tree
    n_clusters : int
    weights : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n,) int
        The part of every point; there are fewer than `n_clusters` if no more can be cut.
    """
    n, edges = len(weights), tree.edges
    degree = np.bincount(edges.ravel(), minlength=n)
    inner = np.where(degree > 1, weights, 0.0)
    smallest = LEAST_PART * inner.sum() / n_clusters
    parent, below = _rooted(edges, inner)
    child = np.where(parent[edges[:, 0]] == edges[:, 1], edges[:, 0], edges[:, 1])
    is_root, cut = parent < 0, []
    # Parts only shrink, so that an edge that cannot be cut now never can.
    for k in np.flatnonzero((below[child] >= smallest) & (degree[edges] > 1).all(1)):
        if len(cut) == n_clusters - 1:
            break
        lower = child[k]
        if below[lower] < smallest:
            continue
        above = [parent[lower]]
        while not is_root[above[-1]]:
            above.append(parent[above[-1]])
        if below[above[-1]] - below[lower] < smallest:
            continue
        below[above] -= below[lower]
        is_root[lower] = True
        cut.append(k)
    kept = np.delete(edges, cut, axis=0)
    graph = csr_matrix((np.ones(len(kept)), kept.T), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _rooted(edges, weights):
    """Parents of all nodes of a tree, -1 for the root, and the weight of all that is below."""
    n = len(weights)
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
    order, parent = breadth_first_order(graph, 0, directed=False)
    depth = np.zeros(n, dtype=int)
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
    below = weights.astype(float)
    # Level by level, the deepest first.
    levels = np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)
    for level in levels[:0:-1]:
        np.add.at(below, parent[level], below[level])
    return np.maximum(parent, -1), below
