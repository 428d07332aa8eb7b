"""Most probable units of a regression network given the data, and how probable the data are."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import logsigmoid

from .network import at_rows, log_joint, misses, sweep

# Draws of the units are from the conditional probabilities at these temperatures in turn: units
# that hold each other in place flip together at the higher ones, and an estimate from narrow
# draws would miss what they then say.
TEMPERATURES = (1.0, 2.0, 4.0, 16.0)
# Starts beside all zeros and what data say of each unit alone are drawn, cooling down.
COOLING = (8.0, 4.0, 2.0, 1.0)
# So many of them, fewer the more units there are in all.
MOST_DRAWN, FOR_UNITS = 4, 64
# Sweeps of an ascent, which ends by itself long before.
MAX_SWEEPS = 100
# So many steps of the mean field, each so long.
FIELD_STEPS, FIELD_STEP = 10, 0.3
# Numbers in the layers of a block of rows held at once.
BUDGET = 2**22


def ascend(network, x, hidden, max_sweeps=MAX_SWEEPS):
    """Coordinate ascent of the joint probability, until no flip of one unit makes it larger.

    Rows that are there are left alone.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
    hidden : sequence of Tensor of shape (n, n_units)
        Where to start.

    Returns
    -------
    list of Tensor of shape (n, n_units)
    """
    hidden = [units.clone() for units in hidden]
    zeros = [units.new_zeros(units.shape[1]) for units in hidden]
    rows = torch.arange(len(x), device=x.device)
    for _ in range(max_sweeps):
        before = at_rows(hidden, rows)
        after = sweep_all(network, x[rows], before, zeros)
        for units, new in zip(hidden, after):
            units[rows] = new
        changed = [(new != old).any(1) for new, old in zip(after, before)]
        rows = rows[torch.stack(changed).any(0)]
        if not len(rows):
            break
    return hidden


def sweep_all(network, x, hidden, thresholds):
    """One :func:`.network.sweep` of every layer, from the data up."""
    hidden = list(hidden)
    for layer, threshold in enumerate(thresholds):
        hidden[layer] = sweep(network, layer, x, hidden, threshold)[0]
    return hidden


def upward(network, x):
    """Units that alone explain what is below them better than none does, from the data up."""
    hidden, below = [], x
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases)):
        p = len(network.noise_of(layer))
        ones = (bias[p:] + below[:, p:]).sigmoid() if network.is_soft(layer) else below[:, p:]
        missed = torch.cat([below[:, :p] - bias[:p], ones - bias[p:].sigmoid()], dim=1)
        below = (missed @ weight > 0.0).to(x.dtype)
        hidden.append(below)
    return hidden


def most_probable(network, x, generator, n_drawn=None):
    """Units of the largest joint probability that ascents from several starts find.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
    generator : torch.Generator
        On the processor. All rows share its numbers, so that a row's units do not depend on
        which other rows they are asked with.
    n_drawn : int or None
        Starts that are drawn, beside two that are not. None: up to four, the fewer the more
        units there are, for which they cost more and help less.

    Returns
    -------
    list of Tensor of shape (n, n_units)
    """
    widths = [weight.shape[1] for weight in network.weights]
    if n_drawn is None:
        n_drawn = min(MOST_DRAWN, math.ceil(FOR_UNITS / sum(widths)))
    noise = [
        [logistic(width, generator, x) for width in widths] for _ in range(n_drawn * len(COOLING))
    ]
    size = max(1, BUDGET // max(network.weights[0].shape[0], *widths))
    found = [_best_of_starts(network, part, noise) for part in x.split(size)]
    return [torch.cat(units) for units in zip(*found)]


def _best_of_starts(network, x, noise):
    zeros = [x.new_zeros(len(x), weight.shape[1]) for weight in network.weights]
    best = ascend(network, x, upward(network, x))
    value = log_joint(network, x, best)

    def try_from(start):
        found = ascend(network, x, start)
        reached = log_joint(network, x, found)
        better = reached > value
        value[better] = reached[better]
        for units, new in zip(best, found):
            units[better] = new[better]

    try_from(zeros)
    for k in range(0, len(noise), len(COOLING)):
        start = list(best)
        for temperature, drawn in zip(COOLING, noise[k:]):
            start = sweep_all(network, x, start, [temperature * part for part in drawn])
        try_from(start)
    return best


def mean_field(network, x, n_steps=FIELD_STEPS):
    """Shares of ones among the units, as relaxed units that the joint probability pulls at.

    Steps towards a stationary point of log p(x, m) plus the entropy of independent units with
    probabilities m: m = sigma(d log p(x, m) / dm). They cost a few products of matrices for all
    units at once, can be differentiated, and start at what each layer is expected to be.

    Parameters
    ----------
    network : RegressionNetwork
        Not soft.
    x : Tensor of shape (n, n_features)
    n_steps : int

    Returns
    -------
    list of Tensor of shape (n, n_units)
    """
    shares = [network.prior.sigmoid().expand(len(x), -1)]
    for weight, bias in zip(network.weights[:0:-1], network.biases[:0:-1]):
        shares.insert(0, torch.addmm(bias, shares[0], weight.T).sigmoid())
    for _ in range(n_steps):
        values, said = [x, *shares], network.below(shares)
        for layer, weight in enumerate(network.weights):
            missed = misses(values[layer], said[layer], network.noise_of(layer))
            target = (said[layer + 1] + missed @ weight).sigmoid()
            shares[layer] = torch.lerp(shares[layer], target, FIELD_STEP)
    return shares


def logistic(size, generator, like):
    """Draws from the logistic distribution: a logit above one is that of a one."""
    drawn = torch.rand(size, generator=generator, dtype=torch.float64)
    return torch.logit(drawn, eps=1e-15).to(like)


def log_weights(network, x, hidden, n_samples, generator):
    """Draw log [p(x_i, h) / q_i(h)] for units h from every row's proposal q_i.

    The log of their exponentials' mean estimates log p(x_i), from below in expectation. The
    proposal goes through the units in turn and draws each from its conditional probability
    given those that were drawn before and `hidden` for those to come, at the temperatures
    ``TEMPERATURES`` in turn; its probability is that of the mixture.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
    hidden : sequence of Tensor of shape (n, n_units)
        Such as :func:`most_probable` finds.
    n_samples : int
        Draws of every row.
    generator : torch.Generator
        On the processor. All rows share its numbers.

    Returns
    -------
    Tensor of shape (n, n_samples)
    """
    turn = torch.arange(n_samples) % len(TEMPERATURES)
    share = torch.bincount(turn, minlength=len(TEMPERATURES)).to(x) / n_samples
    temperatures = x.new_tensor(TEMPERATURES)
    noise = [
        temperatures[turn, None] * logistic((n_samples, units.shape[1]), generator, x)
        for units in hidden
    ]
    size = max(1, BUDGET // (n_samples * max(x.shape[1], *(len(u.T) for u in hidden))))
    found = []
    for rows in torch.arange(len(x), device=x.device).split(size):

        def repeated(part, rows=rows):
            return part[rows].repeat_interleave(n_samples, dim=0)

        some, drawn = repeated(x), [repeated(units) for units in hidden]
        log_proposal = share.log()[:, None]
        for layer, part in enumerate(noise):
            drawn[layer], logits = sweep(network, layer, some, drawn, part.repeat(len(rows), 1))
            of_unit = logsigmoid((2.0 * drawn[layer] - 1.0) * logits / temperatures[:, None, None])
            log_proposal = log_proposal + of_unit.sum(-1)
        log_proposal = torch.logsumexp(log_proposal, dim=0)
        found.append((log_joint(network, some, drawn) - log_proposal).view(-1, n_samples))
    return torch.cat(found)


def log_mean(log_weights):
    """Logarithm of the mean of weights (n, K), and its standard error, (n,) each."""
    n_samples = log_weights.shape[1]
    estimate = torch.logsumexp(log_weights, dim=1) - math.log(n_samples)
    relative = (log_weights - estimate[:, None]).exp()
    # The error of a logarithm is the relative error.
    return estimate, relative.std(1) / math.sqrt(n_samples)
