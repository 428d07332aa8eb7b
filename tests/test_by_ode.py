"""Maps of curved surfaces against SciPy's solver on the geodesic equation, written once more.

Tensors stand here in closed form; Christoffel symbols come from complex steps, and nothing of the
package is in them.
"""

import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from suites import thorough
from surfaces import bumps, catenoid, ellipsoid, pseudosphere, stereographic

from skriem.geometry import PullbackMetric

# First fundamental forms, of complex numbers too.


def ellipsoid_form(z):
    (u, v), (a, b, c) = z, (1.0, 2.0, 3.0)
    by_u = a * np.cos(u) * np.cos(v), b * np.cos(u) * np.sin(v), -c * np.sin(u)
    by_v = -a * np.sin(u) * np.sin(v), b * np.sin(u) * np.cos(v), 0.0
    return gram(by_u, by_v)


def catenoid_form(z):
    return np.cosh(z[1]) ** 2 * np.eye(2)


def pseudosphere_form(z):
    return np.diag([np.cosh(z[1]) ** -2, np.tanh(z[1]) ** 2])


def bumps_form(z):
    u, v = z
    by_u = 1.0, 0.0, 2.0 * np.cos(2.0 * u) * np.cos(1.5 * v)
    by_v = 0.0, 1.0, -1.5 * np.sin(2.0 * u) * np.sin(1.5 * v)
    return gram(by_u, by_v)


def gram(*columns):
    columns = np.array(columns)
    return columns @ columns.T


SURFACES = {
    "ellipsoid": (ellipsoid, ellipsoid_form, [0.7, 0.5], [2.4, 2.5]),
    "catenoid": (catenoid, catenoid_form, [-1.0, -1.0], [1.0, 1.0]),
    "pseudosphere": (pseudosphere, pseudosphere_form, [-1.0, 0.4], [1.0, 1.5]),
    "bumps": (bumps, bumps_form, [-1.0, -1.0], [1.0, 1.0]),
}


def follow(form, z, v):
    """Where the geodesic from z with velocity v is after 1."""

    def derivative(_, state):
        z, v = state[:2], state[2:]
        # Entry [k] is the derivative of the tensor along coordinate k.
        change = np.array([form(z + 1e-30j * step).imag / 1e-30 for step in np.eye(2)])
        first_kind = np.einsum("kij,k,i->j", change, v, v)
        first_kind -= 0.5 * np.einsum("jik,i,k->j", change, v, v)
        return np.concatenate([v, -np.linalg.solve(form(z), first_kind)])

    found = solve_ivp(derivative, (0, 1), np.concatenate([z, v]), "LSODA", rtol=1e-11, atol=1e-12)
    return found.y[:2, -1]


@pytest.mark.parametrize("name", thorough(SURFACES, slow=["ellipsoid", "catenoid"]))
def test_exp_and_log_solve_the_geodesic_equation(name):
    embed, form, low, high = SURFACES[name]
    rng = np.random.default_rng(0)
    metric = PullbackMetric(embed, 2)
    z = rng.uniform(low, high, (6, 2))
    np.testing.assert_allclose(metric.tensor(z), [form(at) for at in z], rtol=1e-12, atol=1e-14)
    w = z + rng.uniform(-0.3, 0.3, z.shape)
    v = metric.log(z, w)
    ends = [follow(form, *pair) for pair in zip(z, v)]
    np.testing.assert_allclose(ends, w, rtol=0, atol=1e-7)
    back = [follow(form, *pair) for pair in zip(z, -0.7 * v)]
    np.testing.assert_allclose(metric.exp(z, -0.7 * v), back, rtol=0, atol=1e-7)
    # Energy is constant along the way, so the speed at the start is the length.
    np.testing.assert_allclose(metric.norm(z, v), metric.distance(z, w, tol=1e-6), rtol=1e-5)


def test_logarithms_of_a_product_are_those_of_its_factors():
    def product(z):
        circle = 2.0 * torch.stack([z[:, 2].cos(), z[:, 2].sin()], dim=1)
        return torch.cat([bumps(z[:, :2]), circle], dim=1)

    rng = np.random.default_rng(0)
    metric, factor = PullbackMetric(product, 3), PullbackMetric(bumps, 2)
    a, b = rng.uniform(-0.8, 0.8, (2, 5, 3))
    v = metric.log(a, b)
    np.testing.assert_allclose(v[:, 2], b[:, 2] - a[:, 2], atol=1e-7)
    np.testing.assert_allclose(v[:, :2], factor.log(a[:, :2], b[:, :2]), atol=1e-6)
    squared = factor.distance(a[:, :2], b[:, :2], tol=1e-6) ** 2 + 4.0 * (b - a)[:, 2] ** 2
    np.testing.assert_allclose(metric.distance(a, b, tol=1e-6) ** 2, squared, rtol=1e-5)


@pytest.mark.parametrize("gap", thorough([0.3, 0.05], slow=[0.05]))
def test_logarithms_near_the_antipode(gap):
    # From the equator, nearly half way round.
    start, along = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(0.5), np.sin(0.5)])
    angle = np.pi - gap
    x, y, height = np.cos(angle) * start + np.sin(angle) * along
    a, b = np.array([[1.0, 0.0]]), np.array([[x, y]]) / (1.0 - height)
    metric = PullbackMetric(stereographic, 2)
    v = metric.log(a, b)
    np.testing.assert_allclose(metric.norm(a, v), angle, rtol=1e-7)
    np.testing.assert_allclose(metric.exp(a, v), b, atol=1e-6)


@pytest.mark.parametrize("outer", thorough([1e6, 1.0, 1e-6], slow=[1.0, 1e6]))
@pytest.mark.parametrize("inner", thorough([1e-6, 1e6], slow=[1e-6]))
def test_units_do_not_matter(inner, outer):
    a, b = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 2, 2))
    metric, scaled = PullbackMetric(bumps, 2), PullbackMetric(lambda z: outer * bumps(z / inner), 2)
    v = metric.log(a, b)
    np.testing.assert_allclose(scaled.log(inner * a, inner * b) / inner, v, rtol=0, atol=1e-6)
    np.testing.assert_allclose(scaled.exp(inner * a, inner * v) / inner, b, rtol=0, atol=1e-6)
    lengths = scaled.distance(inner * a, inner * b)
    np.testing.assert_allclose(lengths, outer * metric.distance(a, b), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("inner", "outer"), [(1e-6, 1e6), (1e6, 1e-6)])
def test_means_do_not_depend_on_units(inner, outer):
    a = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 2))
    metric, scaled = PullbackMetric(bumps, 2), PullbackMetric(lambda z: outer * bumps(z / inner), 2)
    mean = scaled.frechet_mean(inner * a) / inner
    np.testing.assert_allclose(mean, metric.frechet_mean(a), rtol=0, atol=1e-4)


def test_single_precision_is_as_good_as_it_can_be_and_says_nothing():
    a, b = torch.tensor(np.random.default_rng(0).uniform(-1.0, 1.0, (2, 6, 2))).float()
    metric = PullbackMetric(bumps, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        v, mean = metric.log(a, b), metric.frechet_mean(a)
    assert v.dtype == mean.dtype == torch.float32
    np.testing.assert_allclose(v, metric.log(a.double(), b.double()), atol=2e-3)
    np.testing.assert_allclose(metric.exp(a, v), b, atol=2e-3)
    np.testing.assert_allclose(mean, metric.frechet_mean(a.double()), atol=5e-3)


def worst_of(metric, points, mean, side=9):
    """How much smaller the sum of squared distances is somewhere on a grid than at the mean."""
    axes = [np.linspace(*ends, side) for ends in zip(points.min(0), points.max(0))]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    spread = (metric.pairwise(grid, points) ** 2).sum(1)
    return (metric.distance(np.tile(mean, (len(points), 1)), points) ** 2).sum() / spread.min() - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SURFACES)
def test_no_point_of_a_grid_is_a_better_mean(name):
    embed, _, low, high = SURFACES[name]
    metric = PullbackMetric(embed, 2)
    points = np.random.default_rng(1).uniform(low, high, (5, 2))
    assert worst_of(metric, points, metric.frechet_mean(points)) < 1e-3


@pytest.mark.slow
def test_one_of_two_means_is_found():
    # On either side of a hill between two points.
    def hill(z):
        return torch.cat([z, 3.0 * torch.exp(-8.0 * z.square().sum(1, keepdim=True))], dim=1)

    metric, points = PullbackMetric(hill, 2), np.array([[-1.0, 0.0], [1.0, 0.0]])
    mean = metric.frechet_mean(points, tol=5e-4)
    to_both = metric.distance(np.tile(mean, (2, 1)), points)
    np.testing.assert_allclose(to_both, 0.5 * metric.distance(*points[:, None])[0], rtol=2e-3)
