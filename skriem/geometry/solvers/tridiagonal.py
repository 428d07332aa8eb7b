"""Batches of symmetric block-tridiagonal systems whose last unknown may be shared.

A chain of unknowns x_1, ..., x_T couples neighbours only. Eliminating x_1 to x_{T-1} leaves a
small system for x_T. Many chains that share their last unknown (all geodesics to one mean)
add up their small systems; a chain with fixed ends sets the last unknown to zero.

Every second unknown is eliminated at once (cyclic reduction), so a chain takes log2(T) rounds.
"""

from typing import NamedTuple

import torch


class Eliminated(NamedTuple):
    """What elimination leaves, and how to find the eliminated unknowns."""

    n_unknowns: int
    rounds: list  # per round: (to_left, to_right, offset) of the unknowns eliminated
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
    n_unknowns, d = rhs.shape[1:]
    definite = torch.ones(len(rhs), dtype=torch.bool, device=rhs.device)
    rounds = []
    # A coupling to a neighbour before the first unknown, so that every unknown has two.
    upper = torch.cat([torch.zeros_like(diagonal[:, :1]), upper], dim=1)
    while diagonal.shape[1] > 1:
        if diagonal.shape[1] % 2:
            # An odd chain gets a first unknown that nothing depends on.
            eye = torch.eye(d, dtype=rhs.dtype, device=rhs.device).expand(len(rhs), 1, d, d)
            diagonal = torch.cat([eye, diagonal], dim=1)
            upper = torch.cat([torch.zeros_like(upper[:, :1]), upper], dim=1)
            rhs = torch.cat([torch.zeros_like(rhs[:, :1]), rhs], dim=1)
        pivot, left, right = diagonal[:, ::2], upper[:, ::2].mT, upper[:, 1::2]
        definite &= (torch.linalg.cholesky_ex(pivot).info == 0).all(1)
        coupled = torch.cat([left, right, rhs[:, ::2, :, None]], dim=-1)
        solved = torch.linalg.solve_ex(pivot, coupled)[0]
        to_left, to_right, offset = solved[..., :d], solved[..., d:-1], solved[..., -1:]
        rounds.append((to_left, to_right, offset.squeeze(-1)))

        from_right = right.mT @ solved
        diagonal = diagonal[:, 1::2] - from_right[..., d:-1]
        rhs = rhs[:, 1::2] - from_right[..., -1]
        # left.mT couples each kept unknown to the eliminated one after it.
        from_left = left[:, 1:].mT @ solved[:, 1:]
        diagonal[:, :-1] -= from_left[..., :d]
        rhs[:, :-1] -= from_left[..., -1]
        upper = -left.mT @ to_right
    return Eliminated(n_unknowns, rounds, diagonal[:, 0], rhs[:, 0], definite)


def substitute(eliminated, last):
    """All unknowns, (B, T, d), given the last, (B, d)."""
    unknowns = last[:, None]
    for to_left, to_right, offset in reversed(eliminated.rounds):
        # An odd chain's own first unknown is not among the kept.
        after = unknowns[:, -offset.shape[1] :]
        before = torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], dim=1)
        found = offset - (to_left @ before[..., None] + to_right @ after[..., None]).squeeze(-1)
        unknowns = torch.stack([found, after], dim=2).flatten(1, 2)
    return unknowns[:, -eliminated.n_unknowns :]
