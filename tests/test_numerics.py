"""The pieces under the geodesic solver, each against an independent computation."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from suites import thorough
from surfaces import bumps, embedded, sphere

from skriem.calculus.maps import linearise
from skriem.geometry import PullbackMetric, curves
from skriem.geometry.paths.graph import (
    attach,
    build_graph,
    graph_distances,
    measure_in,
    shortest_paths,
    starting_curves,
)
from skriem.geometry.solvers.frechet_mean import frechet_means
from skriem.geometry.solvers.geodesics import USUAL, solve_geodesics
from skriem.geometry.solvers.relax import relax, relax_best
from skriem.geometry.solvers.tridiagonal import eliminate, substitute
from skriem.geometry.spaces.base import Chords
from skriem.geometry.spaces.energy import discrete_energy


def normal(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


def test_derivatives_of_any_function():
    z, weights = normal(7, 2), normal(7, 3, seed=1)
    value, jacobian, curvature = linearise(sphere, z)
    torch.testing.assert_close(value, sphere(z))
    for i in range(7):

        def at(x):
            return sphere(x[None])[0]

        expected = torch.autograd.functional.jacobian(at, z[i])
        torch.testing.assert_close(jacobian[i], expected.T)
        hessian = torch.autograd.functional.hessian(lambda x, w=weights[i]: w @ at(x), z[i])
        torch.testing.assert_close(curvature(weights)[i], hessian)


def test_derivatives_of_a_map_that_ignores_a_coordinate():
    value, jacobian, curvature = linearise(lambda z: z[:, :1], normal(4, 2))
    assert (jacobian[:, 1] == 0).all()
    assert (jacobian[:, 0] == 1).all()
    assert (curvature(torch.ones(4, 1, dtype=torch.float64)) == 0).all()


@pytest.mark.parametrize("n", [1, 2, 5, 6, 8, 13])
def test_block_elimination_solves_the_dense_system(n):
    n_chains, d = 3, 2
    factor = normal(n_chains, n * d, n * d)
    dense = factor @ factor.mT + 5 * torch.eye(n * d, dtype=torch.float64)
    blocks = dense.unflatten(1, (n, d)).unflatten(3, (n, d)).transpose(2, 3)
    far = (torch.arange(n)[:, None] - torch.arange(n)).abs() > 1
    blocks = torch.where(far[None, :, :, None, None], 0.0, blocks)
    blocks = blocks + 40 * torch.eye(n, dtype=torch.float64)[:, :, None, None] * torch.eye(d)
    dense = blocks.transpose(2, 3).reshape(n_chains, n * d, n * d)
    rhs = normal(n_chains, n, d, seed=1)
    index = torch.arange(n)
    eliminated = eliminate(blocks[:, index, index], blocks[:, index[:-1], index[1:]], rhs)
    last = torch.linalg.solve(eliminated.matrix, eliminated.rhs)
    expected = torch.linalg.solve(dense, rhs.flatten(1)).unflatten(1, (n, d))
    torch.testing.assert_close(substitute(eliminated, last), expected)
    assert eliminated.definite.all()
    indefinite = eliminate(-blocks[:, index, index], blocks[:, index[:-1], index[1:]], rhs)
    assert indefinite.definite.all() == (n == 1)


def test_energy_derivatives():
    nodes, n_sub = 0.5 * normal(2, 5, 2), 3
    space = embedded(bumps)
    model = space.expand(nodes, n_sub)
    torch.testing.assert_close(model.energy, discrete_energy(space, nodes, n_sub))
    energy, gradient = space.gradient(nodes, n_sub)
    torch.testing.assert_close(energy, model.energy)
    torch.testing.assert_close(gradient, model.gradient)
    for i in range(2):

        def half_energy(x):
            return 0.5 * discrete_energy(space, x.reshape(1, 5, 2), n_sub)[0]

        gradient = torch.autograd.functional.jacobian(half_energy, nodes[i].flatten())
        torch.testing.assert_close(model.gradient[i].flatten(), gradient)
        hessian = torch.autograd.functional.hessian(half_energy, nodes[i].flatten())
        blocks = hessian.unflatten(0, (5, 2)).unflatten(2, (5, 2)).transpose(1, 2)
        k = torch.arange(5)
        diagonal = (model.diagonal + model.curvature_diagonal)[i]
        upper = (model.upper + model.curvature_upper)[i]
        torch.testing.assert_close(diagonal, blocks[k, k])
        torch.testing.assert_close(upper, blocks[k[:-1], k[1:]])
        assert (blocks[0, 2:] == 0).all()


def test_curves_pass_through_their_nodes():
    nodes = normal(3, 5, 2)
    for refine in (curves.subdivide, curves.smooth):
        points = refine(nodes, 4)
        assert points.shape == (3, 17, 2)
        torch.testing.assert_close(points[:, ::4], nodes)


def test_smooth_curve_is_exact_for_parabolas():
    t = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    fine = torch.linspace(0, 1, 17, dtype=torch.float64)[:, None]
    torch.testing.assert_close(curves.smooth((t**2)[None], 4)[0], fine**2)


def test_measured_length_is_fourth_order():
    def circle(z):
        return torch.cat([z.cos(), z.sin()], dim=-1)

    def error(n):
        points = torch.linspace(0, 2, n + 1, dtype=torch.float64)[None, :, None]
        return abs(embedded(circle).measure(points)[0].item() - 2.0)

    assert error(8) < 1e-4
    assert error(16) < error(8) / 14


def test_errors_of_lengths_are_what_half_of_the_points_say():
    space, paths = embedded(sphere), 1.0 + 0.3 * normal(3, 17, 2).cumsum(1)
    length, arc_length, error = space.measure_closely(paths)
    torch.testing.assert_close(length, space.measure(paths)[0])
    torch.testing.assert_close(arc_length, space.measure(paths)[1])
    expected = (length - space.measure(paths[:, ::2])[0]).abs() / 3.0
    torch.testing.assert_close(error, expected)
    # So it is for spaces that know no shorter way.
    torch.testing.assert_close(Chords.measure_closely(space, paths)[2], expected)


def test_resample_goes_at_constant_speed():
    points = torch.tensor([[[0.0], [1.0], [4.0]]])
    arc_length = torch.tensor([[0.0, 1.0, 4.0]])
    found = curves.resample(points, arc_length, torch.tensor([0.0, 0.25, 0.5, 1.0]))
    torch.testing.assert_close(found[0, :, 0], torch.tensor([0.0, 1.0, 2.0, 4.0]))


def test_graph_is_connected_and_bounds_distances_from_above():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 50.0])
    space = embedded(lambda z: z)
    graph = build_graph(space, points)
    assert np.isfinite(graph.distances).all()
    n_parts, _ = connected_components(csr_matrix(graph.distances > 0))
    assert n_parts == 1
    a, b = (
        attach(measure_in(space), graph, torch.as_tensor(rng.normal(size=(5, 2)))) for _ in range(2)
    )
    straight = np.linalg.norm(a.points[:, None] - b.points, axis=2)
    found = graph_distances(graph, a, b)
    assert (found >= straight - 1e-12).all()
    assert (found < straight + 3.0).all()


def test_no_path_leads_through_what_has_no_metric():
    def broken(z):
        # A strip across the plane.
        return torch.where(z[:, :1].abs() < 0.3, torch.nan, 1.0) * z

    points = np.random.default_rng(0).uniform([-2, -1], [2, 1], size=(80, 2))
    points = points[np.abs(points[:, 0]) > 0.4]
    graph = build_graph(embedded(broken), points)
    left = graph.points[:, 0] < -0.3
    assert np.isinf(graph.distances[np.ix_(left, graph.points[:, 0] > 0.3)]).all()
    assert (graph.distances[np.ix_(left, left)] < 10.0).all()


def test_shortest_paths_have_the_length_of_the_graph():
    rng = np.random.default_rng(1)
    space = embedded(bumps)
    graph = build_graph(space, rng.uniform(-2, 2, size=(100, 2)))
    ends = [
        attach(measure_in(space), graph, torch.as_tensor(rng.uniform(-2, 2, size=(20, 2))))
        for _ in range(2)
    ]
    paths, _ = shortest_paths(graph, *ends, 512)
    np.testing.assert_array_equal(paths[:, 0], ends[0].points)
    np.testing.assert_array_equal(paths[:, -1], ends[1].points)
    length = space.measure(paths)[0].numpy()
    np.testing.assert_allclose(length, graph_distances(graph, *ends).diagonal(), rtol=5e-3)


def horseshoe():
    """Points on it, and noise that is small near them only."""
    angle = np.linspace(0.0, 1.5 * np.pi, 80)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centers = torch.as_tensor(points)

    def walled(z):
        near = torch.exp(-20.0 * (z[:, None] - centers).square().sum(-1)).sum(-1, keepdim=True)
        return torch.cat([z, 1.0 / (0.05 + near)], dim=-1)

    return points, walled


def test_the_first_start_is_the_shorter_of_line_and_path():
    points, walled = horseshoe()
    a, b = torch.as_tensor(points[:2]), torch.as_tensor(points[[-1, 4]])
    for space, round_it in ((embedded(walled), True), (embedded(lambda z: z), False)):
        graph = build_graph(space, points)
        rows, nodes = starting_curves(space, graph, a, b, 16)[0]
        assert rows.tolist() == [0, 1]
        line = curves.straight(a, b, 16)
        assert torch.equal(nodes[0], line[0]) is not round_it
        shorter = 0.5 if round_it else 1.0
        assert (space.measure(nodes)[0] <= 1.001 * space.measure(line)[0]).all()
        assert space.measure(nodes)[0][0] <= shorter * space.measure(line)[0][0]


def test_another_start_goes_round_the_other_side():
    angle = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    space = embedded(lambda z: torch.cat([z, 8.0 * (-3.0 * z.square().sum(-1, True)).exp()], -1))
    ends = torch.as_tensor(ring[:1]), torch.as_tensor(ring[30:31])
    (_, best), (rows, other), *_ = starting_curves(space, build_graph(space, ring), *ends, 16)
    assert rows.tolist() == [0]
    torch.testing.assert_close(
        best[0, 8].abs(), torch.tensor([0.0, 1.0]).double(), atol=0.1, rtol=0
    )
    torch.testing.assert_close(other[0, 8], -best[0, 8], atol=0.2, rtol=0.0)


def test_graph_start_finds_the_way_round_a_wall():
    points, walled = horseshoe()
    a, b = points[:1], points[-1:]
    ends = torch.as_tensor(a), torch.as_tensor(b)
    line = [(torch.arange(1), curves.straight(*ends, USUAL.levels[0]))]
    lost = solve_geodesics(embedded(walled), *ends, line, 1e-3, 100).length.numpy()
    for known in (None, points):
        found = PullbackMetric(walled, 2, known).geodesic(a, b).length
        assert found[0] < 1.05 * 1.5 * np.pi
        assert found[0] < 0.5 * lost[0]


def test_frechet_mean_of_flat_space_is_the_weighted_mean():
    metric = PullbackMetric(lambda z: z, 3)
    z = normal(30, 3).numpy()
    weights = np.random.default_rng(1).uniform(size=30)
    np.testing.assert_allclose(metric.frechet_mean(z), z.mean(0), atol=1e-10)
    np.testing.assert_allclose(
        metric.frechet_mean(z, sample_weight=weights), np.average(z, axis=0, weights=weights)
    )


@pytest.mark.parametrize("heavy", thorough([10.0, 1.0, 1e3], slow=[1.0, 1e3]))
def test_frechet_mean_on_the_sphere_is_where_the_gradient_vanishes(heavy):
    metric = PullbackMetric(sphere, 2)
    z = np.random.default_rng(0).uniform([0.8, 1.0], [2.2, 2.4], size=(25, 2))
    # Below one in all: only shares matter.
    weights = 1e-2 * np.where(np.arange(25) < 2, heavy, 1.0)
    x, mean = metric.embed(z), metric.embed(metric.frechet_mean(z, weights)[None])[0]
    cosine = x @ mean
    tangents = x - cosine[:, None] * mean
    tangents *= (np.arccos(cosine) / np.linalg.norm(tangents, axis=1))[:, None]
    assert np.linalg.norm(weights @ tangents / weights.sum()) < 2e-3


@pytest.mark.slow
def test_no_point_of_a_grid_is_a_better_frechet_mean():
    def hill(z):
        return torch.cat([z, 2.0 * torch.exp(-6.0 * z.square().sum(1, keepdim=True))], dim=1)

    metric = PullbackMetric(hill, 2)
    # Two groups with the hill between them: the top is a saddle, means are on either side of it.
    z = 0.1 * normal(8, 2).numpy() + np.repeat([[1.0, 0.0], [-1.0, 0.0]], 4, axis=0)
    side = np.linspace(-0.9, 0.9, 9)
    candidates = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    tried = np.concatenate([metric.frechet_mean(z)[None], candidates])
    pairs = np.repeat(tried, 8, axis=0), np.tile(z, (len(tried), 1))
    costs = np.square(metric.distance(*pairs)).reshape(-1, 8).sum(1)
    assert costs[0] <= costs.min() * (1.0 + 1e-3)


def test_frechet_means_of_groups_do_not_mix():
    z = normal(20, 2)
    groups = torch.arange(20) % 2
    weights = torch.ones(20, dtype=torch.float64)
    nodes, space = curves.straight(z, z[groups], 8), embedded(bumps)
    found = frechet_means(space, nodes, 2, groups, weights, 2, 1e-13, 50)
    for k in range(2):
        mine = groups == k
        # Only shares of the weight matter.
        light = 1e-3 * weights[mine]
        alone = frechet_means(
            space, nodes[mine], 2, torch.zeros(10, dtype=torch.long), light, 1, 1e-13, 50
        )
        torch.testing.assert_close(found[0][mine][0, -1], alone[0][0, -1], atol=1e-6, rtol=0)
    assert found[2].all()


@pytest.mark.parametrize("weights", [-np.ones(3), np.zeros(3), np.ones(2)])
def test_frechet_mean_refuses_bad_weights(weights):
    with pytest.raises(ValueError, match="sample_weight"):
        PullbackMetric(lambda z: z, 2).frechet_mean(np.eye(3)[:, :2], sample_weight=weights)


def test_one_indefinite_block_is_noticed():
    n_chains, n, d = 4, 5, 2
    diagonal = 10.0 * torch.eye(d, dtype=torch.float64).repeat(n_chains, n, 1, 1)
    for k in range(n_chains - 1):
        diagonal[k, k] = torch.diag(torch.tensor([10.0, -10.0]))
    upper = normal(n_chains, n - 1, d, d)
    eliminated = eliminate(diagonal, upper, normal(n_chains, n, d, seed=1))
    assert eliminated.definite.tolist() == [False, False, False, True]


def test_the_shortest_of_several_starts_is_kept():
    def hill(z):
        return torch.cat([z, 4.0 * torch.exp(-z.square().sum(-1, keepdim=True))], dim=-1)

    space, rows = embedded(hill), torch.arange(2)
    a = torch.tensor([[-2.0, 0.2], [-2.0, -0.2]], dtype=torch.float64)
    lines = curves.straight(a, -a * torch.tensor([1.0, -1.0]), 16)
    bow = 2.0 * torch.sin(torch.linspace(0.0, np.pi, 17, dtype=torch.float64))
    bow = torch.stack([torch.zeros_like(bow), bow], dim=1)
    starts = [(rows, lines + bow), (rows, lines - bow)]
    over, under = (relax(space, nodes, 2, 1e-8, 100) for _, nodes in starts)
    for found in (over, under):
        assert found.converged.all()
        assert space.gradient(found.nodes, 2)[1][:, 1:-1].abs().max() < 1e-4
    assert over.energy[0] < 0.99 * under.energy[0]
    assert under.energy[1] < 0.99 * over.energy[1]
    for order in (starts, starts[::-1]):
        found = relax_best(space, order, 2, 1e-8, 100)
        torch.testing.assert_close(found.energy, torch.minimum(over.energy, under.energy))


@pytest.mark.parametrize("weights", [[1.0, np.inf, 1.0], [1.0, np.nan, 1.0], [1.0, -1.0, 1.0]])
def test_weights_of_a_mean_that_are_none(weights):
    with pytest.raises(ValueError, match="finite numbers from 0 on"):
        PullbackMetric(lambda z: z, 1).frechet_mean(np.array([[0.0], [1.0], [2.0]]), weights)
