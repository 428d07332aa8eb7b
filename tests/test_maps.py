"""Exponential and logarithmic maps, transport, curvature and means: the laws they obey."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from surfaces import bumps, paraboloid, sphere

from skriem.geometry import MetricField, PullbackMetric, local_metric

SEEDS = (0, 1, 2)


def half_plane(z):
    return torch.eye(2, dtype=z.dtype, device=z.device) / z[:, 1, None, None] ** 2


def wavy(z):
    """A smooth tensor with other main directions everywhere."""
    x, y = z.unbind(-1)
    first, second = 1.5 + x.sin() * y.cos(), 1.2 + 0.5 * (x + 2.0 * y).sin()
    mixed = 0.4 * (x - y).cos()
    rows = torch.stack([first, mixed], -1), torch.stack([mixed, second], -1)
    return torch.stack(rows, -2)


def hills(z):
    """The graph of a function on space."""
    height = (1.5 * z[:, 0]).sin() * z[:, 1].cos() + 0.5 * z[:, 2].square()
    return torch.cat([z, height[:, None]], dim=-1)


def tensor_of(embed):
    """The tensor that an embedding pulls back, as a differentiable function."""

    def at(x):
        jacobian = torch.func.jacfwd(lambda y: embed(y[None])[0])(x)
        return jacobian.mT @ jacobian

    return torch.func.vmap(at)


def near_pairs(low, high, size):
    """Four pairs of near points from every seed."""
    pairs = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        a = rng.uniform(low, high, (4, len(low)))
        pairs.append((a, a + size * rng.normal(size=a.shape)))
    return [np.concatenate(side) for side in zip(*pairs)]


def moons():
    X = make_moons(200, noise=0.08, random_state=0)[0]
    metric = MetricField(local_metric(X)._tensor_fn, 2, X, tabulate=False)
    return metric, X[:12], X[:12] + 0.1 * np.random.default_rng(1).normal(size=(12, 2))


SPACES = {
    "sphere": lambda: (PullbackMetric(sphere, 2), *near_pairs([0.8, 0.5], [2.3, 2.5], 0.2)),
    "paraboloid": lambda: (PullbackMetric(paraboloid, 2), *near_pairs([-1, -1], [1, 1], 0.2)),
    "bumps": lambda: (PullbackMetric(bumps, 2), *near_pairs([-1, -1], [1, 1], 0.2)),
    "half-plane": lambda: (MetricField(half_plane, 2), *near_pairs([-1, 1], [1, 2], 0.2)),
    "wavy": lambda: (MetricField(wavy, 2), *near_pairs([-1, -1], [1, 1], 0.3)),
    "moons": moons,
    "hills": lambda: (PullbackMetric(hills, 3), *near_pairs([-1] * 3, [1] * 3, 0.2)),
}


@pytest.fixture(scope="module", params=[*SPACES, "digits"])
def space(request, digits_vae):
    """A metric, near pairs of points, the geodesics between them and their logarithms."""
    if request.param == "digits":
        metric, a = digits_vae[0].metric_, np.asarray(digits_vae[1][:4])
        b = a + 0.05 * np.random.default_rng(0).normal(size=a.shape)
    else:
        metric, a, b = SPACES[request.param]()
    curves = metric.geodesic(a, b, tol=1e-4)
    assert curves.converged.all()
    return SimpleNamespace(metric=metric, a=a, b=b, curves=curves, log=metric.log(a, b))


def vectors(like, seed=0):
    """Tangent vectors in random directions, about as long as those given."""
    size = np.linalg.norm(like, axis=1, keepdims=True)
    return size * np.random.default_rng(seed).normal(size=like.shape) / like.shape[1] ** 0.5


def inner(metric, z, u, v):
    return np.einsum("ni,nij,nj->n", u, metric.tensor(z), v)


# Exponential and logarithm -----------------------------------------------------------------


def test_exp_undoes_log(space):
    np.testing.assert_allclose(space.metric.exp(space.a, space.log), space.b, rtol=0, atol=1e-6)


def test_log_undoes_exp(space):
    v = vectors(space.log)
    back = space.metric.log(space.a, space.metric.exp(space.a, v))
    assert (np.linalg.norm(back - v, axis=1) <= 1e-5 * np.linalg.norm(v, axis=1)).all()


def test_log_is_as_long_as_the_geodesic(space):
    norm = np.sqrt(inner(space.metric, space.a, space.log, space.log))
    np.testing.assert_allclose(space.curves.length, norm, rtol=1e-4)
    np.testing.assert_allclose(space.metric.distance(space.a, space.b), norm, rtol=1e-3)


def test_fractions_of_the_log_lead_along_the_curve(space):
    t = np.array([0.25, 0.7])
    curve = space.curves.curve(t)
    size = np.linalg.norm(space.log, axis=1)
    for k, share in enumerate(t):
        reached = space.metric.exp(space.a, share * space.log)
        assert (np.linalg.norm(reached - curve[:, k], axis=1) <= 2e-3 * size).all()


def test_exp_of_nothing_and_log_of_oneself(space):
    nothing = np.zeros_like(space.a)
    np.testing.assert_array_equal(space.metric.exp(space.a, nothing), space.a)
    np.testing.assert_array_equal(space.metric.log(space.a, space.a), nothing)


def test_exp_on_the_sphere_goes_along_great_circles():
    metric = PullbackMetric(sphere, 2)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        z, v = rng.uniform([1.2, 1.0], [1.9, 2.0], (20, 2)), 0.5 * rng.normal(size=(20, 2))
        x, pushed = (part.numpy() for part in torch.func.jvp(sphere, *as_tensors((z,), (v,))))
        speed = np.linalg.norm(pushed, axis=1, keepdims=True)
        end = np.cos(speed) * x + np.sin(speed) * pushed / speed
        np.testing.assert_allclose(metric.embed(metric.exp(z, v)), end, rtol=0, atol=1e-7)


def as_tensors(*tuples):
    return [tuple(torch.as_tensor(part) for part in parts) for parts in tuples]


def half_plane_exp(z, v):
    """Upwards from i, turned about i, scaled and shifted."""
    velocity = (v[:, 0] + 1j * v[:, 1]) / z[:, 1]
    up = 1j * np.exp(np.abs(velocity))
    turn = 0.5 * (np.angle(velocity) - 0.5 * np.pi)
    turned = (np.cos(turn) * up + np.sin(turn)) / (np.cos(turn) - np.sin(turn) * up)
    return np.stack([z[:, 0] + z[:, 1] * turned.real, z[:, 1] * turned.imag], axis=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_exp_and_log_in_the_hyperbolic_plane(seed):
    rng = np.random.default_rng(seed)
    metric = MetricField(half_plane, 2)
    z = rng.uniform([-2, 0.3], [2, 3], (20, 2))
    v = z[:, 1:] * rng.normal(size=(20, 2))
    end = half_plane_exp(z, v)
    np.testing.assert_allclose(metric.exp(z, v), end, rtol=1e-7, atol=1e-7)
    # No geodesics of the hyperbolic plane meet twice: far pairs have one logarithm, too.
    np.testing.assert_allclose(metric.log(z, end), v, rtol=0, atol=1e-5)


# Transport ---------------------------------------------------------------------------------


def test_transport_keeps_inner_products(space):
    metric, u, v = space.metric, vectors(space.log, 1), vectors(space.log, 2)
    there = [metric.transport(space.curves, w) for w in (u, v)]
    scale = np.sqrt(inner(metric, space.a, u, u) * inner(metric, space.a, v, v))
    for left, right in [(0, 0), (0, 1), (1, 1)]:
        before = inner(metric, space.a, (u, v)[left], (u, v)[right])
        after = inner(metric, space.b, there[left], there[right])
        assert (np.abs(after - before) <= 1e-8 * scale).all()


def test_transported_velocity_is_the_velocity_at_the_end(space):
    carried = space.metric.transport(space.curves, space.log)
    back = -space.metric.log(space.b, space.a)
    assert (np.linalg.norm(carried - back, axis=1) <= 1e-3 * np.linalg.norm(back, axis=1)).all()


def test_transport_forth_and_back_is_the_identity(space):
    v = vectors(space.log)
    back = space.metric.geodesic(space.b, space.a, tol=1e-4)
    found = space.metric.transport(back, space.metric.transport(space.curves, v))
    np.testing.assert_allclose(found, v, rtol=0, atol=1e-9 * np.abs(v).max())


@pytest.mark.parametrize("kind", [PullbackMetric, MetricField])
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


# Independence ------------------------------------------------------------------------------


def test_batch_mates_and_the_order_of_end_points_do_not_matter(space):
    metric, a, b, v = space.metric, space.a, space.b, space.log
    together = metric.exp(a, v), metric.transport(space.curves, v), v
    flipped = metric.geodesic(b, a, tol=1e-4)
    np.testing.assert_allclose(flipped.length, space.curves.length, rtol=1e-9)
    np.testing.assert_allclose(flipped.points, space.curves.points[:, ::-1], rtol=0, atol=1e-9)
    for i in (1, 3):
        row = slice(i, i + 1)
        curve = metric.geodesic(a[row], b[row], tol=1e-4)
        np.testing.assert_allclose(curve.points, space.curves.points[row], rtol=0, atol=1e-9)
        np.testing.assert_allclose(curve.length, space.curves.length[row], rtol=1e-9)
        alone = (
            metric.exp(a[row], v[row]),
            metric.transport(curve, v[row]),
            metric.log(a[row], b[row]),
        )
        for mine, ours in zip(alone, together):
            np.testing.assert_allclose(mine, ours[row], rtol=0, atol=1e-9)
