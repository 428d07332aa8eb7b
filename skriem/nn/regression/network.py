"""Networks of binary units in which every unit is a regression on those of the layer above.

From the top down: h^L ~ Bernoulli(sigma(d)), h^(l-1) ~ Bernoulli(sigma(W_l h^l + b_l)), and the
data x are one more such layer, or normal distributed around W_1 h^1 + b_1 (Nie, Zheng and Ji, *Deep
regression Bayesian network and its applications*, IEEE Transactions on Pattern Analysis and
Machine Intelligence, 2018). There is no partition function; given x
the units of a layer depend on each other, because they explain the same data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

# So many factors share a logarithm, if the sum of their logarithms is no larger than fits the type.
WIDTH = 16
ROOM = {torch.float32: 80.0, torch.float64: 700.0}


@dataclass(frozen=True)
class RegressionNetwork:
    """Parameters of a network, its layers from the data up.

    Attributes
    ----------
    weights : tuple of Tensor of shape (n_below, n_units)
        Of every hidden layer's units in the regressions of the layer below.
    biases : tuple of Tensor of shape (n_below,)
    prior : Tensor of shape (n_top,)
        Logits of the units of the top layer.
    noise : Tensor of shape (n_normal,)
        Standard deviations of the columns of the data that are normal distributed, which come
        first. All others are zeros and ones, or shares between.
    soft : bool
        Whether these others were not seen themselves. Rows then hold soft evidence: by how much
        what was seen instead raises the log odds of a one, zero where nothing was.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    prior: Tensor
    noise: Tensor
    soft: bool = False

    def below(self, hidden):
        """What every layer says of the one below, and the prior of the top one, list of Tensor.

        Parameters
        ----------
        hidden : sequence of Tensor of shape (n, n_units)
        """
        layers = zip(hidden, self.weights, self.biases)
        return [*(torch.addmm(bias, h, weight.T) for h, weight, bias in layers), self.prior]

    def to(self, like):
        """The same network, of the type and where a tensor is."""
        return replace(
            self,
            weights=tuple(part.to(like) for part in self.weights),
            biases=tuple(part.to(like) for part in self.biases),
            prior=self.prior.to(like),
            noise=self.noise.to(like),
        )

    def noise_of(self, layer):
        """Standard deviations of what is below a hidden layer, counted from 0."""
        return self.noise if layer == 0 else self.noise[:0]

    def is_soft(self, layer):
        """Whether what is below a hidden layer, counted from 0, is soft evidence."""
        return self.soft and layer == 0


def log_prob(values, said, noise, soft=False):
    """Log probability of rows (n, m) given what is said of them, means and then logits, (n,).

    That of soft evidence s of a one with logit a is, up to a constant, log(1 + exp(a + s)) -
    log(1 + exp(a)).
    """
    p = len(noise)
    logits = said[..., p:]
    ones = softplus(logits + values[:, p:]) if soft else values[:, p:] * logits
    total = (ones - softplus(logits)).sum(-1)
    squares = ((values[:, :p] - said[..., :p]) / noise).square()
    return total - 0.5 * squares.sum(-1) - (noise.log() + 0.5 * math.log(2.0 * math.pi)).sum()


def log_joint(network, x, hidden):
    """Logarithm of the joint probability of data and all hidden units, (n,).

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
    hidden : sequence of Tensor of shape (n, n_units)
    """
    values = [x, *hidden]
    return sum(
        log_prob(value, said, network.noise_of(layer), network.is_soft(layer))
        for layer, (value, said) in enumerate(zip(values, network.below(hidden)))
    )


def misses(values, said, noise):
    """Derivatives of :func:`log_prob` by what is said, (n, m)."""
    p = len(noise)
    of_normal = (values[:, :p] - said[:, :p]) / noise.square()
    return torch.cat([of_normal, values[:, p:] - said[:, p:].sigmoid()], dim=1)


def gradients(network, x, hidden, weights):
    """Derivatives of the weighted sum of :func:`log_joint` by weights and by biases.

    Returns
    -------
    list of Tensor
        As many as ``network.weights``, then as many as ``network.biases``.
    """
    of_weights, of_biases = [], []
    for layer, (value, said) in enumerate(zip([x, *hidden], network.below(hidden)[:-1])):
        missed = weights[:, None] * misses(value, said, network.noise_of(layer))
        of_weights.append(missed.T @ hidden[layer])
        of_biases.append(missed.sum(0))
    return of_weights + of_biases


def sweep(network, layer, x, hidden, threshold, visited=None):
    """Visit the units of a layer in turn, given all others; set each by its conditional logit.

    The logit of unit j is what the layer above says of it, plus what it adds to the log
    probability of the layer below: with a the logits there without the unit,
    sum_i [x_i W_ij - softplus(a_i + W_ij) + softplus(a_i)]. The difference of softplus is the
    logarithm of sigma(-a_i) + sigma(a_i) exp(W_ij), so that one logarithm of a product does for
    several i. Soft evidence s_i puts a difference of softplus at a_i + s_i in place of x_i W_ij.

    Parameters
    ----------
    network : RegressionNetwork
    layer : int
        Hidden layer, counted from 0.
    x : Tensor of shape (n, n_features)
    hidden : sequence of Tensor of shape (n, n_units)
    threshold : Tensor of shape (n, n_units) or (n_units,), or None
        A unit is one if its logit is above. With zeros the joint probability never falls; with
        logistic noise this is Gibbs sampling. None leaves units as they are.
    visited : sequence of int or None
        The units to visit, in this order; None for all.

    Returns
    -------
    units : Tensor of shape (n, n_units)
    logits : Tensor of shape (n, n_units)
        Of each unit when it was visited, meaningless for those that were not.
    """
    below, said = (x, *hidden)[layer], network.below(hidden)
    weight, noise = network.weights[layer], network.noise_of(layer)
    logits = said[layer + 1] + linear_part(network, layer, below)
    gram = coupling(weight[: len(noise)], noise)
    logits = logits - hidden[layer] @ gram
    # Each unit is visited once: what it was before is known at the start.
    before = hidden[layer].T.long().contiguous()
    sign = 1.0 - 2.0 * hidden[layer].T
    ones = said[layer][:, len(noise) :]
    # The terms of the conditional logits: sums over softplus that are taken away, and added.
    terms = [ones, ones + below[:, len(noise) :]] if network.is_soft(layer) else [ones]
    on, off, odds, width = odds_below(weight[len(noise) :], torch.stack(terms))
    rises, units = torch.zeros_like(sign), hidden[layer].T.clone()
    for j in range(len(sign)) if visited is None else visited:
        factors = odds[j].index_select(0, before[j])
        total = torch.addcmul(off, on, factors)
        first, *second = total.view(len(terms), len(x), width, -1).prod(2).log().sum(2)
        rises[j] = first - second[0] if second else first
        if threshold is None:
            continue
        wanted = rises[j] < sign[j] * (logits[:, j] - threshold[..., j])
        changed = torch.nonzero(wanted).squeeze(1)
        if len(changed):
            units[j, changed] = 1.0 - units[j, changed]
            total = total.index_select(1, changed)
            on[:, changed] *= factors.index_select(0, changed) / total
            off[:, changed] /= total
            if len(noise):
                later = logits[changed] - sign[j, changed, None] * gram[j]
                logits[changed, j + 1 :] = later[:, j + 1 :]
    return units.T.contiguous(), logits - (sign * rises).T


def linear_part(network, layer, below):
    """What of the conditional logits is linear in the values of the layer below, (n, n_units)."""
    weight, noise = network.weights[layer], network.noise_of(layer)
    p = len(noise)
    scaled = weight[:p] / noise[:, None]
    of_normal = ((below[:, :p] - network.biases[layer][:p]) / noise) @ scaled
    linear = of_normal - 0.5 * scaled.square().sum(0)
    return linear if network.is_soft(layer) else linear + below[:, p:] @ weight[p:]


def coupling(weight, noise):
    """How units that explain the same normal columns depend on each other, (n_units, n_units)."""
    scaled = weight / noise[:, None]
    gram = scaled.T @ scaled
    return gram - torch.diag(gram.diagonal())


def odds_below(weight, logits):
    """Probabilities of ones and of zeros below, and factors of their odds when a unit flips.

    Columns are added, which nothing changes, until they can be multiplied in groups.

    Returns
    -------
    on, off : Tensor of shape (..., n, m)
    odds : Tensor of shape (n_units, 2, m)
        By which the odds are multiplied when a unit becomes one, and when it becomes zero.
    width : int
        So many factors at most can be multiplied without overflow.
    """
    largest = float(weight.abs().max()) if weight.numel() else 0.0
    width = max(1, min(WIDTH, int(ROOM[weight.dtype] / max(largest, 1.0))))
    extra = -weight.shape[0] % width
    on, off = pad(logits.sigmoid(), (0, extra)), pad((-logits).sigmoid(), (0, extra), value=1.0)
    odds = torch.stack([weight.T.exp(), (-weight.T).exp()], dim=1)
    return on, off, pad(odds, (0, extra)), width


def at_rows(hidden, rows):
    """Some rows of the units of every layer."""
    return [units[rows] for units in hidden]


def means_below(network, top):
    """Means of the data, with units above taken for their probabilities; logits are squashed.

    Parameters
    ----------
    network : RegressionNetwork
    top : Tensor of shape (n, n_top)
        Units of the top layer, or numbers between 0 and 1.

    Returns
    -------
    Tensor of shape (n, n_features)
    """
    for weight, bias in zip(network.weights[:0:-1], network.biases[:0:-1]):
        top = torch.addmm(bias, top, weight.T).sigmoid()
    return means(network, top)


def means(network, units):
    """Means of the data given the units of the first hidden layer, (n, n_features)."""
    said, p = torch.addmm(network.biases[0], units, network.weights[0].T), len(network.noise)
    return torch.cat([said[:, :p], said[:, p:].sigmoid()], dim=1)


def draw_units(network, n, generator):
    """Draw the units of the first hidden layer, from the top down, (n, n_units)."""
    logits = network.prior.expand(n, -1)
    for weight, bias in zip(network.weights[:0:-1], network.biases[:0:-1]):
        logits = torch.addmm(bias, bernoulli(logits.sigmoid(), generator), weight.T)
    return bernoulli(logits.sigmoid(), generator)


def draw_data(network, units, generator):
    """Draw data given the units of the first hidden layer, (n, n_features)."""
    mean, p = means(network, units), len(network.noise)
    noise = torch.randn(mean[:, :p].shape, generator=generator, dtype=torch.float64).to(mean)
    return torch.cat([mean[:, :p] + network.noise * noise, bernoulli(mean[:, p:], generator)], 1)


def bernoulli(probabilities, generator):
    """Zeros and ones; the generator is on the processor."""
    drawn = torch.rand(probabilities.shape, generator=generator, dtype=torch.float64)
    return (drawn.to(probabilities.device) < probabilities).to(probabilities.dtype)
