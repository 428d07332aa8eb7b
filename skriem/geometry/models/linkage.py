"""Trees of clusters: single linkage under mutual reachability, in SciPy's format, and its cuts.

Distances are those of mutual reachability (Campello, Moulavi and Sander, *Density-based
clustering based on hierarchical density estimates*, PAKDD 2013): at least the distances of both
points to their `min_samples`-th neighbours, so that sparse points are far from everything.
"""

from collections import deque

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

# As hdbscan has them.
CONDENSED = [
    ("parent", np.intp),
    ("child", np.intp),
    ("lambda_val", float),
    ("child_size", np.intp),
]


def single_linkage(distances, min_samples):
    """Single linkage of points by mutual reachability.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
    min_samples : int
        Points, itself included, within the core distance of each; 1 is plain single linkage.

    Returns
    -------
    ndarray of shape (n - 1, 4)
        See :func:`scipy.cluster.hierarchy.linkage`.
    """
    core = np.partition(distances, min_samples - 1, axis=1)[:, min_samples - 1]
    reach = np.maximum(distances, np.maximum(core[:, None], core))
    np.fill_diagonal(reach, 0.0)
    return linkage(squareform(reach, checks=False), method="single")


def cut_into(tree, n_clusters, smallest):
    """The first cut from above that leaves so many parts of at least `smallest` points.

    Parameters
    ----------
    tree : ndarray of shape (n - 1, 4)
    n_clusters, smallest : int

    Returns
    -------
    ndarray of shape (n,) int
        See :func:`cut_after`; there are fewer clusters if no cut leaves as many.
    """
    sizes = np.concatenate([np.ones(len(tree) + 1), tree[:, 3]])
    is_large = (sizes >= smallest).astype(int)
    # What every merge, taken back, adds to their number; from above.
    more = is_large[tree[:, :2].astype(int)].sum(1) - is_large[len(tree) + 1 :]
    found = is_large[-1] + np.concatenate([[0], np.cumsum(more[::-1])])
    wanted = min(n_clusters, found.max())
    return cut_after(tree, len(tree) - int(np.argmax(found == wanted)), smallest)


def cut_at(tree, distance, smallest):
    """The parts that merges below a distance leave; see :func:`cut_after`."""
    return cut_after(tree, int(np.searchsorted(tree[:, 2], distance)), smallest)


def cut_after(tree, n_merges, smallest):
    """The parts that the first merges of a tree leave.

    Returns
    -------
    ndarray of shape (n,) int
        Parts of at least `smallest` points by their first points, -1 for points of others.
    """
    n = len(tree) + 1
    merges = n + np.arange(n_merges)
    edges = np.repeat(merges, 2), tree[:n_merges, :2].astype(int).ravel()
    graph = csr_matrix((np.ones(2 * n_merges), edges), shape=(2 * n - 1, 2 * n - 1))
    part = connected_components(graph, directed=False)[1][:n]
    kept = np.bincount(part) >= smallest
    return np.where(kept, np.cumsum(kept) - 1, -1)[part]


def condense(tree, smallest):
    """The tree of parts of at least `smallest` points alone (McInnes and Healy, ICDMW 2017).

    Where a part loses fewer points it goes on, and where it falls into two parts of at least so
    many, two new ones begin.

    Returns
    -------
    structured ndarray
        A row for every part or point that leaves a part: ``parent``, ``child``, ``lambda_val``,
        one over the distance at which it leaves, and ``child_size``. Points are numbered from 0,
        parts from n on, which is all of them.
    """
    n = len(tree) + 1
    children, sizes = tree[:, :2].astype(int), np.concatenate([np.ones(n), tree[:, 3]]).astype(int)
    with np.errstate(divide="ignore"):
        lambdas = 1.0 / tree[:, 2]
    leaves, rows = leaves_list(tree), []
    # Parts are looked at with where their points are among the leaves, from left to right.
    waiting, n_parts = deque([(2 * n - 2, n, 0)]), 1
    while waiting:
        node, part, first = waiting.popleft()
        if node < n:
            continue
        left, right = children[node - n]
        sides = (left, first), (right, first + sizes[left])
        large = [sizes[child] >= smallest for child, _ in sides]
        for (child, start), is_large in zip(sides, large):
            value = lambdas[node - n]
            if not is_large:
                fallen = leaves[start : start + sizes[child]]
                rows += [(part, point, value, 1) for point in fallen]
            elif not all(large):
                waiting.append((child, part, start))
            else:
                new, n_parts = n + n_parts, n_parts + 1
                rows.append((part, new, value, sizes[child]))
                waiting.append((child, new, start))
    return np.array(rows, dtype=CONDENSED)
