"""RiemannianKMeans(metric="precomputed"): matrices of distances and graphs of neighbours."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsTransformer, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skriem import (
    GeodesicDistance,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    geodesic_silhouette,
)

GIVEN = RiemannianKMeans(3, metric="precomputed", random_state=0)
X, MOON = make_moons(300, noise=0.05, random_state=0)
BLOBS = np.random.default_rng(0).normal(size=(90, 2)) + 9.0 * np.repeat([[0], [1], [2]], 30, 0)


def to(Z):
    return cdist(Z, BLOBS)


# What scikit-learn checks with features, or with the attributes of classifiers.
OF_FEATURES = {
    "check_clustering": "gives features, no distances",
    "check_estimator_sparse_array": "asks for the tags of a classifier",
    "check_estimator_sparse_matrix": "asks for the tags of a classifier",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [RiemannianKMeans(metric="precomputed")], expected_failed_checks=lambda _: OF_FEATURES
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_medoids_of_a_matrix():
    kmeans = clone(GIVEN).fit(to(BLOBS))
    labels = kmeans.labels_
    assert adjusted_rand_score(np.repeat(range(3), 30), labels) == 1.0
    for k, medoid in enumerate(kmeans.medoid_indices_):
        squares = to(BLOBS)[np.ix_(labels == k, labels == k)] ** 2
        assert to(BLOBS)[medoid, labels == k] @ to(BLOBS)[medoid, labels == k] == pytest.approx(
            squares.sum(0).min()
        )
    own = to(BLOBS)[np.arange(90), kmeans.medoid_indices_[labels]]
    assert kmeans.inertia_ == pytest.approx((own**2).sum())
    assert -kmeans.score(to(BLOBS)) == pytest.approx(kmeans.inertia_)
    np.testing.assert_array_equal(kmeans.predict(to(BLOBS)), labels)
    np.testing.assert_array_equal(kmeans.transform(to(BLOBS)), to(BLOBS)[:, kmeans.medoid_indices_])
    np.testing.assert_array_equal(kmeans.counts_, np.bincount(labels))
    assert not hasattr(kmeans, "cluster_centers_")
    new = BLOBS + 0.1
    np.testing.assert_array_equal(kmeans.predict(to(new)), labels)
    np.testing.assert_array_equal(kmeans.predict_proba(to(new)).argmax(1), labels)
    assert (kmeans.score_samples(to(new + 40.0)) < kmeans.score_samples(to(new)).min()).all()
    assert list(kmeans.get_feature_names_out()) == [f"riemanniankmeans{k}" for k in range(3)]


def test_the_input_is_not_changed():
    for D in (to(BLOBS), kneighbors_graph(BLOBS, 40, mode="distance")):
        before = D.copy()
        clone(GIVEN).fit(D)
        assert abs(D - before).max() == 0.0


def test_weights_pull_the_medoids():
    line = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    D = cdist(line, line)
    kmeans = RiemannianKMeans(2, metric="precomputed", random_state=0)
    kmeans.fit(D, sample_weight=[9.0, 1.0, 1.0, 1.0, 1.0, 9.0])
    assert set(kmeans.medoid_indices_) == {0, 5}
    np.testing.assert_allclose(kmeans.counts_, [11.0, 11.0])


def test_behind_geodesic_distances():
    pipe = make_pipeline(
        GeodesicDistance(NeighborEncoder()),
        RiemannianKMeans(2, metric="precomputed", random_state=0),
    )
    pipe.fit(X[::2])
    assert adjusted_rand_score(MOON[1::2], pipe.predict(X[1::2])) > 0.95
    assert pipe.transform(X[1::2]).shape == (150, 2)
    direct = RiemannianKMeans(2, metric=NeighborEncoder(), random_state=0).fit(X[::2])
    assert adjusted_rand_score(direct.labels_, pipe[-1].labels_) == 1.0
    assert pipe[-1].inertia_ == pytest.approx(direct.inertia_)


def test_searches_cut_rows_and_columns():
    assert get_tags(GIVEN).input_tags.pairwise
    assert get_tags(GIVEN).input_tags.sparse
    assert not get_tags(RiemannianKMeans()).input_tags.pairwise
    search = GridSearchCV(clone(GIVEN), {"n_clusters": [1, 2, 3]}, cv=3).fit(to(BLOBS))
    assert search.best_params_ == {"n_clusters": 3}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_parameters_set_later_change_no_answer():
    kmeans = clone(GIVEN).fit(to(BLOBS))
    kmeans.set_params(metric="auto", n_clusters=7)
    np.testing.assert_array_equal(kmeans.predict(to(BLOBS)), kmeans.labels_)
    twin = pickle.loads(pickle.dumps(kmeans))
    np.testing.assert_array_equal(twin.transform(to(BLOBS)), kmeans.transform(to(BLOBS)))
    kmeans.set_params(n_clusters=3).fit(BLOBS)
    np.testing.assert_array_equal(kmeans.predict(BLOBS), kmeans.labels_)
    kmeans.set_params(metric="precomputed").fit(to(BLOBS))
    assert not any(hasattr(kmeans, name) for name in ("metric_", "partition_", "cluster_centers_"))


# Graphs -------------------------------------------------------------------------------------


def test_distances_of_a_graph_are_its_paths():
    graph = kneighbors_graph(X, 12, mode="distance")
    kmeans = RiemannianKMeans(2, metric="precomputed", random_state=0).fit(graph)
    paths = dijkstra(graph.maximum(graph.T))[kmeans.medoid_indices_]
    np.testing.assert_allclose(kmeans.inertia_, (paths.min(0) ** 2).sum())
    np.testing.assert_array_equal(kmeans.labels_, paths.argmin(0))
    table = RiemannianKMeans(2, metric="precomputed", random_state=0)
    table.fit(dijkstra(graph.maximum(graph.T)))
    assert table.inertia_ == pytest.approx(kmeans.inertia_, rel=1e-9)


def test_new_samples_know_their_neighbours():
    neighbors = KNeighborsTransformer(n_neighbors=10)
    graph = neighbors.fit_transform(X[::2])
    kmeans = RiemannianKMeans(2, metric="precomputed", random_state=0).fit(graph)
    # Each is its own neighbour there, at a stored zero.
    np.testing.assert_array_equal(kmeans.predict(graph), kmeans.labels_)
    whole = dijkstra(graph.maximum(graph.T))[kmeans.medoid_indices_].T
    np.testing.assert_allclose(kmeans.transform(graph), whole, atol=1e-12)
    assert -kmeans.score(graph) == pytest.approx(kmeans.inertia_)
    new = neighbors.transform(X[1::2])
    by_way = new.toarray()[:, :, None] + whole
    by_way[new.toarray() == 0.0] = np.inf
    np.testing.assert_allclose(kmeans.transform(new), by_way.min(1), rtol=1e-9)
    assert adjusted_rand_score(MOON[1::2], kmeans.predict(new)) > 0.2


def test_parts_of_a_graph_are_clusters():
    graph = kneighbors_graph(BLOBS, 5, mode="distance")
    for seed in range(5):
        kmeans = clone(GIVEN).set_params(random_state=seed).fit(graph)
        assert adjusted_rand_score(np.repeat(range(3), 30), kmeans.labels_) == 1.0
    assert np.isfinite(kmeans.inertia_)
    assert np.isinf(kmeans.transform(graph)).sum() == 180
    np.testing.assert_allclose(kmeans.predict_proba(graph).max(1), 1.0)
    with pytest.raises(ValueError, match="3 parts that no edge joins"):
        RiemannianKMeans(2, metric="precomputed").fit(graph)


@pytest.mark.slow
def test_many_samples_of_a_graph():
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 1500)
    Z = rng.normal(size=(6000, 2)) + 6.0 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[y]
    graph = kneighbors_graph(Z, 30, mode="distance")
    kmeans = RiemannianKMeans(4, metric="precomputed", random_state=0).fit(graph)
    assert adjusted_rand_score(y, kmeans.labels_) > 0.9


# What it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("D", "match"),
    [
        (np.ones((4, 3)), "square matrix; X has shape"),
        (-to(BLOBS), "Negative values"),
        (np.where(to(BLOBS) > 20, np.nan, to(BLOBS)), "NaN"),
        (np.where(to(BLOBS) > 20, np.inf, to(BLOBS)), "infinity"),
        (np.triu(to(BLOBS)), "must be symmetric"),
        (np.exp(-to(BLOBS)), "zeros in its diagonal"),
        (1e101 * to(BLOBS), "larger unit"),
        (to(BLOBS)[:2, :2], "n_samples=2 should be >= n_clusters=3"),
        (np.zeros((1, 1)), "minimum of 2"),
        (csr_matrix(np.ones((4, 3))), "square matrix; X has shape"),
        (csr_matrix(-to(BLOBS)), "Negative values"),
        (csr_matrix(np.where(to(BLOBS) > 20, np.nan, to(BLOBS))), "NaN"),
        (csr_matrix((9, 9)), "9 parts"),
    ],
)
def test_bad_distances(D, match):
    with pytest.raises(ValueError, match=match):
        clone(GIVEN).fit(D)


@pytest.mark.parametrize(
    "parameters", [{"n_clusters": "auto"}, {"init": BLOBS[:3]}], ids=["auto", "centres"]
)
def test_bad_parameters(parameters):
    with pytest.raises(ValueError, match="no coordinates"):
        clone(GIVEN).set_params(**parameters).fit(to(BLOBS))


def test_bad_distances_of_new_samples():
    kmeans = clone(GIVEN).fit(to(BLOBS))
    for D, match in [
        (to(BLOBS)[:, :5], "90 features"),
        (-to(BLOBS), "Negative"),
        (np.full((2, 90), np.nan), "NaN"),
        (csr_matrix((2, 90)), "no entries"),
    ]:
        with pytest.raises(ValueError, match=match):
            kmeans.predict(D)
    with pytest.raises(AttributeError, match="partial_fit"):
        kmeans.partial_fit(to(BLOBS))
    with pytest.raises(TypeError, match="precomputed"):
        geodesic_silhouette(kmeans, to(BLOBS))


@pytest.mark.parametrize("estimator", [RiemannianNormal, GeodesicDistance])
def test_others_take_no_distances(estimator):
    with pytest.raises(ValueError, match="metric must be"):
        estimator(metric="precomputed").fit(to(BLOBS))
