"""Whether a map is smooth enough for geodesics."""

import numpy as np
import torch

from ...calculus.slopes import gradients, usable

# Straight lines along which kinks are looked for, and points on each.
N_LINES, N_ON_LINE = 8, 65
# A map has kinks if so much of the change of its slope is not what second derivatives sum to.
KINKED = 0.25
SMOOTH = "Train it with a smooth activation: tanh, softplus, SiLU or GELU."


def kinks_of(network, z, what):
    """Why a map is too rough for geodesics, a sentence, or None if it is smooth.

    The slope along straight lines between points must change by what second derivatives sum
    to; at a kink it jumps and they know nothing of it.

    Parameters
    ----------
    network : callable
        Maps (n, d) to (n, m), each row on its own.
    z : Tensor of shape (n, d)
        Where it is used.
    what : str
        The map in words, to begin the sentence with.

    Returns
    -------
    str or None
    """
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(z), size=(2, N_LINES))
    away = z.new_tensor(rng.normal(size=(N_LINES, z.shape[1])))
    steps = torch.where((z[i] == z[j]).all(1, keepdim=True), away, z[j] - z[i])
    t = torch.linspace(0.0, 1.0, N_ON_LINE, dtype=z.dtype)[:, None]
    change = missed = seen = steepest = 0.0
    for start, step in zip(z[i], steps):
        slope, bent = slope_and_bend(network, start + t * step, step, rng, what)
        expected = 0.5 * (bent[1:] + bent[:-1]) / (N_ON_LINE - 1)
        change += slope.diff().abs().sum()
        missed += (slope.diff() - expected).abs().sum()
        seen += expected.abs().sum()
        steepest += slope.abs().max()
    if not change > 1e-4 * steepest:
        return None
    if seen < 1e-4 * change:
        return (
            f"{what} is piecewise linear, as with ReLU: the metric is piecewise constant and its "
            "curvature zero, geodesics are polygons, and Newton's method, which goes by second "
            f"derivatives, has nothing to go by. {SMOOTH}"
        )
    if missed > KINKED * change:
        return (
            f"{what} has kinks, as piecewise linear activations such as ReLU make them: the "
            "metric jumps there, and second derivatives, which Newton's method and curvature go "
            f"by, miss {float(missed / change):.0%} of how it changes. {SMOOTH}"
        )
    return None


def slope_and_bend(network, line, step, rng, what):
    """First and second derivative along a line of points of a random sum of a map's outputs."""
    with gradients():
        at, step = usable(line).detach().requires_grad_(), usable(step)
        value = network(at)
        if not value.requires_grad:
            # Constant, or constant in parts, is not the same as cut off.
            if len(torch.unique(value[value.isfinite().all(1)], dim=0)) <= len(value) // 2:
                return torch.zeros_like(at[:, 0]), torch.zeros_like(at[:, 0])
            raise ValueError(
                f"{what} carries no gradient with respect to its input: it must compute with torch "
                "throughout, without torch.no_grad() or detach()."
            )
        weights = value.new_tensor(rng.normal(size=value.shape[1:]))
        gradient = torch.autograd.grad((value * weights).sum(), at, create_graph=True)[0]
        slope = gradient @ step
        bent = torch.zeros_like(slope)
        if slope.requires_grad:
            second = torch.autograd.grad(slope.sum(), at, allow_unused=True)[0]
            bent = bent if second is None else second @ step
    return slope.detach(), bent.detach()
