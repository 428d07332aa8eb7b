"""What is known of states of linear dynamical systems from what came before: Kalman's filter.

Sequences of different lengths run side by side; where one is over, potentials of zero follow.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .chains import inverted, times


@dataclass(frozen=True)
class Transition:
    """x' = slope x + offset + noise, and the first x, by means and covariances."""

    slope: Tensor  # (d, d)
    offset: Tensor  # (d,)
    noise: Tensor  # (d, d)
    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d)


@dataclass(frozen=True)
class Filtered:
    """States of steps given what came before, and given the step as well."""

    predicted: Tensor  # (n, d): means
    wide: Tensor  # (n, d, d): covariances
    means: Tensor  # (n, d)
    covariances: Tensor  # (n, d, d)


def filtered(precision, natural, steps, transition):
    """Filter potentials exp(-x' diag(precision) x / 2 + natural' x) of rows that are such steps.

    Parameters
    ----------
    precision, natural : Tensor of shape (n, d)
    steps : Steps
    transition : Transition

    Returns
    -------
    Filtered
    """
    sequence = torch.cumsum(steps.starts, 0) - 1
    first = torch.nonzero(steps.starts).squeeze(1)
    place = torch.arange(len(sequence)) - first[sequence]
    shape = len(first), int(place.max()) + 1, natural.shape[1]
    r, h = natural.new_zeros(shape), natural.new_zeros(shape)
    r[sequence, place], h[sequence, place] = precision, natural
    mean = transition.mean.expand(shape[0], -1)
    wide = transition.covariance.expand(shape[0], -1, -1)
    found = []
    for t in range(shape[1]):
        if t:
            mean = times(transition.slope, found[-1][2]) + transition.offset
            wide = transition.slope @ found[-1][3] @ transition.slope.mT + transition.noise
        own, _ = inverted(wide)
        covariance, _ = inverted(own + torch.diag_embed(r[:, t]))
        after = times(covariance, times(own, mean) + h[:, t])
        found.append((mean, wide, after, covariance))
    return Filtered(*(torch.stack(part, 1)[sequence, place] for part in zip(*found)))


def ahead(states, transition, n_steps):
    """Expected states of the next steps, (n, n_steps, d)."""
    found = []
    for _ in range(n_steps):
        states = times(transition.slope, states) + transition.offset
        found.append(states)
    return torch.stack(found, 1)
