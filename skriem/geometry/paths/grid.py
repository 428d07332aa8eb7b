"""Shortest paths on a regular grid: distances between many pairs at once, for up to 3 dimensions.

Every node is joined to the nodes around it in many directions, so that paths can go nearly
straight; edges are measured through the metric, and Dijkstra's algorithm finds all paths from
one point in a few milliseconds. Each is the length of an actual curve, hence never too short.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from scipy.stats import multivariate_normal
from scipy.stats.qmc import MultivariateNormalQMC

from .graph import Attached, attach, segment_lengths, symmetric_weights, with_sources

# By dimension: how many cells an edge reaches, and to how many nodes other points are tied.
REACH, N_TIED = {1: 1, 2: 4, 3: 2}, {1: 4, 2: 24, 3: 40}
# The room around points, as a share of the longest side, where no table says it.
CELL_MARGIN = 0.25
# What lies outside is drawn from a Gaussian of so many standard deviations.
WIDE, N_DRAWN = 1.5, 1024
# Points closer than this many cells are joined directly.
NEAR = 3.0
# Edges, their parts and the ends of paths are short: few chords will do.
N_SHORT_CHORDS = 8
# Sources at once: few enough that their distances to all nodes stay in the processor's cache.
CHUNK = 64


class Grid(NamedTuple):
    """Nodes of a grid and the lengths of its edges."""

    points: np.ndarray  # (N, d)
    tree: cKDTree
    weights: csr_matrix  # (N, N), symmetric
    spacing: float


class Cells(NamedTuple):
    """What to integrate on: the nodes of a grid, and some points outside of it."""

    grid: Grid
    points: torch.Tensor  # (N + m, d)
    tied: Attached  # those outside
    log_volumes: torch.Tensor  # (N + m,): that each of them stands for


def box_around(points, margin):
    """Corners (d,) of the box around points, and some room, as a share of its longest side."""
    low, high = points.min(0), points.max(0)
    room = margin * (high - low).max()
    return low - room, high + room


def build_grid(space, low, high, n_cells):
    """Grid over a box.

    Parameters
    ----------
    space : Space
    low, high : ndarray of shape (d,)
        Corners, with d at most ``MAX_GRID_DIMS``.
    n_cells : int
        Along the longest side.

    Returns
    -------
    Grid or None
        None where the box is a single point.
    """
    d = len(low)
    if not (high > low).any():
        return None
    spacing = (high - low).max() / n_cells
    counts = np.ceil((high - low) / spacing).astype(int) + 1
    nodes = np.indices(counts).reshape(d, -1).T * spacing + low
    index = np.arange(len(nodes)).reshape(counts)
    pairs = np.concatenate([_pairs(index, step) for step in steps_around(d, REACH[d])])
    lengths = segment_lengths(space, *torch.tensor(nodes)[pairs.T], N_SHORT_CHORDS)
    pairs, lengths = pairs[np.isfinite(lengths)], lengths[np.isfinite(lengths)]
    weights = symmetric_weights(pairs, lengths, len(nodes))
    return Grid(nodes, cKDTree(nodes), weights, spacing)


def cells_around(spaces, points, n_cells):
    """What to integrate on around points, None where these are a single one.

    Parameters
    ----------
    spaces : Spaces
    points : ndarray of shape (n, d)
    n_cells : int
        Along the longest side in two dimensions. In others there are about as many altogether as
        in a square of that side.

    Returns
    -------
    Cells or None
    """
    space, table, d = spaces.exact, spaces.table, points.shape[1]
    low, high = box_around(points, CELL_MARGIN)
    if table is not None:
        space, low, high = table.space, table.low, table.high
    grid = build_grid(space, low, high, round(n_cells ** (2 / d)))
    if grid is None:
        return None
    nodes, (outside, log_mass) = torch.as_tensor(grid.points), beyond(grid, points)
    log_volumes = space.log_volume(nodes) + d * math.log(grid.spacing)
    log_mass = log_mass + spaces.exact.log_volume(outside)
    log_volumes = torch.cat([log_volumes, log_mass])
    # Nodes on the edge of a table may lie beyond it by rounding.
    log_volumes = log_volumes.where(log_volumes.isfinite(), -torch.inf)
    tied = tie(spaces.segment_lengths, grid, outside)
    return Cells(grid, torch.cat([nodes, outside]), tied, log_volumes)


def beyond(grid, points):
    """Evenly drawn points outside of a grid, from a wide Gaussian around some others.

    Returns
    -------
    outside : Tensor of shape (m, d)
    log_mass : Tensor of shape (m,)
        Logarithm of the Lebesgue volume that each stands for.
    """
    covariance = WIDE**2 * np.atleast_2d(np.cov(points.T))
    covariance += 1e-9 * np.trace(covariance) * np.eye(len(covariance))
    wide = multivariate_normal(points.mean(0), covariance)
    drawn = MultivariateNormalQMC(wide.mean, covariance, rng=np.random.default_rng(0))
    drawn = drawn.random(N_DRAWN)
    low, high = grid.points.min(0), grid.points.max(0)
    outside = drawn[((drawn < low) | (drawn > high)).any(1)]
    log_mass = -np.atleast_1d(wide.logpdf(outside)) - np.log(N_DRAWN)
    return torch.as_tensor(outside), torch.as_tensor(log_mass)


def steps_around(d, reach):
    """Steps to the nodes around, one of every two opposite ones, none twice as long as another
    in the same direction."""
    steps = itertools.product(range(-reach, reach + 1), repeat=d)
    return [step for step in steps if step > (0,) * d and np.gcd.reduce(step) == 1]


def _pairs(index, step):
    """Nodes and those one step from them, (n, 2)."""
    first = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, index.shape))
    second = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, index.shape))
    return np.stack([index[first].ravel(), index[second].ravel()], axis=1)


def tie(measure, grid, z):
    """Tie the rows of a tensor to the nodes around them; see :func:`.graph.attach`."""
    return attach(measure, grid, z, N_TIED[z.shape[1]])


def grid_distances(measure, grid, a, b):
    """Lengths of the shortest paths along the grid between all of `a` and all of `b`.

    Parameters
    ----------
    measure : callable
        Lengths of segments from their ends, see :func:`.graph.measure_in`.
    grid : Grid
    a, b : Attached
        Points tied to the grid, see :func:`tie`.

    Returns
    -------
    ndarray of shape (n, m)
    """
    if len(a.points) > len(b.points):
        return grid_distances(measure, grid, b, a).T
    result = np.empty((len(a.points), len(b.points)))
    tree = cKDTree(b.points)
    for first in range(0, len(a.points), CHUNK):
        part = a.rows(slice(first, first + CHUNK))
        block = result[first : first + CHUNK]
        block[:] = through_nodes(from_sources(grid.weights, part), b)
        near = tree.query_ball_point(part.points, NEAR * grid.spacing)
        i = np.repeat(np.arange(len(near)), list(map(len, near)))
        if len(i):
            j = np.concatenate(near).astype(int)
            ends = torch.as_tensor(part.points[i]), torch.as_tensor(b.points[j])
            direct = np.nan_to_num(measure(*ends), nan=np.inf)
            block[i, j] = np.minimum(block[i, j], direct)
    return result


def from_sources(weights, sources, return_predecessors=False, limit=np.inf):
    """Distances from some points to all nodes of a graph, (n, N), infinite above a limit.

    Paths lead out of a source and never through another, so that none depends on which are
    asked together. On request, also the node before each on its path, (n, N) int, where sources
    are numbered from N on.
    """
    n_nodes = weights.shape[0]
    found = dijkstra(
        with_sources(weights, sources),
        indices=np.arange(n_nodes, n_nodes + len(sources.nodes)),
        return_predecessors=return_predecessors,
        limit=limit,
    )
    if return_predecessors:
        return tuple(part[:, :n_nodes] for part in found)
    return found[:, :n_nodes]


def through_nodes(distances, targets):
    """Distances to points by way of the nodes that they are tied to, (n, m)."""
    # One row a node: what is looked up lies together.
    distances = np.ascontiguousarray(distances.T)
    result = np.full((len(targets.points), distances.shape[1]), np.inf)
    lengths, by_way = np.nan_to_num(targets.distances, nan=np.inf), np.empty_like(result)
    for k in range(lengths.shape[1]):
        np.take(distances, targets.nodes[:, k], axis=0, out=by_way, mode="clip")
        by_way += lengths[:, k, None]
        np.minimum(result, by_way, out=result)
    return result.T
