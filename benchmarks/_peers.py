"""What else finds geodesics of a decoder: stochman, GEORCE and SciPy's `solve_bvp`.

All return :class:`Curves`, as the rows of the tables in ``geodesics.py`` do.
"""

from collections.abc import Callable
from typing import NamedTuple

import _georce
import numpy as np
import torch
from scipy.integrate import solve_bvp

# Of solve_bvp. The mesh it starts from is the one that stochman's wrapper of it uses, too.
BVP_MESH, BVP_NODES, BVP_TOL = 30, 1000, 1e-2
# Points on each curve at which stochman evaluates the decoder, its default.
STOCHMAN_GRID = 20


class Curves(NamedTuple):
    """What a method found for n pairs of points."""

    at: Callable  # (row, t) -> points of this curve at these parameters, (s, d)
    converged: np.ndarray  # (n,) bool, what the method itself says
    n_points: float  # points per curve that it returns or works with
    dtype: torch.dtype  # that it works in


def stochman(metric, a, b, batch=None):
    """`connecting_geodesic` for all pairs in one call or in batches, in float32 as by default.

    The manifold is stochman's documented one for a decoder: a subclass of `EmbeddedManifold`
    that says how to `embed`. The curve is a cubic spline of 4 pieces that starts as the
    straight line; Adam with step size 0.1 takes at most 150 steps down the energy of 20 points.
    It stops, and calls this success, when no entry of the gradient of any curve in the call is
    above 1e-4.
    """
    from stochman.manifold import EmbeddedManifold

    class Decoder(EmbeddedManifold):
        def embed(self, points, jacobian=False):
            return metric.embed(points.flatten(0, -2)).unflatten(0, points.shape[:-1])

    manifold, batch = Decoder(), batch or len(a)
    a, b = (torch.as_tensor(z, dtype=torch.float32).split(batch) for z in (a, b))
    found = [manifold.connecting_geodesic(*ends) for ends in zip(a, b)]

    @torch.no_grad()
    def at(row, t):
        curve = found[row // batch][0][row % batch : row % batch + 1]
        return curve(torch.as_tensor(t, dtype=torch.float32)).double().numpy()

    converged = [np.full(len(curve), bool(success)) for curve, success in found]
    return Curves(at, np.concatenate(converged), STOCHMAN_GRID, torch.float32)


def georce(metric, a, b, batch=None):
    """The published step in batches, from the straight line; see ``_georce.py``."""
    ends = [torch.as_tensor(z).split(batch or len(a)) for z in (a, b)]
    points, converged = map(
        np.concatenate, zip(*(_georce.georce(metric, *part) for part in zip(*ends)))
    )

    def at(row, t):
        curve = points[row]
        steps = np.linspace(0.0, 1.0, len(curve))
        return np.stack([np.interp(t, steps, column) for column in curve.T], axis=1)

    return Curves(at, converged, _georce.N_INTERVALS + 1, torch.float64)


def bvp(metric, a, b):
    """The geodesic equation as a boundary value problem, one pair at a time, from the line.

    Where `solve_bvp` gives up the curve is the line, as in the code of *Latent Space Oddity*.
    """

    def solve(start, end):
        def boundary(first, last):
            return np.concatenate([first[: len(start)] - start, last[: len(end)] - end])

        t = np.linspace(0.0, 1.0, BVP_MESH)
        line = np.outer(start, 1.0 - t) + np.outer(end, t)
        velocity = np.repeat((end - start)[:, None], BVP_MESH, axis=1)
        return solve_bvp(
            lambda _, state: geodesic_system(metric, state),
            boundary,
            t,
            np.concatenate([line, velocity]),
            tol=BVP_TOL,
            max_nodes=BVP_NODES,
        )

    found = [solve(start, end) for start, end in zip(a, b)]

    def at(row, t):
        if found[row].success:
            return found[row].sol(t)[: a.shape[1]].T
        return a[row] + t[:, None] * (b - a)[row]

    converged = np.array([one.success for one in found])
    return Curves(at, converged, np.mean([len(one.x) for one in found]), torch.float64)


@torch.no_grad()
def geodesic_system(metric, state):
    """Velocity and acceleration of a geodesic at many states (position, velocity), (2 d, n).

    A geodesic does not accelerate within the embedded manifold: c'' = -M^-1 J D2g[c', c'] with
    the embedding g, its Jacobian J and the metric tensor M = J J'.
    """
    if not np.isfinite(state).all():
        return np.full_like(state, np.nan)
    position, velocity = (torch.as_tensor(part.T.copy()) for part in np.split(state, 2))

    def along(z, direction):
        return torch.func.jvp(metric.embed, (z,), (direction,))[1]

    def column(direction):
        return along(position, direction.expand_as(position))

    jacobian = torch.func.vmap(column)(torch.eye(position.shape[1], dtype=position.dtype))
    bend = torch.func.jvp(lambda z: along(z, velocity), (position,), (velocity,))[1]
    tensor = torch.einsum("ino,jno->nij", jacobian, jacobian)
    force = torch.einsum("ino,no->ni", jacobian, bend)
    acceleration = -torch.linalg.solve_ex(tensor, force)[0]
    return torch.cat([velocity, acceleration], dim=1).numpy().T
