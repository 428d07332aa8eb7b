"""The laws that every geometry obeys, in a table and without.

Bounds are those of the metric that meets them worst, but where ``geometries.py`` names another.
"""

import pickle
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from geometries import GEOMETRIES
from surfaces import bend

from skriem.geometry import Metric, PullbackMetric, ambient_metric

BOUNDS = {
    "symmetry": 0.0,
    "triangle": 5e-3,
    "length of the curve": 1e-3,
    "chord": 1e-6,
    "coordinates": 2e-4,
}


def of_curves(law):
    """A law that needs second derivatives at many points, which take long."""
    law.of_curves = True
    return law


def pytest_generate_tests(metafunc):
    """Every law on every geometry; many of those that take long are for the thorough suite."""
    if "space" not in metafunc.fixturenames:
        return
    law = metafunc.function.__name__.removeprefix("test_")
    takes_long = hasattr(metafunc.function, "of_curves")
    cases = []
    for name, geometry in GEOMETRIES.items():
        if law in geometry.exempt or (takes_long and not geometry.smooth):
            continue
        for in_table in (False, True)[: 1 + geometry.tabulate]:
            slow = geometry.slow or takes_long + in_table + (not geometry.quick) > 1
            title = f"{name} in a table" if in_table else name
            mark = [pytest.mark.slow] * slow
            cases.append(pytest.param((name, in_table), marks=mark, id=title))
    metafunc.parametrize("space", cases, indirect=True, scope="module")


@pytest.fixture(scope="module")
def space(request):
    name, in_table = request.param
    geometry = GEOMETRIES[name]
    fitted = [request.getfixturevalue(geometry.fixture)] if geometry.fixture else []
    metric, (z, near) = geometry.make(*fitted), geometry.points(*fitted)
    if in_table:
        metric = metric.with_points(np.concatenate([z, near]))
        assert metric._spaces.table is not None
    return Space(metric, z, near, {**BOUNDS, **geometry.bounds})


@dataclass
class Space:
    """A metric, points, and what several laws look at."""

    metric: Metric
    z: np.ndarray
    near: np.ndarray
    bounds: dict

    @cached_property
    def curves(self):
        """From each point to the next."""
        curves = self.metric.geodesic(self.z[:-1], self.z[1:])
        assert curves.converged.all()
        return curves

    @cached_property
    def near_curves(self):
        """From each point to the one near it."""
        curves = self.metric.geodesic(self.z, self.near, tol=1e-4)
        assert curves.converged.all()
        return curves

    @cached_property
    def log(self):
        return self.metric.log(self.z, self.near)

    def norm(self, z, v):
        return np.sqrt(self.inner(z, v, v))

    def inner(self, z, u, v):
        return np.einsum("ni,nij,nj->n", u, self.metric.tensor(z), v)

    def vectors(self, seed=0):
        """Tangent vectors in random directions, about as long as the logarithms."""
        size = np.linalg.norm(self.log, axis=1, keepdims=True)
        drawn = np.random.default_rng(seed).normal(size=self.log.shape)
        return size * drawn / self.log.shape[1] ** 0.5


# Tensors and distances ----------------------------------------------------------------------


def test_tensors_are_symmetric_and_positive_definite(space):
    tensor = space.metric.tensor(space.z)
    np.testing.assert_allclose(tensor, tensor.swapaxes(1, 2), rtol=1e-12, atol=1e-12)
    assert (np.linalg.eigvalsh(tensor) > 0).all()
    np.testing.assert_allclose(space.metric.log_volume(space.z), 0.5 * np.linalg.slogdet(tensor)[1])


def test_geodesics_have_the_speed_of_their_length(space):
    t = np.linspace(0.0, 1.0, 201)
    nodes = space.curves.curve(t)
    middles, steps = 0.5 * (nodes[:, 1:] + nodes[:, :-1]), np.diff(nodes, axis=1) * 200.0
    d = middles.shape[-1]
    speed = space.metric.norm(middles.reshape(-1, d), steps.reshape(-1, d)).reshape(-1, 200)
    np.testing.assert_allclose(speed.mean(1), space.curves.length, rtol=2e-3)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[:, :1], speed.shape), rtol=0.1)


def test_curves_begin_and_end_where_they_should(space):
    np.testing.assert_array_equal(space.curves.points[:, 0], space.z[:-1])
    np.testing.assert_array_equal(space.curves.points[:, -1], space.z[1:])


def test_symmetry_and_identity_of_indiscernibles(space):
    back = space.metric.geodesic(space.z[1:], space.z[:-1])
    bound = space.bounds["symmetry"]
    np.testing.assert_allclose(back.length, space.curves.length, rtol=bound)
    t = np.linspace(0, 1, 9)
    np.testing.assert_allclose(space.curves.curve(t), back.curve(1 - t), atol=1e-9)
    assert (space.metric.distance(space.z, space.z) == 0).all()
    assert (space.curves.length > 0).all()


def test_triangle_inequality(space):
    D = space.metric.pairwise(space.z)
    np.testing.assert_array_equal(D, D.T)
    through = (D[:, :, None] + D[None, :, :]).min(axis=1)
    assert ((1.0 + space.bounds["triangle"]) * through >= D).all()


def test_reported_length_is_the_length_of_the_curve(space):
    curve = space.curves.curve(np.linspace(0, 1, 1001))
    step = np.diff(curve, axis=1)
    middle = 0.5 * (curve[:, 1:] + curve[:, :-1])
    tensor = space.metric.tensor(middle.reshape(-1, curve.shape[2]))
    tensor = tensor.reshape(*step.shape, -1)
    measured = np.sqrt(np.einsum("ntk,ntkl,ntl->nt", step, tensor, step)).sum(axis=1)
    bound = space.bounds["length of the curve"]
    np.testing.assert_allclose(space.curves.length, measured, rtol=bound)


def test_no_curve_is_longer_than_the_straight_line(space):
    t = (np.arange(1000) + 0.5)[:, None, None] / 1000
    a, step = space.z[:-1], np.diff(space.z, axis=0)
    tensor = space.metric.tensor((a + t * step).reshape(-1, a.shape[1]))
    tensor = tensor.reshape(1000, *a.shape, -1)
    straight = np.sqrt(np.einsum("nk,tnkl,nl->tn", step, tensor, step)).mean(axis=0)
    assert (space.curves.length <= straight * (1 + 1e-3)).all()


def test_no_curve_is_shorter_than_the_chord(space):
    lower = space.metric.lower_bounds(space.z[:-1], space.z[1:]).diagonal()
    assert (lower <= space.curves.length * (1 + space.bounds["chord"])).all()
    if isinstance(space.metric, PullbackMetric):
        images = space.metric.embed(space.z)
        chord = np.linalg.norm(np.diff(images, axis=0), axis=1)
        np.testing.assert_allclose(lower, chord, rtol=1e-9)


def bend_first(w):
    """A diffeomorphism of space that bends its first two coordinates."""
    return torch.cat([bend(w[:, :2]), w[:, 2:]], dim=1)


@of_curves
def test_distances_do_not_depend_on_coordinates(space):
    tensor = space.metric._space.differentiable_tensor
    bent = ambient_metric(bend_first, tensor, space.metric.n_dims)
    a, b = (bend_first(torch.as_tensor(w)).numpy() for w in (space.z, space.near))
    found = bent.distance(space.z, space.near, tol=1e-4)
    bound = space.bounds["coordinates"]
    np.testing.assert_allclose(found, space.metric.distance(a, b, tol=1e-4), rtol=bound)


def test_contributions_add_up_to_lengths(space):
    found = space.metric.contributions(space.curves)
    np.testing.assert_allclose(found.sum(1), space.curves.length, rtol=1e-9)
    alone = space.metric.contributions(space.metric.geodesic(space.z[1:2], space.z[2:3]))
    np.testing.assert_allclose(alone, found[1:2], rtol=1e-6, atol=1e-9 * found.sum())


# Exponential and logarithm ------------------------------------------------------------------


@of_curves
def test_exp_undoes_log(space):
    np.testing.assert_allclose(space.metric.exp(space.z, space.log), space.near, rtol=0, atol=1e-6)


@of_curves
def test_log_undoes_exp(space):
    v = space.vectors()
    back = space.metric.log(space.z, space.metric.exp(space.z, v))
    assert (np.linalg.norm(back - v, axis=1) <= 1e-5 * np.linalg.norm(v, axis=1)).all()


@of_curves
def test_log_is_as_long_as_the_geodesic(space):
    norm = space.norm(space.z, space.log)
    np.testing.assert_allclose(space.near_curves.length, norm, rtol=1e-4)
    np.testing.assert_allclose(space.metric.distance(space.z, space.near), norm, rtol=1e-3)


@of_curves
def test_fractions_of_the_log_lead_along_the_curve(space):
    t = np.array([0.25, 0.7])
    curve = space.near_curves.curve(t)
    size = np.linalg.norm(space.log, axis=1)
    for k, share in enumerate(t):
        reached = space.metric.exp(space.z, share * space.log)
        assert (np.linalg.norm(reached - curve[:, k], axis=1) <= 2e-3 * size).all()


@of_curves
def test_exp_of_nothing_and_log_of_oneself(space):
    nothing = np.zeros_like(space.z)
    np.testing.assert_array_equal(space.metric.exp(space.z, nothing), space.z)
    np.testing.assert_array_equal(space.metric.log(space.z, space.z), nothing)


# Transport ----------------------------------------------------------------------------------


@of_curves
def test_transport_keeps_inner_products(space):
    u, v = space.vectors(1), space.vectors(2)
    there = [space.metric.transport(space.near_curves, w) for w in (u, v)]
    scale = space.norm(space.z, u) * space.norm(space.z, v)
    for left, right in [(0, 0), (0, 1), (1, 1)]:
        before = space.inner(space.z, (u, v)[left], (u, v)[right])
        after = space.inner(space.near, there[left], there[right])
        assert (np.abs(after - before) <= 1e-8 * scale).all()


@of_curves
def test_transported_velocity_is_the_velocity_at_the_end(space):
    carried = space.metric.transport(space.near_curves, space.log)
    back = -space.metric.log(space.near, space.z)
    assert (np.linalg.norm(carried - back, axis=1) <= 1e-3 * np.linalg.norm(back, axis=1)).all()


@of_curves
def test_transport_forth_and_back_is_the_identity(space):
    v = space.vectors()
    back = space.metric.geodesic(space.near, space.z, tol=1e-4)
    found = space.metric.transport(back, space.metric.transport(space.near_curves, v))
    np.testing.assert_allclose(found, v, rtol=0, atol=1e-9 * np.abs(v).max())


# Means --------------------------------------------------------------------------------------


@of_curves
def test_logarithms_balance_at_the_mean(space):
    points = np.concatenate([space.z[:1], space.near[:1], space.z[:1]])
    weights = np.array([1.0, 2.0, 0.5])
    mean = space.metric.frechet_mean(points, sample_weight=weights)
    logs = space.metric.log(np.tile(mean, (3, 1)), points)
    size = np.linalg.norm(logs, axis=1).max()
    assert np.linalg.norm(weights @ logs) <= 1e-5 * weights.sum() * size


# Independence -------------------------------------------------------------------------------


@of_curves
def test_batch_mates_and_the_order_of_end_points_do_not_matter(space):
    metric, a, b, v = space.metric, space.z, space.near, space.log
    together = metric.exp(a, v), metric.transport(space.near_curves, v), v
    flipped = metric.geodesic(b, a, tol=1e-4)
    np.testing.assert_allclose(flipped.length, space.near_curves.length, rtol=1e-9)
    np.testing.assert_allclose(flipped.points, space.near_curves.points[:, ::-1], rtol=0, atol=1e-9)
    for i in (1, 3):
        row = slice(i, i + 1)
        curve = metric.geodesic(a[row], b[row], tol=1e-4)
        np.testing.assert_allclose(curve.points, space.near_curves.points[row], rtol=0, atol=1e-9)
        np.testing.assert_allclose(curve.length, space.near_curves.length[row], rtol=1e-9)
        far = metric.geodesic(space.z[i : i + 1], space.z[i + 1 : i + 2])
        np.testing.assert_allclose(far.length, space.curves.length[row], rtol=1e-9)
        alone = (
            metric.exp(a[row], v[row]),
            metric.transport(curve, v[row]),
            metric.log(a[row], b[row]),
        )
        for mine, ours in zip(alone, together):
            np.testing.assert_allclose(mine, ours[row], rtol=0, atol=1e-9)


# Containers ---------------------------------------------------------------------------------


def test_pickles_and_points_make_no_other_metric(space):
    again = pickle.loads(pickle.dumps(space.metric))
    assert again == space.metric
    found = again.geodesic(space.z[:-1], space.z[1:])
    np.testing.assert_array_equal(found.length, space.curves.length)
    np.testing.assert_array_equal(found.points, space.curves.points)
    assert space.metric.with_points(space.z) == space.metric


def test_tensors_of_single_precision(space):
    z = torch.as_tensor(space.z[:4], dtype=torch.float32)
    found = space.metric.distance(z[:-1], z[1:])
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, space.curves.length[:3], rtol=2e-3)


def test_nothing_of_nothing(space):
    assert space.metric.tensor(space.z[:0]).shape == (0, *2 * space.z.shape[1:])
    assert space.metric.distance(space.z[:0], space.z[:0]).shape == (0,)
