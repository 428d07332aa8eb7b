"""Shao, Kumar and Fletcher's algorithms, written down naively, against the maps of a metric.

*The Riemannian geometry of deep generative models*, CVPR workshops 2018. Their steps are of first
order: with half the step half the error is left, and extrapolating removes most of that.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from surfaces import bumps, sphere

from skriem.geometry import PullbackMetric

STEPS = (50, 100)


def small_decoder():
    rng = np.random.default_rng(3)
    hidden, bias, out = (
        torch.as_tensor(rng.normal(size=size)) for size in [(3, 16), (16,), (16, 20)]
    )
    return lambda z: torch.tanh(0.7 * z @ hidden + bias) @ out


SPACES = {
    "sphere": (sphere, [0.8, 0.5], [2.3, 2.5]),
    "bumps": (bumps, [-1.0, -1.0], [1.0, 1.0]),
    "decoder": (small_decoder(), [-0.6] * 3, [0.6] * 3),
}


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    """A metric, pairs of points not far from each other, and tangent vectors at the first."""
    embed, low, high = SPACES[request.param]
    metric = PullbackMetric(embed, len(low))
    rng = np.random.default_rng(0)
    a = rng.uniform(low, high, (4, len(low)))
    b = a + 0.25 * rng.normal(size=a.shape)
    geodesics = metric.geodesic(a, b, tol=1e-6)
    assert geodesics.converged.all()
    return SimpleNamespace(
        name=request.param,
        metric=metric,
        a=a,
        b=b,
        geodesics=geodesics,
        v=0.3 * rng.normal(size=a.shape),
    )


# The algorithms ----------------------------------------------------------------------------


def jacobian(metric, z):
    """J (m, d) at one point."""
    return torch.func.jacfwd(lambda x: metric.embed(x[None])[0])(torch.as_tensor(z)).numpy()


def push(metric, z, v):
    """J v for rows."""
    return np.stack([jacobian(metric, x) @ w for x, w in zip(z, v)])


def projected(u, frame):
    """A vector in the span of orthonormal columns, as long as it was."""
    onto = frame @ (frame.T @ u)
    return onto * np.linalg.norm(u) / np.linalg.norm(onto)


def translate(metric, curve, v):
    """Algorithm 2: parallel translation along points (T+1, d)."""
    u = jacobian(metric, curve[0]) @ v
    for z in curve[1:]:
        frame, sizes, right = np.linalg.svd(jacobian(metric, z), full_matrices=False)
        u = projected(u, frame)
    return right.T @ (frame.T @ u / sizes)


def encode(metric, x, z):
    """The perfect encoder: the point that decodes to what is closest to `x`, from `z` on."""
    for _ in range(8):
        step = np.linalg.lstsq(jacobian(metric, z), x - metric.embed(z[None])[0], rcond=None)[0]
        z = z + step
        if np.abs(step).max() < 1e-12:
            break
    return z


def shoot(metric, z, v, n_steps):
    """Algorithm 3: geodesic shooting for unit time."""
    u = jacobian(metric, z) @ v
    for _ in range(n_steps):
        z = encode(metric, metric.embed(z[None])[0] + u / n_steps, z)
        u = projected(u, np.linalg.svd(jacobian(metric, z), full_matrices=False)[0])
    return z


def errors(found, right):
    """Largest errors of a coarse and a fine result, and of what both extrapolate to."""
    coarse, fine = found
    return [np.linalg.norm(x - right, axis=1).max() for x in (coarse, fine, 2.0 * fine - coarse)]


def analogy(metric, a, b, c):
    """a is to b as c is to what?"""
    return metric.exp(c, metric.transport(metric.geodesic(a, c, tol=1e-6), metric.log(a, b)))


# Parallel translation and shooting ---------------------------------------------------------


@pytest.mark.slow
def test_translation_is_transport(space):
    metric = space.metric
    found = []
    for n in STEPS:
        curves = space.geodesics.curve(np.linspace(0.0, 1.0, n + 1))
        w = np.stack([translate(metric, curve, v) for curve, v in zip(curves, space.v)])
        found.append(push(metric, space.b, w))
    right = push(metric, space.b, metric.transport(space.geodesics, space.v))
    coarse, fine, limit = errors(found, right)
    assert fine < 5e-3 * np.linalg.norm(right, axis=1).max()
    assert 1.9 < coarse / fine < 2.1
    assert limit < 0.02 * fine


@pytest.mark.slow
def test_shooting_is_exp(space):
    metric = space.metric
    found = [
        metric.embed(np.stack([shoot(metric, z, v, n) for z, v in zip(space.a, space.v)]))
        for n in STEPS
    ]
    coarse, fine, limit = errors(found, metric.embed(metric.exp(space.a, space.v)))
    assert fine < 5e-3 * np.linalg.norm(push(metric, space.a, space.v), axis=1).max()
    # On the sphere, where a velocity turns no other way than ahead, it is of second order.
    assert coarse / fine > (3.8 if space.name == "sphere" else 1.9)
    if space.name != "sphere":
        assert limit < 0.1 * fine


def sphere_pairs():
    rng = np.random.default_rng(5)
    return rng.uniform([0.8, 0.5], [2.3, 2.5], (3, 6, 2))


def great_circle_transport(x, y, u):
    """Tangent vectors at points of the sphere, turned with them about their axis."""
    along = y - (x * y).sum(1, keepdims=True) * x
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    angle = np.arccos((x * y).sum(1, keepdims=True))
    ahead = (u * along).sum(1, keepdims=True)
    return u + ahead * ((np.cos(angle) - 1.0) * along - np.sin(angle) * x)


def great_circle_exp(x, u):
    size = np.linalg.norm(u, axis=1, keepdims=True)
    return np.cos(size) * x + np.sin(size) * u / size


def great_circle_log(x, y):
    across = y - (x * y).sum(1, keepdims=True) * x
    size = np.linalg.norm(across, axis=1, keepdims=True)
    return np.arctan2(size, (x * y).sum(1, keepdims=True)) * across / size


@pytest.mark.slow
def test_transport_and_translation_on_the_sphere():
    metric = PullbackMetric(sphere, 2)
    a, b, _ = sphere_pairs()
    v = np.random.default_rng(6).normal(size=a.shape)
    geodesics = metric.geodesic(a, b, tol=1e-6)
    right = great_circle_transport(metric.embed(a), metric.embed(b), push(metric, a, v))
    found = push(metric, b, metric.transport(geodesics, v))
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-4)
    theirs = []
    for n in STEPS:
        curves = geodesics.curve(np.linspace(0.0, 1.0, n + 1))
        theirs.append(push(metric, b, [translate(metric, *pair) for pair in zip(curves, v)]))
    coarse, fine, _ = errors(theirs, right)
    assert fine < 0.02
    assert 1.9 < coarse / fine < 2.1


# Geodesic paths ----------------------------------------------------------------------------


def residual(metric, curve):
    """What Algorithm 1 drives to nothing, J'(g(z_i+1) - 2 g(z_i) + g(z_i-1)) / dt^2, in the
    orthonormal frame of J: the largest of its norms."""
    x, dt = metric.embed(curve), 1.0 / (len(curve) - 1)
    bends = (x[2:] - 2.0 * x[1:-1] + x[:-2]) / dt**2
    frames = (np.linalg.svd(jacobian(metric, z), full_matrices=False)[0] for z in curve[1:-1])
    return max(np.linalg.norm(frame.T @ bend) for frame, bend in zip(frames, bends))


@pytest.mark.slow
def test_geodesics_are_stationary(space):
    metric = space.metric
    t = np.linspace(0.0, 1.0, 17)
    lines = space.a[:, None] + t[:, None] * (space.b - space.a)[:, None]
    of_lines = np.array([residual(metric, line) for line in lines])
    coarse, fine = (
        np.array([residual(metric, c) for c in space.geodesics.curve(t_)]) for t_ in (t[::2], t)
    )
    assert (fine <= 0.03 * of_lines.max()).all()
    # What is left is the error of the differences, and shrinks with them, or of the curve.
    assert ((coarse > 2.0 * fine) | (fine < 1e-5)).all()


# Analogies ---------------------------------------------------------------------------------


def test_analogies_of_a_linear_decoder_are_parallelograms():
    rng = np.random.default_rng(0)
    weights = torch.as_tensor(rng.normal(size=(3, 8)))
    metric = PullbackMetric(lambda z: z @ weights + 1.0, 3)
    a, b, c = rng.normal(size=(3, 5, 3))
    np.testing.assert_allclose(analogy(metric, a, b, c), c + (b - a), rtol=0, atol=1e-9)


def test_analogies_on_the_sphere():
    metric = PullbackMetric(sphere, 2)
    a, b, c = sphere_pairs()
    b, c = a + 0.4 * (b - a), a + 0.4 * (c - a)
    x, y, z = (metric.embed(part) for part in (a, b, c))
    right = great_circle_exp(z, great_circle_transport(x, z, great_circle_log(x, y)))
    found = metric.embed(analogy(metric, a, b, c))
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-4)
    # The parallelogram is another point.
    assert np.abs(metric.embed(c + b - a) - right).max() > 0.02


@pytest.mark.slow
def test_a_way_round_a_triangle_turns_by_its_area():
    metric = PullbackMetric(sphere, 2)
    corners = sphere_pairs()
    start = np.random.default_rng(7).normal(size=corners[0].shape)
    v = theirs = start
    area = -np.pi
    for k in range(3):
        here, ahead, behind = corners[k], corners[(k + 1) % 3], corners[(k + 2) % 3]
        geodesics = metric.geodesic(here, ahead, tol=1e-6)
        curves = geodesics.curve(np.linspace(0.0, 1.0, 101))
        v = metric.transport(geodesics, v)
        theirs = np.stack([translate(metric, *pair) for pair in zip(curves, theirs)])
        area = area + angle(metric, here, metric.log(here, ahead), metric.log(here, behind))
    turn = angle(metric, corners[0], start, v)
    turn_of_theirs = angle(metric, corners[0], start, theirs)
    assert area.max() > 0.3
    np.testing.assert_allclose(turn, area, rtol=0, atol=1e-3)
    np.testing.assert_allclose(turn_of_theirs, area, rtol=0, atol=0.02)


def angle(metric, z, v, w):
    """Angles between tangent vectors at the same points, without sign."""
    u, w = push(metric, z, v), push(metric, z, w)
    return np.arctan2(np.linalg.norm(np.cross(u, w), axis=1), (u * w).sum(1))


# Means -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_logarithms_at_the_mean_cancel(space, weighted):
    metric, Z = space.metric, np.concatenate([space.a, space.b])
    Z = Z.mean(0) + 0.5 * (Z - Z.mean(0))
    weights = np.arange(1.0, 9.0) if weighted else None
    mean = metric.frechet_mean(Z, sample_weight=weights)
    base = np.tile(mean, (8, 1))
    logs = push(metric, base, metric.log(base, Z))
    size = np.sqrt(np.average(np.square(logs).sum(1), weights=weights))
    left = np.linalg.norm(np.average(logs, axis=0, weights=weights)) / size
    assert left < 2e-6
    # It is not the mean of the coordinates.
    assert np.linalg.norm(mean - np.average(Z, axis=0, weights=weights)) > 1e-4
