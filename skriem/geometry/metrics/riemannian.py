"""What metrics offer that are tensors varying smoothly: tangent vectors, curvature, means."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...calculus.slopes import no_gradients
from ..callers import warn
from ..containers import enter_weights
from ..paths.graph import attach, build_graph, graph_distances, measure_in, starting_curves
from ..paths.grid import Cells, cells_around
from ..solvers import exp_log as maps
from ..solvers.frechet_mean import centered, frechet_means, lower_beside
from ..solvers.relax import relax_best
from ..solvers.routes import choose_routes
from ..solvers.search import Spaces, find_geodesics, tabulated
from ..solvers.shooting import LEAST_TOL
from ..solvers.shortcuts import Shortcuts
from ..solvers.solution import Geodesics
from ..spaces.base import Space
from ..types import ArrayOrTensor, ArrayT
from .base import ConvergenceWarning, Metric, warn_unconverged

MEAN_LEVEL = (16, 4)  # segments of curves to a mean, and chords of each
CLOSER_TOL = 1e-6  # of the curves that logarithms are read from where a first try failed
MAX_LEFT = 3  # times that a mean is left for a better point beside it
MAX_CELL_DIMS = 2  # where there are grids to integrate on
CURVE_BUDGET = 2**25  # numbers that a batch of curves holds
CACHED = ("graph", "shortcuts", "_cells", "_routes", "_spaces")  # left out of pickles


class RiemannianMetric(Metric):
    """Base of all Riemannian metrics: positive definite tensors that vary smoothly.

    Attributes
    ----------
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
        Points where the metric is meant to be used.
    fingerprint : str
        Metrics with equal fingerprints are equal.
    """

    def __init__(
        self,
        space: Space | None,
        n_dims: int,
        points: ArrayLike | None,
        tabulate: bool,
        fingerprint: str | None,
    ) -> None:
        super().__init__(space, n_dims, points, fingerprint)
        self._tabulate = bool(tabulate)
        # The table belongs to where the metric was first used, whatever graph is put on it.
        self._region = self.points

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k not in CACHED}

    @no_gradients()
    def scalar_curvature(self, Z: ArrayT) -> ArrayT:
        """Scalar curvature of a two-dimensional metric, twice its Gaussian curvature.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)

        Returns
        -------
        (n,)
        """
        if self.n_dims != 2:
            raise ValueError(
                f"scalar_curvature is for metrics of 2 dimensions; this one has {self.n_dims}."
            )
        Z, answer = self._enter(Z)
        return answer(self._space.scalar_curvature(Z))

    @no_gradients()
    def frechet_mean(
        self,
        Z: ArrayT,
        sample_weight: ArrayOrTensor | None = None,
        tol: float = 1e-6,
        max_iter: int = 100,
    ) -> ArrayT:
        """Point with the least weighted sum of squared geodesic distances, (n_dims,).

        No point near it has less. Others, far from it, may be as good or better, as where points
        lie around a hill; the search starts at the row nearest to the weighted average. In up to
        three dimensions it leaves saddles, from which there are two ways to some points, for
        better points beside them.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights; None weighs all points alike.
        tol : float, default=1e-6
            Largest norm of the average of the logarithms at the mean, relative to the root of
            the mean squared distance. From 1e-3 on the mean is that of the curves at hand, and
            much cheaper.
        max_iter : int, default=100
            Steps of the mean, and Newton iterations of the curves to it.

        Returns
        -------
        (n_dims,)

        Warns
        -----
        ConvergenceWarning
            If the search ended early.
        """
        z, answer = self._enter(Z)
        weights = enter_weights(sample_weight, z)
        average = (weights[:, None] * z).sum(0) / weights.sum()
        guess = z[(z - average).square().sum(1).argmin()]
        mean, converged = self._mean_from(guess, z, weights, tol, max_iter)
        tol = max(tol, 10.0 * LEAST_TOL[z.dtype])
        if tol < maps.CURVE_TOL:
            exactly = self._space, self._between
            for _ in range(MAX_LEFT):
                guess = lower_beside(*exactly, mean, z, weights, max_iter)
                if guess is None:
                    break
                mean, _ = self._mean_from(guess[0], z, weights, tol, max_iter)
            mean, converged = centered(*exactly, mean, z, weights, tol, max_iter)
        if not converged.all():
            warn(
                "The Fréchet mean did not converge to the tolerance: it is as accurate as curves "
                f"of {MEAN_LEVEL[0]} segments are. Raise max_iter or loosen tol.",
                ConvergenceWarning,
            )
        return answer(mean[0])

    def _mean_from(self, guess, z, weights, tol, max_iter):
        """Where the search for a mean leads from a point, (1, d), and whether it has converged."""
        space = self.space_for(z)
        n_segments, n_sub = MEAN_LEVEL
        starts = starting_curves(space, self.graph, z, guess.expand_as(z), n_segments)
        nodes = relax_best(space, starts, n_sub, tol, max_iter).nodes
        groups = torch.zeros(len(z), dtype=torch.long, device=z.device)
        nodes, _, converged = frechet_means(space, nodes, n_sub, groups, weights, 1, tol, max_iter)
        return nodes[:1, -1], converged

    # Tangent vectors ---------------------------------------------------------------------

    @no_gradients()
    def exp(self, Z: ArrayT, V: ArrayOrTensor) -> ArrayT:
        """Exponential map: where geodesics from `Z` with velocities `V` are after unit time.

        Parameters
        ----------
        Z, V : array-like of shape (n, n_dims)
            Points, and tangent vectors at them in coordinates.

        Returns
        -------
        (n, n_dims)
            NaN where the geodesic could not be followed to the end.

        Warns
        -----
        ConvergenceWarning
            Once, with a count, if there are such.
        """
        (Z, V), answer = self._enter_pairs(Z, V, "V")
        points, finished = maps.exp(self._space, Z, V)
        if not finished.all():
            warn(
                f"{int((~finished).sum())} of {len(Z)} geodesics could not be followed to their "
                "end and are NaN: the metric is not finite there or varies too fast.",
                ConvergenceWarning,
            )
        return answer(points)

    @no_gradients()
    def log(self, Z: ArrayT, W: ArrayOrTensor, tol: float = 1e-8, max_iter: int = 100) -> ArrayT:
        """Logarithmic map: initial velocities of the geodesics from `Z` that are at `W` after 1.

        Geodesics are found as in :meth:`geodesic`; their direction is then corrected until
        ``exp`` meets `W` (shooting).

        Parameters
        ----------
        Z, W : array-like of shape (n, n_dims)
        tol : float, default=1e-8
            How far from `W` the geodesic may end, relative to its length; in single precision
            1e-4 at the least. Above 1e-3 the shooting is left out.
        max_iter : int, default=100
            Newton iterations of :meth:`geodesic` at each resolution.

        Returns
        -------
        (n, n_dims)
            Tangent vectors at `Z`, in coordinates; their metric norm is the distance.

        Warns
        -----
        ConvergenceWarning
            Once, with counts, if a geodesic did not converge or could not be hit to `tol`.
            These vectors are those of the curve found, as accurate as its tolerance.
        """
        (z, w), answer = self._enter_pairs(Z, W, "W")
        geodesics = self._between(z, w, max(tol, maps.CURVE_TOL), max_iter)
        warn_unconverged(geodesics)
        velocity, hit = maps.log(self._space, z, w, geodesics, tol)
        again = torch.nonzero(~hit & geodesics.converged).squeeze(1)
        if len(again):
            # Near the antipode, curves that are nearly as short lie far off.
            closer = self._between(z[again], w[again], CLOSER_TOL, max_iter)
            velocity[again], hit[again] = maps.log(self._space, z[again], w[again], closer, tol)
        missed = int((~hit & geodesics.converged).sum())
        if missed:
            warn(
                f"{missed} of {len(z)} directions are no more accurate than the curve they were "
                "read from: shooting along them did not meet the end point to the tolerance. "
                "Loosen tol.",
                ConvergenceWarning,
            )
        return answer(velocity)

    @no_gradients()
    def transport(self, geodesic: Geodesics, V: ArrayT) -> ArrayT:
        """Parallel transport of tangent vectors from the start to the end of curves.

        Parameters
        ----------
        geodesic : Geodesics
            n curves, from :meth:`geodesic`.
        V : array-like of shape (n, n_dims)
            Tangent vectors at their starts, in coordinates.

        Returns
        -------
        (n, n_dims)
            Tangent vectors at their ends. Inner products are kept to rounding.
        """
        v, answer = self._enter(V)
        points = torch.as_tensor(geodesic.points).to(v)
        if len(points) != len(v):
            raise ValueError(f"{len(points)} geodesics need as many vectors, got {len(v)}.")
        return answer(maps.transport(self._space, points, v))

    # Searching ---------------------------------------------------------------------------

    @cached_property
    def graph(self) -> Any:
        """Neighbour graph over `points`, or None without points."""
        if self.points is None:
            return None
        table = self._spaces.table
        return build_graph(self._space if table is None else table.space, self.points)

    @no_gradients()
    def path_lengths(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """Lengths of shortest paths through the graph between all rows of `A` and of `B`.

        Much cheaper than geodesics, and never shorter.

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims)

        Returns
        -------
        (n, m)
        """
        (a, answer), (b, _) = self._enter(A), self._enter(B)
        if self.graph is None:
            raise ValueError("This metric has no points to build a graph on; see with_points.")
        tied = (attach(measure_in(self.space_for(z)), self.graph, z) for z in (a, b))
        return answer(torch.as_tensor(graph_distances(self.graph, *tied)).to(a))

    @no_gradients()
    def lower_bounds(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """Numbers that no distance between rows of `A` and rows of `B` is below.

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims)

        Returns
        -------
        (n, m)
        """
        (A, answer), (B, _) = self._enter(A), self._enter(B)
        return answer(self._space.lower_bounds(A, B))

    @no_gradients()
    def approximate_pairwise(self, A: ArrayT, B: ArrayOrTensor | None = None) -> ArrayT:
        """Geodesic distances between all rows of `A` and all rows of `B` (or `A`), roughly.

        Paths along a grid in up to 3 dimensions, the shorter of a straight line and a path
        through the graph in more, corrected by what exact geodesics between a sample of
        `points` are shorter. Much faster than :meth:`pairwise` where there are many.

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims), default=None
            None takes `A`.

        Returns
        -------
        (n, m)
        """
        (A, answer) = self._enter(A)
        if B is None:
            found = self.shortcuts.distances(A, A)
            found = torch.minimum(found, found.mT)
            return answer(found.fill_diagonal_(0.0))
        return answer(self.shortcuts.distances(A, self._enter(B)[0].to(A)))

    @cached_property
    def shortcuts(self) -> Shortcuts:
        """What :meth:`approximate_pairwise` works with."""
        return self.make_shortcuts()

    def make_shortcuts(self, use_grid: bool = True) -> Shortcuts:
        """Approximate distances along paths of a grid, where there can be one, or the graph."""
        if self.points is None:
            raise ValueError("This metric has no points to find paths around; see with_points.")
        return Shortcuts(self._spaces, self._routes, self.graph, self.points, use_grid)

    def cells(self, n_cells: int) -> Cells | None:
        """What to integrate on around `points`; None without any and in more than 2 dimensions.

        `n_cells` is how many there are along the longest side, in one dimension its root.
        """
        if self.points is None or self.n_dims > MAX_CELL_DIMS:
            return None
        if n_cells not in self._cells:
            self._cells[n_cells] = cells_around(self._spaces, self.points, n_cells)
        return self._cells[n_cells]

    @cached_property
    def _cells(self):
        return {}

    def space_for(self, *points: Tensor) -> Space:
        """The cheapest space to solve in that covers all `points` and is accurate to 1e-2."""
        return self._spaces.for_loops(*points)

    def segment_lengths(self, A: Tensor, B: Tensor) -> Any:
        """Lengths of the straight segments between the rows of two tensors, (n,) array."""
        return self._spaces.segment_lengths(A, B)

    def spaces_for(self, points: Tensor) -> list[tuple[Tensor, Space]]:
        """The cheapest such space for each row: pairs of rows and space, one or two."""
        return self._spaces.split(points)

    @cached_property
    def _routes(self):
        return choose_routes(self._spaces, self.graph, self.points, self.n_dims)

    @cached_property
    def _spaces(self):
        """The space, with cheap ones that are nearly the same where there are any."""
        table = cheaper = None
        if self._region is not None:
            if self._tabulate:
                table = tabulated(self._space, self._region)
            cheaper = self._space.cheaper(self._region) if table is None else None
        return Spaces(self._space, table, cheaper)

    def _derived(self, other):
        """Make `other`, a new metric, this one with other points."""
        other.fingerprint = self.fingerprint
        if self._region is not None:
            other._region = self._region
        if "_spaces" in self.__dict__:
            other.__dict__["_spaces"] = self._spaces
        return other

    def _between(self, a, b, tol, max_iter):
        """Geodesics between the rows of two tensors, in batches that fit into memory."""
        per_curve = self._routes.resolution.levels[-1] * (6 * self.n_dims**2 + 8 * self.n_dims)
        size = max(1, CURVE_BUDGET // per_curve)
        parts = [
            find_geodesics(self._spaces, self._routes, part_a, part_b, tol, max_iter)
            for part_a, part_b in zip(a.split(size), b.split(size))
        ]
        return parts[0] if len(parts) == 1 else Geodesics(*map(torch.cat, zip(*parts)))
