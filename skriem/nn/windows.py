"""Batches of rows: any rows together, or stretches of sequences."""

import math
from typing import NamedTuple

import torch

from .priors.steps import Steps

# Steps of a stretch, and before and after it, which say something of its codes but are not
# learned from.
LENGTH, MARGIN = 64, 16
# The longest stretch that encoders do not see.
LONGEST_HIDDEN = 32


class Batch(NamedTuple):
    """What is learned from at a time."""

    rows: torch.Tensor  # (n,) int
    counted: torch.Tensor  # (n,): one for rows that are learned from, zero for others
    steps: Steps | None = None


class Rows:
    """Batches of rows that have no order."""

    def __init__(self, n):
        self._n = n

    def batches(self, size, generator):
        order = torch.randperm(self._n, generator=generator, device=generator.device)
        for rows in order.tensor_split(math.ceil(self._n / size)):
            yield Batch(rows, torch.ones(len(rows), device=rows.device))


class Windows:
    """Batches of stretches of sequences, cut anew in every pass.

    Parameters
    ----------
    steps : Steps
        Of all rows.
    hidden : float
        Share of the steps, about, that encoders do not see, in stretches: codes are then learned to
        say what comes between and next.
    """

    def __init__(self, steps, hidden):
        self._steps, self._hidden = steps, hidden
        n = len(steps.starts)
        places, self._first = torch.arange(n), torch.nonzero(steps.starts.cpu()).squeeze(1)
        self._of = torch.cumsum(steps.starts.cpu(), 0) - 1
        self._last = torch.cat([self._first[1:], torch.tensor([n])])
        self._place = places - self._first[self._of]

    def batches(self, size, generator):
        n, device = len(self._place), generator.device
        phase = torch.randint(LENGTH, self._first.shape, generator=generator, device=device).cpu()
        window = (self._place + phase[self._of]) // LENGTH
        begins = (self._place == 0) | (window != window.roll(1))
        low = torch.nonzero(begins).squeeze(1)
        high = torch.cat([low[1:], torch.tensor([n])])
        first = torch.maximum(low - MARGIN, self._first[self._of[low]])
        last = torch.minimum(high + MARGIN, self._last[self._of[low]])
        order = torch.randperm(len(low), generator=generator, device=device).cpu()
        for chosen in order.tensor_split(min(len(low), math.ceil(n / size))):
            parts = [torch.arange(int(first[k]), int(last[k])) for k in chosen]
            counted = [(part >= low[k]) & (part < high[k]) for k, part in zip(chosen, parts)]
            rows = torch.cat(parts).to(device)
            sizes = torch.tensor([len(part) for part in parts])
            begins_part = torch.zeros(len(rows), dtype=torch.bool)
            begins_part[torch.cumsum(sizes, 0) - sizes] = True
            counted = torch.cat(counted).float().to(device)
            yield Batch(rows, counted, self._cut(rows, begins_part.to(device), generator))

    def _cut(self, rows, begins, generator):
        steps = self._steps
        seen = steps.seen[rows]
        if self._hidden > 0.0:
            seen = seen & ~stretches(len(rows), self._hidden, generator)
        return Steps(steps.starts[rows], steps.follows[rows] & ~begins, seen)


def stretches(n, share, generator):
    """A share of n steps, about, in stretches of one random length, (n,) bool."""
    options = {"generator": generator, "device": generator.device}
    length = int(torch.randint(1, LONGEST_HIDDEN + 1, (), **options))
    begun = torch.rand(n, **options) < share / length
    total = torch.cumsum(begun, 0)
    return total > torch.cat([total.new_zeros(min(n, length)), total[:-length]])


def held_out_sequences(data, steps, n_held_out, rng):
    """Set aside whole sequences, of about so many rows, drawn by a NumPy generator.

    Parameters
    ----------
    data : list of Tensor
        With a row for every step.

    Returns
    -------
    rest : list of Tensor
    steps : Steps
    held_out : tuple
        The same of the others: tensors, and their steps at last.
    """
    sequence = torch.cumsum(steps.starts, 0) - 1
    sizes = torch.bincount(sequence)
    order = torch.as_tensor(rng.permutation(len(sizes)))
    n_out = int((torch.cumsum(sizes[order], 0) < n_held_out).sum()) + 1
    if n_out >= len(sizes):
        raise ValueError(
            f"early_stopping needs more than {len(sizes)} distinct sequences to hold some of them "
            "out."
        )
    out = torch.isin(sequence, order[:n_out])
    where = out.to(data[0].device)
    return (
        [part[~where] for part in data],
        steps.of(~out),
        (*(part[where] for part in data), steps.of(out).to(data[0].device)),
    )
