"""Bounded memory: work on many curves is done a slice at a time."""

import torch

# Numbers held at once. Small enough that a slice's Jacobians stay near the processor's cache,
# large enough that the cost of calling torch does not show.
BUDGET = 2**21


def in_chunks(function, points, numbers_per_point):
    """Apply `function` to slices of `points` (B, N, d) and concatenate what it returns.

    `function` maps a slice to a tuple of tensors with the same leading dimension.
    """
    per_curve = points.shape[1] * numbers_per_point
    size = max(1, BUDGET // max(1, per_curve))
    parts = [function(part) for part in points.split(size)]
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.cat(column) for column in zip(*parts))


def n_outputs(embed, points):
    """Dimension of the embedding space."""
    return embed(points[:1].flatten(0, -2)[:1]).shape[-1]
