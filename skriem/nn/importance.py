"""Weights of codes in the likelihood of data under the decoder."""

import math
from typing import NamedTuple

import torch

# Numbers in a block held at once, of which a draw has as many as outputs or hidden units.
BUDGET, N_HIDDEN = 2**24, 128
# A likelihood is estimated with draws from the encoder's posterior widened by these factors in
# turn. The posterior belongs to the constant noise of training; where the noise varies it can
# be far too narrow, and an estimate from narrow draws misses most of the mass.
WIDTHS = (1.0, 4.0, 16.0)
# Conditional means take as many rounds, if there are draws enough, with these widths in the first
# one and in the others, which are where the posterior is. Variances fall to this share of the
# first at most.
N_ROUNDS, LEAST_DRAWS, FIRST, LATER, NARROWEST = 3, 30, (1.0, 2.0, 4.0), (1.0, 1.5), 0.1
# Draws go once round where codes differ by one over this.
TURNS = 30.0


def log_weights(x, proposals, embedding, n_samples, generator, widths=WIDTHS):
    """Draw log [p(x_i | z) p(z) / q_i(z)] for codes z from every row's proposal q_i.

    The log of their exponentials' mean estimates log p(x_i) from below (Burda, Grosse and
    Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016); their mean, for one width of
    one, is the evidence lower bound.

    What a row draws depends on the row alone; see :func:`rotated`.

    Parameters
    ----------
    x : Tensor of shape (n, m)
        What the likelihood is of; NaN where it is not known.
    proposals : Proposals
        The normal distribution that each row's proposal is made of, and the prior p(z).
    embedding : object
        Its ``log_prob(x, z)`` is the decoder's log-likelihood of rows given codes.
    n_samples : int
    generator : torch.Generator
    widths : sequence of float
        The proposal is a mixture of normal distributions of so many times the standard
        deviations; draws take them in turn, and each weighs as often as it is drawn.

    Returns
    -------
    Tensor of shape (n, n_samples)
    """
    found = []
    for rows, of_rows, noise in blocks(x, proposals, n_samples, generator):
        draws = drawn(of_rows.mean, of_rows.factor, noise, widths)
        repeated = x[rows].repeat_interleave(n_samples, dim=0)
        log_data = embedding.log_prob(repeated, draws.codes.flatten(0, 1))
        log_prior = of_rows.density.log_density(draws.codes)
        log_proposal = draws.log_density(draws.codes)
        found.append(log_data.unflatten(0, noise.shape[:2]) + log_prior - log_proposal)
    return torch.cat(found)


def conditional_means(x, proposals, embedding, n_samples, generator):
    """Means of what decoders say of rows, given what is known of them, (n, m).

    Codes are drawn in rounds, each where those before weigh most, and all of them count by the
    density of all rounds together (Cornuet, Marin, Mira and Robert, *Adaptive multiple importance
    sampling*, Scandinavian Journal of Statistics 2012).

    Parameters
    ----------
    x, proposals, n_samples, generator
        As for :func:`log_weights`.
    embedding : object
        Its ``given(x, z)`` is the log-likelihood of rows given codes, and what these expect.
    """
    n_rounds, found = (N_ROUNDS if n_samples >= LEAST_DRAWS else 1), []
    for rows, of_rows, noise in blocks(x, proposals, n_samples, generator):
        center, factor, rounds, known, expected = of_rows.mean, of_rows.factor, [], [], []
        for part in noise.tensor_split(n_rounds, dim=1):
            rounds.append(drawn(center, factor, part, LATER if rounds else FIRST))
            codes = rounds[-1].codes
            log_data, mean = embedding.given(x[rows], codes)
            known.append(log_data + of_rows.density.log_density(codes))
            expected.append(mean)
            codes = torch.cat([one.codes for one in rounds], 1)
            log_proposal = torch.logsumexp(torch.stack([one.part_of(codes) for one in rounds]), 0)
            weights = (torch.cat(known, 1) - log_proposal).softmax(1)
            center, factor = moments(codes, weights, of_rows.factor)
        found.append((weights[:, None] @ torch.cat(expected, 1)).squeeze(1))
    return torch.cat(found)


def blocks(x, proposals, n_samples, generator):
    """Some rows at a time, their proposals, and standard normal draws (b, n_samples, d)."""
    mean = proposals.mean
    size = max(1, BUDGET // (n_samples * max(N_HIDDEN, x.shape[1])))
    shared = torch.rand(n_samples, mean.shape[1], generator=generator, dtype=x.dtype)
    for rows in torch.arange(len(x)).split(size):
        yield rows, proposals.of_rows(rows), rotated(shared, TURNS * mean[rows])


class Draws(NamedTuple):
    """Codes of rows from mixtures of normal distributions of several widths."""

    codes: torch.Tensor  # (n, K, d)
    mean: torch.Tensor  # (n, d)
    factor: torch.Tensor  # (n, d, d) or (n, d)
    widths: torch.Tensor
    log_shares: torch.Tensor  # of the widths

    def log_density(self, codes):
        """That of the mixtures at any codes, but for -d / 2 log(2 pi), (n, K)."""
        off = codes - self.mean[:, None]
        if self.factor.ndim == codes.ndim:
            off = torch.linalg.solve_triangular(self.factor, off.mT, upper=False).mT
            log_volume = self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        else:
            off, log_volume = off / self.factor[:, None], self.factor.log().sum(-1)
        by_width = -0.5 * off.square().sum(-1, keepdim=True) / self.widths.square()
        by_width = by_width + self.log_shares - codes.shape[-1] * self.widths.log()
        return torch.logsumexp(by_width, -1) - log_volume[:, None]

    def part_of(self, codes):
        """The same as part of the density of several rounds, to which these codes belong."""
        return self.log_density(codes) + math.log(self.codes.shape[1] / codes.shape[1])


def drawn(mean, factor, noise, widths):
    """Codes from standard normal draws (n, K, d), which take the widths in turn."""
    widths = noise.new_tensor(widths)
    turn = torch.arange(noise.shape[1]) % len(widths)
    shares = torch.bincount(turn, minlength=len(widths)).to(widths) / len(turn)
    wide = noise * widths[turn, None]
    spread = wide @ factor.mT if factor.ndim == noise.ndim else factor[:, None] * wide
    return Draws(mean[:, None] + spread, mean, factor, widths, shares.log())


def moments(codes, weights, factor):
    """Means, and lower factors of covariances, of codes (n, K, d) with weights (n, K).

    The fewer draws count the less is made of correlations, and no direction becomes narrower than
    a part of what it was at first, with this factor.
    """
    d = codes.shape[-1]
    mean = weights[:, None] @ codes
    off = codes - mean
    covariance = off.mT @ (weights[..., None] * off)
    first = (factor if factor.ndim == codes.ndim else torch.diag_embed(factor)).square().sum(-1)
    variance = torch.maximum(covariance.diagonal(dim1=-2, dim2=-1), NARROWEST * first)
    trust = 1.0 / (1.0 + d * weights.square().sum(1))[:, None, None]
    covariance = trust * covariance + (1.0 - trust) * torch.diag_embed(variance)
    # Weights that are no numbers make a mean that is none, and no error here.
    return mean.squeeze(1), torch.linalg.cholesky_ex(covariance)[0]


def rotated(shared, by):
    """Standard normal draws for every row from shared uniform ones, (n, n_samples, d).

    They are moved round the unit interval by a number of each row's own (Cranley and Patterson,
    *Randomization of number theoretic methods for multiple integration*, SIAM J. Numer. Anal.
    1976). So a row's draws do not depend on which others it is asked with, those of different rows
    differ and their errors average out, and rows that differ by rounding have the same. The way
    back along the interval keeps draws continuous where they come round.

    Parameters
    ----------
    shared : Tensor of shape (n_samples, d)
    by : Tensor of shape (n, d)
        In turns.
    """
    place = 1.0 - (2.0 * torch.remainder(shared + by[:, None], 1.0) - 1.0).abs()
    least = torch.finfo(shared.dtype).eps
    return torch.special.ndtri(place.clamp(least, 1.0 - least))
