"""Surfaces with known geometry, as embeddings."""

import numpy as np
import torch

from skriem.geometry import PullbackMetric


def sphere(z):
    polar, azimuth = z.unbind(-1)
    return torch.stack(
        [polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos()], dim=-1
    )


def paraboloid(z):
    return torch.cat([z, z.square().sum(-1, keepdim=True)], dim=-1)


def cylinder(z):
    return torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], dim=-1)


def bumps(z):
    """A sheet with hills, curved both ways."""
    height = (2.0 * z[:, 0]).sin() * (1.5 * z[:, 1]).cos()
    return torch.cat([z, height[:, None]], dim=-1)


def bend(w):
    """A diffeomorphism of the plane."""
    u, v = w.unbind(-1)
    return torch.stack([u + 0.3 * v.sin(), v + 0.2 * (2.0 * u).cos()], dim=-1)


def sphere_pairs(n, seed):
    """Points in the polar chart whose great circles stay inside it."""
    rng = np.random.default_rng(seed)
    low, high = [0.3, 0.3], [np.pi - 0.3, np.pi - 0.3]
    a, b = rng.uniform(low, high, (n, 2)), rng.uniform(low, high, (n, 2))
    return a, b


def great_circle(a, b):
    metric = PullbackMetric(sphere, 2)
    x, y = metric.embed(a), metric.embed(b)
    return np.arctan2(np.linalg.norm(np.cross(x, y), axis=1), (x * y).sum(1))


def stereographic(z):
    """The unit sphere but for one point, from the plane."""
    squared = z.square().sum(-1, keepdim=True)
    return torch.cat([2.0 * z, squared - 1.0], dim=-1) / (1.0 + squared)
