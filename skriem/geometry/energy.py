"""Discrete curve energy of an embedded polyline and its derivatives.

Every straight segment between two nodes is cut into `n_sub` chords. The energy, N times the
sum of the N squared chords, tends to the integral of the squared speed over [0, 1], is never
below the squared length, and equals it for the shortest curve. Chords between nodes alone
would let a curve step over a narrow ridge of the metric; the cuts make it pay.
"""

from typing import NamedTuple

import torch

from .chunks import in_chunks, n_outputs
from .curves import chord_lengths, subdivide
from .jacobian import linearise


class Linearised(NamedTuple):
    """Energy, half its gradient and half its Hessian over all nodes of each curve.

    The Hessian is block-tridiagonal and comes in two parts. The Gauss-Newton part is positive
    semi-definite; the curvature part vanishes where the chords do not bend in the embedding
    space. Only their sum converges fast: what bends the embedding without bending the
    geometry cancels between the two.
    """

    energy: torch.Tensor  # (B,)
    gradient: torch.Tensor  # (B, T+1, d)
    diagonal: torch.Tensor  # (B, T+1, d, d)
    upper: torch.Tensor  # (B, T, d, d): block [i, i+1]
    curvature_diagonal: torch.Tensor  # (B, T+1, d, d)
    curvature_upper: torch.Tensor  # (B, T, d, d)

    def rows(self, index):
        """The same for some of the curves."""
        return Linearised(*(field[index] for field in self))


def discrete_energy(embed, nodes, n_sub):
    """Energy of each polyline, (B,)."""
    chords = chord_lengths(embed, subdivide(nodes, n_sub))
    return chords.shape[1] * chords.square().sum(-1)


def linearise_energy(embed, nodes, n_sub):
    """Expand the energy to second order at `nodes` (B, T+1, d)."""
    d = nodes.shape[2]
    per_node = n_sub * (6 * d + 4) * n_outputs(embed, nodes)
    return Linearised(*in_chunks(lambda part: _linearise(embed, part, n_sub), nodes, per_node))


def _linearise(embed, nodes, n_sub):
    n_curves, n_nodes, d = nodes.shape
    points = subdivide(nodes, n_sub)
    value, jacobian, curvature = linearise(embed, points.flatten(0, 1))
    value = value.unflatten(0, points.shape[:2])
    jacobian = jacobian.unflatten(0, points.shape[:2])

    # A point at fraction s of its segment moves by (1 - s) times the left node's motion plus
    # s times the right node's.
    s = torch.arange(n_sub + 1, dtype=nodes.dtype, device=nodes.device) / n_sub
    start = s[:-1].repeat(n_nodes - 1)[:, None, None]
    end = s[1:].repeat(n_nodes - 1)[:, None, None]
    before, after = jacobian[:, :-1], jacobian[:, 1:]
    by_left = (1.0 - end) * after - (1.0 - start) * before
    by_right = end * after - start * before
    chord = value[:, 1:] - value[:, :-1]
    rows = torch.cat([by_left, by_right, chord[:, :, None]], dim=2)
    n_chords = rows.shape[1]
    gram = n_chords * (rows @ rows.mT).unflatten(1, (n_nodes - 1, n_sub)).sum(2)

    diagonal = nodes.new_zeros(n_curves, n_nodes, d, d)
    diagonal[:, :-1] += gram[..., :d, :d]
    diagonal[:, 1:] += gram[..., d:-1, d:-1]
    gradient = torch.zeros_like(nodes)
    gradient[:, :-1] += gram[..., :d, -1]
    gradient[:, 1:] += gram[..., d:-1, -1]

    # The pull of the chords on each point, and how it changes as the point moves.
    pull = torch.zeros_like(value)
    pull[:, 1:] += n_chords * chord
    pull[:, :-1] -= n_chords * chord
    bend = curvature(pull.flatten(0, 1)).unflatten(0, points.shape[:2])
    inner = bend[:, :-1].unflatten(1, (n_nodes - 1, n_sub))
    s = s[:-1, None, None]
    bend_diagonal = torch.zeros_like(diagonal)
    bend_diagonal[:, :-1] += ((1.0 - s) ** 2 * inner).sum(2)
    bend_diagonal[:, 1:] += (s**2 * inner).sum(2)
    bend_diagonal[:, -1] += bend[:, -1]
    bend_upper = (s * (1.0 - s) * inner).sum(2)
    upper = gram[..., :d, d:-1].contiguous()
    return gram[..., -1, -1].sum(-1), gradient, diagonal, upper, bend_diagonal, bend_upper
