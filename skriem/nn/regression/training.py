"""Learning of regression networks by hard expectation maximisation.

The units of every row are kept and improved a little, by coordinate ascent, whenever the row comes
by; then the regressions take a step towards explaining rows by their units. What rises is the
largest joint probability, a bound on the likelihood from below.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from ..likelihoods.base import NOISE_FLOOR
from ..train import History, Patience, set_step
from .network import (
    RegressionNetwork,
    at_rows,
    gradients,
    log_joint,
    log_prob,
    sweep,
)

# Units are started with weights of this size, and on in this share of the rows.
WEIGHT = 0.1
# Each batch visits so large a share of the units, drawn anew, and so many at least. A step of the
# weights costs far less than a sweep of all units.
VISITED, FEWEST_VISITED = 0.2, 8
# Prior logits are bounded by this: a unit that is never used is not lost for ever.
LARGEST_PRIOR = 6.0
# The prior of the units is held for this share of the passes: rare ones would die out at once.
HELD = 1.0 / 3.0
# Weights are bounded by this, so that no exponential of one is too large.
LARGEST_WEIGHT = 20.0
# Units that are the same in all but this share of the rows are started again.
UNUSED = 1e-3
# So are those whose weights have this cosine with another's, if hardly ever both are one: they
# share the rows of a single cause, and some other is explained by none.
SAME_WEIGHTS, BOTH = 0.8, 0.1
# With weights so many times what the worst explained rows miss.
RESTARTED = 4.0


def first_block(x, weights, n_normal, n_units, share_on, generator):
    """A network of one hidden layer that has learned nothing yet, and units of every row.

    Parameters
    ----------
    x : Tensor of shape (n, n_features)
    weights : Tensor of shape (n,)
        Of rows; their sum is one.
    n_normal : int
        How many columns, the first, are normal distributed.
    n_units : int
    generator : torch.Generator
        On the processor.
    """
    mean = weights @ x
    variance = weights @ (x - mean).square()
    edge = 0.5 / (len(x) + 1.0)
    logits = torch.logit(mean[n_normal:].clamp(edge, 1.0 - edge))
    shape = x.shape[1], n_units
    network = RegressionNetwork(
        weights=(WEIGHT * torch.randn(shape, generator=generator).to(x),),
        biases=(torch.cat([mean[:n_normal], logits]),),
        prior=torch.logit(x.new_full((n_units,), share_on)),
        noise=(variance[:n_normal] + NOISE_FLOOR**2).sqrt(),
    )
    units = (torch.rand((len(x), n_units), generator=generator) < share_on).to(x)
    return network, units


def stacked(below, above):
    """A network on top of another, whose hidden units were its data."""
    return replace(
        below,
        weights=(*below.weights, *above.weights),
        biases=(*below.biases, *above.biases),
        prior=above.prior,
    )


def train(
    network,
    x,
    weights,
    hidden,
    *,
    batch_size,
    learning_rate,
    weight_decay,
    max_iter,
    tol,
    n_iter_no_change,
    generator,
    on_epoch=None,
):
    """Fit a network, and the units of every row in place.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
        On the device that does the work.
    weights : Tensor of shape (n,)
        Of rows; their sum is one.
    hidden : list of Tensor of shape (n, n_units)
    weight_decay : float
        Of half the sum of squared weights, in nats per row.
    tol, n_iter_no_change : float, int
        Stop when the loss has not improved by `tol` for that many passes.
    generator : torch.Generator
        On the processor.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each pass.

    Returns
    -------
    network : RegressionNetwork
    history : History
        Losses are negative joint log probabilities per row, averaged over a pass.
    """
    parts = [part.clone() for part in (*network.weights, *network.biases)]
    network = with_parts(network, parts)
    optimizer = torch.optim.Adam(parts, lr=learning_rate, fused=True)
    losses, patience, interrupted = [], Patience(tol, n_iter_no_change), False
    try:
        for epoch in range(max_iter):
            set_step(optimizer, learning_rate, epoch / max_iter)
            batches = shuffled(x, batch_size, generator)
            loss, squares = one_pass(
                network, x, weights, hidden, batches, weight_decay, optimizer, generator
            )
            network = replace(network, noise=(squares + NOISE_FLOOR**2).sqrt())
            if epoch + 1 > HELD * max_iter:
                network = replace(network, prior=prior_of(hidden[-1], weights))
            losses.append(loss)
            if on_epoch is not None:
                on_epoch(loss)
            if 3 * (epoch + 1) <= 2 * max_iter:
                merge_split(network, weights, hidden)
                restart_unused(network, x, weights, hidden, optimizer)
            patience.improved(loss)
            if patience.is_over:
                break
    except KeyboardInterrupt:
        if not losses:
            raise
        interrupted = True
    return network, History(losses, [], patience.is_over, interrupted)


def one_pass(network, x, weights, hidden, batches, weight_decay, optimizer, generator):
    """Improve the units of every row, and weights and biases, in place.

    Returns
    -------
    loss : float
    squares : Tensor of shape (n_normal,)
        Mean squares of what the network misses of normal columns.
    """
    loss, squares = 0.0, torch.zeros_like(network.noise)
    for rows in batches:
        before = at_rows(hidden, rows)
        after = improved(network, x[rows], before, generator)
        for units, new in zip(hidden, after):
            units[rows] = new
        loss -= float(weights[rows] @ log_joint(network, x[rows], after))
        squares += weights[rows] @ residuals(network, x[rows], after[0]).square()
        share = weights[rows] / weights[rows].sum()
        ascend_parts(network, x[rows], after, share, weight_decay, optimizer)
    return loss, squares


def shuffled(x, batch_size, generator):
    """Indices of the rows of every batch of a pass."""
    order = torch.randperm(len(x), generator=generator).to(x.device)
    return order.tensor_split(math.ceil(len(x) / batch_size))


def with_parts(network, parts):
    """The network with other weights and biases, one after the other."""
    n_layers = len(network.weights)
    return replace(network, weights=tuple(parts[:n_layers]), biases=tuple(parts[n_layers:]))


def improved(network, x, hidden, generator):
    """Units after one coordinate ascent of some of them, drawn anew in every layer."""
    hidden = list(hidden)
    for layer, units in enumerate(hidden):
        n_units = units.shape[1]
        n_visited = min(n_units, max(FEWEST_VISITED, math.ceil(VISITED * n_units)))
        visited = torch.randperm(n_units, generator=generator)[:n_visited].tolist()
        hidden[layer] = sweep(network, layer, x, hidden, x.new_zeros(n_units), visited)[0]
    return hidden


def ascend_parts(network, x, hidden, weights, weight_decay, optimizer):
    """One step of weights and biases, in place."""
    slopes = gradients(network, x, hidden, weights)
    parts = [*network.weights, *network.biases]
    for part, slope in zip(parts, slopes):
        part.grad = -slope
    for weight in network.weights:
        weight.grad += weight_decay * weight
    optimizer.step()
    for weight in network.weights:
        weight.clamp_(-LARGEST_WEIGHT, LARGEST_WEIGHT)


def residuals(network, x, units):
    """What the first hidden layer misses of the normal columns, (n, n_normal)."""
    p = len(network.noise)
    return x[:, :p] - torch.addmm(network.biases[0][:p], units, network.weights[0][:p].T)


def prior_of(units, weights):
    """Logits of how often units are one, (n_units,)."""
    smoothing = 0.5 / (len(units) + 1.0)
    share = (1.0 - 2.0 * smoothing) * (weights @ units) + smoothing
    return torch.logit(share).clamp(-LARGEST_PRIOR, LARGEST_PRIOR)


def merge_split(network, weights, hidden):
    """Give all rows of a cause to one of two units that share them; the other is unused then.

    Of normal columns directions do not say that causes are one: they may differ in size.
    """
    for layer, (weight, units) in enumerate(zip(network.weights, hidden)):
        if len(network.noise_of(layer)):
            continue
        direction = weight / weight.norm(dim=0).clamp(min=1e-12)
        share = weights @ units
        both = units.T @ (weights[:, None] * units)
        rarer = torch.minimum(share[:, None], share)
        split = (direction.T @ direction > SAME_WEIGHTS) & (both < BOTH * rarer)
        for j, k in torch.nonzero(split.triu(1)).tolist():
            if not (units[:, j].any() and units[:, k].any()):
                continue
            units[:, j] = torch.maximum(units[:, j], units[:, k])
            units[:, k] = 0.0


def restart_unused(network, x, weights, hidden, optimizer):
    """Let units that are nearly always the same explain what is explained worst, in place."""
    values, said = [x, *hidden], network.below(hidden)
    for layer, units in enumerate(hidden):
        share = weights @ units
        unused = torch.nonzero(torch.minimum(share, 1.0 - share) < UNUSED).squeeze(1)
        if not len(unused):
            continue
        p = len(network.noise_of(layer))
        fit = log_prob(values[layer], said[layer], network.noise_of(layer))
        worst = fit.argsort()[: len(unused)]
        some = at_rows([values[layer], said[layer]], worst)
        missed = torch.cat(
            [
                some[0][:, :p] - some[1][:, :p],
                RESTARTED * (some[0][:, p:] - some[1][:, p:].sigmoid()),
            ],
            dim=1,
        )
        unused = unused[: len(worst)]
        weight = network.weights[layer]
        # A unit that is always on has become part of the bias.
        network.biases[layer].add_(weight[:, unused] @ (share[unused] > 0.5).to(x))
        weight[:, unused] = missed.T
        units[:, unused] = 0.0
        units[worst, unused] = 1.0
        for moment in ("exp_avg", "exp_avg_sq"):
            if weight in optimizer.state:
                optimizer.state[weight][moment][:, unused] = 0.0
