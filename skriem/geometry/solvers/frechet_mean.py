"""Fréchet means: shared end points of stars of geodesics.

All curves of a star end at its mean. Eliminating the inner nodes of every curve leaves a d by
d system for the mean, so mean and curves move together in one Gauss-Newton step.
"""

import torch

from ..chunks import MAX_GRID_DIMS
from ..spaces.energy import discrete_energy
from . import exp_log as maps
from .relax import eliminate_inner, regularised, relax
from .tridiagonal import substitute

N_HALVINGS = 6
# Points beside a mean are at this share of the root of the mean squared distance.
BESIDE = 0.1


def group_sums(values, groups, n_groups):
    """Sums of the rows of `values` over each group, (n_groups, ...)."""
    return values.new_zeros((n_groups, *values.shape[1:])).index_add_(0, groups, values)


def mean_step(space, nodes, energy, n_sub, groups, weights, n_groups):
    """Move the shared ends, and the curves with them, to lower every star's energy.

    Parameters
    ----------
    nodes : Tensor of shape (B, T+1, d)
        Curves from the points to the means of their groups.
    energy : Tensor of shape (B,)
        Their discrete energies.
    groups : Tensor of shape (B,) int
    weights : Tensor of shape (B,)

    Returns
    -------
    nodes, energy : Tensor
        A group whose weighted energy would not fall keeps its curves.
    predicted : Tensor of shape (n_groups,)
        The decrease that the full step promised.
    """
    eliminated = _eliminate(space.expand(nodes, n_sub))
    matrix = group_sums(weights[:, None, None] * eliminated.matrix, groups, n_groups)
    rhs = group_sums(weights[:, None] * eliminated.rhs, groups, n_groups)
    shift = torch.linalg.solve_ex(regularised(matrix), rhs)[0]
    predicted = (shift * rhs).sum(1)
    step = substitute(eliminated, shift[groups])

    nodes, energy = nodes.clone(), energy.clone()
    before = group_sums(weights * energy, groups, n_groups)
    open_groups = torch.ones(n_groups, dtype=torch.bool, device=nodes.device)
    for halving in range(N_HALVINGS):
        rows = torch.nonzero(open_groups[groups]).squeeze(1)
        if len(rows) == 0:
            break
        trial = nodes[rows]
        trial[:, 1:] += 0.5**halving * step[rows]
        trial_energy = discrete_energy(space, trial, n_sub)
        after = group_sums(weights[rows] * trial_energy, groups[rows], n_groups)
        better = open_groups & (after < before)
        take = better[groups[rows]]
        nodes[rows[take]], energy[rows[take]] = trial[take], trial_energy[take]
        open_groups &= ~better
    return nodes, energy, predicted


def _eliminate(model):
    """Reduce every curve to its far end: Newton where that is safe, else Gauss-Newton.

    Safe is a curve whose inner nodes are at a minimum and whose end would not gain from
    running away.
    """
    share, undamped = torch.ones_like(model.energy), torch.zeros_like(model.energy)
    newton = eliminate_inner(model, share, undamped)
    safe = newton.definite & (torch.linalg.cholesky_ex(newton.matrix).info == 0)
    return newton if safe.all() else eliminate_inner(model, safe.to(share), undamped)


def frechet_means(space, nodes, n_sub, groups, weights, n_groups, rtol, max_iter):
    """Weighted Fréchet mean of every group, from geodesics to first guesses.

    Returns
    -------
    nodes : Tensor of shape (B, T+1, d)
        Geodesics from the points to the means.
    energy : Tensor of shape (B,)
    converged : Tensor of shape (n_groups,) bool
        Whether a further step promises less than `rtol` of the group's weighted energy.
    """
    energy = discrete_energy(space, nodes, n_sub)
    converged = torch.zeros(n_groups, dtype=torch.bool, device=nodes.device)
    for _ in range(max_iter):
        nodes, energy, predicted = mean_step(space, nodes, energy, n_sub, groups, weights, n_groups)
        nodes, energy, _, _ = relax(space, nodes, n_sub, rtol, max_iter)
        converged = predicted <= rtol * group_sums(weights * energy, groups, n_groups)
        if converged.all():
            break
    return nodes, energy, converged


def centered(space, between, mean, z, weights, tol, max_iter):
    """Move a mean (1, d) until the average of the logarithms of points at it vanishes.

    Parameters
    ----------
    space : Space
    between : callable
        Geodesics between the rows of two tensors, ``between(a, b, tol, max_iter)``.
    mean : Tensor of shape (1, d)
    z : Tensor of shape (n, d)
    weights : Tensor of shape (n,)
    tol : float
        Norm of the average, relative to the root of the mean squared distance.
    max_iter : int

    Returns
    -------
    mean : Tensor of shape (1, d)
    converged : Tensor of shape (1,) bool
    """
    shares = weights / weights.sum()
    for _ in range(max_iter):
        base = mean.repeat(len(z), 1)
        geodesics = between(base, z, maps.CURVE_TOL, max_iter)
        if not geodesics.converged.all():
            # Shooting from where no curve is known goes nowhere, and takes long.
            break
        logs, hit = maps.log(space, base, z, geodesics, 0.1 * tol)
        if not hit.all():
            break
        rms = (shares * geodesics.length.square()).sum().sqrt()
        step = (shares[:, None] * logs).sum(0, keepdim=True)
        if maps.norm(space, mean, step) <= tol * rms:
            return mean, torch.ones(1, dtype=torch.bool)
        mean = maps.exp(space, mean, step)[0]
    return mean, torch.zeros(1, dtype=torch.bool)


def lower_beside(space, between, mean, z, weights, max_iter):
    """A point (1, d) beside a mean with a smaller sum of squares, None without one.

    Where two ways to a point are equally long, what the sum loses depends on the side, and the
    average of logarithms may vanish on top of a ridge of sums. Looked for in up to three
    dimensions: in more there are too many sides.
    """
    if mean.shape[1] > MAX_GRID_DIMS:
        return None
    found = between(mean.repeat(len(z), 1), z, maps.CURVE_TOL, max_iter)
    here = (weights * found.length.square()).sum()
    size = BESIDE * (here / weights.sum()).sqrt()
    # An orthonormal frame at the mean.
    frame = torch.linalg.inv(torch.linalg.cholesky(regularised(space.tensor(mean))[0])) * size
    around = mean + torch.cat([frame, -frame])
    pairs = around.repeat_interleave(len(z), 0), z.repeat(len(around), 1)
    lengths = between(*pairs, maps.CURVE_TOL, max_iter).length.unflatten(0, (len(around), -1))
    sums = (weights * lengths.square()).sum(1).nan_to_num(nan=torch.inf)
    best = sums.argmin()
    return around[best, None] if sums[best] < (1.0 - maps.CURVE_TOL) * here else None
