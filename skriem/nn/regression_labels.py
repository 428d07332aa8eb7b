"""Labels as further columns of a regression network's data, last and one of them one."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch.nn.functional import one_hot

from .regression_inference import ascend, most_probable
from .regression_network import at_rows, gradients, log_joint
from .regression_training import History, improved, with_parts

# Steps towards fewer errors are so much shorter than those towards the joint distribution.
SHORTER = 0.1


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


def best_label(network, hidden, n_labels):
    """The label that fits units best, (n,)."""
    logits = torch.addmm(
        network.biases[0][-n_labels:], hidden[0], network.weights[0][-n_labels:].T
    )
    # Of one-hot columns, that of the largest logit.
    return logits.argmax(1)


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
    """Raise the probability of data with their labels above that with the labels guessed.

    Where the guess is wrong the step is that of a perceptron, along the difference of the
    derivatives of log p(x, y, h) at the label with the units that fit it, and at the guess with
    its units. What comes out is the average of the weights along the way.

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
        Losses are the weighted shares of wrong guesses.
    """
    n_labels = len(network.biases[0]) - x.shape[1]
    parts = [part.clone() for part in (*network.weights, *network.biases)]
    network = with_parts(network, parts)
    optimizer = torch.optim.SGD(parts, lr=SHORTER * learning_rate)
    guessed = most_probable(without_labels(network, n_labels), x, generator, n_drawn=0)
    known = ascend(network, with_label(x, labels, n_labels), guessed)
    sums, losses = [torch.zeros_like(part) for part in parts], []
    n_batches = math.ceil(len(x) / batch_size)
    for epoch in range(max_iter):
        loss = 0.0
        order = torch.randperm(len(x), generator=generator).to(x.device)
        for rows in order.tensor_split(n_batches):
            some, label = x[rows], labels[rows]
            guess = best_label(network, at_rows(guessed, rows), n_labels)
            data = with_label(some, guess, n_labels), with_label(some, label, n_labels)
            pair = []
            for stored, each in zip((guessed, known), data):
                new = improved(network, each, at_rows(stored, rows), generator)
                for units, part in zip(stored, new):
                    units[rows] = part
                pair.append(new)
            wrong = weights[rows] * (guess != label)
            loss += float(wrong.sum())
            share = wrong / weights[rows].sum()
            slopes = [gradients(network, each, new, share) for each, new in zip(data, pair)]
            for part, at_guess, at_label in zip(parts, *slopes):
                part.grad = at_guess - at_label
            optimizer.step()
        for total, part in zip(sums, parts):
            total += part
        losses.append(loss)
        if on_epoch is not None:
            on_epoch(loss)
    averages = [total / max_iter for total in sums]
    return with_parts(network, averages), History(losses, True, False)
