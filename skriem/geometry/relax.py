"""Shortening a batch of polylines with fixed ends: a safeguarded Newton method.

Every curve accepts or rejects its own steps and stops on its own, so its result does not
depend on the other curves in the batch.
"""

from typing import NamedTuple

import torch

from .energy import discrete_energy, linearise_energy
from .tridiagonal import eliminate, substitute

# Matrices to try, as (share of the curvature part, damping), in rounds: Newton's own first,
# then, for curves where it leads nowhere, all of a round at once, of which the best step is
# taken. The Gauss-Newton matrix (share 0) is always positive semi-definite but, on its own,
# slow: it takes the bending of the embedding for stiffness of the geometry.
ROUNDS = (
    ((1.0, 0.0),),
    ((0.95, 0.0), (0.9, 0.0), (0.8, 0.0), (0.6, 0.0), (0.3, 0.0), (0.0, 0.0)),
    ((0.0, 0.01), (0.0, 0.1), (0.0, 1.0), (0.0, 10.0), (0.0, 100.0)),
)


class Relaxed(NamedTuple):
    """Locally shortest polylines between the same ends."""

    nodes: torch.Tensor  # (B, T+1, d)
    energy: torch.Tensor  # (B,)
    converged: torch.Tensor  # (B,) bool
    n_iter: torch.Tensor  # (B,) int

    def rows(self, index):
        """The same for some of the curves."""
        return Relaxed(*(field[index] for field in self))


def relax(embed, nodes, n_sub, rtol, max_iter):
    """Minimise the energy of each polyline over its inner nodes.

    Parameters
    ----------
    embed : callable
    nodes : Tensor of shape (B, T+1, d)
        Starting curves; the end nodes stay where they are.
    n_sub : int
        Chords per segment.
    rtol : float
        A curve has converged when a step promises to lower its energy by less than this
        fraction.
    max_iter : int

    Returns
    -------
    Relaxed
    """
    nodes = nodes.clone()
    energy = discrete_energy(embed, nodes, n_sub)
    converged = energy == 0
    n_iter = torch.zeros(len(nodes), dtype=torch.long, device=nodes.device)
    active = torch.nonzero(~converged & energy.isfinite()).squeeze(1)
    for _ in range(max_iter):
        if len(active) == 0:
            break
        n_iter[active] += 1
        model = linearise_energy(embed, nodes[active], n_sub)
        before = energy[active]
        predicted, accepted = _descend(embed, model, nodes, energy, active, n_sub)
        done = predicted <= rtol * before
        converged[active] = done
        active = active[~done & accepted]
    return Relaxed(nodes, energy, converged, n_iter)


def relax_best(embed, starts, n_sub, rtol, max_iter):
    """Relax several starting curves of every pair and keep the one of lowest energy.

    Parameters
    ----------
    starts : list of (Tensor of shape (b,), Tensor of shape (b, T+1, d))
        Rows of the batch and their starting curves; the first entry has all rows.

    Returns
    -------
    Relaxed
        Iterations are those of all starts together.
    """
    tried = relax(embed, torch.cat([nodes for _, nodes in starts]), n_sub, rtol, max_iter)
    first, device = len(starts[0][0]), tried.energy.device
    best = torch.arange(first, device=device)
    n_iter = tried.n_iter[:first].clone()
    for part, _ in starts[1:]:
        candidate = torch.arange(first, first + len(part), device=device)
        better = ~(tried.energy[best[part]] <= tried.energy[candidate])
        n_iter[part] += tried.n_iter[candidate]
        best[part[better]] = candidate[better]
        first += len(part)
    return Relaxed(tried.nodes[best], tried.energy[best], tried.converged[best], n_iter)


def inner_step(model, share, damping):
    """Step of the inner nodes with the ends held.

    The damping scales the diagonal blocks, so steps do not depend on the coordinates.

    Parameters
    ----------
    model : Linearised
    share : Tensor of shape (B,)
        How much of the Hessian's curvature part to use.
    damping : Tensor of shape (B,)

    Returns
    -------
    step : Tensor of shape (B, T-1, d)
    predicted : Tensor of shape (B,)
        Decrease of energy that the model promises.
    definite : Tensor of shape (B,) bool
        Whether the matrix was positive definite, so that the step leads to a minimum.
    """
    share, damping = share[:, None, None, None], damping[:, None, None, None]
    gradient = model.gradient[:, 1:-1]
    diagonal = regularised((1.0 + damping) * model.diagonal[:, 1:-1])
    diagonal = diagonal + share * model.curvature_diagonal[:, 1:-1]
    upper = model.upper[:, 1:-1] + share * model.curvature_upper[:, 1:-1]
    eliminated = eliminate(diagonal, upper, -gradient)
    last = torch.linalg.solve_ex(eliminated.matrix, eliminated.rhs)[0]
    step = substitute(eliminated, last)
    definite = eliminated.definite & (torch.linalg.cholesky_ex(eliminated.matrix).info == 0)
    return step, -(step * gradient).sum((1, 2)), definite


def regularised(blocks):
    """Diagonal blocks with a ridge far below their size, for maps that lose a dimension."""
    d = blocks.shape[-1]
    trace = blocks.diagonal(dim1=-2, dim2=-1).sum(-1)
    eps = torch.finfo(blocks.dtype).eps
    ridge = (16.0 * eps * trace + torch.finfo(blocks.dtype).tiny)[..., None, None]
    return blocks + ridge * torch.eye(d, dtype=blocks.dtype, device=blocks.device)


def _descend(embed, model, nodes, energy, active, n_sub):
    """One accepted step for every active curve that has one; updates nodes and energy in place.

    Returns
    -------
    predicted : Tensor of shape (B,)
        The smallest decrease that any usable matrix promised.
    accepted : Tensor of shape (B,) bool
    """
    n = len(active)
    predicted = torch.full_like(energy[active], torch.inf)
    accepted = torch.zeros(n, dtype=torch.bool, device=nodes.device)
    for options in ROUNDS:
        # A rejected step that promised next to nothing is rounding, not a failure.
        left = torch.nonzero(~accepted & (predicted > 1e-13 * energy[active])).squeeze(1)
        if len(left) == 0:
            break
        rows = left.repeat(len(options))
        share, damping = energy.new_tensor(options).repeat_interleave(len(left), dim=0).unbind(1)
        step, decrease, definite = inner_step(model.rows(rows), share, damping)
        trial = nodes[active[rows]]
        trial[:, 1:-1] += step
        trial_energy = torch.full_like(decrease, torch.inf)
        if definite.any():
            trial_energy[definite] = discrete_energy(embed, trial[definite], n_sub)
        trial_energy = trial_energy.nan_to_num(nan=torch.inf).unflatten(0, (len(options), -1))
        decrease = torch.where(definite, decrease, torch.inf).unflatten(0, (len(options), -1))
        predicted[left] = torch.minimum(predicted[left], decrease.amin(0))

        lowest, option = trial_energy.min(0)
        better = lowest < energy[active[left]]
        chosen = (option * len(left) + torch.arange(len(left), device=nodes.device))[better]
        nodes[active[left[better]]] = trial[chosen]
        energy[active[left[better]]] = lowest[better]
        accepted[left[better]] = True
    return predicted, accepted
