"""k-means where every Fréchet mean is one of the points: works on distances alone.

For metrics whose geodesics are paths between data the mean is looked for among them (restricted
Fréchet means, Evans and Jaffe, *Limit theorems for Fréchet mean sets*, Bernoulli 2024).
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import dijkstra

from .neighbors import subgraph

# Members of a cluster that are tried besides the one nearest to its mean, and in every iteration.
N_TRIES, N_NEAR = 5, 6
# Distances held at once.
BUDGET = 2**23


class Medoids(NamedTuple):
    """Where the alternating loop ended."""

    rows: np.ndarray  # (k,) int: which points are the centres
    inertia: list  # weighted sum of squared distances after every iteration
    converged: bool


def plus_plus(squares_from, n_clusters, weights, rng):
    """k-means++ seeding: points drawn with probability to the squared distance.

    Of several draws the one that lowers the sum most is kept, as scikit-learn does.

    Parameters
    ----------
    squares_from : callable
        Squared distances from some rows, a sequence of int, to all n points: (len(rows), n).
    n_clusters : int
    weights : ndarray of shape (n,)
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_clusters,) int
    """
    n = len(weights)
    n_trials = 2 + int(np.log(n_clusters))
    chosen = [rng.choice(n, p=weights / weights.sum())]
    closest = squares_from(chosen)[0]
    for _ in range(1, n_clusters):
        lost = np.isinf(closest)
        # What cannot be reached comes first.
        mass = weights * (lost if lost.any() else closest)
        if not mass.sum() > 0:
            # Fewer distinct points than clusters.
            mass = weights
        trials = rng.choice(n, size=n_trials, p=mass / mass.sum())
        reduced = np.minimum(closest, squares_from(trials))
        best = (reduced @ weights).argmin()
        chosen.append(trials[best])
        closest = reduced[best]
    return np.array(chosen)


def seed_medoids(squares, n_clusters, weights, rng):
    """:func:`plus_plus` on a table of squared distances (n, n)."""
    return plus_plus(lambda rows: squares[rows], n_clusters, weights, rng)


def alternate(squares, rows, weights, max_iter, tol):
    """Assign points to the nearest centre, move centres to the Fréchet means, and again.

    Parameters
    ----------
    squares : ndarray of shape (n, n)
        Squared distances.
    rows : ndarray of shape (k,) int
        Centres to start from.
    weights : ndarray of shape (n,)
    max_iter : int
    tol : float
        Ends when the sum falls by less than this fraction.

    Returns
    -------
    Medoids
    """
    rows = rows.copy()
    history, converged = [], False
    labels = squares[rows].argmin(0)
    while len(history) < max_iter:
        for k in range(len(rows)):
            members = np.flatnonzero(labels == k)
            if len(members):
                cost = squares[np.ix_(members, members)] @ weights[members]
                rows[k] = members[cost.argmin()]
        to_centers = squares[rows]
        labels = to_centers.argmin(0)
        history.append(float(to_centers.min(0) @ weights))
        if len(history) > 1 and history[-2] - history[-1] <= tol * history[-1]:
            converged = True
            break
    return Medoids(rows, history, converged)


def refine(among, rows, weights, max_iter, tol, rng, n_tries=N_NEAR):
    """:func:`alternate` where not all distances are known: a few members of each cluster are tried.

    Half of what is tried is near the present centre, whatever the size of the cluster.

    Parameters
    ----------
    among : Among
    rows : ndarray of shape (k,) int
        Centres to start from.
    weights : ndarray of shape (n,)
    max_iter : int
    tol : float
        Ends when the sum falls by less than this fraction.
    rng : RandomState
    n_tries : int
        Members of each cluster; all of a smaller one.

    Returns
    -------
    Medoids
    """
    rows, exact = rows.copy(), False
    labels, distances = among.nearest(rows)
    history = [float(weights @ distances**2)]
    while len(history) <= max_iter:
        tries = _members_near(rows, labels, distances, n_tries, rng)
        if exact:
            cost = _costs(among, tries, labels, distances, weights)
        else:
            cost = among.costs_within(rows, labels, tries, weights)
        least = np.bincount(labels, weights * distances**2, minlength=len(rows))
        best, clusters = cost.argmin(0), np.arange(len(rows))
        better = cost[best, clusters] < least
        rows[better] = tries[best, clusters][better]
        labels, distances = among.nearest(rows)
        history.append(float(weights @ distances**2))
        settled = history[-2] - history[-1] <= tol * history[-1]
        if settled and exact:
            return Medoids(rows, history[1:], True)
        # By paths within clusters, which may be too long, as long as they lead further.
        exact = settled
    return Medoids(rows, history[1:], False)


def _members_near(rows, labels, distances, n_tries, rng):
    """A few members of every cluster, at ranks whose logarithms are spread evenly, (n_tries, k)."""
    order = np.lexsort((distances, labels))
    sizes = np.bincount(labels, minlength=len(rows))
    ranks = sizes ** rng.uniform(size=(n_tries, len(rows)))
    few = sizes <= n_tries
    ranks[:, few] = np.arange(n_tries)[:, None]
    ranks = np.minimum(ranks.astype(int), np.maximum(sizes - 1, 0))
    found = order[np.minimum(np.cumsum(sizes) - sizes + ranks, len(labels) - 1)]
    return np.where(sizes > 0, found, rows)


def _costs(among, tries, labels, distances, weights):
    """Weighted sums of squared distances from members to all others of their clusters.

    Of tries of shape (n_tries, k), one of each cluster in a row.
    """
    radius = np.zeros(tries.shape[1])
    np.maximum.at(radius, labels, distances)
    # Far enough for the distances from a member to all others.
    reach = ((1.0 + 1e-9) * (radius + distances[tries])).ravel()
    own, found = np.tile(np.arange(len(radius)), len(tries)), np.empty(tries.size)
    # Those together that reach as far.
    for part in np.array_split(np.argsort(reach), 1 + tries.size * len(labels) // BUDGET):
        if len(part):
            lengths = among.from_rows(tries.ravel()[part], reach[part].max())
            lengths = np.where(labels == own[part][:, None], lengths, 0.0)
            found[part] = lengths**2 @ weights
    return found.reshape(tries.shape)


def central_members(graph, points, labels, weights, rng):
    """Of a few members of every cluster the most central by path lengths within the cluster.

    Tried are the member nearest to the cluster's mean and some at random; one run of Dijkstra's
    algorithm tries one member of every cluster.

    Parameters
    ----------
    graph : sparse matrix of shape (n, n)
        Lengths of edges.
    points : ndarray of shape (n, d)
    labels : ndarray of shape (n,) int
        From 0 to k - 1, none of them empty.
    weights : ndarray of shape (n,)
    rng : RandomState

    Returns
    -------
    ndarray of shape (k,) int
    """
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    mass = np.bincount(labels, weights)
    means = np.stack([np.bincount(labels, weights * x) / mass for x in points.T], axis=1)
    off = np.square(points - means[labels]).sum(1)
    inner = subgraph(graph, labels)
    # Of every cluster the first in the order of the distance to the mean.
    tries = [np.lexsort((off, labels))[starts]]
    tries += [order[starts + rng.randint(sizes)] for _ in range(N_TRIES)]
    best, least = tries[0], np.full(len(sizes), np.inf)
    for rows in tries:
        distance = dijkstra(inner, indices=rows, min_only=True)
        reached = np.isfinite(distance)
        # What cannot be reached within the cluster is further away than all else.
        distance[~reached] = 2.0 * distance[reached].max()
        cost = np.bincount(labels, weights * distance**2)
        best, least = np.where(cost < least, rows, best), np.minimum(cost, least)
    return best


def distances_to_own(graph, rows, labels):
    """Lengths of shortest paths from every point to the centre of its cluster, (n,).

    Parameters
    ----------
    graph : sparse matrix of shape (n, n)
    rows : ndarray of shape (k,) int
        The centres.
    labels : ndarray of shape (n,) int
    """
    found = np.empty(len(labels))
    for k, row in enumerate(rows):
        members = labels == k
        found[members] = dijkstra(graph, indices=row)[members]
    return found


def distances_to_parts(graph, labels, n_parts):
    """Lengths of shortest paths from every point to the nearest member of every part, (n, n_parts).

    Parameters
    ----------
    graph : sparse matrix of shape (n, n)
    labels : ndarray of shape (n,) int
        From 0 to n_parts - 1. Nothing leads to an empty part.
    n_parts : int
    """
    found = np.full((len(labels), n_parts), np.inf)
    for k in np.unique(labels):
        found[:, k] = dijkstra(graph, indices=np.flatnonzero(labels == k), min_only=True)
    return found
