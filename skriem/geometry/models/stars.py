"""Stars of geodesics: from every mean to its points, their logarithms, and how these change.

Moving a mean changes every logarithm. By how much follows from the curve itself: eliminating
its inner nodes leaves the second derivative of half its energy by its first node, of which the
logarithm is minus the gradient, raised with the metric.
"""

from typing import NamedTuple

import torch

from ..paths.graph import starting_curves
from ..paths.grid_curves import GridCurves
from ..solvers.relax import eliminate_inner, regularised, relax, relax_best

# Chords per segment, and the relative accuracy of energies.
N_SUB, RTOL = 2, 1e-3
# Segments of the curves that a fit works with, and Newton iterations.
N_SEGMENTS, MAX_ITER = 16, 20
# Curves that are carried along are nearly right; the few that need longer get it step by step.
CARRY_ITER = 3
# Cells along the longest side of the grid whose paths they start from, where there is one.
N_CELLS = 80
# Curves solved for at once, which bounds the memory.
MAX_CURVES = 20_000


class Stars(NamedTuple):
    """Curves from every mean to its points."""

    nodes: torch.Tensor | None  # (k, b, T+1, d)
    logs: torch.Tensor  # (k, b, d): logarithms of the points at the means
    slopes: torch.Tensor  # (k, b, d, d): minus their derivatives by the mean, the metric held
    converged: torch.Tensor  # (k, b) bool
    tensors: torch.Tensor  # (k, d, d): metric tensors at the means

    def moved(self, shift):
        """Logarithms after the means have moved by `shift` (k, d), to first order."""
        return self.logs - (self.slopes * shift[:, None, None]).sum(-1)


class CurveStars:
    """Makes the stars to some points, and to points to integrate with.

    Parameters
    ----------
    metric : RiemannianMetric
    z : Tensor of shape (n, d)
    """

    def __init__(self, metric, z):
        self._metric, self._z = metric, z

    def connect(self, means, reference):
        """Stars from means (k, d) to the points and then to those of a reference."""
        ends = torch.cat([self._z.expand(len(means), -1, -1), reference.points], dim=1)
        return connect(self._metric, means, ends, N_SEGMENTS, MAX_ITER)

    def carry(self, stars, means, counted=None):
        """The same after the means have moved; see :func:`carry`."""
        return carry(self._metric, stars, means, counted)


def connect(metric, means, ends, n_segments, max_iter):
    """Shortest curves from every mean (k, d) to its points (k, b, d), found afresh.

    Returns
    -------
    Stars
    """

    cells, flat = metric.cells(N_CELLS), ends.flatten(0, 1)
    owners = torch.arange(len(means)).repeat_interleave(ends.shape[1])
    if cells is not None:
        paths = GridCurves(metric.segment_lengths, cells.grid, means)

    def solve(space, rows):
        to = flat[rows]
        if cells is None:
            starts = starting_curves(space, metric.graph, means[owners[rows]], to, n_segments)
        else:
            starts = [(torch.arange(len(to)), paths.starts(space, owners[rows], to, n_segments))]
        return relax_best(space, starts, N_SUB, RTOL, max_iter)

    n, d = flat.shape
    empty = Stars(
        flat.new_empty(n, n_segments + 1, d),
        torch.empty_like(flat),
        flat.new_empty(n, d, d),
        torch.empty(n, dtype=torch.bool),
        None,
    )
    return _solved(metric, means, flat, ends.shape, solve, empty, torch.arange(n))


def carry(metric, stars, means, counted=None):
    """The same curves after the means have moved.

    Parameters
    ----------
    metric : RiemannianMetric
    stars : Stars
    means : Tensor of shape (k, d)
    counted : Tensor of shape (k, b) bool or None
        The curves that matter. Others are shifted along, and their logarithms with them to first
        order. None solves for all.

    Returns
    -------
    Stars
    """

    def solve(space, rows):
        return relax(space, before.nodes[rows], N_SUB, RTOL, CARRY_ITER)

    n_nodes, shape = stars.nodes.shape[2], stars.logs.shape
    t = torch.linspace(1.0, 0.0, n_nodes, dtype=means.dtype, device=means.device)
    shift = means[:, None] - stars.nodes[:, :, 0]
    nodes = stars.nodes + t[:, None] * shift[:, :, None]
    # Gradients are carried: that the metric changes, too, is known.
    logs = stars.moved(shift[:, 0])
    tensors = regularised(metric.space_for(means).tensor(means))
    logs = torch.linalg.solve(tensors, regularised(stars.tensors) @ logs.mT).mT
    parts = (part.flatten(0, 1) for part in (nodes, logs, stars.slopes, stars.converged))
    before, rows = Stars(*parts, None), torch.arange(shape[0] * shape[1])
    if counted is not None:
        rows = rows[counted.flatten()]
    return _solved(metric, means, before.nodes[:, -1], shape, solve, before, rows)


def _solved(metric, means, ends, shape, solve, stars, chosen):
    """Stars with some curves to `ends` solved for where that is cheapest, in place of others."""
    nodes, logs, slopes, converged = (part.clone() for part in stars[:4])
    for everyone, space in metric.spaces_for(ends[chosen]):
        for rows in chosen[everyone].split(MAX_CURVES):
            found = solve(space, rows)
            nodes[rows], converged[rows] = found.nodes, found.converged
            logs[rows], slopes[rows] = _logarithms(space, found)
    parts = (part.unflatten(0, shape[:2]) for part in (nodes, logs, slopes, converged))
    return Stars(*parts, metric.space_for(means).tensor(means))


def _logarithms(space, found):
    """Logarithms (n, d) and slopes (n, d, d) at the starts of relaxed curves."""
    model = space.expand(found.nodes.flip(1), N_SUB)
    share, undamped = torch.ones_like(model.energy), torch.zeros_like(model.energy)
    left = eliminate_inner(model, share, undamped)
    if not left.definite.all():
        # Not at a minimum: what is left of the curvature would mean nothing.
        left = eliminate_inner(model, left.definite.to(share), undamped)
    tensor = regularised(space.tensor(found.nodes[:, 0]))
    # What is left on the right is minus the gradient: the logarithm, lowered with the metric.
    raised = torch.linalg.solve_ex(tensor, torch.cat([left.rhs[..., None], left.matrix], dim=2))[0]
    logs, slopes = raised[..., 0], raised[..., 1:]
    size = (logs * left.rhs).sum(1).clamp(min=torch.finfo(logs.dtype).tiny)
    return logs * (found.energy / size).sqrt()[:, None], slopes
