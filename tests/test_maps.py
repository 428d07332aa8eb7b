"""Exponential and logarithmic maps and transport where closed forms are known."""

import numpy as np
import pytest
import torch
from suites import thorough
from surfaces import embedded, half_plane, sphere, tensor_of

from skriem.geometry import MetricField, PullbackMetric
from skriem.geometry.solvers.exp_log import initial_velocity

SEEDS = (0, 1, 2)


def test_exp_on_the_sphere_goes_along_great_circles():
    metric = PullbackMetric(sphere, 2)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        z, v = rng.uniform([1.2, 1.0], [1.9, 2.0], (20, 2)), 0.5 * rng.normal(size=(20, 2))
        x, pushed = (part.numpy() for part in torch.func.jvp(sphere, *as_tensors((z,), (v,))))
        speed = np.linalg.norm(pushed, axis=1, keepdims=True)
        end = np.cos(speed) * x + np.sin(speed) * pushed / speed
        np.testing.assert_allclose(metric.embed(metric.exp(z, v)), end, rtol=0, atol=1e-7)


def test_first_velocities_point_along_their_curves():
    stretch = torch.tensor([[3.0, 0.0, 1.0], [1.0, 0.5, 0.0]], dtype=torch.float64)
    a, b = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 5, 2)))
    nodes = a[:, None] + torch.linspace(0.0, 1.0, 9)[:, None] * (b - a)[:, None]
    length = ((b - a) @ stretch).norm(dim=1)
    found = initial_velocity(embedded(lambda z: z @ stretch), nodes, 4, length)
    torch.testing.assert_close(found, b - a)


def as_tensors(*tuples):
    return [tuple(torch.as_tensor(part) for part in parts) for parts in tuples]


def half_plane_exp(z, v):
    """Upwards from i, turned about i, scaled and shifted."""
    velocity = (v[:, 0] + 1j * v[:, 1]) / z[:, 1]
    up = 1j * np.exp(np.abs(velocity))
    turn = 0.5 * (np.angle(velocity) - 0.5 * np.pi)
    turned = (np.cos(turn) * up + np.sin(turn)) / (np.cos(turn) - np.sin(turn) * up)
    return np.stack([z[:, 0] + z[:, 1] * turned.real, z[:, 1] * turned.imag], axis=1)


def test_a_velocity_that_is_transported_along_its_curve_is_the_velocity_at_its_end():
    def hills(z):
        # In three dimensions, where turns do not commute.
        return torch.cat([z, (1.5 * z).sin().sum(-1, keepdim=True), z.prod(-1, True)], dim=-1)

    metric = PullbackMetric(hills, 3)
    a, b = np.random.default_rng(0).uniform(-1.0, 1.0, size=(2, 4, 3))
    geodesic, h = metric.geodesic(a, b, tol=1e-6), 1e-2
    start, end = geodesic.curve([0.0, h, 2 * h]), geodesic.curve([1.0, 1.0 - h, 1.0 - 2 * h])
    first, last = (
        sign * (4.0 * z[:, 1] - z[:, 2] - 3.0 * z[:, 0]) / (2 * h)
        for sign, z in ((1.0, start), (-1.0, end))
    )
    np.testing.assert_allclose(metric.transport(geodesic, first), last, atol=0.03)


@pytest.mark.parametrize("seed", thorough(SEEDS, slow=[1, 2]))
def test_exp_and_log_in_the_hyperbolic_plane(seed):
    rng = np.random.default_rng(seed)
    metric = MetricField(half_plane, 2)
    z = rng.uniform([-2, 0.3], [2, 3], (20, 2))
    v = z[:, 1:] * rng.normal(size=(20, 2))
    end = half_plane_exp(z, v)
    np.testing.assert_allclose(metric.exp(z, v), end, rtol=1e-7, atol=1e-7)
    # No geodesics of the hyperbolic plane meet twice: far pairs have one logarithm, too.
    np.testing.assert_allclose(metric.log(z, end), v, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", thorough([PullbackMetric, MetricField], slow=[MetricField]))
def test_transport_around_a_triangle_turns_by_its_area(kind):
    metric = kind(sphere if kind is PullbackMetric else tensor_of(sphere), 2)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        corners = rng.uniform([0.6, 0.6], [2.5, 2.5], (3, 8, 2))
        start = rng.normal(size=(8, 2))
        v = start
        for k in range(3):
            v = metric.transport(metric.geodesic(corners[k], corners[(k + 1) % 3], tol=1e-6), v)
        x, y, z = sphere(torch.as_tensor(corners)).numpy()
        area = 2.0 * np.arctan2((x * np.cross(y, z)).sum(1), 1.0 + (x * y + y * z + z * x).sum(1))
        # In an orthonormal frame that is right-handed seen from outside.
        frame = np.stack([np.ones(8), np.sin(corners[0, :, 0])], axis=1)
        before, after = (((w * frame) @ [1, 1j]) for w in (start, v))
        turn = np.angle(after / before * np.exp(-1j * area))
        assert np.abs(area).max() > 0.3
        assert np.abs(turn).max() < 1e-3
