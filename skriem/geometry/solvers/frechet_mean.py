"""Fréchet means: shared end points of stars of geodesics.

All curves of a star end at its mean. Eliminating the inner nodes of every curve leaves a d by
d system for the mean, so mean and curves move together in one Gauss-Newton step.
"""

import torch

from ..spaces.energy import discrete_energy
from .relax import eliminate_inner, regularised, relax
from .tridiagonal import substitute

N_HALVINGS = 6


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
