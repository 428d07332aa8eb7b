"""Labels as further columns of a regression network's data, last and one of them one."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.nn.functional import one_hot, softplus

from .regression_inference import ascend, most_probable
from .regression_network import at_rows, gradients, log_joint
from .regression_training import History, improved, with_parts

# Steps are so many times the step size of Adam, which does not depend on how large slopes are.
STEP = 10.0


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

    Ascents start at the most probable units without a label.

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
    scores = []
    for k in range(n_labels):
        rows = with_label(x, torch.full((len(x),), k, device=x.device), n_labels)
        scores.append(log_joint(network, rows, ascend(network, rows, start)))
    return torch.stack(scores, dim=1)


def best_other(network, hidden, labels, n_labels):
    """The label other than `labels` that fits units best, (n,)."""
    weight, bias = network.weights[0][-n_labels:], network.biases[0][-n_labels:]
    # Of one-hot columns, that of the largest logit is the most probable.
    logits = torch.addmm(bias, hidden[0], weight.T)
    return logits.scatter(1, labels[:, None], -torch.inf).argmax(1)


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
    """Raise the probability of data with their labels above that with the best other label.

    A row's step is that of a perceptron, along the difference of the derivatives of
    log p(x, y, h) at the label with the units that fit it, and at the other with its units,
    times the probability of the other among these two.

    Parameters
    ----------
    network : RegressionNetwork
    x : Tensor of shape (n, n_features)
        Without labels.
    labels : Tensor of shape (n,) int
    weights : Tensor of shape (n,)
        Of rows; their sum is one.

    Returns
    -------
    network : RegressionNetwork
    history : History
        Losses are negative log probabilities of the label among these two, per row.
    """
    n_labels = len(network.biases[0]) - x.shape[1]
    parts = [part.clone() for part in (*network.weights, *network.biases)]
    network = with_parts(network, parts)
    optimizer = torch.optim.SGD(parts, lr=STEP * learning_rate)
    guessed = most_probable(without_labels(network, n_labels), x, generator, n_drawn=0)
    known = ascend(network, with_label(x, labels, n_labels), guessed)
    losses = []
    n_batches = math.ceil(len(x) / batch_size)
    for epoch in range(max_iter):
        for group in optimizer.param_groups:
            group["lr"] = STEP * learning_rate * min(1.0, 3.0 * (1.0 - epoch / max_iter))
        loss = 0.0
        order = torch.randperm(len(x), generator=generator).to(x.device)
        for rows in order.tensor_split(n_batches):
            some, label = x[rows], labels[rows]
            guess = best_other(network, at_rows(guessed, rows), label, n_labels)
            data = with_label(some, guess, n_labels), with_label(some, label, n_labels)
            pair, fits = [], []
            for stored, each in zip((guessed, known), data):
                new = improved(network, each, at_rows(stored, rows), generator)
                for units, part in zip(stored, new):
                    units[rows] = part
                pair.append(new)
                fits.append(log_joint(network, each, new))
            behind = fits[0] - fits[1]
            loss += float(weights[rows] @ softplus(behind))
            share = weights[rows] * behind.sigmoid() / weights[rows].sum()
            slopes = [gradients(network, each, new, share) for each, new in zip(data, pair)]
            for part, at_guess, at_label in zip(parts, *slopes):
                part.grad = at_guess - at_label
            optimizer.step()
        losses.append(loss)
        if on_epoch is not None:
            on_epoch(loss)
    return network, History(losses, True, False)
