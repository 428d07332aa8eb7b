"""Which rows are steps of which sequences."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """What rows are in sequences: all rows of one lie together in the order of time."""

    starts: Tensor  # (n,) bool: first of a sequence
    follows: Tensor  # (n,) bool: next of the row before; neither of both is cut off from that
    seen: Tensor  # (n,) bool: whether there is anything for an encoder to see

    def to(self, device):
        """The same on a device."""
        return Steps(*(part.to(device) for part in vars(self).values()))

    def of(self, rows):
        """Whole sequences, by their rows."""
        return Steps(*(part[rows] for part in vars(self).values()))


def steps_apart(n, device=None):
    """Rows that are sequences of one."""
    ones = torch.ones(n, dtype=torch.bool, device=device)
    return Steps(ones, ~ones, ones)
