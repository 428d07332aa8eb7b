"""Geodesics between pairs of points: coarse curves first, refined until the length is right."""

import torch

from . import curves
from .relax import relax, relax_best
from .solution import Geodesics, Status

# (segments, chords per segment), each with twice the segments of the one before. Coarser curves
# step over ridges and are then refined on the wrong side of them.
LEVELS = ((32, 2), (64, 2), (128, 2))
# Chords by which a curve is measured: many more than it was relaxed with, so that no curve
# passes for short by stepping over a ridge.
N_FINE = 256
# Newton's method converges quadratically: what is left after a step is far below what the
# step promised, and the length's error is half the energy's.
ENERGY_TOL = 0.1


def solve_geodesics(space, a, b, starts, tol, max_iter):
    """Locally shortest curves from `a` to `b`, each row on its own.

    Parameters
    ----------
    space : Embedded or Field
    a, b : Tensor of shape (n, d)
    starts : list of (Tensor of shape (k,), Tensor of shape (k, T+1, d))
        Pairs and initial curves for them, with as many segments as one of ``LEVELS``, where
        the search starts; the first entry is for all pairs. The best is refined.
    tol : float
        Relative tolerance of the length.
    max_iter : int
        Newton iterations at each resolution.

    Returns
    -------
    Geodesics
    """
    n, d = a.shape
    points, arc_length = a.new_zeros(n, N_FINE + 1, d), a.new_zeros(n, N_FINE + 1)
    lengths, errors = a.new_full((n,), torch.nan), a.new_full((n,), torch.inf)
    status = torch.full((n,), int(Status.UNRESOLVED), device=a.device)
    n_iter = torch.zeros(n, dtype=torch.long, device=a.device)
    resolution = torch.full_like(n_iter, LEVELS[0][0])

    same = (a == b).all(-1)
    # Points that differ by rounding alone may embed as one.
    size = torch.maximum(a.abs(), b.abs()).amax(-1)
    near = (a - b).abs().amax(-1) <= 1e3 * torch.finfo(a.dtype).eps * size
    points[same] = a[same][:, None]
    lengths[same], errors[same] = 0.0, 0.0
    status[same] = Status.CONVERGED

    active, relaxed, nodes = torch.nonzero(~same).squeeze(1), None, None
    rtol = ENERGY_TOL * tol
    n_start = starts[0][1].shape[1] - 1
    for n_segments, n_sub in LEVELS:
        if n_segments < n_start or len(active) == 0:
            continue
        if relaxed is None:
            # Before there is a coarser curve, the polyline's own error stands in for the change.
            relaxed = relax_best(space, starts, n_sub, rtol, max_iter).rows(active)
            lengths[active] = relaxed.energy.sqrt()
        else:
            relaxed = relax(space, nodes, n_sub, rtol, max_iter)
        shape, length, arc = _measure(space, relaxed.nodes, relaxed.energy)
        # Halving the segments leaves a quarter of the error: a third of the change.
        errors[active] = (length - lengths[active]).abs() / 3.0
        lengths[active], points[active], arc_length[active] = length, shape, arc
        n_iter[active] += relaxed.n_iter
        resolution[active] = n_segments

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
    return Geodesics(points, arc_length, lengths, errors, status, n_iter, resolution)


def _measure(space, nodes, energy):
    """The smooth curve through the nodes, or the polyline where that is shorter, measured finely.

    Returns
    -------
    points : Tensor of shape (n, N_FINE + 1, d)
    length : Tensor of shape (n,)
    arc_length : Tensor of shape (n, N_FINE + 1)
    """
    n_sub = N_FINE // (nodes.shape[1] - 1)
    points = curves.smooth(nodes, n_sub)
    length, arc_length = space.measure(points)
    # The root of its energy bounds the polyline's length as far as its own chords can tell.
    rows = torch.nonzero(~(length <= energy.sqrt())).squeeze(1)
    polyline = curves.subdivide(nodes[rows], n_sub)
    straight_length, straight_arc_length = space.measure(polyline)
    use = ~(straight_length >= length[rows])
    rows = rows[use]
    points[rows], length[rows] = polyline[use], straight_length[use]
    arc_length[rows] = straight_arc_length[use]
    return points, length, arc_length
