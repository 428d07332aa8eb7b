"""Weights of codes in the likelihood of data under the decoder."""

import torch

# Numbers in a block held at once, of which a draw has as many as outputs or hidden units.
BUDGET, N_HIDDEN = 2**24, 128
# A likelihood is estimated with draws from the encoder's posterior widened by these factors in
# turn. The posterior belongs to the constant noise of training; where the noise varies it can
# be far too narrow, and an estimate from narrow draws misses most of the mass.
WIDTHS = (1.0, 4.0, 16.0)


def log_weights(*arguments, **options):
    """The weights of all rows, (n, n_samples); see :func:`weighted_draws`."""
    return torch.cat([weights for _, weights in weighted_draws(*arguments, **options)])


def conditional_means(x, mean, log_variance, embedding, *arguments, **options):
    """Means of what decoders say of rows, given what is known of them, (n, m).

    Parameters
    ----------
    x, mean, log_variance, embedding
        As for :func:`weighted_draws`, whose further arguments follow.
    """
    found = []
    for z, weights in weighted_draws(x, mean, log_variance, embedding, *arguments, **options):
        decoded = embedding.mean(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        found.append((weights.softmax(1)[:, None] @ decoded).squeeze(1))
    return torch.cat(found)


def weighted_draws(x, mean, log_variance, embedding, prior, n_samples, generator, widths=WIDTHS):
    """Draw log [p(x_i | z) p(z) / q_i(z)] for codes z from every row's proposal q_i.

    The log of their exponentials' mean estimates log p(x_i) from below (Burda, Grosse and
    Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016); their mean, for one width of
    one, is the evidence lower bound.

    All rows share the same standard normal draws, so that a row's value does not depend on
    which other rows it is asked with.

    Parameters
    ----------
    x : Tensor of shape (n, m)
        What the likelihood is of; NaN where it is not known.
    mean, log_variance : Tensor of shape (n, d)
        The normal distribution that each row's proposal is made of.
    embedding : object
        Its ``log_prob(x, z)`` is the decoder's log-likelihood of rows given codes.
    prior : Prior
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
    size = max(1, BUDGET // (n_samples * max(N_HIDDEN, x.shape[1])))
    noise = torch.randn(n_samples, mean.shape[1], generator=generator, dtype=x.dtype)
    widths = noise.new_tensor(widths)
    turn = torch.arange(n_samples) % len(widths)
    share = torch.bincount(turn, minlength=len(widths)) / n_samples
    noise = noise * widths[turn, None]
    by_width = -0.5 * (noise.square().sum(1, keepdim=True) / widths.square())
    by_width = by_width - mean.shape[1] * widths.log() + share.to(widths).log()
    log_noise = torch.logsumexp(by_width, dim=1)
    for rows in torch.arange(len(x)).split(size):
        z = mean[rows, None] + torch.exp(0.5 * log_variance[rows, None]) * noise
        log_proposal = log_noise - 0.5 * log_variance[rows, None].sum(-1)
        log_prior = prior.log_density(z)
        repeated = x[rows].repeat_interleave(n_samples, dim=0)
        log_data = embedding.log_prob(repeated, z.flatten(0, 1)).unflatten(0, z.shape[:2])
        yield z, log_data + log_prior - log_proposal
