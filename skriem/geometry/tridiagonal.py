"""Batches of symmetric block-tridiagonal systems whose last unknown may be shared.

A chain of unknowns x_1, ..., x_T couples neighbours only. Eliminating x_1 to x_{T-1} leaves a
small system for x_T. Many chains that share their last unknown (all geodesics to one mean)
add up their small systems; a chain with fixed ends sets the last unknown to zero.
"""

from typing import NamedTuple

import torch


class Eliminated(NamedTuple):
    """x_i = offsets_i - gains_i x_{i+1}, and what is left for the last unknown."""

    gains: torch.Tensor  # (B, T-1, d, d)
    offsets: torch.Tensor  # (B, T-1, d)
    matrix: torch.Tensor  # (B, d, d): Schur complement of the last unknown
    rhs: torch.Tensor  # (B, d)
    definite: torch.Tensor  # (B,) bool: all eliminated blocks were positive definite


def eliminate(diagonal, upper, rhs):
    """Eliminate all unknowns but the last of every chain.

    Parameters
    ----------
    diagonal : Tensor of shape (B, T, d, d)
    upper : Tensor of shape (B, T-1, d, d)
        Block [i, i+1] of the symmetric matrix.
    rhs : Tensor of shape (B, T, d)

    Returns
    -------
    Eliminated
    """
    matrix, vector = diagonal[:, 0], rhs[:, 0]
    gains, offsets = [], []
    definite = torch.ones(len(rhs), dtype=torch.bool, device=rhs.device)
    for i in range(upper.shape[1]):
        solved = torch.linalg.solve_ex(matrix, torch.cat([upper[:, i], vector[..., None]], -1))[0]
        gain, offset = solved[..., :-1], solved[..., -1]
        lower = upper[:, i].mT
        reduced = diagonal[:, i + 1] - lower @ gain
        remaining = rhs[:, i + 1] - (lower @ offset[..., None]).squeeze(-1)
        definite &= torch.linalg.cholesky_ex(matrix).info == 0
        matrix, vector = reduced, remaining
        gains.append(gain)
        offsets.append(offset)
    return Eliminated(torch.stack(gains, 1), torch.stack(offsets, 1), matrix, vector, definite)


def substitute(eliminated, last):
    """All unknowns, (B, T, d), given the last, (B, d)."""
    unknowns = [last]
    for i in reversed(range(eliminated.gains.shape[1])):
        gain, offset = eliminated.gains[:, i], eliminated.offsets[:, i]
        unknowns.append(offset - (gain @ unknowns[-1][..., None]).squeeze(-1))
    return torch.stack(unknowns[::-1], dim=1)
