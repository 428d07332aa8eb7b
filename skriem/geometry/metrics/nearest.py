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
from scipy.spatial import cKDTree

from ...calculus.slopes import no_gradients
from ..containers import enter_weights
from ..maps.tensor_field import TensorField
from ..paths import among, medoids, power_graphs
from ..paths.grid import from_sources, through_nodes
from ..paths.neighbors import EXACT, MAX_TREE_DIMS, nearest_points
from ..paths.off_data import Ground
from ..paths.polygons import polygons
from ..solvers.solution import Geodesics, Status
from ..spaces.field import Field
from ..types import ArrayOrTensor, ArrayT, FloatArray
from .base import Metric

# Neighbours in the graph. Shortest paths over powers of lengths take short edges.
N_NEIGHBORS = 15
# Sources whose paths are looked for at once.
CHUNK = 64


class NearestTensor(TensorField):
    """The metric's tensors, which are its business."""

    def __init__(self, metric):
        self._metric = metric

    def __call__(self, z):
        return self._metric._tensors(z)


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

    Places off the data are tied to some of the points around them by straight lines, to each other
    directly where no point need be near the way, and the metric is integrated along these exactly.
    So no distance is below that of the metric by more than rounding where those between the points
    are exact, and the triangle inequality holds for powers from 2 on wherever at most one of three
    places is off the data. Between places off the data shortest curves are bent, and straight
    ones a few per cent longer, 14 at most as measured in two dimensions.

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
        super().__init__(Field(NearestTensor(self)), points.shape[1], points, fingerprint=None)
        self.fingerprint = digest.hexdigest()

    def with_points(self, points: ArrayLike) -> NearestNeighborMetric:
        """The metric of other points, with the same scale and power."""
        return NearestNeighborMetric(points, self.scale, self.power)

    def __getstate__(self):
        return {"points": self.points, "scale": self.scale, "power": self.power}

    def __setstate__(self, state):
        self.__init__(**state)

    @no_gradients()
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
            found = self._distances(A, A, one_way=True)
            return answer(torch.minimum(found, found.mT).fill_diagonal_(0.0))
        return answer(self._distances(A, self._enter(B)[0].to(A)))

    def approximate_pairwise(self, A: ArrayT, B: ArrayOrTensor | None = None) -> ArrayT:
        """The same as :meth:`pairwise`, which is fast."""
        return self.pairwise(A, B)

    def distances_to(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """The same as ``pairwise(A, B)``, to the last bit whichever other rows `A` has."""
        # Sums are rounded along the way: all ways begin at the rows of B.
        A, answer = self._enter(A)
        return answer(self._from(self._enter(B)[0].to(A), A).mT)

    def path_lengths(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """The same as :meth:`pairwise`: geodesics are paths through the graph."""
        return self.pairwise(A, B)

    @no_gradients()
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

    @cached_property
    def graph(self) -> power_graphs.PointGraph:
        """The points and the edges that paths take, as a :class:`PointGraph`."""
        points, pairs = self._scaled_points, self._sufficient_pairs
        if pairs is None:
            pairs = power_graphs.neighbor_edges(points, self._neighbors[1])
        # Of points in the unit of their spacing.
        unit = self.spacing
        weights = power_graphs.power_graph(points / unit, pairs, self.power) * unit
        return power_graphs.PointGraph(points, weights)

    @cached_property
    def _sufficient_pairs(self):
        others = self._neighbors[1][:, 1:]
        return power_graphs.sufficient_pairs(self._scaled_points, others, self.power)

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
        return power_graphs.excess_of_neighbors(self._scaled_points, N_NEIGHBORS, self.power, rng)

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

    def core_distances(self, Z: ArrayLike | None = None, n_points: int = 5) -> FloatArray:
        """Distances of the rows of `Z` to the nearest so many points, the last of them, (n,).

        Straight, in the unit of `scale`. A row that is one of the points counts itself.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims), default=None
            None takes the points.
        n_points : int, default=5

        Returns
        -------
        ndarray of shape (n,)
        """
        if Z is None and n_points <= N_NEIGHBORS:
            return self._neighbors[0][:, :n_points][:, -1]
        z = self._enter(self.points if Z is None else Z)[0].cpu().double().numpy() / self.scale
        return nearest_points(self._scaled_points, z, n_points)[0][:, -1]

    @no_gradients()
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

    @no_gradients()
    def paths(self, Z: ArrayLike) -> among.Paths:
        """Shortest paths between the rows of `Z`, for clusters among them."""
        return among.paths_between(self.graph.weights, self._tie(self._enter(Z)[0])[0])

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

    @cached_property
    def _ground(self):
        return Ground(self._scaled_points, self.spacing, self.power)

    def _tensors(self, z):
        at = (z / torch.tensor(self.scale).to(z)).cpu().double().numpy()
        nearest = torch.as_tensor(nearest_points(self._scaled_points, at, 1)[0][:, 0]).to(z)
        factor = self.power * (2.0 * nearest / self.spacing) ** (self.power - 1.0)
        factor = factor.square()[:, None]
        return torch.diag_embed(factor / torch.as_tensor(self.scale**2).to(z))

    def _tie(self, z):
        """Rows of a tensor tied to the points around them, and how far the nearest are."""
        return self._ground.tie(z.cpu().double().numpy() / self.scale)

    def _distances(self, a, b, one_way=False):
        """Distances between all rows of two tensors, (n, m).

        If they are the same, straight lines may be looked at one way, above the diagonal.
        """
        return self._from(b, a).mT if len(a) > len(b) else self._from(a, b, one_way)

    def _from(self, a, b, one_way=False):
        sources, r_sources = self._tie(a)
        targets, r_targets = (sources, r_sources) if one_way else self._tie(b)
        result = np.empty((len(a), len(b)))
        for first in range(0, len(a), CHUNK):
            rows = slice(first, first + CHUNK)
            part = sources.rows(rows)
            through = through_nodes(from_sources(self.graph.weights, part), targets)
            above = first + 1 if one_way else -len(a)
            direct = self._direct(part.points, targets.points, r_sources[rows], r_targets, above)
            result[rows] = np.minimum(through, direct)
        return torch.as_tensor(result).to(a)

    def _direct(self, a, b, r_a, r_b, above=-1):
        """Lengths of the straight lines between all places that can be the shortest, (n, m).

        The others are infinite, as are those below a diagonal of the table. Places are `r_a` and
        `r_b` from the nearest points.
        """
        apart = torch.cdist(*map(torch.as_tensor, (a, b)), compute_mode=EXACT).numpy()
        reach = r_a[:, None] + r_b
        found = np.full_like(apart, np.inf)
        if self._sufficient_pairs is None:
            # Edges may be missing; with a power of 1 there is nothing but straight lines.
            edges = (reach == 0.0) | (self.power == 1.0)
            found[edges] = self._ground.at_most(apart, r_a[:, None], r_b)[edges]
        # Where the balls without points around two places are apart, the way by them is no longer.
        i, j = np.nonzero(np.triu(apart <= reach, above))
        found[i, j] = self._ground.along(a[i], b[j])
        return found

    def _between(self, a, b, tol, max_iter):
        """Geodesics between the rows of two tensors; always found."""
        (first, r_first), (last, r_last) = self._tie(a), self._tie(b)
        direct = [
            self._direct(*(x[i : i + 1] for x in (first.points, last.points, r_first, r_last)))
            for i in range(len(a))
        ]
        points, arc_length, n_pieces = polygons(self._ground, self.graph, first, last, direct)
        arc_length = torch.as_tensor(arc_length).to(a)
        count = torch.zeros(len(a), dtype=torch.long, device=a.device)
        return Geodesics(
            points=torch.as_tensor(points * self.scale).to(a),
            arc_length=arc_length,
            length=arc_length[:, -1],
            error=torch.zeros_like(arc_length[:, -1]),
            status=count + int(Status.CONVERGED),
            n_iter=count,
            n_segments=count + n_pieces,
            # Shortest paths leave nothing to compare with.
            gap=torch.full_like(arc_length[:, -1], torch.inf),
        )
