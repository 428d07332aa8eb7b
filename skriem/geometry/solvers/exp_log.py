"""Exponential and logarithmic map, and parallel transport, for points and curves at hand."""

import torch

from .geodesics import N_SUB
from .ode import integrate
from .relax import regularised

# Relative error of each step of an exponential map, by dtype.
STEP_TOL = {torch.float64: 1e-10, torch.float32: 1e-5}
MAX_STEPS = 10_000
# Accuracy of the curves that logarithms are read from; shooting improves on it.
CURVE_TOL = 1e-3
MAX_SHOTS = 20
N_HALVINGS = 6


def exp(space, z, velocity, step_tol=None, max_steps=MAX_STEPS):
    """Follow geodesics for unit time.

    Parameters
    ----------
    z, velocity : Tensor of shape (n, d)
    step_tol : float or None
        Relative error of each step. None: as small as the dtype allows.
    max_steps : int
        Trajectories that need more are not finished.

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
        derivative,
        state[moving],
        speed[moving],
        step_tol or STEP_TOL[z.dtype],
        max_steps,
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
    hit = geodesics.length == 0
    if tol >= CURVE_TOL:
        return velocity, geodesics.converged
    active = torch.nonzero(~hit & velocity.isfinite().all(1)).squeeze(1)
    shot = velocity[active]
    target = geodesics.length[active] * tol
    at_end = space.tensor(w[active])

    def miss(points, rows):
        offset = points - w[active[rows]]
        size = (offset * (at_end[rows] @ offset[..., None]).squeeze(-1)).sum(1).sqrt()
        return offset, size.nan_to_num(nan=torch.inf)

    everyone = torch.arange(len(active), device=z.device)
    offset, size = miss(exp(space, z[active], shot)[0], everyone)
    going = everyone[(size > target) & size.isfinite()]
    jacobian, fresh = at_end.clone(), torch.zeros_like(going, dtype=torch.bool)
    for _ in range(MAX_SHOTS):
        if len(going) == 0:
            break
        # A derivative serves for as long as it makes the miss much smaller.
        old = going[~fresh]
        if len(old):
            ends = offset[old] + w[active[old]]
            jacobian[old] = _end_derivative(space, z[active[old]], shot[old], ends)
        before = size[going]
        step = torch.linalg.solve_ex(jacobian[going], -offset[going][..., None])[0].squeeze(-1)
        left = torch.arange(len(going), device=z.device)
        for halving in range(N_HALVINGS):
            rows = going[left]
            trial = shot[rows] + 0.5**halving * step[left]
            trial_offset, trial_size = miss(exp(space, z[active[rows]], trial)[0], rows)
            better = trial_size < size[rows]
            won = rows[better]
            shot[won], size[won] = trial[better], trial_size[better]
            offset[won] = trial_offset[better]
            left = left[~better]
            if len(left) == 0:
                break
        fresh = size[going] < 0.1 * before
        go_on = (size[going] < before) & (size[going] > target[going])
        going, fresh = going[go_on], fresh[go_on]
    # A shot that went round another way is a different geodesic.
    ours = norm(space, z[active], shot) <= (1.0 + 10.0 * CURVE_TOL) * geodesics.length[active]
    met = (size <= target) & ours
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


def _end_derivative(space, z, velocity, ends):
    """Derivative of the exponential map over the velocity, by differences, (n, d, d)."""
    n, d = z.shape
    size = STEP_TOL[z.dtype] ** 0.5 * velocity.abs().amax(1)
    moves = size[:, None, None] * torch.eye(d, dtype=z.dtype, device=z.device)
    moved = exp(space, z.repeat_interleave(d, dim=0), (velocity[:, None] + moves).flatten(0, 1))[0]
    return ((moved.unflatten(0, (n, d)) - ends[:, None]) / size[:, None, None]).mT


def norm(space, z, velocity):
    """Lengths of tangent vectors, (n,)."""
    return (velocity * (space.tensor(z) @ velocity[..., None]).squeeze(-1)).sum(1).sqrt()
