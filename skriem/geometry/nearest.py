"""The nearest-neighbour metric: a step costs more the further the nearest datum is.

Paths run along the data and pay dearly for crossing empty space, whatever the number of
dimensions. If the cost is proportional to the distance, geodesic distances between the data
themselves have a closed form: they are the shortest paths in the complete graph whose edges are
the squared distances (Cohen, Fasy, Miller, Nayyeri, Sheehy and Velingker, *Approximating
nearest neighbor distances*, WADS 2015; Chu, Miller and Sheehy, *Exact computation of a manifold
metric, via Lipschitz embeddings and shortest paths on a graph*, SODA 2020). With other powers
than squares such paths are Fermat distances, which become, up to a factor, distances under a
conformal metric of the density as the data grow in number (Hwang, Damelin and Hero, *Shortest
path through random points*, Annals of Applied Probability 2016; Groisman, Jonckheere and
Sapienza, *Nonhomogeneous Euclidean first-passage percolation and distance learning*, Bernoulli
2022).
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from . import medoids, paths_among
from .containers import enter_weights
from .field import Field
from .graph import Attached
from .grid import from_sources, through_nodes
from .metric import Metric
from .neighbors import EXACT, MAX_TREE_DIMS, nearest_points
from .solution import Geodesics, Status
from .types import ArrayOrTensor, ArrayT, FloatArray

# Neighbours in the graph. Shortest paths over powers of lengths take short edges.
N_NEIGHBORS = 15
# Points that a place off the graph is tied to.
N_ATTACHED = 8
# Sources whose paths are looked for at once.
CHUNK = 64
# Parts of each straight piece of a geodesic.
N_PARTS = 8


class NearestNeighborMetric(Metric):
    """A metric of data: steps cost more the further the nearest datum is.

    M(z) = p^2 (2 r(z) / w)^(2 p - 2) S^-2, with r(z) the distance to the nearest of the points.
    S holds the scale of every coordinate, r is measured in scaled coordinates, p is the power,
    and w the mean distance of the points to their nearest neighbours, so that along the data
    lengths are about what they are without the metric.

    Two points at a distance e with nothing near them are (e / w)^p w apart in this metric: with
    p = 2 a gap of ten ordinary steps costs as much as a hundred of them.

    Geodesics are polygons through points. The metric vanishes at the points themselves, so that
    there are no tangent vectors: no exponential map, no curvature. Fréchet means are taken among
    the points that are averaged.

    Parameters
    ----------
    points : array-like of shape (n_points, n_dims)
        The data.
    scale : float or array-like of shape (n_dims,), default=1.0
        What coordinates are divided by before distances are taken.
    power : float, default=2.0
        At least 1. The larger, the costlier are gaps; 1 is no metric of the data but the
        Euclidean one along the graph.

    Attributes
    ----------
    n_dims : int
        Number of coordinates.
    points : ndarray of shape (n_points, n_dims)
        The data.
    scale : ndarray of shape (n_dims,)
        What coordinates are divided by.
    power : float
        How much costlier gaps are than steps along the data.
    spacing : float
        Mean distance of the points to their nearest neighbours, in scaled coordinates.
    fingerprint : str
        Metrics of the same points, scale and power are equal.

    Raises
    ------
    ValueError
        If points are no table of finite numbers, a scale is not positive, or the power is
        below 1.

    Notes
    -----
    Distances are lengths of shortest paths through the points. For a power of 2 and the
    complete graph these are the geodesics; for others a geodesic may leave the data and be a
    little shorter. The graph has all edges that shortest paths take if there are at most 2000
    points or, for powers from 2 on, at most three dimensions. Otherwise it joins every point to
    its 15 nearest, and some paths are longer; :meth:`path_errors` says by how much.

    Examples
    --------
    >>> import numpy as np
    >>> from skriem.geometry import NearestNeighborMetric
    >>> metric = NearestNeighborMetric([[0.0], [1.0], [2.0], [5.0]])
    >>> metric.pairwise(np.array([[0.0]]), np.array([[2.0], [5.0]])) * 1.5
    array([[ 2., 11.]])
    """

    points: FloatArray

    def __init__(self, points: ArrayLike, scale: ArrayLike = 1.0, power: float = 2.0) -> None:
        points = np.array(points, dtype=np.float64)
        if points.ndim != 2:
            raise ValueError(f"points must be a table of rows, got shape {points.shape}.")
        scale = np.array(scale, dtype=np.float64)
        if scale.shape not in ((), points.shape[1:]):
            raise ValueError(f"scale must be one number or {points.shape[1]}, got {scale.shape}.")
        self.scale = np.broadcast_to(scale, points.shape[1:]).copy()
        self.scale.flags.writeable = False
        if not (np.isfinite(self.scale) & (self.scale > 0)).all():
            raise ValueError("scale must be positive.")
        self.power = float(power)
        if not (np.isfinite(self.power) and self.power >= 1.0):
            raise ValueError(f"power must be at least 1, got {power}.")
        digest = hashlib.sha256(str(points.shape).encode() + points.tobytes())
        digest.update(self.scale.tobytes() + np.float64(self.power).tobytes())
        super().__init__(Field(self._tensors), points.shape[1], points, fingerprint=None)
        self.fingerprint = digest.hexdigest()

    def with_points(self, points: ArrayLike) -> NearestNeighborMetric:
        """The metric of other points, with the same scale and power."""
        return NearestNeighborMetric(points, self.scale, self.power)

    def __getstate__(self):
        return {"points": self.points, "scale": self.scale, "power": self.power}

    def __setstate__(self, state):
        self.__init__(**state)

    @torch.no_grad()
    def pairwise(
        self, A: ArrayT, B: ArrayOrTensor | None = None, tol: float = 1e-3, max_iter: int = 100
    ) -> ArrayT:
        """Geodesic distances between all rows of `A` and all rows of `B` (or `A`).

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims), default=None
            None takes `A`.
        tol, max_iter : float, int
            Ignored; there for the sake of the other metrics.

        Returns
        -------
        (n, m)
        """
        A, answer = self._enter(A)
        if B is None:
            found = self._distances(A, A)
            return answer(torch.minimum(found, found.mT).fill_diagonal_(0.0))
        return answer(self._distances(A, self._enter(B)[0].to(A)))

    def approximate_pairwise(self, A: ArrayT, B: ArrayOrTensor | None = None) -> ArrayT:
        """The same as :meth:`pairwise`, which is fast."""
        return self.pairwise(A, B)

    def path_lengths(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """The same as :meth:`pairwise`: geodesics are paths through the graph."""
        return self.pairwise(A, B)

    @torch.no_grad()
    def frechet_mean(
        self,
        Z: ArrayT,
        sample_weight: ArrayOrTensor | None = None,
        tol: float = 1e-6,
        max_iter: int = 100,
    ) -> ArrayT:
        """The row of `Z` with the least weighted sum of squared distances to all, (n_dims,)."""
        Z, answer = self._enter(Z)
        cost = self._distances(Z, Z).square() @ enter_weights(sample_weight, Z)
        return answer(Z[cost.argmin()])

    # -------------------------------------------------------------------------------------

    @cached_property
    def graph(self) -> paths_among.Network:
        """The points and the edges that paths take, as a :class:`Network`."""
        points, pairs = self._scaled_points, self._sufficient_pairs
        if pairs is None:
            pairs = paths_among.neighbor_edges(points, self._neighbors[1])
        # Of points in the unit of their spacing.
        unit = self.spacing
        weights = paths_among.power_graph(points / unit, pairs, self.power) * unit
        return paths_among.Network(points, weights)

    @cached_property
    def _sufficient_pairs(self):
        return paths_among.sufficient_pairs(
            self._scaled_points, self._neighbors[1][:, 1:], self.power
        )

    def path_errors(self, rng: np.random.RandomState) -> FloatArray:
        """By what shares paths between points are too long because the graph lacks edges.

        Where it does, they are measured among 2000 of the points, drawn at random.

        Parameters
        ----------
        rng : RandomState
            Draws the points.

        Returns
        -------
        ndarray of shape (n_paths,)
            A single zero if no edges are missing.
        """
        # With a power of 1 straight lines are the shortest, and need no edges.
        if self.power == 1.0 or self._sufficient_pairs is not None:
            return np.zeros(1)
        return paths_among.excess_of_neighbors(self._scaled_points, N_NEIGHBORS, self.power, rng)

    @cached_property
    def _neighbors(self):
        """What is nearest to each point, itself included: distances and rows."""
        return nearest_points(self._scaled_points, self._scaled_points, N_NEIGHBORS + 1)

    def nearest(self, Z: ArrayLike) -> NDArray[np.intp]:
        """Which of the points is nearest to each row of `Z`, (n,) int.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)

        Returns
        -------
        ndarray of shape (n,)
        """
        z = self._enter(Z)[0].cpu().double().numpy() / self.scale
        if self.n_dims > MAX_TREE_DIMS:
            return nearest_points(self._scaled_points, z, 1)[1][:, 0]
        return self._tree.query(z, workers=-1)[1]

    def core_distances(self, Z: ArrayLike, n_points: int = 5) -> FloatArray:
        """Distances of the rows of `Z` to the nearest so many points, the last of them, (n,).

        Straight, in the unit of `scale`. A row that is one of the points counts itself.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)
        n_points : int, default=5

        Returns
        -------
        ndarray of shape (n,)
        """
        z = self._enter(Z)[0].cpu().double().numpy() / self.scale
        return nearest_points(self._scaled_points, z, n_points)[0][:, -1]

    @torch.no_grad()
    def to_parts(self, Z: ArrayLike, labels: NDArray[np.intp], n_parts: int) -> FloatArray:
        """Geodesic distances of the rows of `Z` to parts of the points, (n, n_parts).

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)
        labels : ndarray of shape (n_points,) int
            Part of each point.
        n_parts : int

        Returns
        -------
        ndarray of shape (n, n_parts)
            Lengths of the shortest paths to any member; infinite where there is none.
        """
        ends = self._tie(self._enter(Z)[0])[0]
        from_parts = medoids.distances_to_parts(self.graph.weights, labels, n_parts).T
        return through_nodes(from_parts, ends).T

    @cached_property
    def _tree(self):
        return cKDTree(self._scaled_points)

    @cached_property
    def _scaled_points(self):
        points = self.points / self.scale
        points.flags.writeable = False
        return points

    @cached_property
    def spacing(self) -> float:
        """Mean distance to the nearest neighbour; 1 for a single point."""
        if len(self.points) < 2:
            return 1.0
        spacing = self._neighbors[0][:, 1].mean()
        return float(spacing) if spacing > 0.0 else 1.0

    def _lengths(self, distances, r_start=0.0, r_end=0.0):
        """Lengths in the metric of straight segments, at most.

        Ends are `r_start` and `r_end` from the nearest point; on the way the nearest may be
        nearer than they say.
        """
        w, p = self.spacing, self.power
        top = 0.5 * (r_start + r_end + distances)
        found = 2.0 * (top / w) ** p - (r_start / w) ** p - (r_end / w) ** p
        return np.maximum(w * 2.0 ** (p - 1.0) * found, 0.0)

    def _tensors(self, z):
        at = (z / torch.tensor(self.scale).to(z)).cpu().double().numpy()
        nearest = torch.as_tensor(nearest_points(self._scaled_points, at, 1)[0][:, 0]).to(z)
        factor = self.power * (2.0 * nearest / self.spacing) ** (self.power - 1.0)
        factor = factor.square()[:, None]
        return torch.diag_embed(factor / torch.as_tensor(self.scale**2).to(z))

    def _tie(self, z):
        """Rows of a tensor tied to the points around them, and how far the nearest are."""
        at = (z.cpu().double().numpy()) / self.scale
        distances, nodes = nearest_points(self._scaled_points, at, N_ATTACHED)
        return Attached(at, nodes, self._lengths(distances, distances[:, :1])), distances[:, 0]

    def _distances(self, a, b):
        """Distances between all rows of two tensors, (n, m)."""
        if len(a) > len(b):
            return self._distances(b, a).mT
        (sources, r_sources), (targets, r_targets) = self._tie(a), self._tie(b)
        result = np.empty((len(a), len(b)))
        for first in range(0, len(a), CHUNK):
            part = sources.rows(slice(first, first + CHUNK))
            through = through_nodes(from_sources(self.graph.weights, part), targets)
            straight = map(torch.as_tensor, (part.points, targets.points))
            direct = torch.cdist(*straight, compute_mode=EXACT).numpy()
            direct = self._lengths(direct, r_sources[first : first + CHUNK, None], r_targets)
            result[first : first + CHUNK] = np.minimum(through, direct)
        return torch.as_tensor(result).to(a)

    def _between(self, a, b, tol, max_iter):
        """Geodesics between the rows of two tensors; always found."""
        (first, r_first), (last, r_last) = self._tie(a), self._tie(b)
        direct = np.linalg.norm(first.points - last.points, axis=1)
        direct = self._lengths(direct, r_first, r_last)
        paths = [
            self._path(first.rows(slice(i, i + 1)), last.rows(slice(i, i + 1)), direct[i])
            for i in range(len(a))
        ]
        n_corners = max(map(len, paths), default=2)
        # The end is repeated where a path has fewer corners than others.
        corners = np.array([[*path, *[path[-1]] * (n_corners - len(path))] for path in paths])
        corners = corners.reshape(len(a), n_corners, self.n_dims)
        steps = np.diff(corners, axis=1)
        share = np.arange(N_PARTS) / N_PARTS
        points = corners[:, :-1, None] + share[:, None] * steps[:, :, None]
        n_points = (n_corners - 1) * N_PARTS
        points = points.reshape(len(a), n_points, self.n_dims)
        points = np.concatenate([points, corners[:, -1:]], axis=1)
        # Length from the start of a piece: an integral over the distance to the nearest point.
        e = np.linalg.norm(steps, axis=2)[:, :, None]
        r = nearest_points(self._scaled_points, corners.reshape(-1, self.n_dims), 1)[0]
        r = r.reshape(len(a), n_corners, 1)
        lengths = self._lengths(e, r[:, :-1], r[:, 1:])[:, :, 0]
        way = share * e
        rising = r[:, :-1] + way <= r[:, 1:] + e - way
        near_start = self._lengths(way, r[:, :-1], r[:, :-1] + way)
        near_end = lengths[:, :, None] - self._lengths(e - way, r[:, 1:] + e - way, r[:, 1:])
        rise = np.where(rising, near_start, near_end)
        start = np.cumsum(lengths, axis=1) - lengths
        arc_length = (start[:, :, None] + rise).reshape(len(a), n_points)
        arc_length = np.concatenate([arc_length, lengths.sum(1, keepdims=True)], axis=1)
        arc_length = torch.as_tensor(arc_length).to(a)
        count = torch.zeros(len(a), dtype=torch.long, device=a.device)
        return Geodesics(
            points=torch.as_tensor(points * self.scale).to(a),
            arc_length=arc_length,
            length=arc_length[:, -1],
            error=torch.zeros_like(arc_length[:, -1]),
            status=count + int(Status.CONVERGED),
            n_iter=count,
            n_segments=count + n_corners - 1,
            # Shortest paths leave nothing to compare with.
            gap=torch.full_like(arc_length[:, -1], torch.inf),
        )

    def _path(self, start, end, direct):
        """Corners of the shortest path between two places, both included, (k, d), scaled.

        `direct` is the length of the straight line, which is the path if none is shorter.
        """
        graph, corners = self.graph, []
        distances, before = dijkstra(
            graph.weights, indices=start.nodes[0], return_predecessors=True
        )
        total = start.distances[0][:, None] + distances[:, end.nodes[0]] + end.distances[0]
        i, j = np.unravel_index(total.argmin(), total.shape)
        if total[i, j] < direct:
            node = end.nodes[0, j]
            while node >= 0:
                corners.append(graph.points[node])
                node = before[i, node]
        return np.array([start.points[0], *corners[::-1], end.points[0]])
