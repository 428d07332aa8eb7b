"""Moves of a mixture's components that no small step makes: splits and merges.

A component that has lost its rows gets none back by steps along a gradient, however badly another
covers two groups at once, and two that share a group stay two. So components are split and made
one where the evidence lower bound of the mixture becomes larger by it, given the distributions of
the codes (Ueda et al., *SMEM algorithm for mixture models*, Neural Computation 2000; Hughes and
Sudderth, *Memoized online variational inference for Dirichlet process mixture models*, NeurIPS
2013).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .conjugate import Conjugate, divergence, expected, stepped

# Iterations of variational Bayes: of the parts of one component, and of all components.
N_PARTS, N_ALL = 10, 3
# Components with less than this of an even share are free for others to be split into.
FREE = 0.1
# So many splits, those that promise most, and as many merges per component are tried with all.
N_SPLITS, N_MERGES = 3, 2
# Responsibilities below this are not asked for when a component is split.
LEAST = 1e-3


@dataclass(frozen=True)
class Codes:
    """Distributions of the codes of n rows, by their moments."""

    means: Tensor  # (n, d)
    squares: Tensor  # (n, d * d): expected products of coordinates
    weights: Tensor  # (n,)


class Fit:
    """A mixture of codes, whose labels have the best posterior that there is.

    Parameters
    ----------
    codes : Codes
    conjugate, prior : Conjugate
        Posterior of the mixture's parameters, and their prior.
    tails : NormalTails or StudentTails
    """

    def __init__(self, codes, conjugate, prior, tails):
        self.codes, self.conjugate, self.prior, self.tails = codes, conjugate, prior, tails
        said = expected(conjugate, codes.means)
        pulled = (said.precisions @ said.means[..., None]).squeeze(-1)
        distances = codes.squares @ said.precisions.flatten(1).T - 2.0 * codes.means @ pulled.T
        distances = said.per_mean + distances + (said.means * pulled).sum(1)
        self._distances = distances.clamp(min=0.0)
        profile = tails.log_profile(self._distances, codes.means.shape[1])
        self._logs = said.log_shares + 0.5 * said.log_dets + profile

    @property
    def bound(self):
        """Negative evidence lower bound, but for the entropy of the codes, which stays."""
        explained = self.codes.weights @ self._logs.logsumexp(1)
        return (divergence(self.conjugate, self.prior) - explained).item()

    @property
    def counts(self):
        """Expected weights of the rows of the components, (K,)."""
        return self.conjugate.alpha - self.prior.alpha

    @property
    def are_used(self):
        """Whether components have more than next to no rows, (K,) bool."""
        return self.counts > FREE * self.counts.mean()

    def shares(self):
        """Posterior of the labels, (n, K)."""
        return self._logs.softmax(1)

    def given(self, shares):
        """The fit that suits a posterior of the labels (n, K)."""
        scaling = self.tails.scaling(self._distances, self.codes.means.shape[1])
        conjugate = suited(self.codes, shares, self.prior, scaling)
        return Fit(self.codes, conjugate, self.prior, self.tails)

    def iterated(self, n):
        """The fit after so many iterations, none of which makes the bound worse."""
        fit = self
        for _ in range(n):
            fit = fit.given(fit.shares())
        return fit


def suited(codes, shares, prior, scaling=None):
    """Posterior of parameters that suits a posterior of labels (n, K); factors of precisions
    (n, K) are one if there are none.
    """
    shares = codes.weights[:, None] * shares
    scaled = shares if scaling is None else shares * scaling
    scatter = (scaled.T @ codes.squares).reshape(prior.scatter.shape)
    counts = shares.sum(0)
    found = counts, scaled.sum(0), counts, scaled.T @ codes.means, scatter
    return stepped(prior, prior, found, 1.0)


def moved(fit):
    """The best fit found by merges, then by splits, one after the other; None if there are none.

    Every move makes the bound better than as many iterations without it would.
    """
    start = fit = fit.iterated(N_ALL)
    for candidates in (merges, splits):
        for _ in range(len(fit.counts)):
            found = [one.iterated(N_ALL) for one in candidates(fit)]
            best = min(found, key=lambda one: one.bound, default=fit)
            if best is fit or best.bound >= fit.iterated(N_ALL).bound:
                break
            fit = best
    return None if fit is start else fit


def merges(fit):
    """Fits with two used components in one, those first that share most rows."""
    shares, used = fit.shares(), torch.nonzero(fit.are_used).squeeze(1).tolist()
    common = shares.T @ (fit.codes.weights[:, None] * shares)
    pairs = [(i, j) for i in used for j in used if i < j]
    pairs.sort(key=lambda pair: -common[pair].item())
    for i, j in pairs[: N_MERGES * len(used)]:
        together = shares.clone()
        together[:, i] += together[:, j]
        together[:, j] = 0.0
        yield fit.given(together)


def splits(fit):
    """Fits with a free component put to use as a part of another, the most promising ones."""
    free = fit.counts.argmin().item()
    if fit.are_used[free]:
        return
    shares = fit.shares()
    shares[:, free] = 0.0
    shares = shares / shares.sum(1, keepdim=True)
    used = torch.nonzero(fit.are_used).squeeze(1).tolist()
    tried = [(*parts_of(fit, shares[:, k]), k) for k in used]
    tried.sort(key=lambda one: -one[0])
    rest = suited(fit.codes, shares, fit.prior)
    for _, parts, k in tried[:N_SPLITS]:
        tensors = [part.clone() for part in rest.tensors()]
        for tensor, part in zip(tensors, parts.tensors()):
            tensor[[k, free]] = part
        yield Fit(fit.codes, Conjugate(*tensors), fit.prior, fit.tails)


def parts_of(fit, shares):
    """A component with shares (n,) of the rows as two, cut across the direction in which its
    codes vary most and then fitted.

    Returns
    -------
    gain : float
        By how much the bound of its rows is better.
    parts : Conjugate
    """
    rows = torch.nonzero(shares > LEAST).squeeze(1)
    codes = Codes(
        fit.codes.means[rows], fit.codes.squares[rows], fit.codes.weights[rows] * shares[rows]
    )
    off = codes.means - codes.weights @ codes.means / codes.weights.sum()
    direction = torch.linalg.eigh(off.T @ (codes.weights[:, None] * off))[1][:, -1]
    side = (off @ direction > 0.0).to(off)
    bounds = []
    for labels in (torch.ones_like(side)[:, None], torch.stack([side, 1.0 - side], dim=1)):
        prior = Conjugate(*(part[: labels.shape[1]] for part in fit.prior.tensors()))
        found = Fit(codes, suited(codes, labels, prior), prior, fit.tails).iterated(N_PARTS)
        bounds.append(found.bound)
    return bounds[0] - bounds[1], found.conjugate
