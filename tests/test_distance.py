"""GeodesicDistance and the estimators that take its matrices."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.datasets import make_moons
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skriem import GeodesicDistance, RBFNoise, VAETransformer
from skriem.geometry import PullbackMetric

# Between clusters the decoders here are rough, and some geodesics through the gaps stay
# unresolved: a warning that the tests of warnings look at, and the others do not.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Some geodesics did not converge:sklearn.exceptions.ConvergenceWarning"
)

FLAT = PullbackMetric(lambda z: z, 2)


def points(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


@pytest.mark.parametrize("method", ["exact", "auto"])
def test_flat_space(method):
    a, b = points(20), points(7, seed=1)
    found = GeodesicDistance(FLAT, method=method).fit(a)
    expected = np.linalg.norm(b[:, None] - a, axis=2)
    np.testing.assert_allclose(found.transform(b), expected, rtol=1e-9)
    np.testing.assert_allclose(found.pairwise(b, a), expected, rtol=1e-9)
    np.testing.assert_allclose(found(b[0], a[3]), expected[0, 3], rtol=1e-9)
    assert found.method_ == "exact"


@pytest.mark.parametrize("method", ["exact", "grid", "graph", "landmarks"])
def test_matrices_are_symmetric_with_zero_diagonal(digits_vae, method):
    codes = digits_vae[1][:15]
    D = GeodesicDistance(method=method).fit_transform(codes)
    np.testing.assert_array_equal(D, D.T)
    assert (np.diag(D) == 0).all()
    assert (D[~np.eye(15, dtype=bool)] > 0).all()


def test_matrices_in_blocks_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr("skriem.estimators.distance.BLOCK", 7)
    X = points(20)
    found = GeodesicDistance(FLAT, method="graph").fit_transform(X)
    np.testing.assert_allclose(found, cdist(X, X), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "bound"), [("grid", 0.01), ("graph", 0.05)])
def test_approximate_distances_are_as_good_as_they_say(steep_digits_vae, method, bound):
    codes = steep_digits_vae[1][:120]
    some = GeodesicDistance(method=method).fit(codes)
    exact = GeodesicDistance(method="exact").fit(codes)
    D, E = some.transform(codes[:15]), exact.transform(codes[:15])
    errors = np.abs(D / np.where(E > 0, E, 1.0) - 1.0)[E > 0]
    assert np.median(errors) < bound
    assert np.median(errors) < 3 * some.error_estimate_["median"] + 1e-3
    assert some.error_estimate_["median"] <= some.error_estimate_["quantile_99"]


def test_the_method_follows_from_size_and_dimension(digits_vae):
    assert GeodesicDistance().fit(digits_vae[1]).method_ == "grid"
    space = PullbackMetric(lambda z: z, 5)
    X = np.random.default_rng(0).normal(size=(2100, 5))
    assert GeodesicDistance(space).fit(X[:50]).method_ == "exact"
    assert GeodesicDistance(space).fit(X[:200]).method_ == "graph"
    landmarks = GeodesicDistance(space, random_state=0).fit(X)
    assert landmarks.method_ == "landmarks"
    expected = np.linalg.norm(X[:20, None] - X[:7], axis=2)
    np.testing.assert_allclose(landmarks.pairwise(X[:20], X[:7]), expected, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="dimensions"):
        GeodesicDistance(space, method="grid").fit(X[:50])


def test_a_job_larger_than_memory_is_refused(digits_vae):
    distance = GeodesicDistance(method="grid").fit(digits_vae[1][:15])
    X = np.broadcast_to(np.zeros((1, 2)), (10**8, 2))
    with pytest.raises(MemoryError, match="GiB"):
        distance._distances(X, X[: 10**7])


@pytest.mark.slow
def test_processes_do_not_matter(digits_vae):
    codes = digits_vae[1][:15]
    one, two = (GeodesicDistance(n_jobs=n).fit_transform(codes) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    codes = digits_vae[1]
    one, two = (GeodesicDistance(n_jobs=n).fit_transform(codes) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_dbscan_in_a_pipeline():
    X, y = make_moons(200, noise=0.05, random_state=0)
    vae = FrozenEstimator(VAETransformer(random_state=0).fit(X))
    distances = make_pipeline(vae, GeodesicDistance()).fit(X)
    D = distances.transform(X)
    apart = AgglomerativeClustering(2, metric="precomputed", linkage="average")
    assert adjusted_rand_score(y, apart.fit_predict(D)) > 0.9
    dense = DBSCAN(eps=np.quantile(D, 0.05), metric="precomputed")
    labels = make_pipeline(FrozenEstimator(distances), dense).fit_predict(X)
    assert labels.shape == (200,)
    assert labels.max() >= 0


@pytest.mark.slow
def test_neighbors_classifier(digits):
    X, y = digits
    pipeline = make_pipeline(
        VAETransformer(random_state=0, max_iter=60, noise=RBFNoise(bandwidth=1.5)),
        GeodesicDistance(),
        KNeighborsClassifier(5, metric="precomputed"),
    )
    assert pipeline.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9


def test_as_a_metric_function(digits_vae, digits):
    codes = np.asarray(digits_vae[1][:8])
    distance = GeodesicDistance(digits_vae[0].metric_, method="exact").fit(codes)
    classifier = KNeighborsClassifier(1, metric=distance, algorithm="brute")
    classifier.fit(codes, digits[1][:8])
    np.testing.assert_array_equal(classifier.predict(codes), digits[1][:8])


def test_own_encoder_and_foreign_codes(digits, digits_vae):
    X = digits[0][:40]
    found = GeodesicDistance(
        VAETransformer(max_iter=5, noise=RBFNoise(bandwidth=3.0, contrast=5)), random_state=0
    ).fit(X)
    assert found.transform(X[:3]).shape == (3, 40)
    with pytest.raises(ValueError, match="another metric"):
        found.transform(digits_vae[1])


def test_bad_method():
    with pytest.raises(ValueError, match="method must be"):
        GeodesicDistance(FLAT, method="fast").fit(points(5))


def test_path(digits_vae):
    codes = digits_vae[1]
    distance = GeodesicDistance().fit(codes[:20])
    path = distance.path(codes[0], codes[5], n=15)
    assert path.shape == (15, 2)
    assert path.metric == digits_vae[0].metric_
    np.testing.assert_array_equal(path[0], codes[0])
    np.testing.assert_array_equal(path[-1], codes[5])
    steps = path.metric.distance(path[:-1], path[1:], tol=1e-3)
    assert steps.std() < 0.1 * steps.mean()
    assert digits_vae[0].inverse_transform(path).shape == (15, 64)
    with pytest.raises(ValueError, match="n == 1"):
        distance.path(codes[0], codes[5], n=1)
