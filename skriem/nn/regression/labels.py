"""Labels as further columns of a regression network's data, last and one of them one."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.nn.functional import cross_entropy, one_hot

from ..likelihoods.base import NOISE_FLOOR
from ..train import set_step
from .inference import BUDGET, ascend, mean_field, most_probable
from .network import log_joint
from .training import LARGEST_PRIOR, LARGEST_WEIGHT, shuffled, with_parts

# Normal columns are taken to have so much noise that they couple units by no more than this: up
# to 4 (2 / FIELD_STEP - 1) = 22.7 steps of the mean field of one layer cannot swing up.
COUPLING = 16.0


def without_labels(network, n_labels):
    """The network of the data alone: given the units, labels are independent of them."""
    n_data = len(network.biases[0]) - n_labels
    return replace(
        network,
        weights=(network.weights[0][:n_data], *network.weights[1:]),
        biases=(network.biases[0][:n_data], *network.biases[1:]),
    )


def with_label(x, label, n_labels):
    """Data with one-hot columns of labels (n,) beside, (n, n_features + n_labels)."""
    return torch.cat([x, one_hot(label, n_labels).to(x)], dim=1)


def label_scores(network, x, n_labels, generator):
    """Largest joint log probability of the data with every label, over the units.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
        Without labels.
    n_labels : int
    generator : torch.Generator
        On the processor.

    Returns
    -------
    Tensor of shape (n, n_labels)
    """
    start = most_probable(without_labels(network, n_labels), x, generator)
    # Ascents with all labels have the same start, units that fit the data alone: what tells labels
    # apart is small beside what the units of two starts differ by.
    start = [units.repeat_interleave(n_labels, dim=0) for units in start]
    labels = torch.arange(n_labels, device=x.device).repeat(len(x))
    data = with_label(x.repeat_interleave(n_labels, dim=0), labels, n_labels)
    return log_joint(network, data, ascend(network, data, start)).view(-1, n_labels)


def label_logits(network, x, n_labels):
    """Logits of labels given the mean field of the units, (n, n_labels).

    Given units, exactly one of one-hot columns is one with the probabilities of a softmax of
    their logits.
    """
    size = max(1, BUDGET // max(len(network.biases[0]), *(len(w.T) for w in network.weights)))
    data, found = without_labels(network, n_labels), []
    for part in x.split(size):
        said = mean_field(data, part)[0] @ network.weights[0][-n_labels:].T
        found.append(said + network.biases[0][-n_labels:])
    return torch.cat(found)


def discriminate(
    network,
    x,
    labels,
    weights,
    *,
    batch_size,
    learning_rate,
    weight_decay,
    max_iter,
    generator,
    on_epoch=None,
):
    """Raise the probability of the label given the data, as the mean field has it.

    Derivatives go through all steps of the mean field, so that weights, prior and noise are those
    with which just these steps tell labels apart.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
        Without labels.
    labels : Tensor of shape (n,) int
    weights : Tensor of shape (n,)
        Of rows; their sum is one.
    weight_decay : float
        Of half the sum of squared weights, in nats per row.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each pass, with the negative log probability of the
        label per row.

    Returns
    -------
    RegressionNetwork
    """
    n_labels = len(network.biases[0]) - x.shape[1]
    parts = [*network.weights, *network.biases, network.prior, network.noise.log()]
    parts = [part.detach().clone().requires_grad_() for part in parts]
    bound(parts, len(network.weights), len(network.noise))
    optimizer = torch.optim.Adam(parts, lr=learning_rate, fused=True)
    for epoch in range(max_iter):
        set_step(optimizer, learning_rate, epoch / max_iter)
        loss = 0.0
        for rows in shuffled(x, batch_size, generator):
            with torch.enable_grad():
                found = label_logits(of_parts(network, parts), x[rows], n_labels)
                costs = cross_entropy(found, labels[rows], reduction="none")
                squares = sum(part.square().sum() for part in parts[: len(network.weights)])
                share = weights[rows] / weights[rows].sum()
                (share @ costs + 0.5 * weight_decay * squares).backward()
            optimizer.step()
            optimizer.zero_grad()
            bound(parts, len(network.weights), len(network.noise))
            loss += float(weights[rows] @ costs.detach())
        if on_epoch is not None:
            on_epoch(loss)
    return of_parts(network, [part.detach() for part in parts])


def of_parts(network, parts):
    """The network with other weights, biases, prior and logarithm of the noise."""
    *regressions, prior, log_noise = parts
    return replace(with_parts(network, regressions), prior=prior, noise=log_noise.exp())


def bound(parts, n_layers, n_normal):
    """Keep parameters where generative learning does, and the mean field stable, in place."""
    with torch.no_grad():
        for weight in parts[:n_layers]:
            weight.clamp_(-LARGEST_WEIGHT, LARGEST_WEIGHT)
        parts[-2].clamp_(-LARGEST_PRIOR, LARGEST_PRIOR)
        parts[-1].clamp_(min=math.log(NOISE_FLOOR))
        parts[-1].copy_(loosened(parts[0][:n_normal], parts[-1].exp()).log())


def loosened(weight, noise):
    """The noise (p,), times what it takes that units with weights (p, m) are coupled little."""
    if not len(noise):
        return noise
    scaled = weight / noise[:, None]
    # The square of the largest singular value. Routines for values alone take another way, of other
    # last bits, where derivatives might be asked of them.
    coupling = float(torch.linalg.eigh(scaled.T @ scaled).eigenvalues[-1])
    return noise * math.sqrt(max(1.0, coupling / COUPLING))
