"""Neighbours in training, NeighborEncoder, and RiemannianKMeans on plain data."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import (
    GeodesicDistance,
    NeighborEncoder,
    Neighbors,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
)
from skriem.estimators.neighbor_encoder import feature_scale
from skriem.geometry import NearestNeighborMetric
from skriem.nn.attraction import info_nce
from skriem.nn.train import walk

CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def triple(n=150, std=1.0):
    return make_blobs(n, centers=CENTERS, cluster_std=std, random_state=0)


def circles(n=300):
    return make_circles(n, noise=0.05, factor=0.5, random_state=0)


@pytest.fixture
def fast(monkeypatch):
    """Hardly any training."""
    monkeypatch.setattr("skriem.estimators.neighbor_encoder.N_STEPS", 1)


# Attraction and neighbours -----------------------------------------------------------------


@pytest.mark.parametrize("log_scale", [0.0, 0.7])
def test_info_nce_is_the_mean_over_both_directions(log_scale):
    z, near = normal(7, 3), normal(7, 3, seed=1)
    similarity = 1.0 / (1.0 + np.exp(2.0 * log_scale) * cdist(z, near) ** 2)
    expected = 0.0
    for i in range(7):
        for row in (similarity[i], similarity[:, i]):
            expected -= np.log(row[i] / sum(row)) / 14
    found = info_nce(torch.tensor(z), torch.tensor(near), torch.tensor(log_scale))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_info_nce_is_low_when_pairs_match():
    z = torch.tensor(normal(20, 2))
    zero = torch.zeros(())
    matched, mixed = info_nce(z, z + 0.01, zero), info_nce(z, z.roll(1, 0), zero)
    assert 0.0 < matched < mixed
    same = torch.zeros_like(z)
    assert info_nce(same, same, zero).item() == pytest.approx(np.log(20))


def test_info_nce_has_gradients_where_codes_coincide():
    z = torch.tensor(normal(6, 2)).requires_grad_()
    log_scale = torch.zeros((), requires_grad=True)
    near = z.detach().clone()
    near[1] = near[0]
    info_nce(z, near, log_scale).backward()
    assert z.grad.isfinite().all()
    assert (z.grad != 0.0).any()
    assert log_scale.grad.isfinite()


def test_walks_go_from_neighbour_to_neighbour():
    n = 40
    ring = (torch.arange(n)[:, None] + torch.tensor([-1, 1])) % n
    rows, generator = torch.arange(n), torch.Generator().manual_seed(0)
    for n_steps in (0, 1, 6):
        ends = walk(ring, rows, n_steps, generator)
        around = ((ends - rows + n // 2) % n - n // 2).abs()
        assert (around <= n_steps).all()
        assert (around % 2 == n_steps % 2).all()
    assert around.max() > 2


def test_neighbours_remove_what_they_do_not_share():
    angle = 2 * np.pi * np.random.default_rng(0).uniform(size=400)
    clean = np.zeros((400, 10))
    clean[:, 0], clean[:, 1] = np.cos(angle), np.sin(angle)
    noisy = clean + 0.15 * normal(400, 10, seed=1)

    def from_circle(x):
        return np.hypot(np.hypot(x[:, 0], x[:, 1]) - 1.0, np.linalg.norm(x[:, 2:], axis=1)).mean()

    vae = VAETransformer(neighbors=5, noise="constant", max_iter=60, random_state=0)
    decoded = vae.fit(noisy).inverse_transform(vae.transform(noisy))
    assert from_circle(decoded) < 0.6 * from_circle(noisy)
    # And has not done so by forgetting the circle.
    assert np.linalg.norm(decoded - clean, axis=1).mean() < 0.5


@pytest.mark.parametrize("attraction", [0.0, 1.0])
def test_training_on_neighbours_is_reproducible(attraction, global_state):
    X = load_iris().data
    vae = VAETransformer(neighbors=Neighbors(5, attraction=attraction), max_iter=10, random_state=0)
    first, second = (clone(vae).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.loss_curve_ == second.loss_curve_
    assert first.n_iter_ == len(first.loss_curve_) == (20 if attraction else 10)
    plain = clone(vae).set_params(neighbors=None).fit(X)
    assert first.loss_curve_ != plain.loss_curve_


def test_attraction_draws_neighbours_together():
    X, _ = make_blobs(300, 5, centers=3, cluster_std=3.0, random_state=0)
    near = cdist(X, X).argsort(1)[:, 1:16]

    def closeness(vae):
        codes = np.asarray(vae.fit(X).transform(X))
        distances = cdist(codes, codes)
        return np.take_along_axis(distances, near, 1).mean() / distances.mean()

    plain = VAETransformer(neighbors=15, max_iter=60, noise="constant", random_state=0)
    drawn = clone(plain).set_params(max_iter=30, neighbors=Neighbors(attraction=1.0))
    assert closeness(drawn) < 0.9 * closeness(plain)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"neighbors": 0}, "n_neighbors"),
        ({"neighbors": 5, "early_stopping": True}, "early_stopping"),
        ({"neighbors": -1}, "n_neighbors"),
        ({"neighbors": Neighbors(5, attraction=-1.0)}, "attraction"),
    ],
    ids=str,
)
def test_bad_parameters_of_neighbours(parameters, match):
    with pytest.raises(ValueError, match=match):
        VAETransformer(max_iter=2, **parameters).fit(load_iris().data)


# NeighborEncoder ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_features_come_out_unchanged(n_features, dtype):
    X = (7.0 * normal(50, n_features) + 3.0).astype(dtype)
    points = NeighborEncoder(random_state=0).fit_transform(X)
    np.testing.assert_array_equal(points, X)
    assert points.dtype == dtype
    assert isinstance(points.metric, NearestNeighborMetric)


@pytest.mark.parametrize(("n", "n_features"), [(1500, 50), (50, 60)])
def test_up_to_fifty_features_or_samples_are_left_as_they_are(fast, n, n_features):
    X = normal(n, n_features)
    encoder = NeighborEncoder(random_state=0).fit(X)
    assert encoder.encoder_ is None
    np.testing.assert_array_equal(encoder.transform(X), X)


def with_categories(X, n_categories, seed=0):
    """Indicators of random categories beside features."""
    drawn = np.random.default_rng(seed).integers(n_categories, size=len(X))
    return np.hstack([X, np.eye(n_categories)[drawn]])


def test_indicators_of_categories_are_no_reason_to_encode(fast):
    X, y = make_blobs(1200, 10, centers=4, center_box=(-4, 4), random_state=0)
    table = with_categories(X, 50)
    table = (table - table.mean(0)) / table.std(0)
    kmeans = RiemannianKMeans(4, random_state=0).fit(table)
    assert kmeans.encoder_.encoder_ is None
    assert adjusted_rand_score(y, kmeans.labels_) > 0.99


def test_indicators_of_categories_are_not_encoded(fast):
    X = normal(1200, 5) @ normal(5, 60, seed=1)
    codes = [
        np.asarray(NeighborEncoder(random_state=0).fit_transform(with_categories(X, 9, seed)))
        for seed in range(2)
    ]
    np.testing.assert_array_equal(*codes)
    # Where they are all there is they say where samples are.
    assert NeighborEncoder(random_state=0).fit(1.0 * (X > 0)).encoder_ is not None


def test_more_come_out_as_codes(fast):
    X = normal(1200, 5) @ normal(5, 60, seed=1)
    encoder = NeighborEncoder(random_state=0).fit(X)
    points = encoder.transform(X[:100])
    assert points.shape == (100, encoder.encoder_.n_components)
    assert encoder.encoder_.n_components == 5
    np.testing.assert_array_equal(points, encoder.encoder_.transform(X[:100] / encoder.scale_))
    assert list(encoder.get_feature_names_out()) == [f"neighborencoder{i}" for i in range(5)]
    assert np.isfinite(points.metric.pairwise(points)).all()
    assert NeighborEncoder(2, random_state=0).fit_transform(X).shape == (1200, 2)


def test_same_seed_same_points(fast, global_state):
    X = load_iris().data
    a, b = (NeighborEncoder(random_state=0).fit(X) for _ in range(2))
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    assert a.metric_ == b.metric_
    twin = pickle.loads(pickle.dumps(a))
    assert twin.transform(X).metric == a.metric_
    np.testing.assert_array_equal(twin.transform(X), a.transform(X))


@pytest.mark.parametrize("n_features", [2, 4])
def test_order_and_repetition_of_rows_do_not_matter(fast, n_features):
    X = load_iris().data[:, :n_features]
    weights = np.r_[np.full(50, 2.0), np.ones(50), np.zeros(50)]
    repeated = np.concatenate([X[:100], X[:50]])[np.random.default_rng(0).permutation(150)]
    weighted = NeighborEncoder(random_state=0).fit(X, sample_weight=weights)
    repeated = NeighborEncoder(random_state=0).fit(repeated)
    np.testing.assert_allclose(repeated.scale_, weighted.scale_, rtol=1e-12)
    np.testing.assert_allclose(repeated.transform(X), weighted.transform(X), rtol=1e-6)


@pytest.mark.parametrize("n_features", [2, 4])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_the_data_does_not_matter(fast, n_features, factor):
    X = load_iris().data[:, :n_features]
    plain, scaled = (NeighborEncoder(random_state=0).fit(f * X) for f in (1.0, factor))
    np.testing.assert_array_equal(scaled.scale_, plain.scale_)
    found = scaled.metric_.pairwise(factor * X[:20])
    np.testing.assert_allclose(found, factor * plain.metric_.pairwise(X[:20]), rtol=1e-9)


def test_features_keep_their_proportions_unless_few_have_all_the_variance():
    X, ones = normal(500, 10), np.ones(500)
    mild = X * np.linspace(1.0, 3.0, 10)
    np.testing.assert_array_equal(feature_scale(mild, ones, "auto"), np.ones(10))
    wild = X * np.r_[1000.0, np.ones(9)]
    np.testing.assert_allclose(feature_scale(wild, ones, "auto"), wild.std(0))
    np.testing.assert_array_equal(feature_scale(wild, ones, False), np.ones(10))
    np.testing.assert_allclose(feature_scale(mild, ones, True), mild.std(0))


@pytest.mark.parametrize("n_features", [2, 3, 10, 30])
def test_distance_between_clusters_is_no_difference_of_units(n_features):
    X = normal(300, n_features)
    X[:, 0] += np.repeat([0.0, 30.0, 60.0], 100)
    ones = np.ones(len(X))
    np.testing.assert_array_equal(feature_scale(X, ones, "auto"), np.ones(n_features))
    # But a difference of units is one, however far clusters are apart.
    X[:, 1] *= 1e4
    np.testing.assert_allclose(feature_scale(X, ones, "auto"), X.std(0))


def test_standardized_data_have_the_metric_of_the_scaled():
    X = normal(100, 2) * [1000.0, 1.0]
    encoder = NeighborEncoder(standardize=True).fit(X)
    scaled = StandardScaler().fit_transform(X)
    expected = NearestNeighborMetric(scaled).pairwise(scaled[:20])
    np.testing.assert_allclose(encoder.metric_.pairwise(X[:20]), expected, rtol=1e-6)


@pytest.mark.parametrize("units", [[1e4, 1e-2], [1e-9, 1.0], [1.0, 300.0]])
@pytest.mark.parametrize("n", [100, 1000])
def test_units_far_apart_are_seen(n, units):
    X = make_moons(n, noise=0.1, random_state=0)[0]
    assert (feature_scale(X, np.ones(n), "auto") == 1.0).all()
    X = X * units
    np.testing.assert_allclose(feature_scale(X, np.ones(n), "auto"), X.std(0))


@pytest.mark.parametrize("standardize", [True, False, "auto"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_columns_are_harmless(fast, standardize, dtype):
    X = np.column_stack([load_iris().data, np.full(150, 0.1), np.zeros(150)]).astype(dtype)
    encoder = NeighborEncoder(standardize=standardize, random_state=0).fit(X)
    points = np.asarray(encoder.transform(X))
    assert np.isfinite(points).all()
    assert np.abs(points[:, 4] - 0.1).max() < 0.5 * X[:, :4].std(0).max()
    few = NeighborEncoder(standardize=standardize).fit_transform(X[:, 3:6])
    assert np.isfinite(few.metric.pairwise(few)).all()


def test_all_rows_the_same():
    for n_features in (2, 5):
        points = NeighborEncoder(random_state=0).fit_transform(np.ones((10, n_features)))
        assert (points.metric.pairwise(points) == 0.0).all()


def test_output_carries_the_metric(fast):
    X = load_iris(as_frame=True).data
    for columns in (2, 4):
        encoder = NeighborEncoder(random_state=0).fit(X.iloc[:, :columns])
        points = encoder.transform(X.iloc[:, :columns])
        assert points.metric == encoder.metric_
        frame = encoder.set_output(transform="pandas").transform(X.iloc[:, :columns])
        assert isinstance(frame, pd.DataFrame)
        np.testing.assert_array_equal(frame, points)
        found = RiemannianKMeans(2, random_state=0).fit(frame)
        assert found.encoder_ is None
        assert found.metric_ == encoder.metric_


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0},
        {"n_components": "many"},
        {"n_neighbors": 0},
        {"power": 0.5},
        {"power": "auto"},
        {"standardize": "always"},
    ],
    ids=str,
)
def test_bad_parameters_of_the_encoder(parameters):
    with pytest.raises((ValueError, TypeError), match=next(iter(parameters))):
        NeighborEncoder(**parameters).fit(load_iris().data)


# RiemannianKMeans on plain data ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("X", "y"),
    [
        make_circles(1500, noise=0.05, factor=0.5, random_state=0),
        make_moons(500, noise=0.05, random_state=0),
    ],
    ids=["circles", "moons"],
)
def test_finds_what_straight_lines_do_not(X, y):
    found = RiemannianKMeans(2, random_state=0).fit(X)
    assert adjusted_rand_score(y, found.labels_) == 1.0
    assert found.metric_.power > 1.0
    np.testing.assert_array_equal(found.predict(X), found.labels_)


@pytest.mark.parametrize("std", [0.3, 1.0])
def test_round_clusters_are_those_of_kmeans(std):
    X, _ = triple(std=std)
    found = RiemannianKMeans(3, random_state=0).fit(X)
    plain = KMeans(3, n_init=10, random_state=0).fit(X)
    assert adjusted_rand_score(plain.labels_, found.labels_) == 1.0


@pytest.mark.parametrize("data", [triple, circles, lambda: load_iris(return_X_y=True)])
def test_labels_distances_and_inertia_agree(data):
    X, _ = data()
    found = RiemannianKMeans(3, random_state=0).fit(X)
    np.testing.assert_array_equal(found.predict(X), found.labels_)
    distances = found.transform(X)
    own = distances[np.arange(len(X)), found.labels_]
    assert found.inertia_ == pytest.approx((own**2).sum())
    assert found.score(X) == pytest.approx(-found.inertia_)
    np.testing.assert_array_equal(found.counts_, np.bincount(found.labels_, minlength=3))


def test_the_nearest_center_is_that_of_the_cluster_where_clusters_are_apart():
    X, _ = triple(std=0.5)
    found = RiemannianKMeans(3, random_state=0).fit(X)
    np.testing.assert_array_equal(found.transform(X).argmin(1), found.labels_)


@pytest.mark.parametrize("data", [triple, circles])
def test_one_metric_whatever_the_number_of_clusters(data):
    X, _ = data()
    found = [RiemannianKMeans(k, random_state=0).fit(X) for k in range(1, 6)]
    assert all(model.metric_ == found[0].metric_ for model in found)
    if data is triple:
        inertia = [model.inertia_ for model in found]
        assert inertia == sorted(inertia, reverse=True)


def test_centers_are_data():
    X, _ = circles()
    found = RiemannianKMeans(2, random_state=0).fit(X)
    assert (cdist(found.cluster_centers_, X).min(1) == 0.0).all()


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_clusters_do_not_depend_on_the_unit(factor):
    X, _ = circles()
    plain, scaled = (RiemannianKMeans(2, random_state=0).fit(f * X) for f in (1.0, factor))
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    assert scaled.inertia_ == pytest.approx(factor**2 * plain.inertia_)


def test_outliers_of_no_weight_do_not_matter():
    X, y = triple()
    far = np.concatenate([X, [[1e4, 0.0], [0.0, 1e4], [-1e4, -1e4]]])
    weights = np.r_[np.ones(len(X)), np.zeros(3)]
    found = RiemannianKMeans(3, random_state=0).fit(far, sample_weight=weights)
    alone = RiemannianKMeans(3, random_state=0).fit(X)
    np.testing.assert_array_equal(found.cluster_centers_, alone.cluster_centers_)
    assert adjusted_rand_score(y, found.labels_[: len(X)]) == 1.0
    assert found.labels_.shape == (len(far),)
    assert found.inertia_ == pytest.approx(alone.inertia_)


@pytest.mark.parametrize("n_features", [2, 5])
def test_given_centers_are_data(fast, n_features):
    X, y = triple(90)
    # The further features are the same once more.
    X = np.tile(X, 3)[:, :n_features]
    init = np.stack([X[y == k].mean(0) for k in (2, 0, 1)])
    found = RiemannianKMeans(3, init=init, random_state=0).fit(X)
    np.testing.assert_array_equal(found.labels_, np.array([1, 2, 0])[y])


@pytest.mark.parametrize("data", [triple, circles])
def test_clusters_of_batches(data):
    X, y = data(900)
    order = np.random.default_rng(0).permutation(len(X))
    found = RiemannianKMeans(len(set(y)), random_state=0)
    for rows in np.array_split(order, 3):
        found.partial_fit(X[rows])
    assert found.counts_.sum() == len(X)
    assert adjusted_rand_score(y, found.predict(X)) > 0.95


@pytest.mark.parametrize("data", [triple, circles])
def test_points_of_its_own_encoder_are_known(data):
    X, _ = data()
    found = RiemannianKMeans(2, random_state=0).fit(X)
    points = found.encoder_.transform(X)
    assert points.metric == found.metric_
    np.testing.assert_array_equal(found.predict(points), found.labels_)


def test_a_frozen_encoder_keeps_its_metric():
    X, _ = triple()
    encoder = NeighborEncoder(random_state=0).fit(X)
    found = RiemannianKMeans(3, metric=FrozenEstimator(encoder), random_state=0).fit(X)
    assert found.metric_ == encoder.metric_
    np.testing.assert_array_equal(found.predict(encoder.transform(X)), found.labels_)


def test_power_that_is_given_is_kept():
    X, _ = triple()
    found = RiemannianKMeans(3, metric=NeighborEncoder(power=2.5), random_state=0).fit(X)
    assert found.metric_.power == 2.5
    on_points = RiemannianKMeans(3, metric=found.metric_, random_state=0).fit(X)
    assert on_points.metric_ is found.metric_
    assert on_points.encoder_ is None
    assert adjusted_rand_score(on_points.labels_, found.labels_) == 1.0


def test_same_seed_same_clusters(fast, global_state):
    for X in (circles()[0], load_iris().data):
        a, b = (RiemannianKMeans(3, random_state=0).fit(X) for _ in range(2))
        np.testing.assert_array_equal(a.labels_, b.labels_)
        np.testing.assert_array_equal(a.cluster_centers_, b.cluster_centers_)
        assert a.inertia_ == b.inertia_


@pytest.mark.parametrize("data", [circles, lambda: load_iris(return_X_y=True)])
def test_pickles_predict_the_same(fast, data):
    X, _ = data()
    found = RiemannianKMeans(3, random_state=0).fit(X)
    twin = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(twin.predict(X), found.labels_)
    np.testing.assert_array_equal(twin.transform(X), found.transform(X))


def test_more_than_a_run_can_take_is_sampled(monkeypatch):
    monkeypatch.setattr("skriem.geometry.paths.among.MOST_COMPARED", 200)
    monkeypatch.setattr("skriem.geometry.paths.among.N_LANDMARKS", 100)
    X, y = make_moons(500, noise=0.05, random_state=0)
    found = RiemannianKMeans(2, metric=NeighborEncoder(power=3.0), random_state=0).fit(X)
    assert found.labels_.shape == (500,)
    assert adjusted_rand_score(y, found.labels_) == 1.0


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_one_cluster_and_as_many_as_samples(init):
    X = normal(12, 2)
    one = RiemannianKMeans(1, init=init, random_state=0).fit(X)
    assert (one.labels_ == 0).all()
    every = RiemannianKMeans(12, random_state=0).fit(X)
    assert sorted(every.labels_) == list(range(12))
    assert every.inertia_ == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("init", ["k-means++", "random", np.eye(3)[:, :2]], ids=str)
def test_fewer_distinct_rows_than_clusters_is_a_warning(init):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 2 distinct points") as record:
        found = RiemannianKMeans(3, init=init, random_state=0).fit(X)
    assert len(record) == 1
    assert len(set(found.labels_)) == 2
    assert found.inertia_ == 0.0
    assert found.cluster_centers_.shape == (3, 2)


def test_densities_need_another_metric():
    X, _ = triple(60)
    points = NeighborEncoder(random_state=0).fit_transform(X)
    with pytest.raises(ValueError, match="nearest-neighbour metric"):
        RiemannianNormal(2, random_state=0).fit(points)


def test_geodesic_distances_of_points_are_those_of_the_metric():
    X = make_moons(150, noise=0.05, random_state=0)[0]
    pipeline = make_pipeline(NeighborEncoder(random_state=0), GeodesicDistance())
    points = NeighborEncoder(random_state=0).fit_transform(X)
    expected = points.metric.pairwise(points)
    np.testing.assert_allclose(pipeline.fit_transform(X), expected, rtol=1e-12)
    np.testing.assert_allclose(pipeline.transform(X[:5]), expected[:5], rtol=1e-12)
