"""Weights of codes in the likelihood of data under the decoder."""

import torch

# Numbers in a block held at once, of which a draw has as many as outputs or hidden units.
BUDGET, N_HIDDEN = 2**24, 128
# A likelihood is estimated with draws from the encoder's posterior widened by these factors in
# turn. The posterior belongs to the constant noise of training; where the noise varies it can
# be far too narrow, and an estimate from narrow draws misses most of the mass.
WIDTHS = (1.0, 4.0, 16.0)
# Draws go once round where codes differ by one over this.
TURNS = 30.0


def log_weights(*arguments, **options):
    """The weights of all rows, (n, n_samples); see :func:`weighted_draws`."""
    return torch.cat([weights for _, weights in weighted_draws(*arguments, **options)])


def conditional_means(x, proposals, embedding, *arguments, **options):
    """Means of what decoders say of rows, given what is known of them, (n, m).

    Parameters
    ----------
    x, proposals, embedding
        As for :func:`weighted_draws`, whose further arguments follow.
    """
    found = []
    for z, weights in weighted_draws(x, proposals, embedding, *arguments, **options):
        decoded = embedding.mean(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        found.append((weights.softmax(1)[:, None] @ decoded).squeeze(1))
    return torch.cat(found)


def weighted_draws(x, proposals, embedding, n_samples, generator, widths=WIDTHS):
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

    Yields
    ------
    codes : Tensor of shape (b, n_samples, d)
        Draws for a block of rows.
    weights : Tensor of shape (b, n_samples)
    """
    mean = proposals.mean
    size = max(1, BUDGET // (n_samples * max(N_HIDDEN, x.shape[1])))
    shared = torch.rand(n_samples, mean.shape[1], generator=generator, dtype=x.dtype)
    widths = shared.new_tensor(widths)
    turn = torch.arange(n_samples) % len(widths)
    share = torch.bincount(turn, minlength=len(widths)) / n_samples
    log_shares = share.to(widths).log() - mean.shape[1] * widths.log()
    for rows in torch.arange(len(x)).split(size):
        noise = rotated(shared, TURNS * mean[rows]) * widths[turn, None]
        by_width = -0.5 * noise.square().sum(-1, keepdim=True) / widths.square() + log_shares
        of_rows = proposals.of_rows(rows)
        spread, log_volume = spread_by(of_rows.factor, noise)
        z = mean[rows, None] + spread
        log_proposal = torch.logsumexp(by_width, -1) - log_volume[:, None]
        log_prior = of_rows.density.log_density(z)
        repeated = x[rows].repeat_interleave(n_samples, dim=0)
        log_data = embedding.log_prob(repeated, z.flatten(0, 1)).unflatten(0, z.shape[:2])
        yield z, log_data + log_prior - log_proposal


def spread_by(factor, noise):
    """Noise (n, m, d) of a standard deviation (n, d) or the lower factor (n, d, d) of a covariance,
    and the logarithm of what it makes of volumes, (n,).
    """
    if factor.ndim == noise.ndim:
        return noise @ factor.mT, factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return factor[:, None] * noise, factor.log().sum(-1)


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
