"""Maps and tensors of known geometry, and what is known of their distances."""

import numpy as np
import torch

from skriem.geometry import PullbackMetric
from skriem.geometry.maps.users import UserMap, UserTensorField
from skriem.geometry.spaces.embedded import Embedded
from skriem.geometry.spaces.field import Field


def embedded(function):
    """The space of a map that knows no derivatives."""
    return Embedded(UserMap(function))


def field(function):
    """The space of tensors that know no derivatives."""
    return Field(UserTensorField(function))


def identity(z):
    return z


def sphere(z):
    polar, azimuth = z.unbind(-1)
    return torch.stack(
        [polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos()], dim=-1
    )


def ellipsoid(z):
    return sphere(z) * torch.tensor([1.0, 2.0, 3.0]).to(z)


def catenoid(z):
    turn, height = z.unbind(-1)
    radius = height.cosh()
    return torch.stack([radius * turn.cos(), radius * turn.sin(), height], dim=-1)


def pseudosphere(z):
    turn, height = z.unbind(-1)
    radius = 1.0 / height.cosh()
    return torch.stack([radius * turn.cos(), radius * turn.sin(), height - height.tanh()], dim=-1)


def paraboloid(z):
    return torch.cat([z, z.square().sum(-1, keepdim=True)], dim=-1)


def cylinder(z):
    return torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], dim=-1)


def bumps(z):
    """A sheet with hills, curved both ways."""
    height = (2.0 * z[:, 0]).sin() * (1.5 * z[:, 1]).cos()
    return torch.cat([z, height[:, None]], dim=-1)


def hills(z):
    """The graph of a function on space."""
    height = (1.5 * z[:, 0]).sin() * z[:, 1].cos() + 0.5 * z[:, 2].square()
    return torch.cat([z, height[:, None]], dim=-1)


def half_plane(z):
    """The tensor of the hyperbolic plane."""
    return torch.eye(2, dtype=z.dtype, device=z.device) / z[:, 1, None, None] ** 2


def wavy(z):
    """A smooth tensor with other main directions everywhere."""
    x, y = z.unbind(-1)
    first, second = 1.5 + x.sin() * y.cos(), 1.2 + 0.5 * (x + 2.0 * y).sin()
    mixed = 0.4 * (x - y).cos()
    rows = torch.stack([first, mixed], -1), torch.stack([mixed, second], -1)
    return torch.stack(rows, -2)


def tensor_of(embed):
    """The tensor that an embedding pulls back, as a differentiable function."""

    def at(x):
        jacobian = torch.func.jacfwd(lambda y: embed(y[None])[0])(x)
        return jacobian.mT @ jacobian

    return torch.func.vmap(at)


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


def hyperbolic_distance(a, b):
    step = ((a - b) ** 2).sum(1)
    return np.arccosh(1.0 + step / (2.0 * a[:, 1] * b[:, 1]))


def near_pairs(low, high, size):
    """Four pairs of near points from each of three seeds."""
    pairs = []
    for seed in (0, 1, 2):
        rng = np.random.default_rng(seed)
        a = rng.uniform(low, high, (4, len(low)))
        pairs.append((a, a + size * rng.normal(size=a.shape)))
    return [np.concatenate(side) for side in zip(*pairs)]
