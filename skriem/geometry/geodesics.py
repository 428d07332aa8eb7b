"""Geodesics between pairs of points: coarse curves first, refined until the length is right."""

import torch

from . import curves
from .relax import relax, relax_best
from .solution import Geodesics, Status

# (segments, chords per segment), each with twice the segments of the one before. Never fewer
# than 32 chords, so that even the coarse curve pays for a narrow ridge.
LEVELS = ((8, 4), (16, 2), (32, 2), (64, 2), (128, 2))
# Chords by which a curve is measured, at least: many more than it was relaxed with, so that
# no curve passes for short by stepping over a ridge.
N_FINE = 256
# The length's error is second order in the curve's, so the energy need not be minimised
# further than a fraction of the length's tolerance.
ENERGY_TOL = 1e-2


def solve_geodesics(embed, a, b, starts, tol, max_iter):
    """Locally shortest curves from `a` to `b`, each row on its own.

    Parameters
    ----------
    embed : callable
    a, b : Tensor of shape (n, d)
    starts : list of (Tensor of shape (k,), Tensor of shape (k, T+1, d))
        Pairs and initial curves for them, with ``LEVELS[0][0]`` segments; the first entry is
        for all pairs. The best is refined.
    tol : float
        Relative tolerance of the length.
    max_iter : int
        Newton iterations at each resolution.

    Returns
    -------
    Geodesics
    """
    n, d = a.shape
    n_points = 4 * LEVELS[-1][0] + 1
    points, arc_length = a.new_zeros(n, n_points, d), a.new_zeros(n, n_points)
    lengths, errors = a.new_full((n,), torch.nan), a.new_full((n,), torch.inf)
    status = torch.full((n,), int(Status.UNRESOLVED), device=a.device)
    n_iter = torch.zeros(n, dtype=torch.long, device=a.device)

    same = (a == b).all(-1)
    # Points that differ by rounding alone may embed as one.
    size = torch.maximum(a.abs(), b.abs()).amax(-1)
    near = (a - b).abs().amax(-1) <= 1e3 * torch.finfo(a.dtype).eps * size
    points[same] = a[same][:, None]
    lengths[same], errors[same] = 0.0, 0.0
    status[same] = Status.CONVERGED

    active, nodes = torch.nonzero(~same).squeeze(1), None
    # Before there is a coarser curve, the polyline's own error stands in for the change.
    relaxed = relax_best(embed, starts, LEVELS[0][1], ENERGY_TOL * tol, max_iter).rows(active)
    lengths[active] = relaxed.energy.sqrt()
    for level, (n_segments, n_sub) in enumerate(LEVELS):
        if len(active) == 0:
            break
        if level > 0:
            relaxed = relax(embed, nodes, n_sub, ENERGY_TOL * tol, max_iter)
        shape, length, arc = _measure(embed, relaxed.nodes, n_segments)
        errors[active] = (length - lengths[active]).abs()
        lengths[active] = length
        n_sub = (n_points - 1) // (shape.shape[1] - 1)
        points[active] = curves.subdivide(shape, n_sub)
        arc_length[active] = curves.subdivide(arc[..., None], n_sub).squeeze(-1)
        n_iter[active] += relaxed.n_iter

        broken = ~length.isfinite()
        flat = relaxed.energy == 0
        settled = errors[active] <= tol * length
        code = torch.where(settled, Status.CONVERGED, Status.UNRESOLVED)
        code[settled & ~relaxed.converged] = Status.MAX_ITER
        code[flat] = torch.where(near[active[flat]], Status.CONVERGED, Status.DEGENERATE)
        code[broken] = Status.NOT_FINITE
        status[active] = code
        go_on = ~(settled & relaxed.converged) & ~flat & ~broken
        active = active[go_on]
        # New nodes at constant measured speed: where the coarse curve took a ridge in one
        # step, the finer one has nodes to climb it.
        t = torch.linspace(0.0, 1.0, 2 * n_segments + 1, dtype=a.dtype, device=a.device)
        nodes = curves.resample(shape[go_on], arc[go_on], t)
        nodes[:, 0], nodes[:, -1] = a[active], b[active]
    return Geodesics(points, arc_length, lengths, errors, status, n_iter)


def _measure(embed, nodes, n_segments):
    """The shorter of the polyline and the smooth curve through the nodes, measured finely."""
    n_sub = max(4, N_FINE // n_segments)
    polyline = curves.subdivide(nodes, n_sub)
    length, arc_length = curves.measure(embed, polyline)
    smooth = curves.smooth(nodes, n_sub)
    smooth_length, smooth_arc_length = curves.measure(embed, smooth)
    use = smooth_length < length
    return (
        torch.where(use[:, None, None], smooth, polyline),
        torch.where(use, smooth_length, length),
        torch.where(use[:, None], smooth_arc_length, arc_length),
    )
