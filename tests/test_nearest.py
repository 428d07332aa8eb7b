"""The nearest-neighbour metric against closed forms, brute force and grids; k-medoids."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from skriem import GeodesicDistance, RiemannianKMeans
from skriem.estimators.kmeans.medoid_runs import Settings, best_medoids, cluster_points
from skriem.geometry import Metric, NearestNeighborMetric, RiemannianMetric
from skriem.geometry.paths import among, medoids, power_graphs
from skriem.geometry.paths.neighbors import nearest_points
from skriem.geometry.paths.off_data import Ground
from skriem.support.latent import LatentArray


def cloud(n=60, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def mean_spacing(points):
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return distances.min(1).mean()


def excess(distances):
    """By how much the triangle inequality is violated, as a share of the largest distance."""
    around = distances[:, :, None] + distances[None]
    return (distances[:, None] - around).max() / distances.max()


def integrated_length(metric, points, n_parts=200):
    """Length of a polygon by the midpoint rule on its metric tensor."""
    t = (np.arange(n_parts) + 0.5)[:, None] / n_parts
    total = 0.0
    for a, b in zip(points[:-1], points[1:]):
        tensor = metric.tensor(a + t * (b - a))
        total += np.sqrt(np.einsum("i,nij,j->n", b - a, tensor, b - a)).mean()
    return total


# Nearest points ----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 4, 100])
def test_nearest_points_are_those_of_brute_force(k):
    points, z = cloud(30, 3), cloud(50, 3, seed=1)
    distances, index = nearest_points(points, z, k)
    every = cdist(z, points)
    np.testing.assert_allclose(distances, np.sort(every, 1)[:, :k], rtol=1e-12)
    np.testing.assert_array_equal(np.take_along_axis(every, index, 1).argsort(1)[:, 0], 0)
    np.testing.assert_allclose(np.take_along_axis(every, index, 1), distances, rtol=1e-12)


def test_nearest_points_of_the_points_are_themselves():
    points = cloud(200, 4) + 100.0
    distances, index = nearest_points(points, points, 2)
    np.testing.assert_array_equal(index[:, 0], np.arange(200))
    assert (distances[:, 0] == 0.0).all()


def test_nearest_points_of_blocks_are_those_of_all_at_once(monkeypatch):
    points, z = cloud(50), cloud(40, seed=1)
    whole = nearest_points(points, z, 3)
    monkeypatch.setattr("skriem.geometry.paths.neighbors.BUDGET", 100)
    for found, expected in zip(nearest_points(points, z, 3), whole):
        np.testing.assert_array_equal(found, expected)


# Closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_gaps_cost_their_power(power):
    points = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [10.0, 0.0]])
    points[:, 1] = 3.0
    metric = NearestNeighborMetric(points, power=power)
    np.testing.assert_allclose(metric.distance(points[1:2], points[2:3]), 8.0**power)
    points *= 7.0
    metric = NearestNeighborMetric(points, power=power)
    np.testing.assert_allclose(metric.pairwise(points[1:2], points[2:3]), 7.0 * 8.0**power)


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_on_a_line_powers_of_the_gaps_add_up(power):
    gaps = np.array([1.0, 2.0, 0.5, 4.0, 1.0])
    points = np.cumsum(np.r_[0.0, gaps])[:, None]
    w = mean_spacing(points)
    place = np.cumsum(np.r_[0.0, w * (gaps / w) ** power])
    found = NearestNeighborMetric(points, power=power).pairwise(points)
    np.testing.assert_allclose(found, np.abs(place[:, None] - place), rtol=1e-12, atol=1e-12)


def test_power_of_one_is_euclidean():
    points, z = cloud(), cloud(20, seed=1)
    metric = NearestNeighborMetric(points, power=1.0)
    np.testing.assert_allclose(metric.pairwise(points, z), cdist(points, z), atol=1e-12)
    np.testing.assert_allclose(metric.tensor(z), np.tile(np.eye(2), (20, 1, 1)))


def test_with_a_power_of_one_centres_are_weighted_means_in_the_units_of_the_points():
    points = np.concatenate([cloud(30), cloud(30, seed=1) + 20.0])
    weights, scale = np.arange(60) % 4 + 1.0, np.array([2.0, 5.0])
    metric = NearestNeighborMetric(points, scale, power=1.0)
    settings = Settings(2, "k-means++", 3, 100, 1e-4)
    run = cluster_points(metric, points, weights, settings, np.random.RandomState(0))
    centers = run.centers.numpy()[run.centers[:, 0].argsort()]
    parts = points.reshape(2, 30, 2), weights.reshape(2, 30)
    expected = [np.average(rows, axis=0, weights=mass) for rows, mass in zip(*parts)]
    np.testing.assert_allclose(centers, expected)
    off = (points - np.repeat(expected, 30, axis=0)) / scale
    assert run.inertia[-1] == pytest.approx(np.square(off).sum(1) @ weights)


def of_unequal_width(n, d):
    """Two blobs, where neighbours alone are far from enough for paths into the wider."""
    return np.concatenate([cloud(n // 2, d), 3.0 * cloud(n - n // 2, d, seed=1) + 4.0])


@pytest.mark.parametrize("d", [1, 2, 3, 10, 30])
@pytest.mark.parametrize("power", [1.3, 2.0, 3.0])
def test_paths_are_the_shortest_of_the_complete_graph(power, d):
    points = of_unequal_width(200, d)
    metric = NearestNeighborMetric(points, power=power)
    w = mean_spacing(points)
    # Of tables of numbers SciPy leaves small ones out.
    expected = dijkstra(coo_matrix(w * (cdist(points, points) / w) ** power))
    found = metric.pairwise(points)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert excess(found[:50, :50]) < 1e-12
    np.testing.assert_array_equal(metric.path_errors(np.random.RandomState(0)), 0.0)


def test_how_much_longer_paths_through_neighbours_are(monkeypatch):
    points = of_unequal_width(150, 10)
    exact = NearestNeighborMetric(points).pairwise(points)
    monkeypatch.setattr(power_graphs, "MOST_COMPARED", 149)
    rough = NearestNeighborMetric(points)
    errors = rough.path_errors(np.random.RandomState(0))
    apart = exact > 0.0
    measured = rough.pairwise(points)[apart] / exact[apart] - 1.0
    assert np.quantile(measured, 0.99) > 0.05
    np.testing.assert_allclose(np.quantile(errors, 0.99), np.quantile(measured, 0.99), rtol=0.2)
    found = GeodesicDistance(random_state=0).fit(LatentArray(points, rough)).error_estimate_
    assert (
        found["median"] <= found["quantile_99"] == pytest.approx(np.quantile(errors, 0.99), rel=0.2)
    )


def grid_distances(metric, points, cell):
    """Shortest paths between integer points on a fine grid, measured by the metric tensor."""
    low, high = points.min(0) - 1, points.max(0) + 1
    axes = [np.arange(a, b + cell / 2, cell) for a, b in zip(low, high)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    index = np.arange(nodes[..., 0].size).reshape(nodes.shape[:2])
    ends = []
    for i in range(-4, 5):
        for j in range(5):
            if np.gcd(i, j) == 1 and (j, i) > (0, 0):
                rows = slice(max(0, -i), len(index) - max(0, i))
                to = slice(max(0, i), len(index) - max(0, -i))
                ends.append((index[rows, : index.shape[1] - j], index[to, j:]))
    a, b = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*ends))
    nodes = nodes.reshape(-1, 2)
    step = nodes[b] - nodes[a]
    lengths = 0.0
    for t in (np.arange(5) + 0.5) / 5:
        tensor = metric.tensor(nodes[a] + t * step)
        lengths = lengths + np.sqrt(np.einsum("ni,nij,nj->n", step, tensor, step)) / 5
    graph = coo_matrix((lengths, (a, b)), shape=(len(nodes), len(nodes))).tocsr()
    at = cdist(points, nodes).argmin(1)
    return dijkstra(graph, directed=False, indices=at)[:, at]


def test_squares_are_exact_geodesic_distances():
    # The theorem of Cohen et al.: no curve off the straight edges is shorter.
    points = np.array([[0, 0], [2, 1], [3, 4], [6, 1], [7, 5], [1, 7], [5, 8], [9, 2]], float)
    metric = NearestNeighborMetric(points)
    exact = metric.pairwise(points)
    on_grid = grid_distances(metric, points, 1 / 8)
    apart = ~np.eye(len(points), dtype=bool)
    assert (on_grid[apart] > 0.995 * exact[apart]).all()
    assert (on_grid[apart] < 1.03 * exact[apart]).all()


# A distance --------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_symmetric_with_a_zero_diagonal(power):
    points = cloud(150)
    metric = NearestNeighborMetric(points, power=power)
    z = np.concatenate([points[:20], cloud(20, seed=1)])
    found = metric.pairwise(z)
    np.testing.assert_array_equal(found, found.T)
    assert (found.diagonal() == 0.0).all()
    assert (found + np.eye(len(z)) > 0.0).all()
    other = points[30:60]
    np.testing.assert_allclose(metric.pairwise(z, other), metric.pairwise(other, z).T, rtol=1e-12)


def test_triangle_inequality_of_few_points():
    points = cloud(16)
    assert excess(NearestNeighborMetric(points).pairwise(points)) < 1e-12


def test_triangle_inequality_of_two_strips():
    x = np.linspace(0.0, 10.0, 100)
    strips = np.concatenate([np.c_[x, 0.0 * x], np.c_[x, 0.0 * x + 3.0]])
    strips += 1e-3 * cloud(200)
    assert excess(NearestNeighborMetric(strips).pairwise(strips)) < 1e-12


def test_distances_to_parts_are_those_to_the_nearest_member():
    points = cloud(80, 3)
    labels = np.random.default_rng(0).integers(3, size=80)
    z = np.concatenate([points[:20], 2.0 * cloud(20, 3, seed=1)])
    metric = NearestNeighborMetric(points)
    found = metric.to_parts(z, labels, 4)
    nodes = [metric.pairwise(z, points[labels == k]).min(1) for k in range(3)]
    # Straight lines to all members, not only to those around, are in the table of all pairs.
    assert (found[:, :3] >= np.stack(nodes, axis=1) - 1e-12).all()
    np.testing.assert_allclose(found[:20, :3], np.stack(nodes, axis=1)[:20], atol=1e-12)
    assert np.isinf(found[:, 3]).all()
    np.testing.assert_array_equal(found[:, :3].argmin(1), labels[metric.nearest(z)])


def test_core_distances():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    found = NearestNeighborMetric(points, scale=2.0).core_distances([[0.0], [8.0]], n_points=3)
    np.testing.assert_allclose(found, [1.5, 3.5])


def test_distances_off_the_data_are_lengths_in_the_metric():
    points = np.arange(11.0)[:, None]
    metric = NearestNeighborMetric(points)
    z = np.array([[12.0], [13.0], [14.0]])
    length = [integrated_length(metric, z[:2]), integrated_length(metric, z[[0, 2]])]
    np.testing.assert_allclose(metric.pairwise(z)[0, 1:], length, rtol=1e-6)


def test_triangle_inequality_off_the_data():
    metric = NearestNeighborMetric(np.arange(11.0)[:, None])
    assert excess(metric.pairwise(np.array([[12.0], [13.0], [14.0]]))) < 1e-12


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("power", [2.0, 3.0])
def test_triangle_inequality_with_one_place_off_the_data(power, d):
    points, z = of_unequal_width(70, d), 4.0 * cloud(40, d, seed=2)
    metric = NearestNeighborMetric(points, power=power)
    among, there = metric.pairwise(points), metric.pairwise(z, points)
    # From datum to datum by way of the place, and from the place to a datum by way of another.
    by_place = (there.T[:, :, None] + there).min(1)
    by_datum = (there[:, :, None] + among).min(1)
    assert (among <= (1.0 + 1e-12) * by_place).all()
    assert (there <= (1.0 + 1e-12) * by_datum).all()
    both = metric.pairwise(z)
    assert (both <= (1.0 + 1e-12) * (there[:, :, None] + there.T).min(1)).all()


def test_triangle_inequality_of_places_off_the_data():
    points = of_unequal_width(70, 2)
    z = np.random.default_rng(2).uniform(points.min(0), points.max(0), size=(60, 2))
    metric = NearestNeighborMetric(points)
    every = metric.pairwise(np.concatenate([z, points]))
    around = (every[:, :, None] + every).min(1)
    assert (every <= 1.1 * around).all()
    assert np.mean(every > 1.001 * around) < 0.02


@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0, 4.5])
def test_lengths_along_segments_are_integrals(power, d):
    points, (a, b) = cloud(40, d), 1.5 * cloud(60, d, seed=1).reshape(2, 30, d)
    a[0], b[0], b[1] = points[0], points[1], a[1]
    unit = 0.7
    t = (np.arange(4000) + 0.5)[:, None] / 4000
    r = np.stack([cdist(x + t * (y - x), points).min(1) for x, y in zip(a, b)])
    speed = power * (2.0 * r / unit) ** (power - 1.0)
    expected = speed.mean(1) * np.linalg.norm(a - b, axis=1)
    ground = Ground(points, unit, power)
    np.testing.assert_allclose(ground.along(a, b), expected, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(ground.along(b, a), ground.along(a, b), rtol=1e-10)


def test_ties_of_places_are_in_all_directions():
    # Many points on one side, and one on the other, a little further away.
    points = np.concatenate([0.1 * cloud(25), [[4.0, 0.0]]])
    tied, r = Ground(points, 1.0, 2.0).tie(np.array([[1.9, 0.0], points[3]]))
    assert 25 in tied.nodes[0]
    nearest = cdist([[1.9, 0.0]], points).min()
    assert r[0] == pytest.approx(nearest)
    assert tied.distances[0].min() == pytest.approx(2.0 * nearest**2)
    assert tied.distances[0][tied.nodes[0] == 25] == pytest.approx(2.0 * 2.1**2, rel=0.2)
    assert (tied.nodes[1] == 3).all()
    assert (tied.distances[1] == 0.0).all()


def test_distances_off_the_data_are_those_of_a_fine_grid():
    points = np.array([[0, 0], [2, 1], [3, 4], [6, 1], [7, 5], [1, 7], [5, 8], [9, 2]], float)
    z = np.array([[4, 6], [1, 3], [5, 3], [8, 7], [4, 5], [9, 9], [7, 3], [3, 0]], float)
    metric = NearestNeighborMetric(points)
    both = np.concatenate([z, points])
    found, on_grid = metric.pairwise(both), grid_distances(metric, both, 1 / 8)
    apart = ~np.eye(len(both), dtype=bool)
    ratio = found[apart] / on_grid[apart]
    # Ways on the grid are a little too long themselves.
    assert ratio.min() > 0.96
    assert ratio.max() < 1.1
    assert ratio.mean() < 1.01


def test_coincident_points_are_at_zero():
    points = np.concatenate([cloud(), cloud()[:30], cloud()[:30]])
    metric = NearestNeighborMetric(points)
    found = metric.pairwise(points[:30], points)
    assert (found[np.arange(30), 60 + np.arange(30)] == 0.0).all()
    off = np.array([[5.0, 5.0]])
    assert metric.pairwise(off, off) == 0.0
    assert metric.distance(off, off) == 0.0
    all_the_same = NearestNeighborMetric(np.ones((40, 2)))
    assert (all_the_same.pairwise(np.ones((3, 2))) == 0.0).all()


def test_separate_clouds_are_joined():
    points = np.concatenate([cloud(40), cloud(40) + 100.0, cloud(40) - [0.0, 200.0]])
    metric = NearestNeighborMetric(points)
    found = metric.pairwise(points)
    assert np.isfinite(found).all()
    assert found[0, 40:].min() > 10 * found[:40, :40].max()
    assert np.isfinite(metric.distance(points[:1], points[50:51])).all()


def test_places_off_the_data_go_through_their_neighbours():
    points = np.arange(20.0)[:, None]
    metric = NearestNeighborMetric(points)
    z = np.array([[-2.0]])
    steps = np.diff(metric.pairwise(z, points)[0])
    np.testing.assert_allclose(steps[7:], 1.0, rtol=1e-9)
    assert metric.pairwise(z, points)[0].argmin() == 0


def test_a_single_point():
    metric = NearestNeighborMetric([[1.0, 2.0]])
    assert np.isfinite(metric.pairwise(cloud(4))).all()


def test_results_do_not_depend_on_batch_mates():
    points, z = cloud(200, 3), np.concatenate([cloud(200, 3)[:50], cloud(50, 3, seed=1)])
    metric = NearestNeighborMetric(points)
    whole = metric.pairwise(z, points[::3])
    alone = np.concatenate([metric.pairwise(row[None], points[::3]) for row in z])
    np.testing.assert_allclose(alone, whole, rtol=1e-10)
    tensor = np.concatenate([metric.tensor(row[None]) for row in z])
    np.testing.assert_allclose(tensor, metric.tensor(z), rtol=1e-12)
    lengths = metric.geodesic(z[:20], z[40:60]).length
    alone = [metric.geodesic(z[i : i + 1], z[40 + i : 41 + i]).length[0] for i in range(20)]
    np.testing.assert_allclose(alone, lengths, rtol=1e-12)


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e8])
def test_where_the_origin_is_does_not_matter(offset):
    points = np.round(cloud() * 1024) / 1024
    expected = NearestNeighborMetric(points).pairwise(points)
    found = NearestNeighborMetric(points + offset).pairwise(points + offset)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_scale_divides_the_coordinates():
    points, z, scale = cloud(), cloud(10, seed=1), np.array([2.0, 0.25])
    metric = NearestNeighborMetric(points, scale=scale, power=3.0)
    plain = NearestNeighborMetric(points / scale, power=3.0)
    np.testing.assert_allclose(metric.pairwise(z), plain.pairwise(z / scale), rtol=1e-12)
    way, plain_way = metric.geodesic(z[:5], z[5:]), plain.geodesic(z[:5] / scale, z[5:] / scale)
    np.testing.assert_allclose(way.points, plain_way.points * scale, atol=1e-12)
    np.testing.assert_allclose(
        metric.tensor(z), plain.tensor(z / scale) / np.outer(scale, scale), rtol=1e-10
    )


# Geodesics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_lengths_of_geodesics_are_integrals_of_the_metric(power):
    points = cloud(40)
    scale = np.array([1.0, 3.0])
    metric = NearestNeighborMetric(points, scale, power)
    way = metric.geodesic(points[:6], points[6:12])
    measured = [integrated_length(metric, curve) for curve in way.points]
    np.testing.assert_allclose(way.length, measured, rtol=1e-3)
    np.testing.assert_array_equal(way.arc_length[:, -1], way.length)
    np.testing.assert_array_equal(way.points[:, 0], points[:6])
    np.testing.assert_array_equal(way.points[:, -1], points[6:12])
    assert way.converged.all()


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_all_distances_are_the_same(power):
    points = np.concatenate([cloud(80), cloud(80) + 9.0])
    metric = NearestNeighborMetric(points, power=power)
    z = np.concatenate([points[::16], cloud(10, seed=1)])
    first, second = np.triu_indices(len(z), 1)
    found = metric.pairwise(z)
    rows = metric.distance(z[first], z[second])
    np.testing.assert_allclose(rows, found[first, second], rtol=1e-9)
    np.testing.assert_array_equal(metric.approximate_pairwise(z), found)
    np.testing.assert_allclose(metric.path_lengths(z, z), found, rtol=1e-9, atol=1e-12)


def test_arc_length_is_that_of_the_metric_on_the_way():
    points = cloud(40)
    metric = NearestNeighborMetric(points)
    way = metric.geodesic(points[:1], points[1:2])
    pieces = [
        integrated_length(metric, way.points[0, i : i + 2]) for i in range(len(way.points[0]) - 1)
    ]
    np.testing.assert_allclose(np.cumsum(pieces), way.arc_length[0, 1:], rtol=1e-3, atol=1e-3)


def test_curves_go_at_constant_speed():
    points = np.linspace(0.0, 6.0, 7)[:, None]
    way = NearestNeighborMetric(points).geodesic(points[:1], points[-1:])
    t = np.linspace(0.0, 1.0, 101)
    x = 6.0 * t
    # Within a gap from 0 to 1 the length so far is 2 s^2, then 1 - 2 (1 - s)^2.
    rest = x - np.floor(x)
    s = np.where(rest < 0.5, np.sqrt(rest / 2), 1.0 - np.sqrt((1.0 - rest) / 2))
    np.testing.assert_allclose(way.curve(t)[0, :, 0], np.floor(x) + s, atol=0.04)


def test_no_points_at_all():
    metric, none = NearestNeighborMetric(cloud()), np.zeros((0, 2))
    assert metric.pairwise(none).shape == (0, 0)
    assert metric.pairwise(none, cloud()).shape == (0, 60)
    assert metric.tensor(none).shape == (0, 2, 2)
    assert metric.distance(none, none).shape == (0,)


def test_geodesics_run_along_the_data():
    angle = np.linspace(0.0, 1.5 * np.pi, 60)
    points = np.c_[np.cos(angle), np.sin(angle)]
    way = NearestNeighborMetric(points).geodesic(points[:1], points[-1:])
    assert np.linalg.norm(way.points[0], axis=1).min() > 0.99
    np.testing.assert_allclose(way.length, 1.5 * np.pi, rtol=0.01)


# Means and tangents ------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_frechet_mean_is_the_medoid(weighted):
    points = cloud(50)
    metric = NearestNeighborMetric(points)
    weights = np.random.default_rng(1).uniform(size=20) ** 4 if weighted else np.ones(20)
    best = min(
        range(20),
        key=lambda i: weights @ metric.pairwise(points[i : i + 1], points[:20])[0] ** 2,
    )
    found = metric.frechet_mean(points[:20], sample_weight=weights if weighted else None)
    np.testing.assert_array_equal(found, points[best])


@pytest.mark.parametrize("weights", [-np.ones(5), np.zeros(5), np.ones(4)], ids=str)
def test_frechet_mean_refuses_bad_weights(weights):
    points = cloud(5)
    with pytest.raises(ValueError, match="sample_weight"):
        NearestNeighborMetric(points).frechet_mean(points, sample_weight=weights)


@pytest.mark.parametrize("name", ["exp", "log", "transport", "scalar_curvature"])
def test_there_are_no_tangent_vectors(name):
    metric = NearestNeighborMetric(cloud(20))
    assert hasattr(RiemannianMetric, name)
    assert not isinstance(metric, RiemannianMetric)
    assert not hasattr(metric, name)


def test_tensor_is_that_of_the_distance_to_the_nearest_point():
    points, z, scale = cloud(), cloud(10, seed=1), np.array([2.0, 1.0])
    r = cdist(z / scale, points / scale).min(1)
    factor = (3.0 * (2.0 * r / mean_spacing(points / scale)) ** 2) ** 2
    metric = NearestNeighborMetric(points, scale, power=3.0)
    np.testing.assert_allclose(metric.tensor(z), factor[:, None, None] * np.diag(scale**-2))
    np.testing.assert_allclose(
        metric.log_volume(z), 0.5 * np.log(np.linalg.det(metric.tensor(z))), rtol=1e-9
    )
    assert (metric.tensor(points) == 0.0).all()


# Identity ----------------------------------------------------------------------------------


def test_equal_metrics_are_equal():
    points = cloud()
    metric = NearestNeighborMetric(points, scale=[1.0, 2.0])
    same = NearestNeighborMetric(points.tolist(), scale=(1, 2), power=2)
    assert metric == same
    assert metric.fingerprint == same.fingerprint
    assert hash(metric) == hash(same)
    for other in (
        metric.with_points(points[:-1]),
        NearestNeighborMetric(points, scale=[1.0, 2.0], power=3.0),
        NearestNeighborMetric(points, scale=[2.0, 1.0]),
        NearestNeighborMetric(points.reshape(-1, 1)),
    ):
        assert metric != other


def test_copies_are_equal_and_work():
    points = cloud()
    metric = NearestNeighborMetric(points, power=3.0)
    expected = metric.pairwise(points)
    assert copy.deepcopy(metric) is metric
    assert clone(metric) is metric
    twin = pickle.loads(pickle.dumps(metric))
    assert twin == metric
    np.testing.assert_array_equal(twin.pairwise(points), expected)


def test_pickles_do_not_grow_with_use():
    points = cloud()
    metric = NearestNeighborMetric(points)
    before = len(pickle.dumps(metric))
    metric.pairwise(points)
    assert len(pickle.dumps(metric)) == before


# Containers --------------------------------------------------------------------------------


def test_points_and_scale_are_copies():
    points, scale = cloud(), np.ones(2)
    metric = NearestNeighborMetric(points, scale)
    points[0], scale[0] = 100.0, 100.0
    assert metric.points.max() < 100.0
    assert metric.scale.max() == 1.0


@pytest.mark.parametrize("name", ["points", "scale", "graph"])
def test_what_a_metric_is_made_of_cannot_be_changed(name):
    metric = NearestNeighborMetric(cloud())
    array = metric.graph.points if name == "graph" else getattr(metric, name)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_are_of_the_kind_of_the_question(dtype):
    points = cloud()
    metric = NearestNeighborMetric(points)
    array = points[:8].astype(dtype)
    array.flags.writeable = False
    tensor = torch.tensor(array)
    before = tensor.clone()
    for call in (
        lambda z: metric.pairwise(z),
        lambda z: metric.pairwise(z, z[:3]),
        lambda z: metric.distance(z[:4], z[4:]),
        lambda z: metric.tensor(z),
        lambda z: metric.log_volume(z),
        lambda z: metric.frechet_mean(z),
        lambda z: metric.geodesic(z[:4], z[4:]).points,
        lambda z: metric.path_lengths(z, z),
    ):
        found, same = call(array), call(tensor)
        assert isinstance(found, np.ndarray)
        assert isinstance(same, torch.Tensor)
        assert found.dtype == array.dtype
        assert same.dtype == tensor.dtype
        np.testing.assert_allclose(same.numpy(), found, rtol=1e-3, atol=1e-5)
    assert (tensor == before).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"points": [[np.nan, 0.0]]}, "finite"),
        ({"points": [1.0, 2.0]}, "table of rows"),
        ({"points": np.zeros((0, 2))}, "shape"),
        ({"points": np.zeros((3, 0))}, "n_dims"),
        ({"power": 0.5}, "power"),
        ({"power": np.nan}, "power"),
        ({"power": np.inf}, "power"),
        ({"scale": -1.0}, "scale"),
        ({"scale": [1.0, 0.0]}, "scale"),
        ({"scale": np.nan}, "scale"),
        ({"scale": [1.0, 1.0, 1.0]}, "broadcast|scale"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        NearestNeighborMetric(**{"points": np.eye(2), **arguments})


@pytest.mark.parametrize(
    ("z", "match"),
    [(np.full((1, 2), np.nan), "finite"), (np.zeros((1, 3)), "shape"), (np.zeros(2), "shape")],
    ids=str,
)
def test_bad_places(z, match):
    metric = NearestNeighborMetric(cloud(10))
    assert isinstance(metric, Metric)
    for method in (metric.pairwise, metric.tensor, metric.frechet_mean):
        with pytest.raises(ValueError, match=match):
            method(z)
    with pytest.raises(ValueError, match=match):
        metric.pairwise(np.zeros((1, 2)), z)


# k-medoids ---------------------------------------------------------------------------------


def squares_of(X):
    return cdist(X, X, "sqeuclidean")


@pytest.mark.parametrize("seed", range(4))
def test_inertia_never_rises(seed):
    squares = squares_of(cloud(120, seed=seed))
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, size=120)
    found = medoids.alternate(squares, np.arange(8), weights, 50, 0.0)
    assert len(found.inertia) > 2
    assert (np.diff(found.inertia) <= 1e-12 * found.inertia[0]).all()
    assert found.converged
    # The loop ends where it says that it does.
    expected = squares[found.rows].min(0) @ weights
    assert found.inertia[-1] == pytest.approx(expected)


def test_two_blobs_are_found():
    X = np.concatenate([cloud(30), cloud(50, seed=1) + 20.0])
    squares, weights = squares_of(X), np.ones(80)
    for seed in range(5):
        rows = medoids.seed_medoids(squares, 2, weights, np.random.RandomState(seed))
        found = medoids.alternate(squares, rows, weights, 50, 0.0)
        labels = squares[found.rows].argmin(0)
        assert len(set(labels[:30])) == len(set(labels[30:])) == 1
        assert labels[0] != labels[-1]
        for part in (slice(0, 30), slice(30, 80)):
            best = part.start + squares[part, part].sum(0).argmin()
            assert best in found.rows


def test_weights_count_like_repetitions():
    X = cloud(40)
    repeats = np.random.default_rng(1).integers(1, 5, size=40)
    long = np.repeat(np.arange(40), repeats)
    start = np.array([0, 1, 2])
    first = np.searchsorted(long, start)
    weighted = medoids.alternate(squares_of(X), start, repeats.astype(float), 50, 0.0)
    repeated = medoids.alternate(squares_of(X[long]), first, np.ones(len(long)), 50, 0.0)
    np.testing.assert_allclose(repeated.inertia, weighted.inertia)
    np.testing.assert_array_equal(long[repeated.rows], weighted.rows)


def test_weightless_points_are_never_drawn():
    weights = np.r_[np.ones(10), np.zeros(90)]
    squares = squares_of(cloud(100))
    for seed in range(10):
        rows = medoids.seed_medoids(squares, 4, weights, np.random.RandomState(seed))
        assert (rows < 10).all()


def test_fewer_distinct_points_than_clusters():
    squares = squares_of(np.repeat([[0.0], [1.0]], 4, axis=0))
    weights = np.ones(8)
    rows = medoids.seed_medoids(squares, 5, weights, np.random.RandomState(0))
    found = medoids.alternate(squares, rows, weights, 10, 0.0)
    assert len(found.rows) == 5
    assert found.inertia[-1] == 0.0
    assert found.converged


def test_seeding_is_reproducible_and_leaves_its_input_alone():
    squares, start = squares_of(cloud(60)), np.arange(5)
    before = squares.copy()
    a, b = (
        medoids.seed_medoids(squares, 5, np.ones(60), np.random.RandomState(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(a, b)
    medoids.alternate(squares, start, np.ones(60), 10, 0.0)
    np.testing.assert_array_equal(squares, before)
    np.testing.assert_array_equal(start, np.arange(5))


# Paths through a graph ----------------------------------------------------------------------


def paths_of(points, z=None):
    return NearestNeighborMetric(points).paths(points if z is None else z)


def some_of_each(n=150):
    """Points of a metric, and places of which half are among them."""
    points = of_unequal_width(n, 2)
    return points, np.concatenate([points[::2], 2.0 * cloud(n // 2, seed=3)])


def test_paths_have_the_lengths_of_the_metric():
    points, z = some_of_each()
    paths, every = paths_of(points, z), NearestNeighborMetric(points).pairwise(z)
    found = paths.from_rows(np.arange(len(z)))
    # Between places off the data there are straight lines as well.
    assert (found >= every - 1e-12).all()
    among = slice(len(points[::2]))
    np.testing.assert_allclose(found[among], every[among], atol=1e-12)
    rows = np.array([3, 100, 20, 3])
    labels, distances = paths.nearest(rows)
    np.testing.assert_array_equal(labels, found[rows].argmin(0))
    np.testing.assert_allclose(distances, found[rows].min(0), atol=1e-12)
    near = paths.from_rows(rows, limit=distances.max())
    np.testing.assert_allclose(near.min(0), distances, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_with_all_members_tried_the_optimum_is_that_of_all_distances(seed):
    points, z = some_of_each()
    z, rng = (points, z)[seed % 2], np.random.RandomState(seed)
    paths = paths_of(points, z)
    weights, first = rng.uniform(0.1, 2.0, size=len(z)), rng.choice(len(z), 5, replace=False)
    squares = paths.from_rows(np.arange(len(z))) ** 2
    expected = medoids.alternate(squares, first, weights, 100, 0.0)
    found = medoids.refine(paths, first, weights, 100, 0.0, rng, n_tries=len(z))
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert found.inertia[-1] == pytest.approx(expected.inertia[-1])
    # No member of any cluster is more central.
    labels = squares[found.rows].argmin(0)
    for k, row in enumerate(found.rows):
        members = np.flatnonzero(labels == k)
        cost = squares[np.ix_(members, members)] @ weights[members]
        assert cost[members == row] <= cost.min() * (1.0 + 1e-12)


def test_a_few_members_lead_nearly_as_far(monkeypatch):
    monkeypatch.setattr(among, "MOST_COMPARED", 100)
    monkeypatch.setattr(among, "N_LANDMARKS", 60)
    points = of_unequal_width(400, 2)
    paths, weights = paths_of(points), np.random.default_rng(0).uniform(0.5, 2.0, size=400)
    squares = paths.from_rows(np.arange(400)) ** 2
    settings = Settings(6, "k-means++", 10, 100, 1e-4)
    for seed in range(3):
        rng = np.random.RandomState(seed)
        rows = medoids.seed_medoids(squares, 6, weights, rng)
        whole = medoids.alternate(squares, rows, weights, 100, 0.0)
        found = best_medoids(paths, weights, settings, rng)
        assert found.inertia[-1] == pytest.approx(squares[found.rows].min(0) @ weights)
        assert (np.diff(found.inertia) <= 1e-12 * found.inertia[0]).all()
        assert found.inertia[-1] <= 1.05 * whole.inertia[-1]


def test_a_sketch_has_all_weight_and_paths_that_are_hardly_too_long(monkeypatch):
    points, z = some_of_each(300)
    paths, weights = paths_of(points, z), np.random.default_rng(0).uniform(0.5, 2.0, size=300)
    whole = paths.sketch(weights, 3, np.random.RandomState(0))
    assert whole.is_whole
    np.testing.assert_array_equal(whole.weights, weights)
    monkeypatch.setattr(among, "MOST_COMPARED", 100)
    monkeypatch.setattr(among, "N_LANDMARKS", 120)
    part = paths.sketch(weights, 3, np.random.RandomState(0), needed=[7, 250])
    assert not part.is_whole
    assert {7, 250} < set(part.rows)
    assert part.weights.sum() == pytest.approx(weights.sum())
    exact, found = np.sqrt(whole.squares[np.ix_(part.rows, part.rows)]), np.sqrt(part.squares)
    np.testing.assert_allclose(found, found.T, rtol=1e-12)
    apart = exact > 0.0
    on_data = part.rows < 150
    ratio = (found / np.where(apart, exact, np.inf))[np.ix_(on_data, on_data)]
    assert (ratio[apart[np.ix_(on_data, on_data)]] > 1.0 - 1e-9).all()
    assert np.median(ratio) < 1.05


@pytest.mark.parametrize("init", ["k-means++", "random", "given"])
def test_many_points_under_an_explicit_metric(init, monkeypatch):
    monkeypatch.setattr(among, "MOST_COMPARED", 300)
    monkeypatch.setattr(among, "N_LANDMARKS", 100)
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 150)
    X = rng.normal(size=(600, 2)) + 12.0 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[y]
    given = X[[0, 200, 400, 599]] if init == "given" else init
    kmeans = RiemannianKMeans(4, metric=NearestNeighborMetric(X), init=given, random_state=0)
    kmeans.fit(X)
    assert adjusted_rand_score(y, kmeans.labels_) == 1.0
    np.testing.assert_array_equal(X[kmeans.medoid_indices_], kmeans.cluster_centers_)
    squares = NearestNeighborMetric(X).pairwise(X) ** 2
    best = [squares[np.ix_(y == k, y == k)].sum(0).min() for k in range(4)]
    assert sum(best) <= kmeans.inertia_ <= 1.05 * sum(best)
    np.testing.assert_array_equal(kmeans.predict(X), kmeans.labels_)
