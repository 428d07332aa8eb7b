"""Geodesics between pairs of points: coarse curves first, refined until the length is right."""

from typing import NamedTuple

import torch

from .. import curves
from .relax import CLOSE, N_COMPARED, relax, relax_rivals
from .solution import Geodesics, Status

# Chords that each segment is cut into where walls are not steep.
N_SUB = 2


class Resolution(NamedTuple):
    """How fine curves are.

    Each level has twice the segments of the one before. Curves are measured by many more chords
    than they are relaxed with, so that none passes for short by stepping over a ridge.
    """

    levels: tuple  # segments
    # Into how many chords each segment is cut where energies are measured. The fewer, the cheaper;
    # but a curve that is free to step over ridges has no shortest position.
    n_sub: int
    # That lengths are measured with.
    n_chords: int
    # Whether there may be steep walls. Starts are then brought to constant speed, without which
    # nodes have to slide through walls to get there; and the first level is never enough: its
    # nodes may be too few for the bends that a curve should have, while all that can be measured
    # of it agrees.
    steep: bool
    # Curves at most so many times as long as the shortest are followed to the end.
    close: float


# Coarser curves step over ridges and are then refined on the wrong side of them.
USUAL = Resolution((32, 64, 128), N_SUB, 256, steep=False, close=CLOSE)
# Where walls are many and steep.
FINE = Resolution((256, 512, 1024, 2048), 4, 4096, steep=True, close=1.1)
# Where they are less so.
MIDDLE = Resolution((64, 128, 256, 512), 4, 2048, steep=True, close=1.1)
# Of what nothing is known of.
CAREFUL = Resolution((32, 64, 128, 256, 512), N_SUB, 1024, steep=True, close=1.1)
# Newton's method converges quadratically: what is left after a step is far below what the
# step promised, and the length's error is half the energy's.
ENERGY_TOL = 0.1
# Lengths that differ by this share of the tolerance are as good as equal.
WORTHWHILE = 0.5


def solve_geodesics(space, a, b, starts, tol, max_iter, resolution=USUAL, known=None):
    """Locally shortest curves from `a` to `b`, each row on its own.

    Parameters
    ----------
    space : Space
    a, b : Tensor of shape (n, d)
    starts : list of (Tensor of shape (k,), Tensor of shape (k, T+1, d))
        Pairs and initial curves for them, with as many segments as one of the levels of the
        resolution, where the search starts; the first entry is for all pairs. The best is
        refined.
    tol : float
        Relative tolerance of the length.
    max_iter : int
        Newton iterations at each level.
    resolution : Resolution
    known : Tensor of shape (n,) or None
        Errors of the lengths by the resolution of the first entry, from a space that is nearly
        the same. None: the first level is compared with its own polyline, which is far off where
        curves have bends.

    Returns
    -------
    Geodesics
    """
    n, d = a.shape
    levels, n_sub, n_chords, steep, close = resolution
    points, arc_length = a.new_zeros(n, n_chords + 1, d), a.new_zeros(n, n_chords + 1)
    lengths, errors = a.new_full((n,), torch.nan), a.new_full((n,), torch.inf)
    status = torch.full((n,), int(Status.UNRESOLVED), device=a.device)
    n_iter = torch.zeros(n, dtype=torch.long, device=a.device)
    used, rival = torch.full_like(n_iter, levels[0]), torch.full_like(lengths, torch.inf)

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
    for n_segments in levels:
        if n_segments < n_start or len(active) == 0:
            continue
        if relaxed is None:
            # Before there is a coarser curve, the polyline's own error stands in for the change
            # where that is to be trusted. Curves without a length need no other.
            first = steep and known is None
            if first:
                starts = [(rows, at_constant_speed(space, nodes)) for rows, nodes in starts]
            relaxed, rival = relax_rivals(space, starts, n_sub, rtol, max_iter, close)
            relaxed = relaxed.rows(active)
            lengths[active] = relaxed.energy.sqrt()
            if first:
                lengths[active[relaxed.energy > 0]] = torch.inf
        else:
            relaxed = relax(space, nodes, n_sub, rtol, max_iter)
        shape, length, arc, rest = _measure(space, relaxed.nodes, relaxed.energy, n_chords, tol)
        # Halving the segments leaves a quarter of the error: a third of the change.
        errors[active] = (length - lengths[active]).abs() / 3.0 + rest
        if known is not None:
            errors[active] = torch.minimum(errors[active], known[active] + rest)
            known = None
        lengths[active], points[active], arc_length[active] = length, shape, arc
        n_iter[active] += relaxed.n_iter
        used[active] = n_segments

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
    gap = torch.where(same, torch.inf, rival / lengths - 1.0)
    # A curve that was given up for this one is shorter after all.
    status[(gap < -tol) & (status == Status.CONVERGED)] = Status.UNRESOLVED
    return Geodesics(points, arc_length, lengths, errors, status, n_iter, used, gap)


def at_constant_speed(space, nodes):
    """The same polylines with nodes at equal shares of their lengths, (n, T+1, d)."""
    points = curves.subdivide(nodes, N_COMPARED)
    t = torch.linspace(0.0, 1.0, nodes.shape[1], dtype=nodes.dtype, device=nodes.device)
    length, arc_length = space.measure(points)
    moved = curves.resample(points, arc_length, t)
    moved[:, 0], moved[:, -1] = nodes[:, 0], nodes[:, -1]
    return torch.where(length.isfinite()[:, None, None], moved, nodes)


def _measure(space, nodes, energy, n_chords, tol):
    """The smooth curve through the nodes, or the polyline where that is shorter, measured finely.

    Returns
    -------
    points : Tensor of shape (n, n_chords + 1, d)
    length : Tensor of shape (n,)
    arc_length : Tensor of shape (n, n_chords + 1)
    error : Tensor of shape (n,)
        Of the length, by half as many chords.
    """
    per_segment = n_chords // (nodes.shape[1] - 1)
    points = curves.smooth(nodes, per_segment)
    length, arc_length, error = space.measure_closely(points)
    # The root of its energy bounds the polyline's length as far as its own chords can tell: it
    # is not worth measuring where it cannot be shorter by what matters.
    rows = torch.nonzero(~(length <= (1.0 + WORTHWHILE * tol) * energy.sqrt())).squeeze(1)
    if len(rows):
        polyline = curves.subdivide(nodes[rows], per_segment)
        measured = space.measure_closely(polyline)
        use = ~(measured[0] >= length[rows])
        rows = rows[use]
        points[rows] = polyline[use]
        length[rows], arc_length[rows], error[rows] = (part[use] for part in measured)
    return points, length, arc_length, error
