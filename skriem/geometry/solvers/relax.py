"""Shortening a batch of polylines with fixed ends: a safeguarded Newton method.

Every curve accepts or rejects its own steps and stops on its own, so its result does not
depend on the other curves in the batch.
"""

from typing import NamedTuple

import torch

from .. import curves
from ..spaces.energy import Expansion, discrete_energy
from .tridiagonal import eliminate, substitute

# Newton's matrix is often indefinite far from a minimum. Its Gauss-Newton part is then added
# again, times a damping that every curve remembers: raised by the first factor (and at least to
# the first value) when a step fails, lowered by the second when one succeeds. The whole part, not
# its diagonal blocks alone: these would hold long waves, which are soft, so firmly that a step
# promises next to nothing however far the curve is from its minimum.
RAISE, LOWER = 4.0, 0.2
FIRST_DAMPING, LAST_DAMPING = 0.1, 1e-2
MAX_ATTEMPTS = 12
# Of several starts, each is followed to this relative accuracy of the energy, then those to the
# end that are about as short as the shortest. Lengths are compared on this many chords per
# segment: on few, a curve that steps over a ridge passes for shorter.
ROUGH_TOL, N_COMPARED = 1e-2, 8
# About as short: at most so many times as long, where no resolution says otherwise.
CLOSE = 1.03
# Curves are different ones if their nodes differ by more than this share of their size.
APART = 0.05


class Relaxed(NamedTuple):
    """Locally shortest polylines between the same ends."""

    nodes: torch.Tensor  # (B, T+1, d)
    energy: torch.Tensor  # (B,)
    converged: torch.Tensor  # (B,) bool
    n_iter: torch.Tensor  # (B,) int

    def rows(self, index):
        """The same for some of the curves."""
        return Relaxed(*(field[index] for field in self))

    def replaced(self, index, others):
        """The same with some of the curves exchanged."""
        return Relaxed(*(a.index_copy(0, index, b) for a, b in zip(self, others)))


def relax(space, nodes, n_sub, rtol, max_iter):
    """Minimise the energy of each polyline over its inner nodes.

    Parameters
    ----------
    space : Space
    nodes : Tensor of shape (B, T+1, d)
        Starting curves; the end nodes stay where they are.
    n_sub : int
        Chords per segment.
    rtol : float or Tensor of shape (B,)
        A curve has converged when a step promises to lower its energy by less than this
        fraction.
    max_iter : int

    Returns
    -------
    Relaxed
    """
    nodes = nodes.clone()
    model = space.expand(nodes, n_sub)
    energy = model.energy.clone()
    converged = energy == 0
    n_iter = torch.zeros(len(nodes), dtype=torch.long, device=nodes.device)
    active = torch.nonzero(~converged & energy.isfinite()).squeeze(1)
    if len(active) < len(nodes):
        model = model.rows(active)
    damping = torch.zeros_like(model.energy)
    rtol = torch.as_tensor(rtol).to(energy).expand_as(energy)
    for _ in range(max_iter):
        if len(active) == 0:
            break
        n_iter[active] += 1
        step = _descend(space, model, nodes[active], damping, n_sub, rtol[active])
        nodes[active], energy[active] = step.nodes, step.model.energy
        converged[active] = step.done
        go_on = ~step.done & step.accepted
        active, model, damping = active[go_on], step.model.rows(go_on), step.damping[go_on]
    return Relaxed(nodes, energy, converged, n_iter)


def relax_best(space, starts, n_sub, rtol, max_iter):
    """The best of :func:`relax_rivals`."""
    return relax_rivals(space, starts, n_sub, rtol, max_iter)[0]


def relax_rivals(space, starts, n_sub, rtol, max_iter, close=CLOSE):
    """Relax several starting curves of every pair and keep the shortest.

    Parameters
    ----------
    starts : list of (Tensor of shape (b,), Tensor of shape (b, T+1, d))
        Rows of the batch and their starting curves; the first entry has all rows.
    close : float
        Those are followed to the end that are at most so many times as long as the shortest.

    Returns
    -------
    best : Relaxed
        Iterations are those of all starts together.
    rival : Tensor of shape (B,)
        Roughly, the length of the shortest other curve that was found, infinite without one.
    """
    rows = torch.cat([part for part, _ in starts])
    n = len(starts[0][0])
    contested = torch.bincount(rows, minlength=n)[rows] > 1
    accuracy = starts[0][1].new_full((len(rows),), rtol)
    accuracy[contested] = max(rtol, ROUGH_TOL)
    nodes = torch.cat([nodes for _, nodes in starts])
    tried = relax(space, nodes, n_sub, accuracy, max_iter)
    length = torch.zeros_like(tried.energy)
    length[contested] = _rough_lengths(space, tried.nodes[contested])
    best, other = _shortest(tried.nodes, length, rows, n)
    going = contested & (length <= close * length[best][rows])
    going &= other | (torch.arange(len(rows), device=rows.device) == best[rows])
    going = torch.nonzero(going).squeeze(1)
    if len(going):
        final = relax(space, tried.nodes[going], n_sub, rtol, max_iter)
        tried = tried.replaced(going, final._replace(n_iter=final.n_iter + tried.n_iter[going]))
        length[going] = _rough_lengths(space, final.nodes)
        best, other = _shortest(tried.nodes, length, rows, n)
    rival = torch.full_like(length[best], torch.inf)
    rival = rival.scatter_reduce(0, rows[other], length[other], "amin")
    n_iter = torch.zeros_like(tried.n_iter[best]).index_add_(0, rows, tried.n_iter)
    return tried.rows(best)._replace(n_iter=n_iter), rival


def _rough_lengths(space, nodes):
    """Lengths of curves to choose by, infinite where they are not finite."""
    length = space.measure(curves.smooth(nodes, N_COMPARED))[0]
    return length.nan_to_num(nan=torch.inf)


def _shortest(nodes, length, rows, n):
    """The first shortest curve of each row, (n,), and which are not nearly the same as it."""
    shortest = torch.full_like(length[:n], torch.inf).scatter_reduce(0, rows, length, "amin")
    at = torch.arange(len(rows), device=rows.device)
    first = torch.where(length == shortest[rows], at, len(rows))
    best = torch.full_like(rows[:n], len(rows)).scatter_reduce(0, rows, first, "amin")
    ours = nodes[best[rows]]
    size = (ours.amax(1) - ours.amin(1)).amax(-1)
    return best, (nodes - ours).abs().amax((1, 2)) > APART * size


def inner_step(model, damping):
    """Step of the inner nodes with the ends held.

    Parameters
    ----------
    model : Expansion
    damping : Tensor of shape (B,)

    Returns
    -------
    step : Tensor of shape (B, T-1, d)
    predicted : Tensor of shape (B,)
        Decrease of energy that the model promises.
    definite : Tensor of shape (B,) bool
        Whether the matrix was positive definite, so that the step leads to a minimum.
    """
    eliminated = eliminate_inner(model, torch.ones_like(damping), damping)
    step = substitute(eliminated, torch.zeros_like(eliminated.rhs))[:, :-1]
    return step, -(step * model.gradient[:, 1:-1]).sum((1, 2)), eliminated.definite


def eliminate_inner(model, share, damping):
    """Reduce the system for the nodes after the first to one for the last."""
    share, damping = share[:, None, None, None], damping[:, None, None, None]
    diagonal = regularised((1.0 + damping) * model.diagonal[:, 1:])
    diagonal = diagonal + share * model.curvature_diagonal[:, 1:]
    upper = (1.0 + damping) * model.upper[:, 1:] + share * model.curvature_upper[:, 1:]
    return eliminate(diagonal, upper, -model.gradient[:, 1:])


def regularised(blocks):
    """Diagonal blocks with a ridge far below their size, for maps that lose a dimension."""
    d = blocks.shape[-1]
    trace = blocks.diagonal(dim1=-2, dim2=-1).sum(-1)
    eps = torch.finfo(blocks.dtype).eps
    ridge = (16.0 * eps * trace + torch.finfo(blocks.dtype).tiny)[..., None, None]
    return blocks + ridge * torch.eye(d, dtype=blocks.dtype, device=blocks.device)


class Step(NamedTuple):
    """Where one iteration has taken each curve."""

    nodes: torch.Tensor  # (B, T+1, d)
    model: Expansion  # at the new nodes; only the energy is right where done
    damping: torch.Tensor  # (B,)
    accepted: torch.Tensor  # (B,) bool: a step lowered the energy
    done: torch.Tensor  # (B,) bool: no step promises enough


def _descend(space, model, nodes, damping, n_sub, rtol):
    """One step for every curve that has one."""
    n, energy = len(nodes), model.energy
    nodes, damping = nodes.clone(), damping.clone()
    accepted = torch.zeros(n, dtype=torch.bool, device=nodes.device)
    done = torch.zeros_like(accepted)
    left = torch.arange(n, device=nodes.device)
    ahead = model
    for _ in range(MAX_ATTEMPTS):
        if len(left) == 0:
            break
        of_left = model if len(left) == n else model.rows(left)
        step, predicted, definite = inner_step(of_left, damping[left])
        # What the step would promise without the damping.
        promised = predicted * (1.0 + damping[left])
        last = definite & (promised <= rtol[left] * energy[left])
        done[left] = last
        trial = nodes[left]
        trial[:, 1:-1] += step
        better = torch.zeros_like(definite)
        # A step is nearly always taken: what the next one needs is computed with its energy.
        on = torch.nonzero(definite & ~last).squeeze(1)
        if len(on):
            found = space.expand(trial[on], n_sub)
            better[on] = found.energy < energy[left[on]]
            took = better[on]
            ahead = ahead.replaced(left[on[took]], found.rows(took))
        end = torch.nonzero(last).squeeze(1)
        if len(end):
            found_energy = discrete_energy(space, trial[end], n_sub)
            better[end] = found_energy < energy[left[end]]
            took = better[end]
            ahead = ahead._replace(
                energy=ahead.energy.index_copy(0, left[end[took]], found_energy[took])
            )
        won = left[better]
        nodes[won] = trial[better]
        accepted[won] = True
        gain = (energy[won] - ahead.energy[won]) / predicted[better]
        eased = torch.where(gain > 0.5, LOWER * damping[won], damping[won])
        eased = torch.where(gain < 0.1, RAISE * damping[won], eased)
        damping[won] = torch.where(eased < LAST_DAMPING, 0.0, eased)
        # A rejected step that promised next to nothing is rounding, not a failure.
        left = left[~better & ~last]
        damping[left] = (RAISE * damping[left]).clamp(min=FIRST_DAMPING)
    return Step(nodes, ahead, damping, accepted, done)
