"""Nearest neighbours among points, and graphs of them."""

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

# Up to this dimension trees find neighbours faster than comparing everything.
MAX_TREE_DIMS = 20
# Numbers in a block of distances held at once.
BUDGET = 2**24
# Differences before squares: products of matrices lose what is small far from the origin.
EXACT = "donot_use_mm_for_euclid_dist"
# Candidates more than are asked for, among which the nearest are looked for exactly.
SPARE = 8
# Components larger than this are joined to the rest by comparing them with all of it.
LARGE = 500


def nearest_points(points, z, k):
    """The `k` points nearest to each row of `z`, the nearest first.

    Parameters
    ----------
    points : ndarray of shape (n_points, d)
    z : ndarray of shape (n, d)
    k : int
        Of fewer points all are found.

    Returns
    -------
    distances : ndarray of shape (n, k)
    index : ndarray of shape (n, k) int
    """
    k = min(k, len(points))
    if points.shape[1] <= MAX_TREE_DIMS:
        distances, index = cKDTree(points).query(z, k, workers=-1)
        return distances.reshape(len(z), k), index.reshape(len(z), k)
    if k + SPARE >= len(points):
        return _compared(points, z, k)
    distances, index = (np.empty((len(z), k), dtype) for dtype in (float, int))
    center = points.mean(0)
    targets = torch.as_tensor(points - center)
    norms = targets.square().sum(1)
    rounding = 4 * points.shape[1] * np.finfo(float).eps * norms.max().item()
    step = max(1, BUDGET // len(points))
    for first in range(0, len(z), step):
        rows = torch.as_tensor(z[first : first + step] - center)
        # Squared distances but for the part that is the same for all points.
        found = torch.addmm(norms, rows, targets.mT, alpha=-2.0)
        found, among = found.topk(k + SPARE, largest=False)
        exact = (targets[among] - rows[:, None]).square().sum(2)
        near, order = exact.sort(dim=1, stable=True)
        near, among = near[:, :k], among.gather(1, order)[:, :k]
        # A point that was left out may be nearer only if rounding hid it.
        outside = found[:, -1] + rows.square().sum(1)
        limit = rounding + 4 * points.shape[1] * np.finfo(float).eps * rows.square().sum(1)
        unsure = np.flatnonzero((near[:, -1] > outside - limit).numpy())
        distances[first : first + step], index[first : first + step] = near.sqrt(), among
        if len(unsure):
            unsure += first
            distances[unsure], index[unsure] = _compared(points, z[unsure], k)
    return distances, index


def _compared(points, z, k):
    """:func:`nearest_points` by the distances to all points, exact wherever the origin is."""
    targets = torch.tensor(points)
    found = [
        torch.cdist(part, targets, compute_mode=EXACT).topk(k, largest=False)
        for part in torch.tensor(z).split(max(1, BUDGET // len(points)))
    ]
    distances, index = (torch.cat(parts).numpy() for parts in zip(*found))
    return distances, index


def neighbors_of_each(points, k):
    """What is nearest to each of the points but itself, as :func:`nearest_points` says it.

    Returns
    -------
    distances : ndarray of shape (n, k)
    index : ndarray of shape (n, k) int
    """
    distances, index = nearest_points(points, points, k + 1)
    # Among several that coincide a point need not be the first.
    itself = index == np.arange(len(points))[:, None]
    itself[~itself.any(1), -1] = True
    keep = ~itself
    shape = len(points), index.shape[1] - 1
    return distances[keep].reshape(shape), index[keep].reshape(shape)


def undirected(index, lengths, n):
    """Edges from every row to its neighbours and back, as a sparse matrix (n, n).

    Parameters
    ----------
    index : ndarray of shape (n, k) int
    lengths : ndarray of shape (n, k)
        Of an edge that is listed twice the larger length counts.
    """
    rows = np.repeat(np.arange(n), index.shape[1])
    # A stored zero is no edge for algorithms on sparse graphs.
    lengths = np.maximum(lengths.ravel(), np.finfo(float).tiny)
    graph = csr_matrix((lengths, (rows, index.ravel())), shape=(n, n))
    return graph.maximum(graph.T)


def subgraph(graph, labels):
    """The graph without the edges between rows of different labels."""
    graph = graph.tocoo()
    kept = labels[graph.row] == labels[graph.col]
    return csr_matrix((graph.data[kept], (graph.row[kept], graph.col[kept])), shape=graph.shape)


def joints(points, graph):
    """Edges that make a graph connected: shortest ones between its components.

    In rounds, as in Borůvka's algorithm: every component but the largest is joined to what is
    nearest to it outside.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    graph : sparse matrix of shape (n, n)

    Returns
    -------
    ndarray of shape (m, 2) int
    """
    found = []
    n_parts, part = connected_components(graph, directed=False)
    while n_parts > 1:
        sizes = np.bincount(part)
        order = np.argsort(part, kind="stable")
        members = np.split(order, np.cumsum(sizes)[:-1])
        del members[sizes.argmax()]
        new = np.array([_way_out(points, inside, part) for inside in members])
        found.append(new)
        links = coo_matrix((np.ones(len(new)), part[new].T), shape=(n_parts, n_parts))
        n_parts, merged = connected_components(links, directed=False)
        part = merged[part]
    return np.concatenate([np.empty((0, 2), dtype=int), *found])


def _way_out(points, inside, part):
    """The shortest edge from a component to the others, a pair of rows."""
    own = part[inside[0]]
    if len(inside) <= LARGE:
        distances, index = nearest_points(points, points[inside], len(inside) + 1)
        distances = np.where(part[index] == own, np.inf, distances)
    else:
        outside = np.flatnonzero(part != own)
        distances, index = nearest_points(points[outside], points[inside], 1)
        index = outside[index]
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    return inside[i], index[i, j]
