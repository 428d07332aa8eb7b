"""Normal distributions along chains, where every step depends on the one before: what all of a
chain says of each of its steps.

Precisions are block tridiagonal. Every other step is eliminated, then every other one of those
that are left: O(T d^3) operations for T steps, in about log2(T) rounds, each over all steps at
once. Where a coupling is zero a chain ends and another one begins, so that sequences of different
lengths are one chain and need no padding.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOG_2PI = math.log(2.0 * math.pi)


class _Inverse(torch.autograd.Function):
    """By Cholesky's factors: there are few matrices at a time."""

    @staticmethod
    def forward(ctx, matrices):
        factors = cholesky(matrices)
        found = torch.cholesky_inverse(factors)
        log_dets = 2.0 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        ctx.save_for_backward(found)
        return found, log_dets

    @staticmethod
    def backward(ctx, of_found, of_dets):
        (found,) = ctx.saved_tensors
        return of_dets[..., None, None] * found - found @ of_found @ found


def cholesky(matrices):
    """Lower factors, NaN where there is none: training that diverges says so by its loss."""
    factors, info = torch.linalg.cholesky_ex(matrices)
    return factors.masked_fill((info > 0)[..., None, None], math.nan)


def inverted(matrices):
    """Inverses and logarithms of determinants of positive definite matrices (..., d, d)."""
    return _Inverse.apply(matrices)


def times(matrices, vectors):
    """Products (..., i) of matrices (..., i, j) and vectors (..., j)."""
    return (matrices @ vectors[..., None]).squeeze(-1)


@dataclass(frozen=True)
class Marginals:
    """What a chain says of its steps and of neighbours."""

    means: Tensor  # (n, d)
    covariances: Tensor  # (n, d, d)
    crosses: Tensor  # (n - 1, d, d): covariances of each step (rows) and the next (columns)


@dataclass(frozen=True)
class Round:
    """Steps that were eliminated: each is normal given those to its left and its right."""

    pivots: Tensor  # (m, d, d): precisions given the neighbours
    inverses: Tensor  # (m, d, d)
    log_dets: Tensor  # (m,), of the pivots
    natural: Tensor  # (m, d)
    shift: Tensor  # (m, d): mean where both neighbours are zero
    left: Tensor  # (m, d, d): slope of the mean in the left neighbour
    right: Tensor  # (m, d, d)
    n: int  # steps before elimination


class Chain:
    """A density exp(-x'Jx / 2 + h'x) up to a factor, with a block tridiagonal J.

    Parameters
    ----------
    diagonal : Tensor of shape (n, d, d)
    couplings : Tensor of shape (n - 1, d, d)
        Blocks of J right of the diagonal ones.
    natural : Tensor of shape (n, d)
        The vector h.
    """

    def __init__(self, diagonal, couplings, natural):
        self._rounds = []
        while len(diagonal) > 1:
            diagonal, couplings, natural = self._eliminate(diagonal, couplings, natural)
        self._last, self._last_log_det = inverted(diagonal)
        self._last_natural, self._last_precision = natural, diagonal

    def _eliminate(self, diagonal, couplings, natural):
        """The chain of every other step; what the others were is noted."""
        n = len(diagonal)
        if n % 2 == 0:
            # The last one has no neighbour on its right.
            couplings = torch.cat([couplings, torch.zeros_like(diagonal[:1])])
        to_left, to_right = couplings[0::2].mT, couplings[1::2]
        pivots, own = diagonal[1::2], natural[1::2]
        inverses, log_dets = inverted(pivots)
        left, right = -inverses @ to_left, -inverses @ to_right
        shift = times(inverses, own)
        self._rounds.append(Round(pivots, inverses, log_dets, own, shift, left, right, n))
        kept, rest = diagonal[0::2], natural[0::2]
        nothing, none = torch.zeros_like(kept[:1]), torch.zeros_like(rest[:1])
        m = len(kept)
        kept = kept + torch.cat([to_left.mT @ left, nothing])[:m]
        kept = kept + torch.cat([nothing, to_right.mT @ right])[:m]
        rest = rest - torch.cat([times(to_left.mT, shift), none])[:m]
        rest = rest - torch.cat([none, times(to_right.mT, shift)])[:m]
        return kept, (to_left.mT @ right)[: m - 1], rest

    def marginals(self):
        """Means, covariances and covariances of neighbours, :class:`Marginals`."""
        means, covariances = times(self._last, self._last_natural), self._last
        crosses = covariances[:0]
        for r in reversed(self._rounds):
            means, covariances, crosses = (
                _ended(r, part) for part in (means, covariances, crosses)
            )
            before, after = covariances[:-1], covariances[1:]
            of_left = r.left @ before + r.right @ crosses.mT
            of_right = r.left @ crosses + r.right @ after
            between = r.inverses + of_left @ r.left.mT + of_right @ r.right.mT
            middle = r.shift + times(r.left, means[:-1]) + times(r.right, means[1:])
            means = _merged(means, middle)[: r.n]
            covariances = _merged(covariances, 0.5 * (between + between.mT))[: r.n]
            crosses = torch.stack([of_left.mT, of_right], 1).flatten(0, 1)[: r.n - 1]
        return Marginals(means, covariances, crosses)

    def log_normalizer(self):
        """Logarithm of the integral of the density, a number."""
        d = self._last_natural.shape[1]
        last = times(self._last, self._last_natural)
        log_dets, squares = self._last_log_det.sum(), (last * self._last_natural).sum()
        for r in self._rounds:
            log_dets = log_dets + r.log_dets.sum()
            squares = squares + (r.natural * r.shift).sum()
        n = self._rounds[0].n if self._rounds else 1
        return 0.5 * (squares - log_dets + n * d * LOG_2PI)

    def draw(self, generator):
        """One path, (n, d)."""

        def noise(pivots):
            eps = torch.randn(
                pivots.shape[:-1], generator=generator, dtype=pivots.dtype, device=pivots.device
            )
            factors = cholesky(pivots)
            return torch.linalg.solve_triangular(factors.mT, eps[..., None], upper=True)[..., 0]

        path = times(self._last, self._last_natural) + noise(self._last_precision)
        for r in reversed(self._rounds):
            path = _ended(r, path)
            middle = r.shift + times(r.left, path[:-1]) + times(r.right, path[1:])
            path = _merged(path, middle + noise(r.pivots))[: r.n]
        return path


def _ended(eliminated, steps):
    """Steps with one more, of zeros, where the last that was eliminated had none to its right."""
    if eliminated.n % 2:
        return steps
    return torch.cat([steps, steps.new_zeros(1, *steps.shape[1:])])


def _merged(kept, others):
    """Steps in their order: what was kept, with the others between."""
    pairs = torch.stack([kept[:-1], others], 1).flatten(0, 1)
    return torch.cat([pairs, kept[-1:]])
