"""Data of a regression network restored from what was seen instead."""

from __future__ import annotations

from dataclasses import replace

import torch

from .inference import BUDGET, logistic, most_probable, sweep_all
from .network import means

# Sweeps of Gibbs sampling before draws count, with temperatures that fall to one.
WARM_UP, HOTTEST = 20, 4.0
# What was seen is never surer than this, so that evidence is finite.
SUREST = 1e-9


def evidence(seen, flip_rate):
    """Soft evidence from ones and zeros of which a share was flipped, zero for NaN.

    Numbers between are probabilities that a one was seen.
    """
    share = flip_rate + (1.0 - 2.0 * flip_rate) * seen
    return torch.nan_to_num(torch.logit(share, eps=SUREST))


def restored(network, seen, flip_rate, n_samples, generator):
    """Means of the data given damaged ones, over draws of the units, (n, n_features).

    Parameters
    ----------
    network : RegressionNetwork
        With data that are all normal, or none of them.
    seen : Tensor of shape (n, n_features)
        NaN where nothing was seen.
    flip_rate : float
        Share of zeros and ones that are the other.
    n_samples : int
        Draws of every row.
    generator : torch.Generator
        On the processor. All rows share its numbers.
    """
    missing = seen.isnan()
    rows = torch.nonzero(missing.any(1) | (flip_rate > 0.0)).squeeze(1)
    found = seen.clone()
    state = generator.get_state()
    if not len(network.noise):
        soft = replace(network, soft=True)
        for some in rows.split(max(1, BUDGET // seen.shape[1])):
            x = evidence(seen[some], flip_rate)
            draws = drawn_units(soft, x, n_samples, generator.set_state(state))
            found[some] = sum(
                (torch.addmm(network.biases[0], units, network.weights[0].T) + x).sigmoid()
                for units in draws
            ).div(n_samples)
        return found if flip_rate else torch.where(missing, found, seen)
    # Rows that miss the same columns depend on their units alike.
    patterns, kind = missing[rows].unique(dim=0, return_inverse=True)
    for k, gone in enumerate(patterns):
        some = rows[kind == k]
        x = seen[some][:, ~gone]
        draws = drawn_units(without(network, gone), x, n_samples, generator.set_state(state))
        mean = sum(means(network, units) for units in draws) / n_samples
        found[some] = torch.where(gone, mean, seen[some])
    return found


def drawn_units(network, x, n_samples, generator):
    """Units of the first hidden layer given the data, one draw (n, n_units) after the other."""
    hidden = most_probable(network, x, generator)
    for k in range(-WARM_UP, n_samples):
        temperature = HOTTEST ** max(0.0, -k / WARM_UP)
        noise = [temperature * logistic(units.shape[1], generator, x) for units in hidden]
        hidden = sweep_all(network, x, hidden, noise)
        if k >= 0:
            yield hidden[0]


def without(network, gone):
    """The network of normal data without some of the columns, (n_features,) bool."""
    return replace(
        network,
        weights=(network.weights[0][~gone], *network.weights[1:]),
        biases=(network.biases[0][~gone], *network.biases[1:]),
        noise=network.noise[~gone],
    )
