"""Exponential and logarithmic map, and parallel transport, for points and curves at hand."""

import torch

from .geodesics import N_SUB
from .ode import integrate
from .relax import regularised
from .shooting import shoot

# Relative error of each step of an exponential map, by dtype; one that needs more steps than this
# is not finished.
STEP_TOL = {torch.float64: 1e-9, torch.float32: 1e-5}
MAX_STEPS = 2_000
# Accuracy of the curves that logarithms are read from; shooting improves on it.
CURVE_TOL = 1e-3


def exp(space, z, velocity):
    """Follow geodesics for unit time.

    Parameters
    ----------
    z, velocity : Tensor of shape (n, d)

    Returns
    -------
    points : Tensor of shape (n, d)
        NaN where not finished.
    finished : Tensor of shape (n,) bool
    """
    d = z.shape[1]

    def derivative(state):
        at, along = state[:, :d], state[:, d:]
        return torch.cat([along, space.acceleration(at, along)], dim=1)

    # In time 1 the coordinates move by about the velocity's size.
    speed = velocity.abs().amax(1, keepdim=True)
    moving = speed[:, 0] > 0
    state = torch.cat([z, velocity], dim=1)
    end, finished = integrate(
        derivative, state[moving], speed[moving], STEP_TOL[z.dtype], MAX_STEPS
    )
    points, all_finished = z.clone(), ~moving
    points[moving] = torch.where(finished[:, None], end[:, :d], torch.nan)
    all_finished[moving] = finished
    return points, all_finished


def log(space, z, w, geodesics, tol):
    """Initial velocities of geodesics, sharpened by shooting.

    Parameters
    ----------
    z, w : Tensor of shape (n, d)
    geodesics : Geodesics
        From the rows of `z` to those of `w`.
    tol : float
        Largest miss of the end point, in the metric, relative to the length.

    Returns
    -------
    velocity : Tensor of shape (n, d)
    hit : Tensor of shape (n,) bool
        Whether the end point was met. Other velocities are those of the curve.
    """
    velocity = velocities(space, z, geodesics)
    if tol >= CURVE_TOL:
        return velocity, geodesics.converged
    hit = geodesics.length == 0
    active = torch.nonzero(~hit & velocity.isfinite().all(1)).squeeze(1)
    curves = geodesics.rows(active)
    shot, met = shoot(space, w[active], curves, velocity[active], tol)
    # A shot that went round another way is a different geodesic.
    met &= norm(space, z[active], shot) <= (1.0 + 10.0 * CURVE_TOL) * curves.length
    velocity[active[met]] = shot[met]
    hit[active[met]] = True
    return velocity, hit


def transport(space, points, vectors):
    """Parallel transport along curves given by points (n, N+1, d), from first to last.

    Every step carries vectors to the next tangent space to second order and is then replaced
    by the nearest isometry, so inner products are kept exactly.
    """
    n, n_points, d = points.shape
    flat = points.flatten(0, 1)
    factor = torch.linalg.cholesky_ex(regularised(space.tensor(flat)))[0].unflatten(
        0, (n, n_points)
    )
    steps = space.transfer(points[:, :-1].flatten(0, 1), points[:, 1:].flatten(0, 1))
    steps = steps.unflatten(0, (n, n_points - 1))
    # In orthonormal frames: whiten the vectors with L' before and after.
    before = torch.linalg.solve_triangular(factor[:, :-1], steps.mT, upper=False).mT
    left, _, right = torch.linalg.svd(factor[:, 1:].mT @ before)
    turns = left @ right
    frame = factor[:, 0].mT @ vectors[..., None]
    while turns.shape[1] > 1:
        if turns.shape[1] % 2:
            eye = torch.eye(d, dtype=turns.dtype, device=turns.device).expand(n, 1, d, d)
            turns = torch.cat([turns, eye], dim=1)
        turns = turns[:, 1::2] @ turns[:, ::2]
    arrived = turns[:, 0] @ frame
    return torch.linalg.solve_triangular(factor[:, -1].mT, arrived, upper=True).squeeze(-1)


def velocities(space, z, geodesics):
    """Velocities at the start of curves, of the curves' lengths, (n, d)."""
    velocity = torch.zeros_like(z)
    n_points = geodesics.points.shape[1] - 1
    for n_segments in geodesics.n_segments.unique().tolist():
        rows = torch.nonzero(geodesics.n_segments == n_segments).squeeze(1)
        nodes = geodesics.points[rows][:, :: n_points // n_segments]
        velocity[rows] = initial_velocity(space, nodes, N_SUB, geodesics.length[rows])
    return velocity


def initial_velocity(space, nodes, n_sub, length):
    """Velocities at the start of relaxed polylines (n, T+1, d), of the given lengths, (n, d).

    What the energy loses when the first node moves is the velocity there, lowered with the
    metric; where the curve has least energy that is an order more accurate than the first
    difference of its nodes.
    """
    momentum = -space.expand(nodes[:, :2], n_sub).gradient[:, 0]
    tensor = regularised(space.tensor(nodes[:, 0]))
    velocity = torch.linalg.solve_ex(tensor, momentum[..., None])[0].squeeze(-1)
    size = norm(space, nodes[:, 0], velocity)
    return velocity * (length / size.clamp(min=torch.finfo(size.dtype).tiny))[:, None]


def norm(space, z, velocity):
    """Lengths of tangent vectors, (n,)."""
    return (velocity * (space.tensor(z) @ velocity[..., None]).squeeze(-1)).sum(1).sqrt()
