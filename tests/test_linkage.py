"""The tree of clusters, against SciPy's, scikit-learn's and closed forms."""

import pickle

import numpy as np
import pytest
import skops.io
import torch
from estimators import slope, table, wavy
from scipy.cluster.hierarchy import dendrogram, fcluster, is_valid_linkage, linkage
from scipy.sparse import csr_matrix
from scipy.spatial.distance import squareform
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skriem import GeodesicDistance, NeighborEncoder, RiemannianSingleLinkage
from skriem.geometry import PullbackMetric
from skriem.geometry.models.linkage import condense, cut_after, cut_into, single_linkage


def tree(n_clusters=2, **parameters):
    options = {"random_state": 0, "min_samples": 1, "min_cluster_size": 1, **parameters}
    return RiemannianSingleLinkage(n_clusters, **options)


def circle(z):
    return torch.cat([z.cos(), z.sin()], dim=1)


def random_distances(n=40, seed=0):
    return squareform(np.random.default_rng(seed).uniform(1.0, 2.0, n * (n - 1) // 2))


METRICS = {
    "neighbours": NeighborEncoder(power=2),
    "waves": PullbackMetric(wavy, 2),
    "local": "local",
}


@pytest.mark.parametrize("name", METRICS)
def test_it_is_the_single_linkage_of_all_distances(name):
    X = table(n=30)
    found = tree(metric=METRICS[name]).fit(X)
    D = GeodesicDistance(METRICS[name], random_state=0).fit_transform(X)
    expected = linkage(squareform(D, checks=False), "single")
    np.testing.assert_allclose(found.linkage_, expected, rtol=1e-12)
    assert is_valid_linkage(found.linkage_)
    assert len(dendrogram(found.linkage_, no_plot=True)["leaves"]) == found.n_leaves_ == 30


def test_heights_on_a_circle_are_the_gaps():
    angles = np.sort(np.random.default_rng(0).uniform(0.0, 3.0, 25))
    found = tree(metric=PullbackMetric(circle, 1)).fit(angles[:, None])
    np.testing.assert_allclose(found.distances_, np.sort(np.diff(angles)), rtol=0.01)


def test_it_is_what_agglomerative_clustering_finds():
    D = random_distances()
    for options in ({"n_clusters": 7}, {"n_clusters": None, "distance_threshold": 1.02}):
        found = tree(metric="precomputed", **options).fit(D)
        other = AgglomerativeClustering(
            metric="precomputed", linkage="single", compute_distances=True, **options
        ).fit(D)
        assert found.n_clusters_ == other.n_clusters_
        assert adjusted_rand_score(found.labels_, other.labels_) == 1.0
        np.testing.assert_array_equal(np.sort(found.children_), np.sort(other.children_))
        np.testing.assert_array_equal(found.distances_, other.distances_)
    assert adjusted_rand_score(found.labels_, fcluster(found.linkage_, 1.02, "distance")) == 1.0


def test_a_threshold_joins_what_is_nearer_only():
    D = np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 3.0], [3.0, 3.0, 0.0]])
    for threshold, expected in (
        (0.5, [0, 1, 2]),
        (1.0, [0, 1, 2]),
        (2.0, [0, 0, 1]),
        (4.0, [0] * 3),
    ):
        found = tree(None, distance_threshold=threshold, metric="precomputed").fit(D)
        assert found.labels_.tolist() == expected


@pytest.mark.parametrize("min_samples", [1, 2, 5])
def test_ways_through_sparse_points_are_long(min_samples):
    """By the definition: the least largest step between two points, by Floyd's algorithm."""
    D = random_distances(25)
    core = np.sort(D, axis=1)[:, min_samples - 1]
    reach = np.maximum(D, np.maximum.outer(core, core))
    for k in range(len(D)):
        reach = np.minimum(reach, np.maximum.outer(reach[:, k], reach[k]))
    found = single_linkage(D, min_samples)
    expected = np.unique(reach[~np.eye(len(D), dtype=bool)])
    np.testing.assert_array_equal(np.unique(found[:, 2]), expected)


@pytest.mark.parametrize("smallest", [1, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_cut_from_above_with_as_many_clusters(smallest, seed):
    found = single_linkage(random_distances(40, seed), 3)
    counts = [cut_after(found, 39 - k, smallest).max() + 1 for k in range(40)]
    for n_clusters in range(1, max(counts) + 1):
        labels = cut_into(found, n_clusters, smallest)
        expected = cut_after(found, 39 - counts.index(n_clusters), smallest)
        np.testing.assert_array_equal(labels, expected)
        assert np.bincount(labels[labels >= 0]).min() >= smallest


@pytest.mark.parametrize("smallest", [2, 5])
def test_the_condensed_tree_is_that_of_scikit_learn(smallest):
    private = pytest.importorskip("sklearn.cluster._hdbscan._tree")
    X = np.concatenate([table(n=40), table(seed=1, n=40) + 3.0])
    found = tree(metric=NeighborEncoder(power=1), min_samples=3).fit(X).linkage_
    rows = zip(*found[:, :2].T.astype(int), found[:, 2], found[:, 3].astype(int))
    expected = private._condense_tree(np.array([*rows], dtype=private.HIERARCHY_dtype), smallest)
    condensed = condense(found, smallest)
    assert sorted(condensed.tolist()) == sorted(expected.tolist())
    assert condensed["parent"].min() == 80


def test_far_points_are_in_no_cluster_and_cost_none():
    X, y = make_moons(200, noise=0.04, random_state=0)
    X = np.concatenate([X, [[9.0, 9.0], [-9.0, 0.0]]])
    found = RiemannianSingleLinkage().fit(X)
    assert found.labels_[-2:].tolist() == [-1, -1]
    assert adjusted_rand_score(found.labels_[:-2], y) == 1.0
    np.testing.assert_array_equal(found.predict(X), found.labels_)
    np.testing.assert_array_equal(found.predict(X[:5] + 0.01), found.labels_[:5])


def test_distances_may_be_given():
    X, new = table(n=20), table(seed=1, n=5)
    distance = GeodesicDistance(PullbackMetric(slope, 2)).fit(X)
    expected = RiemannianSingleLinkage(metric=distance.metric_).fit(X)
    found = RiemannianSingleLinkage(metric="precomputed").fit(distance.transform(X))
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.predict(distance.transform(new)), expected.predict(new))
    with pytest.raises(TypeError, match="shortest_path"):
        found.fit(csr_matrix(distance.transform(X)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_clusters": None}, "Exactly one"),
        ({"distance_threshold": 1.0}, "Exactly one"),
        ({"n_clusters": 31}, "n_clusters=31"),
        ({"min_samples": 31}, "min_samples=31"),
        ({"n_clusters": None, "distance_threshold": np.nan}, "distance_threshold"),
    ],
)
def test_what_cannot_be_cut(parameters, message):
    with pytest.raises(ValueError, match=message):
        RiemannianSingleLinkage(**parameters).fit(table(n=30))


def test_clusters_that_are_not_there_are_missed_aloud():
    with pytest.warns(ConvergenceWarning, match="No cut leaves 5 clusters of 12 samples"):
        found = RiemannianSingleLinkage(5, min_cluster_size=12).fit(table(n=30))
    assert found.n_clusters_ < 5


def test_points_that_are_the_same_join_at_zero():
    X = np.repeat(table(n=10), 3, axis=0)
    found = tree(10).fit(X)
    np.testing.assert_array_equal(found.distances_[:20], 0.0)
    np.testing.assert_array_equal(found.labels_, np.repeat(np.arange(10), 3))
    assert np.isinf(found.condensed_tree_["lambda_val"]).any()


@pytest.mark.parametrize("kind", ["auto", "precomputed"])
def test_what_comes_back_from_a_file_is_the_same(kind):
    X = table(n=30) if kind == "auto" else random_distances(30)
    found = tree(5, metric=kind).fit(X)
    data = skops.io.dumps(found)
    trusted = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("skriem.") for name in trusted)
    for twin in (pickle.loads(pickle.dumps(found)), skops.io.loads(data, trusted=trusted)):
        np.testing.assert_array_equal(twin.predict(X), found.labels_)
        np.testing.assert_array_equal(twin.condensed_tree_, found.condensed_tree_)
    assert not hasattr(clone(found), "linkage_")
