"""Discrete curves: batches of nodes (B, T+1, d) at equal steps of the parameter."""

import torch


def straight(a, b, n_segments):
    """Nodes on the straight lines from `a` to `b`, (B, n_segments + 1, d)."""
    t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=a.dtype, device=a.device)[:, None]
    nodes = a[:, None] + t * (b - a)[:, None]
    nodes[:, -1] = b
    return nodes


def subdivide(nodes, n_sub):
    """Points of the polyline, each segment cut into `n_sub`: (B, T * n_sub + 1, d)."""
    s = torch.arange(n_sub, dtype=nodes.dtype, device=nodes.device)[:, None] / n_sub
    left, right = nodes[:, :-1, None], nodes[:, 1:, None]
    inner = (left + s * (right - left)).flatten(1, 2)
    return torch.cat([inner, nodes[:, -1:]], dim=1)


def smooth(nodes, n_sub):
    """Points of the cubic Hermite curve through the nodes, (B, T * n_sub + 1, d).

    Tangents are central differences, so the curve is off by the third power of the node
    spacing where the polyline is off by the second.
    """
    if nodes.shape[1] < 3:
        return subdivide(nodes, n_sub)
    inner = 0.5 * (nodes[:, 2:] - nodes[:, :-2])
    first = -1.5 * nodes[:, 0] + 2.0 * nodes[:, 1] - 0.5 * nodes[:, 2]
    last = 1.5 * nodes[:, -1] - 2.0 * nodes[:, -2] + 0.5 * nodes[:, -3]
    tangents = torch.cat([first[:, None], inner, last[:, None]], dim=1)
    s = torch.arange(n_sub, dtype=nodes.dtype, device=nodes.device)[:, None] / n_sub
    left, right = nodes[:, :-1, None], nodes[:, 1:, None]
    rise = s * s * (3.0 - 2.0 * s)
    points = left + rise * (right - left)
    points = points + s * (1.0 - s) ** 2 * tangents[:, :-1, None]
    points = points - s * s * (1.0 - s) * tangents[:, 1:, None]
    return torch.cat([points.flatten(1, 2), nodes[:, -1:]], dim=1)


def resample(points, arc_length, t):
    """Points at given fractions of a curve's length.

    Parameters
    ----------
    points : Tensor of shape (B, N+1, d)
    arc_length : Tensor of shape (B, N+1)
        Length from the start to every point, non-decreasing along a row.
    t : Tensor of shape (S,)
        Fractions in [0, 1].

    Returns
    -------
    Tensor of shape (B, S, d)
    """
    target = (t * arc_length[:, -1:]).contiguous()
    right = torch.searchsorted(arc_length.contiguous(), target).clamp(1, points.shape[1] - 1)
    low, high = arc_length.gather(1, right - 1), arc_length.gather(1, right)
    span = high - low
    share = torch.where(span > 0, (target - low) / torch.where(span > 0, span, 1.0), 0.0)
    index = right[..., None].expand(-1, -1, points.shape[2])
    start, end = points.gather(1, index - 1), points.gather(1, index)
    return start + share[..., None] * (end - start)
