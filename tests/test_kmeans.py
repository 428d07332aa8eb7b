"""RiemannianKMeans: the drop-in, its geometry, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from suites import thorough
from surfaces import sphere

from skriem import NeighborEncoder, RBFNoise, RiemannianKMeans, VAETransformer
from skriem.estimators.kmeans.memberships import memberships
from skriem.geometry import PullbackMetric
from skriem.geometry.models import clustering

# Between clusters the decoders here are rough, and some geodesics through the gaps stay
# unresolved: a warning that the tests of warnings look at, and the others do not.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Some geodesics did not converge:sklearn.exceptions.ConvergenceWarning"
)

FLAT = PullbackMetric(lambda z: z, 2)
FAST = VAETransformer(max_iter=20, noise="constant")


def blobs(n=150, seed=0):
    return make_blobs(n, centers=4, cluster_std=0.6, random_state=seed)


# In flat space it is KMeans ----------------------------------------------------------------


def test_flat_space_is_kmeans():
    X, _ = blobs()
    ours = RiemannianKMeans(4, metric=FLAT, tol=0.0, random_state=0).fit(X)
    theirs = KMeans(4, init=ours.cluster_centers_, n_init=1).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-3)
    np.testing.assert_allclose(ours.inertia_, theirs.inertia_, rtol=1e-4)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-2)
    np.testing.assert_allclose(ours.score(X), theirs.score(X), rtol=1e-4)


def test_sphere_clusters_by_great_circles():
    rng = np.random.default_rng(0)
    centers = np.array([[0.8, 0.7], [1.6, 1.6], [2.3, 2.5]])
    X = np.concatenate([rng.normal(c, 0.1, size=(40, 2)) for c in centers])
    found = RiemannianKMeans(3, metric=PullbackMetric(sphere, 2), random_state=0).fit(X)
    assert adjusted_rand_score(np.repeat(np.arange(3), 40), found.labels_) == 1.0
    order = np.argsort(found.cluster_centers_[:, 0])
    np.testing.assert_allclose(found.cluster_centers_[order], centers, atol=0.06)


@pytest.fixture
def space(digits_vae):
    vae, codes = digits_vae
    return vae.metric_, torch.as_tensor(np.array(codes))


def test_inertia_never_rises(space):
    metric, z = space
    z = z[:150]
    weights = torch.ones(len(z), dtype=torch.float64)
    for seed in range(2):
        rng = np.random.RandomState(seed)
        centers = z[clustering.seed(metric, z, 6, weights, rng)]
        history = clustering.lloyd(metric, z, centers, weights, 50, 1e-6).inertia
        assert len(history) > 2
        assert (np.diff(history) <= 1e-9 * history[0]).all()


def test_inertia_counts_weights(space):
    metric, z = space
    z = z[:40]
    once = torch.ones(len(z), dtype=torch.float64)
    inertias = [clustering.lloyd(metric, z, z[:3], w, 20, 1e-6).inertia for w in (once, 3 * once)]
    np.testing.assert_allclose(inertias[1], 3.0 * np.array(inertias[0]), rtol=1e-6)


def test_pruned_assignment_is_that_of_all_distances(space):
    metric, z = space
    z = z[:150]
    centers = z[::20]
    found = clustering.assign(metric, z, centers)
    n, k = len(z), len(centers)
    every = clustering._connect(
        metric.space_for(z), metric.graph, z.repeat_interleave(k, 0), centers.repeat(n, 1)
    )[1]
    every = every.reshape(n, k)
    best = every.min(1).values
    # Rounding may decide between centres at the same distance, nothing else.
    assert (found.energy <= best * (1 + 1e-6)).all()
    assert (found.labels == every.argmin(1)).double().mean() > 0.99


def test_labels_predict_transform_and_inertia_agree(digits, digits_vae):
    codes = digits_vae[1][:150]
    found = RiemannianKMeans(3, random_state=0).fit(codes)
    np.testing.assert_array_equal(found.predict(codes), found.labels_)
    distances = found.transform(codes)
    chosen = distances[np.arange(len(codes)), found.labels_]
    assert (chosen <= distances.min(axis=1) * 1.02).all()
    np.testing.assert_allclose(found.inertia_, (chosen**2).sum(), rtol=1e-2)
    np.testing.assert_allclose(found.score(codes), -found.inertia_, rtol=1e-2)
    assert adjusted_rand_score(digits[1][:150], found.labels_) > 0.8


def test_finds_moons_where_kmeans_does_not():
    X, y = make_moons(200, noise=0.05, random_state=0)
    found = RiemannianKMeans(2, random_state=0).fit(X)
    plain = KMeans(2, n_init=10, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) > 0.9
    assert adjusted_rand_score(y, plain.labels_) < 0.5


# The drop-in -------------------------------------------------------------------------------


def test_iris_with_nothing_else_said():
    X, y = load_iris(return_X_y=True)
    labels = RiemannianKMeans(n_clusters=3, random_state=0).fit_predict(X)
    assert set(labels) == {0, 1, 2}
    assert adjusted_rand_score(y, labels) > 0.5


@pytest.fixture(scope="module")
def iris_labels():
    return RiemannianKMeans(3, metric=FAST, random_state=0).fit_predict(load_iris().data[::3])


@pytest.mark.parametrize("kind", ["pandas", "float32", "fortran", "read-only", "list"])
def test_kinds_of_input(kind, iris_labels):
    X = load_iris().data[::3]
    if kind == "pandas":
        given = pd.DataFrame(X, columns=list("abcd"))
    elif kind == "list":
        given = X.tolist()
    else:
        given = np.array(X, dtype=np.float32 if kind == "float32" else np.float64)
        given = np.asfortranarray(given) if kind == "fortran" else given
        given.flags.writeable = kind != "read-only"
    found = RiemannianKMeans(3, metric=FAST, random_state=0).fit(given)
    assert adjusted_rand_score(found.labels_, iris_labels) > 0.95
    np.testing.assert_array_equal(found.predict(given), found.labels_)


def test_same_seed_same_result(global_state):
    X, _ = blobs(60)
    a, b = (RiemannianKMeans(3, metric=FAST, random_state=7).fit(X) for _ in range(2))
    np.testing.assert_array_equal(a.labels_, b.labels_)
    np.testing.assert_array_equal(a.cluster_centers_, b.cluster_centers_)


def test_predict_encodes_new_data():
    X, _ = blobs(80)
    found = RiemannianKMeans(3, metric=FAST, random_state=0).fit(X[:60])
    assert found.predict(X[60:]).shape == (20,)
    codes = found.encoder_.transform(X[60:])
    np.testing.assert_array_equal(found.predict(codes), found.predict(X[60:]))


@pytest.mark.slow
def test_restarts_do_not_depend_on_the_number_of_processes():
    X, _ = blobs(60)
    one, two = (
        RiemannianKMeans(4, metric=FAST, n_init=3, random_state=0, n_jobs=n).fit(X) for n in (1, 2)
    )
    np.testing.assert_array_equal(one.labels_, two.labels_)
    assert one.inertia_ == two.inertia_


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_init(init):
    X, y = blobs(60)
    found = RiemannianKMeans(4, metric=FLAT, init=init, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) > 0.9


def test_given_centers():
    X, y = blobs(60)
    centers = np.stack([X[y == k].mean(axis=0) for k in range(4)])
    flat = RiemannianKMeans(4, metric=FLAT, init=centers).fit(X)
    np.testing.assert_array_equal(flat.labels_, KMeans(4, init=centers, n_init=1).fit_predict(X))
    encoded = RiemannianKMeans(4, metric=FAST, init=centers, random_state=0).fit(X)
    assert adjusted_rand_score(y, encoded.labels_) > 0.9


@pytest.mark.slow
def test_larger_sets_settle_on_a_sample_first():
    X, y = blobs(1500)
    found = RiemannianKMeans(4, metric=FLAT, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) > 0.9


def test_weights_pull_the_centers():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [11.0, 0.0]])
    weights = [3.0, 1.0, 0.0, 1.0]
    found = RiemannianKMeans(2, metric=FLAT, random_state=0).fit(X, sample_weight=weights)
    centers = np.sort(found.cluster_centers_[:, 0])
    np.testing.assert_allclose(centers, [0.25, 11.0], atol=1e-3)
    assert found.labels_.shape == (4,)


def test_empty_clusters_are_seeded_again():
    X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [5.1, 0.0], [9.0, 0.0]])
    far = np.array([[0.0, 0.0], [100.0, 0.0], [101.0, 0.0]])
    found = RiemannianKMeans(3, metric=FLAT, init=far).fit(X)
    assert set(found.labels_) == {0, 1, 2}


def test_feature_names_out():
    X, _ = blobs(40)
    found = RiemannianKMeans(2, metric=FAST, random_state=0).fit(X)
    assert list(found.get_feature_names_out()) == ["riemanniankmeans0", "riemanniankmeans1"]
    assert list(found.set_output(transform="pandas").transform(X).columns) == [
        "riemanniankmeans0",
        "riemanniankmeans1",
    ]


# Where the metric comes from ---------------------------------------------------------------


def test_frozen_encoder_is_used_as_it_is(digits, digits_vae):
    vae, codes = digits_vae[0], digits_vae[1][:100]
    frozen = RiemannianKMeans(3, metric=FrozenEstimator(vae), random_state=0).fit(digits[0][:100])
    assert frozen.metric_ is vae.metric_
    direct = RiemannianKMeans(3, random_state=0).fit(codes)
    np.testing.assert_array_equal(frozen.labels_, direct.labels_)


@pytest.mark.slow
def test_encoder_parameters_are_reachable():
    estimator = RiemannianKMeans(
        2, metric=VAETransformer(max_iter=5, noise=RBFNoise(bandwidth=3.0, contrast=5))
    )
    estimator.set_params(metric__n_components=3, random_state=0)
    assert estimator.fit(blobs(40)[0]).cluster_centers_.shape == (2, 3)


def test_foreign_codes_are_refused(digits, digits_vae):
    codes = digits_vae[1][:60]
    found = RiemannianKMeans(3, random_state=0).fit(codes)
    other = VAETransformer(
        max_iter=5, noise=RBFNoise(bandwidth=3.0, contrast=5), random_state=1
    ).fit_transform(digits[0][:60])
    for method in (found.predict, found.transform, found.score):
        with pytest.raises(ValueError, match="another metric"):
            method(other)
    with pytest.raises(ValueError, match="another metric"):
        RiemannianKMeans(3, metric=FLAT).fit(codes)
    # Plain arrays of the right width are points in the fitted metric's coordinates.
    np.testing.assert_array_equal(found.predict(np.asarray(codes)), found.labels_)
    with pytest.raises(ValueError, match="2 features"):
        found.predict(digits[0])


def test_codes_and_an_encoder_to_fit_contradict_each_other(digits_vae):
    with pytest.raises(ValueError, match="carry their own metric"):
        RiemannianKMeans(3, metric=VAETransformer()).fit(digits_vae[1])


def test_encoder_without_geometry_is_refused():
    from sklearn.decomposition import PCA

    with pytest.raises(ValueError, match="carries no metric"):
        RiemannianKMeans(2, metric=PCA(2)).fit(blobs(40)[0])


def test_codes_that_lost_their_metric_are_recognised(digits, digits_vae):
    import copy

    vae = copy.deepcopy(digits_vae[0]).set_output(transform="polars")
    with pytest.raises(ValueError, match="their metric was lost"):
        RiemannianKMeans(3).fit(vae.transform(digits[0]))
    points = NeighborEncoder().set_output(transform="polars").fit_transform(digits[0][:60])
    with pytest.raises(ValueError, match="codes of a NeighborEncoder"):
        RiemannianKMeans(3).fit(points)


# What it refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0], [2.0, 3.0]]), "NaN"),
        (np.array([[1.0, np.inf], [0.0, 1.0], [2.0, 3.0]]), "infinity"),
        (np.array([["a", "b"], ["c", "d"], ["e", "f"]]), "could not convert|dtype"),
        (csr_matrix(np.eye(5)), "[Ss]parse"),
        (np.ones((1, 4)), "minimum of 2"),
        (np.ones((10, 4)), "All rows of X are the same"),
        (np.eye(2), "n_samples=2 should be >= n_clusters=3"),
    ],
)
def test_bad_data(X, match):
    with pytest.raises((ValueError, TypeError), match=match):
        RiemannianKMeans(3, metric=VAETransformer(max_iter=2)).fit(X)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_clusters": 0},
        {"init": "best"},
        {"n_init": 0},
        {"max_iter": 0},
        {"tol": -1.0},
        {"metric": "euclidean"},
        {"metric": 3},
    ],
    ids=str,
)
def test_bad_parameters(parameters):
    with pytest.raises((ValueError, TypeError), match=next(iter(parameters))):
        RiemannianKMeans(**{"n_clusters": 2, **parameters}).fit(blobs(20)[0])


@pytest.mark.parametrize("weights", [[-1.0] * 20, [np.nan] * 20, [1.0] * 19, [0.0] * 20])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="[Ss]ample.weight"):
        RiemannianKMeans(2, metric=FLAT).fit(blobs(20)[0], sample_weight=weights)


@pytest.mark.parametrize(
    ("init", "match"), [(np.zeros((3, 2)), "shape"), (np.full((2, 2), np.nan), "finite")]
)
def test_bad_centers(init, match):
    with pytest.raises(ValueError, match=match):
        RiemannianKMeans(2, metric=FLAT, init=init).fit(blobs(20)[0])


def test_fewer_distinct_points_than_clusters_is_a_warning():
    X = np.repeat(np.array([[0.0, 0.0], [1.0, 1.0]]), 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 2 distinct points"):
        found = RiemannianKMeans(3, metric=FLAT, random_state=0).fit(X)
    assert len(set(found.labels_)) == 2
    assert np.isfinite(found.inertia_)


def test_running_out_of_iterations_is_a_warning(digits_vae):
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iteration"):
        RiemannianKMeans(5, max_iter=1, random_state=0).fit(digits_vae[1])


def test_unsolved_geodesics_are_counted_once():
    def broken(z):
        return torch.where(z[:, :1] > 4.0, torch.nan, z)

    X, _ = blobs(40)
    found = RiemannianKMeans(2, metric=PullbackMetric(broken, 2), random_state=0).fit(
        X[X[:, 0] < 3]
    )
    with pytest.warns(ConvergenceWarning, match="2 of 6: .*NaN or infinite") as record:
        distances = found.transform(np.array([[0.0, 0.0], [5.0, 0.0], [1.0, 1.0]]))
    assert len(record) == 1
    assert np.isnan(distances).sum() == 2


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_points_that_cannot_be_reached_are_refused(init):
    def broken(z):
        return torch.where(z[:, :1] > 2.0, torch.nan, z)

    metric = PullbackMetric(broken, 2)
    with pytest.raises(ValueError, match="cannot be reached"):
        RiemannianKMeans(2, metric=metric, init=init, random_state=0).fit(blobs(40)[0])


def test_batches_lead_to_the_same_clusters():
    X, y = blobs(300)
    order = np.random.default_rng(0).permutation(len(X))
    whole = RiemannianKMeans(3, metric=FLAT, n_init=3, random_state=0).fit(X)
    parts = RiemannianKMeans(3, metric=FLAT, n_init=3, random_state=0)
    for rows in np.array_split(order, 5):
        parts.partial_fit(X[rows])
    assert parts.counts_.sum() == len(X)
    assert parts.inertia_ == pytest.approx(whole.inertia_ / 5, rel=0.3)
    assert adjusted_rand_score(whole.labels_, parts.predict(X)) > 0.95
    # On flat space a centre is the running average of the samples it was given.
    one = RiemannianKMeans(1, metric=FLAT, random_state=0)
    for rows in np.array_split(order, 5):
        one.partial_fit(X[rows])
    np.testing.assert_allclose(one.cluster_centers_[0], X.mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="features"):
        one.partial_fit(np.zeros((4, 3)))


@pytest.mark.slow
def test_many_points_get_the_labels_of_exact_distances(steep_digits_vae, digits):
    rng = np.random.default_rng(0)
    X = np.concatenate([digits[0] + rng.normal(size=digits[0].shape) for _ in range(9)])
    codes = steep_digits_vae[0].transform(X)
    model = RiemannianKMeans(3, random_state=0).fit(codes)
    some = codes[:150]
    exact = model.transform(some)
    chosen = exact[np.arange(len(some)), model.predict(codes)[:150]]
    assert (chosen <= 1.01 * exact.min(1)).all()
    assert (model.labels_[:150] == exact.argmin(1)).mean() > 0.97


def test_counts_are_sums_of_weights():
    X, _ = blobs(40)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = RiemannianKMeans(3, metric=FLAT, random_state=0).fit(X, sample_weight=weights)
    expected = [weights[model.labels_ == k].sum() for k in range(3)]
    np.testing.assert_allclose(model.counts_, expected)


def test_representatives_stand_for_the_weight_around_them(monkeypatch):
    monkeypatch.setattr("skriem.geometry.models.clustering.MANY", 30)
    X = np.random.default_rng(0).uniform(size=(300, 2))
    weights = np.where(X[:, 0] > 0.5, 9.0, 1.0)
    model = RiemannianKMeans(1, metric=FLAT, random_state=0).fit(X, sample_weight=weights)
    expected = np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(model.cluster_centers_[0], expected, atol=0.03)


# Soft clusters, ordinary samples ------------------------------------------------------------


def plain_and_not(name):
    """A fitted estimator and new samples, for plain data and for points of a space."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) * 0.3 + 5.0])
    metric = {"plain": "auto", "local": "local", "among points": NeighborEncoder()}[name]
    return RiemannianKMeans(2, metric=metric, random_state=0).fit(X), X, X + 0.1


WAYS = thorough(["plain", "among points", "local"], slow=["local"])


@pytest.mark.parametrize("name", WAYS)
def test_memberships_are_largest_where_predict_says(name):
    kmeans, X, new = plain_and_not(name)
    for Z in (X, new, 3.0 * X):
        shares = kmeans.predict_proba(Z)
        np.testing.assert_allclose(shares.sum(1), 1.0)
        assert (shares >= 0.0).all()
        np.testing.assert_array_equal(shares.argmax(1), kmeans.predict(Z))
    if name != "plain":
        np.testing.assert_array_equal(shares.argsort(1)[:, ::-1], kmeans.transform(Z).argsort(1))


def test_memberships_are_shares_of_inverse_squares():
    found = memberships(np.array([[1.0, 2.0], [0.0, 3.0], [0.0, 0.0], [5.0, np.inf]]))
    np.testing.assert_allclose(found, [[0.8, 0.2], [1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    # A step of one, and a gap of ten, which is a hundred long.
    X = np.array([[0.0], [1.0], [2.0], [12.0], [13.0], [14.0]])
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    other = kmeans.predict_proba([[2.0]]).min() / kmeans.predict_proba([[2.0]]).max()
    assert other == pytest.approx(1.0 / 101.0**2)


@pytest.mark.parametrize("name", WAYS)
def test_far_samples_are_less_ordinary(name):
    kmeans, X, _ = plain_and_not(name)
    line = np.array([[5.0, 5.0], [6.5, 6.5], [9.0, 9.0], [30.0, 30.0]])
    scores = kmeans.score_samples(line)
    assert (np.diff(scores) < 0.0).all()
    if name == "plain":
        # The unit is that of each cluster, however dense.
        for k in range(2):
            assert np.median(kmeans.score_samples(X[kmeans.labels_ == k])) == pytest.approx(-1.0)


def test_medoids_are_samples():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(90, 3)) + 6.0 * np.eye(3).repeat(30, axis=0), 2, axis=0)
    weights = np.tile([0.0, 1.0], 90)
    pipeline = make_pipeline(StandardScaler(), RiemannianKMeans(3, random_state=0))
    pipeline.fit(X, riemanniankmeans__sample_weight=weights)
    last = pipeline[-1]
    # Rows without weight are no centres.
    assert (last.medoid_indices_ % 2 == 1).all()
    np.testing.assert_array_equal(
        pipeline[:-1].transform(X)[last.medoid_indices_], last.cluster_centers_
    )
    np.testing.assert_allclose(
        pipeline[:-1].inverse_transform(last.cluster_centers_), X[last.medoid_indices_]
    )
    np.testing.assert_array_equal(pipeline.predict(X[last.medoid_indices_]), range(3))
    among = RiemannianKMeans(3, metric=NeighborEncoder(), random_state=0).fit(X)
    np.testing.assert_array_equal(X[among.medoid_indices_], among.cluster_centers_)
    assert not hasattr(plain_and_not("local")[0], "medoid_indices_")
    # The first of equal rows, and gone where centres move or are none.
    twice = RiemannianKMeans(3, random_state=0).fit(X)
    assert (twice.medoid_indices_ % 2 == 0).all()
    assert not hasattr(twice.partial_fit(X), "medoid_indices_")
    twice.set_params(metric=PullbackMetric(lambda z: z, 3)).fit(X)
    assert not any(hasattr(twice, name) for name in ("partition_", "conductances_"))


@pytest.mark.slow
def test_medoids_of_codes_are_samples_with_that_code():
    X = load_digits().data[:600]
    kmeans = RiemannianKMeans(10, random_state=0).fit(X)
    assert kmeans.encoder_.encoder_ is not None
    codes = kmeans.encoder_.transform(X[kmeans.medoid_indices_])
    np.testing.assert_allclose(codes, kmeans.cluster_centers_, atol=1e-12)
