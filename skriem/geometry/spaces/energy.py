"""Second-order expansion of the discrete energy of a curve.

Every straight segment between two nodes is cut into `n_sub` chords. The energy, N times the
sum of the N squared chords, tends to the integral of the squared speed over [0, 1]. Chords
between nodes alone would let a curve step over a narrow ridge of the metric; the cuts make it
pay.

How a chord is measured is up to the space: see :mod:`.embedded` and :mod:`.field`.
"""

from typing import NamedTuple

import torch

from ...calculus.slopes import gradients, usable
from ..curves import subdivide


class Expansion(NamedTuple):
    """Energy, half its gradient and half its Hessian over all nodes of each curve.

    The Hessian is block-tridiagonal and comes in two parts. The first is positive
    semi-definite (Gauss-Newton); the curvature part vanishes where the metric is constant or
    the embedding does not bend. Only their sum converges fast: what bends the embedding
    without bending the geometry cancels between the two.
    """

    energy: torch.Tensor  # (B,)
    gradient: torch.Tensor  # (B, T+1, d)
    diagonal: torch.Tensor  # (B, T+1, d, d)
    upper: torch.Tensor  # (B, T, d, d): block [i, i+1]
    curvature_diagonal: torch.Tensor  # (B, T+1, d, d)
    curvature_upper: torch.Tensor  # (B, T, d, d)

    def rows(self, index):
        """The same for some of the curves."""
        return Expansion(*(field[index] for field in self))

    def replaced(self, index, other):
        """The same with some of the curves from another expansion."""
        return Expansion(*(a.index_copy(0, index, b) for a, b in zip(self, other)))


def discrete_energy(space, nodes, n_sub):
    """Energy of each polyline, (B,)."""
    squared = space.squared_chords(subdivide(nodes, n_sub))
    return squared.shape[1] * squared.sum(-1)


def energy_gradient(squared_chords, nodes, n_sub):
    """Energy (B,) and half its gradient (B, T+1, d), by automatic differentiation.

    Parameters
    ----------
    squared_chords : callable
        Differentiable function from points (B, N+1, d) to squared lengths (B, N).
    nodes : Tensor of shape (B, T+1, d)
    n_sub : int
    """
    with gradients():
        at = usable(nodes).detach().requires_grad_()
        squared = squared_chords(subdivide(at, n_sub))
        energy = squared.shape[1] * squared.sum(-1)
        (gradient,) = torch.autograd.grad(energy.sum(), at)
    return energy.detach(), 0.5 * gradient


def over_nodes(left, right):
    """Sums of what segments (B, T, ...) contribute to the nodes at their ends."""
    total = left.new_zeros(left.shape[0], left.shape[1] + 1, *left.shape[2:])
    total[:, :-1] += left
    total[:, 1:] += right
    return total


def cuts(nodes, n_sub):
    """Fractions of a segment at which it is cut, (n_sub + 1,)."""
    return torch.arange(n_sub + 1, dtype=nodes.dtype, device=nodes.device) / n_sub
