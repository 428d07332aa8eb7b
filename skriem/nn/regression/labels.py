"""Labels as further columns of a regression network's data, last and one of them one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import one_hot

from ..train import set_step
from .inference import MAX_SWEEPS, ascend, most_probable
from .network import at_rows, log_joint
from .training import ascend_parts, shuffled, with_parts

# Discriminative steps compare so many labels, a row's own and the others that fit best.
N_COMPARED = 3


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
    labels = torch.arange(n_labels, device=x.device).expand(len(x), n_labels)
    return log_joints(network, x, labels, start, n_labels, MAX_SWEEPS)[0]


def log_joints(network, x, labels, start, n_labels, max_sweeps):
    """Joint log probabilities of the data with some labels, and with units that fit them.

    Ascents with all labels have the same start, units that fit the data alone: what tells labels
    apart is small beside what the units of two starts differ by.

    Parameters
    ----------
    labels : Tensor of shape (n, n_some) int
    start : list of Tensor of shape (n, n_units)

    Returns
    -------
    value : Tensor of shape (n, n_some)
    data : Tensor of shape (n n_some, n_features + n_labels)
    hidden : list of Tensor of shape (n n_some, n_units)
    """
    n_some = labels.shape[1]
    data = with_label(x.repeat_interleave(n_some, dim=0), labels.flatten(), n_labels)
    start = [units.repeat_interleave(n_some, dim=0) for units in start]
    hidden = ascend(network, data, start, max_sweeps)
    return log_joint(network, data, hidden).view(labels.shape), data, hidden


def likeliest_with(network, units, labels, n_labels):
    """Every row's label and then the others that fit units of the first layer best, (n, m)."""
    weight, bias = network.weights[0][-n_labels:], network.biases[0][-n_labels:]
    # Of one-hot columns, those of the largest logits are the most probable.
    logits = torch.addmm(bias, units, weight.T).scatter(1, labels[:, None], torch.inf)
    return logits.topk(min(N_COMPARED, n_labels), dim=1).indices


def discriminate(
    network,
    x,
    labels,
    weights,
    *,
    batch_size,
    learning_rate,
    max_iter,
    generator,
    on_epoch=None,
):
    """Raise the probability of data with their labels above that with the best other labels.

    The loss is the cross entropy of the joint probabilities of data, label and units, each label
    with units that fit it; of its derivative, that of log p(x, y, h) at every label counts as
    much as the label is too probable.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
        Without labels.
    labels : Tensor of shape (n,) int
    weights : Tensor of shape (n,)
        Of rows; their sum is one.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each pass, with the negative log probability of the
        label among those compared, per row.

    Returns
    -------
    RegressionNetwork
    """
    n_labels = len(network.biases[0]) - x.shape[1]
    parts = [part.clone() for part in (*network.weights, *network.biases)]
    network = with_parts(network, parts)
    optimizer = torch.optim.Adam(parts, lr=learning_rate)
    hidden = most_probable(without_labels(network, n_labels), x, generator, n_drawn=0)
    for epoch in range(max_iter):
        set_step(optimizer, learning_rate, epoch / max_iter)
        loss = 0.0
        for rows in shuffled(x, batch_size, generator):
            some, share = x[rows], weights[rows]
            start = at_rows(hidden, rows)
            start = ascend(without_labels(network, n_labels), some, start, 1)
            for units, new in zip(hidden, start):
                units[rows] = new
            compared = likeliest_with(network, start[0], labels[rows], n_labels)
            value, data, units = log_joints(network, some, compared, start, n_labels, 1)
            loss -= float(share @ value.log_softmax(1)[:, 0])
            wanted = -value.softmax(1)
            wanted[:, 0] += 1.0
            pull = ((share / share.sum())[:, None] * wanted).flatten()
            ascend_parts(network, data, units, pull, 0.0, optimizer)
        if on_epoch is not None:
            on_epoch(loss)
    return network
