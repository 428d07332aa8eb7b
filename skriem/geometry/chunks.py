"""Bounded memory: work on many rows is done a slice at a time."""

import torch

# Numbers held at once. Small enough that a slice's Jacobians stay near the processor's cache,
# large enough that the cost of calling torch does not show.
BUDGET = 2**22
# Up to this dimension boxes are filled with nodes: in more, a fine grid does not fit.
MAX_GRID_DIMS = 3


def in_chunks(function, rows, numbers_per_row):
    """Apply `function` to slices of `rows` (n, ...) and concatenate what it returns.

    `function` maps a slice to a tuple of tensors with the same leading dimension.
    """
    size = max(1, BUDGET // max(1, numbers_per_row))
    parts = [function(part) for part in rows.split(size)]
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.cat(column) for column in zip(*parts))
