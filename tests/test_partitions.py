"""Partitions of plain data: neighbours, trees, mixtures, views, and which of them is taken."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import rotate
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import RiemannianKMeans, VAETransformer, conductance_gap
from skriem.estimators.kmeans import number_of_clusters
from skriem.estimators.kmeans.encoded_candidates import EncodedCandidates
from skriem.estimators.kmeans.medoid_runs import Settings
from skriem.estimators.kmeans.partitions import Partition
from skriem.estimators.kmeans.plain_candidates import PlainCandidates
from skriem.estimators.kmeans.plain_runs import parts_of
from skriem.estimators.views import Views, local_spread
from skriem.geometry import NearestNeighborMetric
from skriem.geometry.models.conductance import conductances
from skriem.geometry.models.gaussians import mixture_from_partition
from skriem.geometry.paths.medoids import central_members, distances_to_own
from skriem.geometry.paths.neighbors import (
    joints,
    nearest_points,
    neighbors_of_each,
    subgraph,
    undirected,
)
from skriem.geometry.paths.spanning_tree import cut_tree, spanning_trees
from skriem.support.rows import distinct_rows_and_places


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def settings(n_clusters, **changes):
    return Settings(n_clusters, "k-means++", 10, 300, 1e-3)._replace(**changes)


def candidates(X, weights=None):
    return PlainCandidates(X, np.ones(len(X)) if weights is None else weights)


def taken_of(found, n_clusters):
    asked = settings(n_clusters)
    return found.simplest(found.of(asked, asked, np.random.RandomState(0)))


def chosen(X, n_clusters):
    return taken_of(candidates(X), n_clusters)


# Neighbours and graphs ---------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 10, 11, 40])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_neighbours_are_those_of_brute_force_in_any_dimension(d, offset):
    points, z = normal(300, d) + offset, normal(50, d, seed=1) + offset
    distances, index = nearest_points(points, z, 7)
    every = cdist(z, points)
    np.testing.assert_array_equal(index, every.argsort(1, kind="stable")[:, :7])
    np.testing.assert_allclose(distances, np.sort(every, 1)[:, :7], rtol=1e-12)


@pytest.mark.parametrize("d", [20, 21])
def test_clumps_far_from_the_origin_are_resolved(d):
    """Products of matrices would lose what is between the points of a clump."""
    clumps = np.repeat(1e4 * normal(6, d), 40, axis=0) + 1e-6 * normal(240, d, seed=1)
    distances, index = nearest_points(clumps, clumps, 3)
    every = cdist(clumps, clumps)
    np.testing.assert_allclose(distances, np.sort(every, 1)[:, :3], rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(index[:, 0], np.arange(240))


def test_a_point_is_no_neighbour_of_itself_even_among_equal_ones():
    X = np.concatenate([np.zeros((6, 2)), normal(30, 2)])
    distances, index = neighbors_of_each(X, 4)
    assert index.shape == distances.shape == (36, 4)
    assert (index != np.arange(36)[:, None]).all()
    assert (distances[:6] == 0.0).all()


def test_an_undirected_graph_has_every_edge_both_ways():
    index = np.array([[1], [2], [1], [0]])
    graph = undirected(index, np.array([[1.0], [2.0], [3.0], [0.0]]), 4).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert graph[1, 2] == 3.0
    # A length of zero is an edge all the same.
    assert graph[0, 3] > 0.0


@pytest.mark.parametrize("large", [1, 500])
def test_joints_are_edges_of_the_minimum_spanning_tree(large, monkeypatch):
    monkeypatch.setattr("skriem.geometry.paths.neighbors.LARGE", large)
    points = np.concatenate([normal(20, 2) + 30.0 * k * np.array([1.0, k]) for k in range(5)])
    nothing = csr_matrix((100, 100))
    found = joints(points, nothing)
    tree = minimum_spanning_tree(cdist(points, points)).tocoo()
    expected = {frozenset(pair) for pair in zip(tree.row, tree.col)}
    assert {frozenset(pair) for pair in found.tolist()} == expected
    part = np.repeat(np.arange(5), 20)
    joined = coo_matrix((part[:, None] == part).astype(float)).tocsr()
    assert len({frozenset(pair) for pair in joints(points, joined).tolist()}) == 4


def test_a_subgraph_has_the_edges_within():
    graph = csr_matrix(np.ones((4, 4)))
    found = subgraph(graph, np.array([0, 1, 0, 1])).toarray()
    np.testing.assert_array_equal(found, np.tile(np.eye(2), (2, 2)))


# Trees -------------------------------------------------------------------------------------


def tree_of(X, min_samples=1, k=15):
    return spanning_trees(X, *neighbors_of_each(X, k), [min_samples])[0]


@pytest.mark.parametrize("min_samples", [1, 5])
def test_the_tree_is_that_of_all_mutual_reachability_distances(min_samples):
    X = np.concatenate([normal(60, 3), normal(40, 3, seed=1) + 20.0])
    every = cdist(X, X)
    core = np.sort(every, 1)[:, min_samples]
    reach = np.maximum(every, np.maximum(core[:, None], core))
    np.fill_diagonal(reach, 0.0)
    tree = tree_of(X, min_samples)
    assert tree.lengths.sum() == pytest.approx(minimum_spanning_tree(reach).sum())
    assert (np.diff(tree.lengths) <= 0.0).all()
    links = coo_matrix((np.ones(99), tree.edges.T), shape=(100, 100))
    assert connected_components(links, directed=False)[0] == 1


def test_a_cut_leaves_enough_on_both_sides():
    X = np.concatenate([normal(100, 2), normal(100, 2, seed=1) + 12.0, [[40.0, 40.0]] * 3])
    X[-3:] += normal(3, 2, seed=2) * 0.1
    labels = cut_tree(tree_of(X), 2, np.ones(203))
    # Not the three far points, although their edge is the longest.
    assert adjusted_rand_score(labels[:200], np.repeat([0, 1], 100)) == 1.0
    # With weight enough they are a cluster.
    weights = np.r_[np.ones(200), np.full(3, 100.0)]
    heavy = cut_tree(tree_of(X), 2, weights)
    assert len(set(heavy[200:])) == 1
    assert len(set(heavy[:200])) == 1


@pytest.mark.parametrize("n_clusters", [1, 3, 7])
def test_parts_are_as_many_as_asked_for_if_they_can_be(n_clusters):
    X, y = make_blobs(700, centers=10 * normal(7, 2), cluster_std=0.2, random_state=0)
    labels = cut_tree(tree_of(X), n_clusters, np.ones(700))
    assert len(set(labels)) == n_clusters
    if n_clusters == 7:
        assert adjusted_rand_score(y, labels) == 1.0


def test_a_chain_is_cut_where_it_is_asked_to_be():
    X = np.r_[np.arange(10.0), 13.0 + np.arange(10.0), 30.0 + np.arange(10.0)][:, None]
    tree = tree_of(X, k=3)
    two, three = (cut_tree(tree, k, np.ones(30)) for k in (2, 3))
    np.testing.assert_array_equal(two == two[0], np.arange(30) < 20)
    assert adjusted_rand_score(three, np.repeat([0, 1, 2], 10)) == 1.0
    # More than can be cut so that enough remains.
    assert len(set(cut_tree(tree, 30, np.ones(30)))) < 30


# Mixtures and conductance ------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 6])
def test_the_mixture_is_that_of_scikit_learn_from_the_same_start(d):
    X = np.concatenate([normal(200, d) * np.linspace(1, 3, d), normal(100, d, seed=1) + 3.0])
    start = (X[:, 0] > 1.5).astype(int)
    found = mixture_from_partition(X, start, np.ones(300), 2, np.random.RandomState(0))
    precisions = [np.linalg.inv(np.cov(X[start == k].T).reshape(d, d)) for k in (0, 1)]
    theirs = GaussianMixture(
        2,
        weights_init=np.bincount(start) / 300,
        means_init=[X[start == k].mean(0) for k in (0, 1)],
        precisions_init=precisions,
        tol=1e-5,
        max_iter=500,
    ).fit_predict(X)
    assert (found == theirs).mean() > 0.98


def test_weights_of_a_mixture_are_repetitions():
    X = np.concatenate([normal(60, 2), normal(60, 2, seed=1) + 2.5])
    start, repeats = np.repeat([0, 1], 60), np.r_[np.full(60, 3), np.full(60, 1)]
    long = np.repeat(np.arange(120), repeats)
    rng = np.random.RandomState(0)
    weighted = mixture_from_partition(X, start, repeats.astype(float), 2, rng)
    repeated = mixture_from_partition(X[long], start[long], np.ones(len(long)), 2, rng)
    np.testing.assert_array_equal(weighted[long], repeated)
    assert (weighted != mixture_from_partition(X, start, np.ones(120), 2, rng)).any()


def test_conductance_of_two_triangles_with_a_bridge():
    graph = np.zeros((6, 6))
    for i, j in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]:
        graph[i, j] = graph[j, i] = 1.0
    graph = csr_matrix(graph)
    np.testing.assert_allclose(conductances(graph, np.repeat([0, 1], 3), 2), 1 / 7)
    # One corner: all of its two edges leave it; its volume counts as a quarter of the mean, 7/4.
    found = conductances(graph, np.array([1, 0, 0, 0, 0, 0]), 2)
    np.testing.assert_allclose(found, [2 / 12, 1.0])
    assert conductances(graph, np.zeros(6, dtype=int), 1) == 0.0
    assert (conductances(graph, np.zeros(6, dtype=int), 2) == 1.0).all()


def test_a_few_isolated_points_count_as_a_quarter_of_a_cluster():
    # 40 points in a ring, and two of their own with one edge to it.
    ring = [(i, (i + 1) % 40) for i in range(40)]
    i, j = np.array([*ring, (40, 41), (0, 40)]).T
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(42, 42)).tocsr()
    graph = graph + graph.T
    labels = np.r_[np.zeros(40, dtype=int), 1, 1]
    # Volumes 81 and 3, mean 42.
    np.testing.assert_allclose(conductances(graph, labels, 2), [1 / 81, 1 / (42 / 4)])


def test_central_members_are_central():
    X = np.concatenate([normal(200, 2), normal(100, 2, seed=1) + 20.0])
    labels = np.repeat([0, 1], [200, 100])
    distances, index = neighbors_of_each(X, 10)
    graph = undirected(index, distances**2, 300)
    rows = central_members(graph, X, labels, np.ones(300), np.random.RandomState(0))
    np.testing.assert_array_equal(labels[rows], [0, 1])
    inner = dijkstra(subgraph(graph, labels))
    for k, row in enumerate(rows):
        members = labels == k
        cost = np.square(inner[np.ix_(members, members)]).sum(1)
        assert (cost < np.square(inner[row, members]).sum()).mean() < 0.1


def test_the_central_member_need_not_be_in_the_middle():
    """Four points on a line of which the first is near to all by the edges."""
    edges = coo_matrix((np.ones(3), ([0, 0, 0], [1, 2, 3])), shape=(4, 4)).tocsr()
    points, labels = np.arange(4.0)[:, None] * [1.0, 0.0], np.zeros(4, dtype=int)
    rows = central_members(edges + edges.T, points, labels, np.ones(4), np.random.RandomState(0))
    np.testing.assert_array_equal(rows, [0])


def test_distances_to_own_centers_are_those_of_all():
    X = normal(80, 2)
    distances, index = neighbors_of_each(X, 10)
    graph = undirected(index, distances**2, 80)
    labels, rows = np.arange(80) % 3, np.array([9, 1, 5])
    expected = dijkstra(graph, indices=rows)[labels, np.arange(80)]
    np.testing.assert_array_equal(distances_to_own(graph, rows, labels), expected)


def test_distinct_rows_know_where_every_row_went():
    X = np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 1.0], [0.0, 0.0], [1.0, 4.0]])
    weights = np.array([1.0, 2.0, 3.0, 0.0, 1.0])
    rows, merged, places = distinct_rows_and_places(X, weights)
    np.testing.assert_array_equal(rows, [[1.0, 4.0], [1.0, 5.0], [2.0, 1.0]])
    np.testing.assert_array_equal(merged, [1.0, 2.0, 4.0])
    np.testing.assert_array_equal(places, [2, 1, 2, -1, 0])


# Views -------------------------------------------------------------------------------------


def test_views_do_not_depend_on_units_where_they_should_not():
    X, weights = normal(100, 3) * [1.0, 5.0, 2.0], np.ones(100)
    one, other = Views(X, weights), Views(X * [1.0, 1e4, 1e-3] + 7.0, weights)
    np.testing.assert_allclose(other.scaled, one.scaled, rtol=1e-8, atol=1e-8)
    for k in (1, 2):
        np.testing.assert_allclose(other.compared[k], one.compared[k], rtol=1e-6, atol=1e-6)
    assert one.given.var(0).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(one.scaled.std(0), 1.0)


def test_constant_features_are_in_no_view():
    X = np.column_stack([normal(50, 2), np.full(50, 0.1)])
    views = Views(X, np.ones(50))
    assert views.given.shape == views.scaled.shape == (50, 2)
    assert Views(np.ones((4, 3)), np.ones(4)).given.shape == (4, 1)


def test_the_spread_among_neighbours_does_not_depend_on_how_far_clusters_are_apart():
    X, step = normal(300, 2), np.repeat([0.0, 1.0, 2.0], 100)[:, None]
    near, far = (local_spread(X + distance * step * [1.0, 0.0]) for distance in (30.0, 1e4))
    np.testing.assert_allclose(far, near, rtol=1e-6)
    # In units of itself it is one. Of several features others may be neighbours then.
    np.testing.assert_allclose(local_spread(Views(X[:60, :1], np.ones(60)).compared[2]), 1.0)


def test_steps_are_no_gaps():
    """Levels of a feature, spread over their steps, fill its range evenly."""
    X = np.column_stack([normal(400, 1), np.random.default_rng(0).integers(0, 5, 400)])
    rows = np.unique(X, axis=0)
    views = Views(rows, np.ones(400))
    moved = views.compared[0][:, 1] * np.sqrt(X.var(0).mean())
    assert np.abs(moved - (rows[:, 1] - rows[:, 1].mean())).max() <= 0.5
    assert np.diff(np.sort(moved)).max() < 0.1


def test_two_categories_are_left_out_where_there_is_enough_else():
    X = np.column_stack([normal(60, 2), np.arange(60) % 2])
    assert Views(X, np.ones(60)).compared[0].shape == (60, 2)
    assert Views(X, np.ones(60)).given.shape == (60, 3)
    binary = np.unique(np.random.default_rng(0).integers(0, 2, (60, 8)), axis=0).astype(float)
    assert Views(binary, np.ones(len(binary))).compared[0].shape[1] == 8
    # One number beside many answers of yes and no does not speak for all of them.
    mostly = np.column_stack([normal(len(binary), 1), binary])
    assert Views(mostly, np.ones(len(binary))).compared[0].shape[1] == 9


# Which partition is taken ------------------------------------------------------------------


def test_the_simplest_of_those_that_are_about_as_good():
    found = candidates(normal(200, 2))
    labels = np.arange(200) % 2

    def taken(*conductances):
        names = "k-means", "mixture", "tree"
        partitions = [Partition(n, labels, c) for n, c in zip(names, conductances)]
        return found.simplest(partitions).name

    assert taken(0.11, 0.10, 0.10) == "k-means"
    assert taken(0.20, 0.11, 0.10) == "mixture"
    assert taken(0.20, 0.20, 0.10) == "tree"
    # Where a cluster has most of its edges to others, nothing is shown.
    assert taken(0.95, 0.70, 0.60) == "k-means"


@pytest.mark.parametrize(
    ("X", "y", "name"),
    [
        (*make_moons(400, noise=0.05, random_state=0), "tree"),
        (*make_circles(600, noise=0.05, factor=0.5, random_state=0), "tree"),
        (*make_blobs(300, centers=[[0, 0], [8, 0], [4, 7]], random_state=0), "k-means"),
    ],
    ids=["moons", "circles", "blobs"],
)
def test_what_is_taken(X, y, name):
    best = chosen(X, len(set(y)))
    assert best.name == name
    assert adjusted_rand_score(y, best.labels) > 0.99


def test_long_clusters_side_by_side():
    X = normal(600, 2) * [8.0, 0.7]
    y = np.repeat([0, 1], 300)
    X[:, 1] += 5.0 * y
    assert adjusted_rand_score(y, KMeans(2, n_init=10, random_state=0).fit_predict(X)) < 0.1
    best = chosen(X, 2)
    assert best.name in ("scaled k-means", "mixture")
    assert adjusted_rand_score(y, best.labels) > 0.98


ROW = np.array([0, 7, 20, 27])


@pytest.mark.parametrize("d", [2, 6, 30])
@pytest.mark.parametrize("turned", [False, True])
def test_blobs_in_a_row(d, turned):
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 100)
    X = rng.normal(size=(400, d))
    X[:, 0] += ROW[y]
    if turned:
        X = X @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    found = RiemannianKMeans(4, random_state=0).fit(X)
    theirs = KMeans(4, n_init=10, random_state=0).fit_predict(X)
    assert adjusted_rand_score(y, found.labels_) >= adjusted_rand_score(y, theirs) - 0.02


@pytest.mark.parametrize("scaled", [False, True])
def test_tables_with_categories(scaled):
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 250)
    centers = rng.normal(size=(4, 8))
    centers *= 8.0 / np.linalg.norm(centers, axis=1, keepdims=True)
    levels = [np.eye(n)[rng.integers(0, n, 1000)] for n in (3, 5)]
    X = np.column_stack([centers[y] + rng.normal(size=(1000, 8)), *levels])
    X = X / X.std(0) if scaled else X
    theirs = KMeans(4, n_init=10, random_state=0).fit_predict(X)
    found = RiemannianKMeans(4, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) >= adjusted_rand_score(y, theirs) - 0.02


def test_noise_and_far_points_are_no_clusters():
    rng = np.random.default_rng(0)
    X, y = make_blobs(600, centers=[[0, 0], [9, 0], [0, 9], [9, 9]], random_state=0)
    noise = rng.uniform(-4.0, 13.0, size=(120, 2))
    for more in (noise, [[200.0, 0.0], [0.0, 300.0]]):
        found = RiemannianKMeans(4, random_state=0).fit(np.concatenate([X, more]))
        assert adjusted_rand_score(y, found.labels_[:600]) > 0.97


@pytest.mark.parametrize("n", [12, 18, 30])
def test_few_samples(n):
    y = np.repeat(range(3), n // 3)
    X = normal(n, 5)
    X[:, 0] += 20.0 * y
    found = RiemannianKMeans(3, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) == 1.0


def test_few_samples_of_many_classes_are_those_of_kmeans():
    X, y = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(y == k)[:10] for k in range(10)])
    found = RiemannianKMeans(10, random_state=0).fit(X[rows])
    theirs = KMeans(10, n_init=10, random_state=0).fit_predict(X[rows])
    ours = adjusted_rand_score(y[rows], found.labels_)
    assert ours >= adjusted_rand_score(y[rows], theirs) - 0.05


def test_what_was_taken_is_said():
    X, _ = make_moons(300, noise=0.05, random_state=0)
    found = RiemannianKMeans(2, random_state=0).fit(X)
    assert found.partition_ == "tree"
    assert found.conductances_["tree"] < found.conductances_["k-means"]
    assert list(found.conductances_)[:2] == ["k-means", "scaled k-means"]


def test_an_order_of_rows_does_not_matter():
    X, _ = make_moons(200, noise=0.1, random_state=0)
    order = np.random.default_rng(0).permutation(200)
    one, other = (RiemannianKMeans(2, random_state=0).fit(x) for x in (X, X[order]))
    np.testing.assert_array_equal(one.labels_[order], other.labels_)


# How many ----------------------------------------------------------------------------------


def test_the_number_that_is_followed_by_a_smaller_gap(monkeypatch):
    gaps = {k: 2.0 for k in range(2, 40)} | {2: 0.5, 3: 2.0, 4: 1.0, 5: 2.1, 6: 2.1}
    monkeypatch.setattr(number_of_clusters, "_without_structure", lambda *_: None)
    monkeypatch.setattr(number_of_clusters, "_gap", lambda f, e, asked, rng: gaps[asked.n_clusters])
    one = SimpleNamespace(conductance=0.0)
    found = SimpleNamespace(X=np.zeros((90, 2)), of=lambda *_: [], simplest=lambda found: one)
    # Twice its gap less that of four clusters is three.
    assert number_of_clusters.count_clusters(found, settings(1), None)[0] == 3


def test_points_without_structure_fill_the_box_of_the_principal_axes():
    turn = np.linalg.qr(normal(2, 2))[0]
    x = np.random.default_rng(0).uniform(-1.0, 1.0, size=(2000, 2)) * [5.0, 0.5] @ turn
    stub = SimpleNamespace(views=SimpleNamespace(given=x), with_points=lambda points: points)
    for draw in number_of_clusters._without_structure(stub, np.random.RandomState(0)):
        np.testing.assert_allclose(np.ptp(draw, axis=0), [10.0, 1.0], rtol=0.05)


@pytest.mark.parametrize(
    ("X", "n_clusters"),
    [
        (make_blobs(300, centers=[[0, 0], [9, 0], [4, 8]], random_state=0)[0], 3),
        (make_circles(400, noise=0.04, factor=0.5, random_state=0)[0], 2),
        (normal(300, 3), 1),
        (np.random.default_rng(0).uniform(size=(300, 2)), 1),
    ],
    ids=["blobs", "circles", "one blob", "uniform"],
)
def test_the_number_of_clusters_is_found(X, n_clusters):
    found = RiemannianKMeans("auto", random_state=0).fit(X)
    assert found.n_clusters_ == n_clusters
    assert found.cluster_centers_.shape == (n_clusters, X.shape[1])
    assert found.transform(X[:3]).shape == (3, n_clusters)
    assert list(found.gaps_) == list(range(2, 12))
    assert len(found.get_feature_names_out()) == n_clusters
    given = RiemannianKMeans(n_clusters, random_state=0).fit(X)
    assert adjusted_rand_score(given.labels_, found.labels_) == 1.0
    assert found.metric_ == given.metric_


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_samples_are_counted_too(n):
    found = RiemannianKMeans("auto", random_state=0).fit(normal(n, 2))
    assert 1 <= found.n_clusters_ < n
    assert len(found.labels_) == n


def test_what_cannot_be_counted_is_refused():
    codes = VAETransformer(max_iter=1, random_state=0).fit_transform(normal(30, 3))
    with pytest.raises(ValueError, match="for plain data"):
        RiemannianKMeans("auto").fit(codes)
    with pytest.raises(ValueError, match="init cannot be"):
        RiemannianKMeans("auto", init=np.zeros((2, 2))).fit(normal(30, 2))
    with pytest.raises(TypeError, match="n_clusters"):
        RiemannianKMeans("many").fit(normal(30, 2))


def test_conductance_gap_prefers_what_follows_the_data():
    X, y = make_moons(300, noise=0.05, random_state=0)
    wrapped = make_pipeline(StandardScaler(), RiemannianKMeans(2, random_state=0))
    search = GridSearchCV(
        wrapped, {"riemanniankmeans__n_clusters": [1, 2, 5]}, scoring=conductance_gap
    ).fit(np.repeat(X, 2, axis=0))
    assert search.best_params_ == {"riemanniankmeans__n_clusters": 2}
    nothing = np.random.default_rng(0).uniform(size=(300, 2))
    clusters = KMeans(3, random_state=0).fit(nothing)
    assert abs(conductance_gap(clusters, nothing)) < 0.5
    assert conductance_gap(RiemannianKMeans(1).fit(X), X) == 0.0


def turned_digits(n_angles, seed):
    """Images of a digit of each kind, turned all the way round in equal steps."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(np.flatnonzero(y == digit)) for digit in range(10)]
    angles = np.arange(n_angles) * 360.0 / n_angles
    images = [
        rotate(image, angle, reshape=False, order=1).ravel()
        for image in X[chosen].reshape(-1, 8, 8)
        for angle in angles
    ]
    return np.array(images), np.repeat(np.arange(10), n_angles)


def test_few_images_of_many_objects_are_encoded():
    ours, straight = [], []
    for seed in (0, 1):
        X, y = turned_digits(72, seed)
        found = RiemannianKMeans(10, random_state=0).fit(X)
        assert found.encoder_.encoder_ is not None
        ours.append(adjusted_rand_score(y, found.labels_))
        labels = KMeans(10, n_init=10, random_state=0).fit_predict(X)
        straight.append(adjusted_rand_score(y, labels))
    assert np.mean(ours) > np.mean(straight) + 0.05


@pytest.mark.parametrize(
    ("n", "n_features", "distance"),
    [pytest.param(200, 200, 5.0, marks=pytest.mark.slow), (300, 60, 3.5), (80, 300, 9.0)],
)
def test_round_clusters_of_many_features_are_those_of_kmeans(n, n_features, distance):
    """They overlap, and in so many dimensions many neighbours are so by chance."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(4, n_features)) * distance / np.sqrt(n_features)
    y = rng.integers(0, 4, n)
    X = centers[y] + rng.normal(size=(n, n_features))
    found = RiemannianKMeans(4, random_state=0).fit(X)
    assert found.partition_ == "k-means"
    assert found.cluster_centers_.shape == (4, n_features)
    np.testing.assert_array_equal(found.predict(X), found.labels_)
    straight = KMeans(4, n_init=10, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) >= adjusted_rand_score(y, straight.labels_) - 0.02
    # So are those of samples that come later.
    later = rng.integers(0, 4, 1000)
    unseen = centers[later] + rng.normal(size=(1000, n_features))
    expected = adjusted_rand_score(later, straight.predict(unseen))
    assert adjusted_rand_score(later, found.predict(unseen)) >= expected - 0.02
    np.testing.assert_array_equal(found.predict_proba(unseen).argmax(1), found.predict(unseen))


def test_k_means_of_many_features_begins_where_there_are_fewer():
    """Local minima that more starts among all features do not leave."""
    found, straight = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y = np.arange(240) % 6
        X = rng.normal(size=(6, 600))[y] * 5.0 / np.sqrt(600) + rng.normal(size=(240, 600))
        ours = RiemannianKMeans(6, random_state=seed).fit(X)
        assert ours.partition_ == "k-means"
        means = np.stack([X[ours.labels_ == k].mean(0) for k in range(6)])
        kmeans = KMeans(6, n_init=10, random_state=seed).fit(X)
        assert np.square(X - means[ours.labels_]).sum() < kmeans.inertia_ * (1.0 + 1e-9)
        found.append(adjusted_rand_score(y, ours.labels_))
        straight.append(adjusted_rand_score(y, kmeans.labels_))
    assert np.mean(found) > np.mean(straight) + 0.1


@pytest.mark.parametrize(("n", "is_there"), [(50, False), (70, True)])
def test_a_mixture_needs_two_samples_for_each_row_of_its_covariances(n, is_there):
    X = normal(n, 10, seed=3)
    X[:, 0] += 30.0 * (np.arange(n) % 3)
    found = RiemannianKMeans(3, random_state=0).fit(X)
    assert ("mixture" in found.conductances_) == is_there


def test_encoded_clusters_count_alike():
    X = normal(120, 3, seed=1)
    metric, near = NearestNeighborMetric(X), neighbors_of_each(X, 7)[1]
    labels = np.repeat([0, 1, 2], [60, 40, 20])
    candidates = EncodedCandidates(X, np.ones(120), X, metric, near)
    found = candidates.judge("", labels, 3).conductance
    leaving = labels[candidates.graph.tocoo().row] != labels[candidates.graph.tocoo().col]
    of_each = np.bincount(labels[candidates.graph.tocoo().row], leaving)
    of_each /= np.bincount(labels[candidates.graph.tocoo().row])
    assert found == pytest.approx(of_each.mean())
    assert found < of_each.max() - 0.05


def test_codes_that_coincide_start_nothing():
    X = normal(60, 3, seed=4) @ normal(3, 55, seed=5)
    metric, near = NearestNeighborMetric(np.zeros((1, 2))), neighbors_of_each(X, 7)[1]
    candidates = EncodedCandidates(X, np.ones(60), np.zeros((60, 2)), metric, near)
    settings = Settings(5, "k-means++", 3, max_iter=300, tol=1e-3)
    found = candidates.kmeans(settings, np.random.RandomState(0))
    assert len(np.unique(found.labels)) == 5
    assert np.isfinite(found.means.points).all()


def test_features_that_hardly_vary_make_no_clusters_of_outliers():
    """Scaled to unit variance they would; images have many of them."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    X = np.c_[
        rng.normal(size=(4, 60))[y] * 0.7 + rng.normal(size=(200, 60)),
        0.3 * (rng.random((200, 60)) < 0.01) * rng.random((200, 60)),
    ]
    found = RiemannianKMeans(4, random_state=0).fit(X)
    assert "scaled k-means" not in found.conductances_
    assert adjusted_rand_score(y, found.labels_) > 0.9
    # Of other units there is one view, too, that of the encoder.
    X = np.c_[X[:, :60] * 10.0 ** rng.uniform(-3.0, 3.0, 60)]
    found = RiemannianKMeans(4, random_state=0).fit(X)
    assert "k-means" not in found.conductances_
    assert adjusted_rand_score(y, found.labels_) > 0.9


def test_rows_of_one_code_are_in_one_cluster_around_one_of_them():
    X = np.concatenate([normal(40, 3) + offset for offset in (0.0, 12.0, 24.0)])
    X = X[np.random.default_rng(0).permutation(120)]
    # What an encoder might put out that sees little more than the cluster.
    codes = np.round(X[:, :1])
    metric = NearestNeighborMetric(np.unique(codes, axis=0))
    assert len(metric.points) < 60
    encoded = EncodedCandidates(X, np.ones(120), codes, metric, neighbors_of_each(X, 7)[1])
    labels = taken_of(encoded, 3).labels
    rng = np.random.RandomState(0)
    found = parts_of(metric, encoded.places, labels, np.ones(120), 3, rng)
    assert adjusted_rand_score(np.round(X[:, 0] / 12.0).clip(0, 2), found.labels) > 0.95
    np.testing.assert_array_equal(found.point_labels[metric.nearest(codes)], found.labels)
    np.testing.assert_array_equal(codes[found.central], found.centers)
    np.testing.assert_array_equal(found.labels[found.central], range(3))
    expected = metric.pairwise(codes, found.centers)[np.arange(120), found.labels]
    np.testing.assert_allclose(found.distances, expected, atol=1e-12)
    first = [np.flatnonzero((codes == center).all(1))[0] for center in found.centers]
    np.testing.assert_array_equal(found.central, first)
