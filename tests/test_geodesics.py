"""Geodesics against closed forms and the laws that every distance obeys."""

import pickle

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from surfaces import bend, bumps, cylinder, embedded, great_circle, paraboloid, sphere, sphere_pairs

from skriem.geometry import PullbackMetric, Status, curves
from skriem.geometry.metrics.base import ConvergenceWarning
from skriem.geometry.solvers.geodesics import (
    FINE,
    Resolution,
    at_constant_speed,
    solve_geodesics,
)


def points(n, d=2, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, d))


# Closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 5])
def test_flat_space(d):
    metric = PullbackMetric(lambda z: z, d)
    a, b = points(20, d, 0), points(20, d, 1)
    np.testing.assert_allclose(metric.distance(a, b), np.linalg.norm(a - b, axis=1), rtol=1e-12)


def test_linear_decoder():
    rng = np.random.default_rng(0)
    matrix, offset = rng.normal(size=(3, 40)), rng.normal(size=40)
    metric = PullbackMetric(lambda z: z @ torch.as_tensor(matrix) + torch.as_tensor(offset), 3)
    a, b = points(20, 3, 0), points(20, 3, 1)
    np.testing.assert_allclose(
        metric.distance(a, b), np.linalg.norm((a - b) @ matrix, axis=1), rtol=1e-10
    )
    np.testing.assert_allclose(metric.tensor(a), np.tile(matrix @ matrix.T, (20, 1, 1)))
    _, log_det = np.linalg.slogdet(matrix @ matrix.T)
    np.testing.assert_allclose(metric.log_volume(a), 0.5 * log_det)


def test_sphere_distances_are_great_circles():
    a, b = sphere_pairs(200, seed=0)
    geodesics = PullbackMetric(sphere, 2).geodesic(a, b, tol=1e-4)
    assert geodesics.converged.all()
    error = np.abs(geodesics.length / great_circle(a, b) - 1.0)
    assert error.max() < 1e-4


def test_sphere_geodesics_lie_in_a_plane_at_constant_speed():
    a, b = sphere_pairs(50, seed=1)
    metric = PullbackMetric(sphere, 2)
    curve = metric.geodesic(a, b, tol=1e-4).curve(np.linspace(0, 1, 21))
    x = metric.embed(curve.reshape(-1, 2)).reshape(50, 21, 3)
    normal = np.cross(x[:, 0], x[:, -1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    assert np.abs(np.einsum("ntk,nk->nt", x, normal)).max() < 5e-3
    steps = np.linalg.norm(np.diff(x, axis=1), axis=2)
    assert np.abs(steps / steps.mean(1, keepdims=True) - 1.0).max() < 1e-2


def test_cylinder_is_flat():
    a, b = points(30, seed=2, scale=0.7), points(30, seed=3, scale=0.7)
    metric = PullbackMetric(lambda w: cylinder(bend(w)), 2)
    flat = np.linalg.norm((bend(torch.as_tensor(a)) - bend(torch.as_tensor(b))).numpy(), axis=1)
    np.testing.assert_allclose(metric.distance(a, b, tol=1e-4), flat, rtol=1e-4)


def test_paraboloid_meridians():
    b = points(30, seed=4)
    apex = np.zeros_like(b)
    exact = [quad(lambda r: np.hypot(1.0, 2.0 * r), 0.0, np.linalg.norm(p))[0] for p in b]
    np.testing.assert_allclose(
        PullbackMetric(paraboloid, 2).distance(apex, b, tol=1e-4), exact, rtol=1e-5
    )


@pytest.mark.parametrize("surface", [bumps, paraboloid])
def test_distances_do_not_depend_on_coordinates(surface):
    # Near enough for the shortest curve to be the only candidate.
    w = points(30, seed=6)
    v = w + points(30, seed=7, scale=0.3)
    bent = PullbackMetric(lambda z: surface(bend(z)), 2).distance(w, v, tol=1e-4)
    a, b = bend(torch.as_tensor(w)), bend(torch.as_tensor(v))
    direct = PullbackMetric(surface, 2).distance(a, b, tol=1e-4).numpy()
    np.testing.assert_allclose(bent, direct, rtol=2e-4)


# Containers --------------------------------------------------------------------------------


def test_answers_in_kind():
    metric = PullbackMetric(sphere, 2)
    a, b = sphere_pairs(3, seed=0)
    assert metric.distance(a, b).dtype == np.float64
    assert metric.distance(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32
    assert isinstance(metric.geodesic(a, b).curve([0.5]), np.ndarray)
    tensors = [torch.as_tensor(x, dtype=torch.float32) for x in (a, b)]
    found = metric.distance(*tensors)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), metric.distance(a, b), rtol=1e-3)
    assert metric.pairwise(tensors[0], tensors[1]).shape == (3, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_distances():
    metric = PullbackMetric(sphere, 2)
    a, b = sphere_pairs(50, seed=0)
    found = metric.distance(torch.as_tensor(a).cuda(), torch.as_tensor(b).cuda())
    assert found.is_cuda
    np.testing.assert_allclose(found.cpu().numpy(), metric.distance(a, b), rtol=1e-6)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_trained_module_is_a_metric(wrapped):
    layers = [torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5)]
    module = torch.nn.Sequential(*layers)
    a, b = points(6, seed=0), points(6, seed=1)
    metric = PullbackMetric(module if wrapped else module.double(), 2)
    if not wrapped:
        metric = PullbackMetric(lambda z: module(z), 2)
    found = metric.distance(a, b)
    assert (found > 0).all()
    assert metric.embed(a).shape == (6, 5)
    if wrapped:
        assert pickle.loads(pickle.dumps(metric)) == metric
        twin = PullbackMetric(module, 2)
        assert twin == metric
        with torch.no_grad():
            layers[0].weight.mul_(2.0)
        np.testing.assert_array_equal(metric.distance(a, b), found)
        assert PullbackMetric(module, 2) != metric


def test_gradients_flow_through_the_embedding():
    z = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    PullbackMetric(sphere, 2).embed(z).sum().backward()
    assert z.grad.abs().sum() > 0


def test_inputs_are_not_modified():
    a, b = sphere_pairs(5, seed=0)
    a.flags.writeable = b.flags.writeable = False
    before = a.copy(), b.copy()
    PullbackMetric(sphere, 2).geodesic(np.asfortranarray(a), b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


# Statuses and errors -----------------------------------------------------------------------


def test_unfinished_curves_have_a_status_and_one_warning():
    metric = PullbackMetric(bumps, 2)
    a, b = points(10, seed=8, scale=3.0), points(10, seed=9, scale=3.0)
    geodesics = metric.geodesic(a, b, tol=1e-9, max_iter=1)
    assert not geodesics.converged.all()
    assert np.isfinite(geodesics.length).all()
    n_failed = int((~geodesics.converged).sum())
    with pytest.warns(ConvergenceWarning, match="Some geodesics did not converge") as record:
        metric.distance(a, b, tol=1e-9, max_iter=1)
    assert len(record) == 1
    counts = [int(part.split()[0]) for part in geodesics.summary()]
    assert sum(counts) == n_failed


def test_constant_embedding_is_degenerate():
    metric = PullbackMetric(lambda z: torch.ones(len(z), 3, dtype=z.dtype), 2)
    geodesics = metric.geodesic(points(3, seed=0), points(3, seed=1))
    assert (geodesics.status == Status.DEGENERATE).all()
    assert (geodesics.length == 0).all()


def test_nan_in_the_embedding_is_reported():
    def broken(z):
        return torch.where(z[:, :1] > 0.5, torch.nan, z)

    metric = PullbackMetric(broken, 2)
    a, b = np.zeros((2, 2)), np.array([[0.2, 0.1], [1.0, 0.0]])
    geodesics = metric.geodesic(a, b)
    assert list(geodesics.status) == [Status.CONVERGED, Status.NOT_FINITE]
    assert np.isnan(geodesics.length[1])
    with pytest.warns(ConvergenceWarning, match="NaN or infinite"):
        metric.distance(a, b)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_sentence(status):
    assert status.message.endswith(".")
    assert len(status.message) > 40


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (np.zeros((3, 3)), ValueError, "shape"),
        (np.zeros(2), ValueError, "shape"),
        (np.full((3, 2), np.nan), ValueError, "finite"),
        (torch.zeros(3, 2, dtype=torch.long), TypeError, "floating point"),
    ],
)
def test_bad_points(bad, error, match):
    metric = PullbackMetric(sphere, 2)
    with pytest.raises(error, match=match):
        metric.tensor(bad)


def test_bad_arguments():
    with pytest.raises(TypeError, match="function"):
        PullbackMetric(3, 2)
    with pytest.raises(ValueError, match="points must have shape"):
        PullbackMetric(sphere, 2, points=np.zeros((3, 3)))
    metric = PullbackMetric(sphere, 2)
    with pytest.raises(ValueError, match="one row per pair"):
        metric.distance(np.ones((2, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="between 0"):
        metric.geodesic(np.ones((1, 2)), 2 * np.ones((1, 2))).curve([1.5])
    with pytest.raises(ValueError, match="no points"):
        metric.path_lengths(np.ones((1, 2)), np.ones((1, 2)))


def test_energy_is_the_integral_of_the_squared_speed():
    metric = PullbackMetric(bumps, 2)
    geodesics = metric.geodesic(points(5, seed=0), points(5, seed=1), tol=1e-4)
    on_way = geodesics.curve(np.linspace(0.0, 1.0, 1001)).reshape(-1, 2)
    steps = np.diff(metric.embed(on_way).reshape(5, 1001, 3), axis=1)
    np.testing.assert_allclose(geodesics.energy, 1000 * (steps**2).sum((1, 2)), rtol=1e-3)


@pytest.mark.parametrize("tol", [1e-3, 1e-5])
def test_estimated_errors_are_sizes_within_the_tolerance(tol):
    a, b = sphere_pairs(20, seed=5)
    geodesics = PullbackMetric(sphere, 2).geodesic(a, b, tol=tol)
    assert ((geodesics.error >= 0.0) & (geodesics.error <= tol * geodesics.length)).all()
    off = np.abs(geodesics.length - great_circle(a, b))
    assert (off <= tol * geodesics.length).all()


def test_points_that_rounding_alone_tells_apart_have_a_distance_that_is_known():
    metric = PullbackMetric(lambda z: 1e8 + z, 2)
    found = metric.geodesic(np.ones((1, 2)), np.array([[1.0 + 1e-15, 1.0]]))
    assert (found.status == Status.CONVERGED).all()
    assert found.length[0] == found.error[0] == 0.0


def test_lengths_that_agree_by_chance_are_confirmed():
    space = embedded(lambda z: torch.cat([z, 0.3 * torch.sin(12.0 * z).sum(1, keepdim=True)], 1))
    a, b = (torch.as_tensor(points(100, seed=k, scale=0.5)) for k in range(2))
    everyone, levels = torch.arange(100), (8, 16, 32, 64, 128)

    def excess(steep):
        starts = [(everyone, curves.straight(a, b, levels[0]))]
        found = solve_geodesics(
            space, a, b, starts, 1e-3, 100, Resolution(levels, 2, 1024, steep, 1.03)
        )
        assert (found.status == Status.CONVERGED).all()
        # The same curves with nodes that are close enough.
        nodes = found.curve(torch.linspace(0.0, 1.0, 257, dtype=torch.float64))
        nodes[:, 0], nodes[:, -1] = a, b
        fine = Resolution((256,), 2, 1024, False, 1.03)
        best = solve_geodesics(space, a, b, [(everyone, nodes)], 1e-3, 100, fine)
        return (found.length / best.length - 1.0).max()

    assert excess(True) < 0.01 < 0.03 < excess(False)


def ridges(z):
    return torch.cat([z, 0.5 * torch.exp(-50.0 * torch.sin(8.0 * z[:, :1]).square())], 1)


def rolled_out(x):
    """Lengths from one side of the ridges: the surface is ruled, its geodesics become straight."""
    at = np.linspace(-1.0, 1.0, 200_001)
    height = 0.5 * np.exp(-50.0 * np.sin(8.0 * at) ** 2)
    return np.interp(x, at[1:], np.hypot(np.diff(at), np.diff(height)).cumsum())


def across_ridges(n):
    """Pairs of points, and their distances."""
    a, b = (np.random.default_rng(k).uniform(-1.0, 1.0, (n, 2)) for k in range(2))
    return a, b, np.hypot(rolled_out(b[:, 0]) - rolled_out(a[:, 0]), b[:, 1] - a[:, 1])


def test_thin_ridges_are_followed_without_points():
    a, b, exact = across_ridges(20)
    found = PullbackMetric(ridges, 2).geodesic(a, b)
    assert found.converged.mean() > 0.9
    excess = found.length / exact - 1.0
    assert np.abs(excess[found.converged]).max() < 5e-3


def test_curves_that_need_damping_go_all_the_way():
    a, b, exact = across_ridges(40)
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    starts = [(torch.arange(40), curves.straight(a, b, FINE.levels[0]))]
    found = solve_geodesics(embedded(ridges), a, b, starts, 1e-3, 100, FINE)
    assert (found.status == Status.CONVERGED).all()
    # There is a single way; far from it the energy is not convex.
    assert np.abs(found.length.numpy() / exact - 1.0).max() < 3e-3


def test_solutions_of_other_resolutions_are_exchanged():
    metric = PullbackMetric(bumps, 2)
    a, b = (torch.as_tensor(points(3, seed=k)) for k in range(2))
    starts = [(torch.arange(3), curves.straight(a, b, 32))]
    coarse = solve_geodesics(metric._space, a, b, starts, 1e-3, 100)
    fine = metric.geodesic(a[1:2], b[1:2])
    assert fine.points.shape[1] > coarse.points.shape[1]
    t = [0.0, 0.3, 1.0]
    for found in (
        coarse.replaced([1], fine),
        fine.rows([0, 0, 0]).replaced([0, 2], coarse.rows([0, 2])),
    ):
        torch.testing.assert_close(found.length[[0, 2]], coarse.length[[0, 2]])
        torch.testing.assert_close(found.length[1], fine.length[0])
        torch.testing.assert_close(found.curve(t)[[0, 2]], coarse.curve(t)[[0, 2]])
        torch.testing.assert_close(found.curve(t)[1], fine.curve(t)[0])


def test_starts_are_brought_to_constant_speed():
    space = embedded(ridges)
    a, b = torch.tensor([[-0.9, 0.3], [0.2, 0.0], [0.9, 0.1], [0.2, 0.0]]).double().chunk(2)
    lines = curves.straight(a, b, 64)
    even = at_constant_speed(space, lines)
    lengths = space.measure(curves.subdivide(even, 32))[1][:, ::32].diff(dim=1)
    np.testing.assert_allclose(lengths[0], lengths[0].mean(), rtol=0.05)
    assert (even[:, [0, -1]] == lines[:, [0, -1]]).all()
    assert (even[1] == lines[1]).all()  # of no length
