"""Geodesics between two points as initial velocities: Newton's method on legs of a curve.

Followed from its start, a geodesic strays the further the longer it is, and every step waits for
the one before. Here a curve that is nearly a geodesic is cut into legs, all are followed at once
from where the curve is, and the places and velocities at the joints are moved until each leg ends
where the next begins (multiple shooting).
"""

import torch

from ..chunks import BUDGET
from .ode import N_SLOPES, integrate

N_LEGS = 16
# How far from a joint the curve's velocity is read, in legs.
BESIDE = 0.25
# The least miss that a dtype allows for, and errors of steps as a share of what is allowed.
LEAST_TOL, SHARE = {torch.float64: 1e-9, torch.float32: 1e-4}, 0.1
# Derivatives over the starts of legs are differences of this size, relative to a leg.
DIFFERENCE = {torch.float64: 1e-4, torch.float32: 1e-2}
MAX_ITER, MAX_STEPS = 20, 25
# A derivative serves for as long as it makes the gaps so much smaller. Steps that make them
# larger are halved, down to so much.
GAIN, LEAST_STEP = 0.1, 2.0**-4


def shoot(space, b, geodesics, velocity, tol):
    """Velocities at their starts of the geodesics near curves that end at `b`.

    Parameters
    ----------
    space : Space
    b : Tensor of shape (n, d)
    geodesics : Geodesics
        The curves.
    velocity : Tensor of shape (n, d)
        Roughly, their velocities at the start.
    tol : float
        Largest miss of the end point, in the metric, relative to the length; more where the
        dtype asks for it.

    Returns
    -------
    velocity : Tensor of shape (n, d)
        As far as the search came.
    hit : Tensor of shape (n,) bool
    """
    n, d = b.shape
    tol = max(tol, LEAST_TOL[b.dtype])
    velocity, hit = velocity.clone(), torch.zeros(n, dtype=torch.bool, device=b.device)
    # Places and velocities of every leg, and the same with a difference in each of these.
    size = max(1, BUDGET // (N_SLOPES * 2 * d * N_LEGS * (2 * d + 1)))
    for rows in torch.arange(n, device=b.device).split(size):
        curves = geodesics.rows(rows)
        velocity[rows], hit[rows] = _shoot(space, b[rows], curves, velocity[rows], tol)
    return velocity, hit


def _shoot(space, b, geodesics, velocity, tol):
    d, legs = b.shape[1], _legs(geodesics, velocity)
    step_tol = SHARE * tol
    ends = torch.cat([legs[:, 1:, :d], b[:, None]], dim=1)
    tensors = space.tensor(ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
    slopes, steps = legs.new_zeros(*legs.shape, 2 * d), torch.zeros_like(legs)
    share, sizes = torch.ones_like(velocity[:, :1, None]), torch.full_like(b[:, 0], torch.inf)
    target = tol * geodesics.length
    going = torch.arange(len(b), device=b.device)
    for _ in range(MAX_ITER):
        if len(going) == 0:
            break
        trial = legs[going] + share[going] * steps[going]
        gaps = _gaps(trial, _follow(space, trial, step_tol), b[going])
        size = _size(gaps, _newton(slopes[going], gaps)[1], tensors[going])
        better = size < sizes[going]
        won, lost = going[better], going[~better]
        slow = (size[better] > GAIN * sizes[won]) | sizes[won].isinf()
        legs[won] = trial[better]
        if slow.any():
            slopes[won[slow]] = _slopes(space, legs[won[slow]])
        steps[won], miss = _newton(slopes[won], gaps[better])
        sizes[won], share[won] = _size(gaps[better], miss, tensors[won]), 1.0
        share[lost] /= 2.0
        on = (sizes[won] > target[won]) & steps[won].isfinite().all(2).all(1)
        going = torch.cat([won[on], lost[share[lost, 0, 0] >= LEAST_STEP]])
    return N_LEGS * legs[:, 0, d:], sizes <= target


def _gaps(legs, reached, b):
    """From the starts of legs to the ends of those before, of the last from its place alone."""
    d = b.shape[1]
    last = torch.cat([b, reached[:, -1, d:]], dim=1)
    return reached - torch.cat([legs[:, 1:], last[:, None]], dim=1)


def _legs(geodesics, velocity):
    """Places and velocities at the starts of legs, each of unit time, (n, N_LEGS, 2 d)."""
    t = torch.arange(N_LEGS, dtype=velocity.dtype, device=velocity.device)
    beside = BESIDE * (t > 0)
    places, ahead, behind = (geodesics.curve((t + side) / N_LEGS) for side in (0, beside, -beside))
    along = (ahead - behind) / (2.0 * BESIDE)
    along[:, 0] = velocity / N_LEGS
    return torch.cat([places, along], dim=2)


def _follow(space, legs, step_tol):
    """Places and velocities at the ends of legs (..., 2 d), NaN where they are not reached."""
    state = legs.flatten(0, -2)
    d = state.shape[1] // 2

    def derivative(at):
        return torch.cat([at[:, d:], space.acceleration(at[:, :d], at[:, d:])], dim=1)

    speed = state[:, d:].abs().amax(1, keepdim=True)
    end, finished = integrate(derivative, state, speed, step_tol, MAX_STEPS, 1.0)
    return torch.where(finished[:, None], end, torch.nan).view(legs.shape)


def _slopes(space, legs):
    """Derivatives of the ends of legs over their starts, by differences, (n, N_LEGS, 2 d, 2 d)."""
    k, difference = legs.shape[2], DIFFERENCE[legs.dtype]
    sizes = difference * legs[..., k // 2 :].abs().amax(2)[..., None, None]
    moves = sizes * torch.eye(k, dtype=legs.dtype, device=legs.device)
    moved = torch.cat([legs[:, :, None], legs[:, :, None] + moves], dim=2)
    ends = _follow(space, moved, difference**2)
    return ((ends[:, :, 1:] - ends[:, :, :1]) / sizes).mT


def _newton(slopes, gaps):
    """Steps of the starts of legs that close all gaps to first order.

    Returns
    -------
    steps : Tensor of shape (n, N_LEGS, 2 d)
    miss : Tensor of shape (n, d)
        How far from the last place they lead without these steps.
    """
    n, n_legs, k = gaps.shape
    d = k // 2
    # What each start moves by: an offset, and its derivatives over the first velocity.
    offset, spread = gaps.new_zeros(n, k), torch.eye(k, dtype=gaps.dtype, device=gaps.device)
    spread = spread[:, d:].expand(n, k, d)
    moved = []
    for leg in range(n_legs):
        moved.append((offset, spread))
        slope = slopes[:, leg]
        offset = (slope @ offset[..., None]).squeeze(-1) + gaps[:, leg]
        spread = slope @ spread
    miss = offset[:, :d]
    first = -torch.linalg.solve_ex(spread[:, :d], miss[..., None])[0]
    steps = [offset + (spread @ first).squeeze(-1) for offset, spread in moved]
    return torch.stack(steps, dim=1), miss


def _size(gaps, miss, tensors):
    """Length of the largest gap, counting the miss at the end, (n,); infinite if unknown."""
    d = miss.shape[1]
    vectors = torch.cat([gaps[..., :d], gaps[..., d:], miss[:, None]], dim=1)
    tensors = torch.cat([tensors, tensors, tensors[:, -1:]], dim=1)
    squares = (vectors * (tensors @ vectors[..., None]).squeeze(-1)).sum(-1)
    return squares.amax(1).clamp(min=0.0).sqrt().nan_to_num(nan=torch.inf)
