"""Geodesics between two points as initial velocities: Newton's method on legs of a curve.

Followed from its start, a geodesic strays the further the longer it is, and every step waits for
the one before. Here a curve that is nearly a geodesic is cut into legs, all are followed at once
from where the curve is, and the places and velocities at the joints are moved until each leg ends
where the next begins (multiple shooting).
"""

import torch

from .chunks import BUDGET
from .ode import integrate

N_LEGS = 16
# How far from a joint the curve's velocity is read, in legs.
BESIDE = 0.25
# Relative error of steps: this share of the tolerance, at least as large as the dtype allows.
SHARE, LEAST = 0.1, {torch.float64: 1e-10, torch.float32: 1e-5}
# Derivatives over the starts of legs are differences of this size, relative to a leg.
DIFFERENCE = {torch.float64: 1e-4, torch.float32: 1e-2}
MAX_ITER, MAX_STEPS = 20, 100
# A derivative serves for as long as it makes the gaps so much smaller.
GAIN = 0.1


def shoot(space, b, geodesics, velocity, tol):
    """Velocities at their starts of the geodesics near curves that end at `b`.

    Parameters
    ----------
    space : Embedded or Field
    b : Tensor of shape (n, d)
    geodesics : Geodesics
        The curves.
    velocity : Tensor of shape (n, d)
        Roughly, their velocities at the start.
    tol : float
        Largest miss of the end point, in the metric, relative to the length.

    Returns
    -------
    velocity : Tensor of shape (n, d)
        As far as the search came.
    hit : Tensor of shape (n,) bool
    """
    n, d = b.shape
    velocity, hit = velocity.clone(), torch.zeros(n, dtype=torch.bool, device=b.device)
    size = max(1, BUDGET // (26 * d * N_LEGS * (2 * d + 1)))
    for rows in torch.arange(n, device=b.device).split(size):
        curves = geodesics.rows(rows)
        velocity[rows], hit[rows] = _shoot(space, b[rows], curves, velocity[rows], tol)
    return velocity, hit


def _shoot(space, b, geodesics, velocity, tol):
    d, legs = b.shape[1], _legs(geodesics, velocity)
    step_tol = max(SHARE * tol, LEAST[b.dtype])
    ends = torch.cat([legs[:, 1:, :d], b[:, None]], dim=1)
    tensors = space.tensor(ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
    slopes = legs.new_zeros(*legs.shape, 2 * d)
    before, target = torch.full_like(legs[:, 0, 0], torch.inf), tol * geodesics.length
    going = stale = torch.arange(len(b), device=b.device)
    hit = torch.zeros(len(b), dtype=torch.bool, device=b.device)
    for _ in range(MAX_ITER):
        if len(going) == 0:
            break
        if len(stale):
            slopes[stale] = _slopes(space, legs[stale])
        gaps = _follow(space, legs[going], step_tol)
        gaps[:, :-1] -= legs[going, 1:]
        gaps[:, -1, :d] -= b[going]
        gaps[:, -1, d:] = 0.0
        steps, miss = _newton(slopes[going], gaps)
        size = _size(gaps, miss, tensors[going])
        there, closer = size <= target[going], size < before[going]
        hit[going[there]] = True
        slow = size > GAIN * before[going]
        before[going] = size
        go_on = closer & ~there
        stale, going = going[go_on & slow], going[go_on]
        legs[going] += steps[go_on]
    return N_LEGS * legs[:, 0, d:], hit


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
