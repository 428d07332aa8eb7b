"""Distances between images that hardly see small changes, and what is encoded by them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate, shift, zoom
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skriem import NeighborEncoder, RiemannianKMeans
from skriem.nn.tangent_distance import (
    COST,
    nearest_images,
    resampled,
    small_changes,
    tangent_distances,
    with_changes,
)


def spots(n, side=16, channels=1, seed=0):
    """Smooth images without anything at their borders."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, channels, side, side))
    middle = slice(side // 4, -(side // 4))
    images[:, :, middle, middle] = rng.normal(size=images[:, :, middle, middle].shape)
    return gaussian_filter(images, (0, 0, 1.5, 1.5)).astype(np.float32)


def all_pairs(images):
    n = len(images)
    found = with_changes(images)
    return tangent_distances(found, found, np.tile(np.arange(n), (n, 1)))


def straight(images):
    rows = images.reshape(len(images), -1).astype(float)
    return np.linalg.norm(rows[:, None] - rows, axis=2)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_least_over_what_both_images_may_change(channels):
    images = spots(3, channels=channels)
    own = with_changes(images)
    pixels, changes = own.pixels.astype(float), own.changes.astype(float)
    found = all_pairs(images)
    for i, j in ((0, 1), (2, 0)):

        def squared(by, i=i, j=j):
            apart = pixels[i] + by[:7] @ changes[i] - pixels[j] - by[7:] @ changes[j]
            return apart @ apart + COST * by @ by

        least = minimize(squared, np.zeros(14), tol=1e-12).fun
        assert found[i, j] == pytest.approx(np.sqrt(least), rel=1e-4)


def test_it_is_symmetric_at_most_the_straight_distance_and_zero_to_itself():
    images = spots(8)
    found = all_pairs(images)
    np.testing.assert_allclose(found, found.T, rtol=1e-4)
    assert (found <= straight(images) * (1.0 + 1e-6)).all()
    assert (found.diagonal() == 0.0).all()
    assert (found[~np.eye(8, dtype=bool)] > 0.0).all()
    np.testing.assert_allclose(all_pairs(100.0 * images), 100.0 * found, rtol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: shift(image, (0.0, 0.5), order=3),
        lambda image: shift(image, (0.5, 0.0), order=3),
        lambda image: shift(image, (-0.4, 0.3), order=3),
        lambda image: rotate(image, 5.0, reshape=False, order=3),
        lambda image: zoom(image, 1.05, order=3),
    ],
    ids=["across", "down", "both", "turned", "larger"],
)
def test_a_little_change_is_next_to_none(change):
    image = spots(1, side=40)[0, 0].astype(float)
    changed = change(image)
    changed = changed[
        tuple(slice((a - b) // 2, (a - b) // 2 + b) for a, b in zip(changed.shape, image.shape))
    ]
    pair = np.stack([image, changed])[:, None].astype(np.float32)
    assert all_pairs(pair)[0, 1] < 0.25 * straight(pair)[0, 1]
    assert straight(pair)[0, 1] > 0.05 * np.linalg.norm(image)


def test_changes_are_derivatives():
    # Of a polynomial of second degree central differences say what is, within.
    y, x = np.mgrid[:9, :11] - np.array([4.0, 5.0])[:, None, None]
    image = 1.0 + 2.0 * x - y + 0.5 * x**2 + x * y - 0.25 * y**2
    by_x, by_y = 2.0 + x + y, -1.0 + x - 0.5 * y
    expected = [
        by_x,
        by_y,
        x * by_y - y * by_x,
        x * by_x + y * by_y,
        x * by_x - y * by_y,
        x * by_y + y * by_x,
        by_x**2 + by_y**2,
    ]
    found = small_changes(image[None, None])[0, :, 0]
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], np.array(expected)[:, 1:-1, 1:-1], atol=1e-12)
    lengths = np.linalg.norm(with_changes(spots(2)).changes, axis=2)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-6)


@pytest.mark.parametrize("sides", [(1, 28, 28), (1, 8, 8), (3, 20, 30), (1, 40, 2), (1, 1, 60)])
def test_images_come_out_in_one_size_and_as_bright_as_they_were(sides):
    X = np.full((2, np.prod(sides)), [[1.0], [-3.0]])
    found = resampled(X, sides)
    assert found.shape[1] == sides[0]
    assert max(found.shape[2:]) == 16
    np.testing.assert_allclose(found[0], 1.0, rtol=1e-6)
    np.testing.assert_allclose(found[1], -3.0, rtol=1e-6)
    assert np.isfinite(all_pairs(found)).all()


def test_constant_images_have_straight_distances():
    images = np.stack([np.full((1, 6, 6), value) for value in (0.0, 1.0, 3.0)]).astype(np.float32)
    np.testing.assert_allclose(all_pairs(images), straight(images), rtol=1e-6)


def test_nearest_images_are_the_nearest_of_the_candidates():
    images, others = with_changes(spots(5)), with_changes(spots(30, seed=1))
    index = np.random.default_rng(0).permuted(np.tile(np.arange(30), (5, 1)), axis=1)[:, :12]
    distances, near = nearest_images(images, others, index, 4)
    every = tangent_distances(images, others, np.tile(np.arange(30), (5, 1)))
    for row in range(5):
        order = index[row][every[row, index[row]].argsort()][:4]
        np.testing.assert_array_equal(near[row], order)
        np.testing.assert_allclose(distances[row], every[row, order], rtol=1e-6)


# NeighborEncoder of images -----------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    X, y = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(y == digit)[:30] for digit in range(10)])
    return X[rows], y[rows]


@pytest.fixture
def fast(monkeypatch):
    """Codes that hardly move."""
    monkeypatch.setattr("skriem.estimators.neighbor_encoder.N_STEPS", 1)


@pytest.fixture(scope="module")
def encoder(few):
    return NeighborEncoder(image_shape=(8, 8), random_state=0).fit(few[0])


def test_clusters_of_images_are_better_if_it_is_said_what_they_are(few):
    X, y = few
    plain, told = (
        RiemannianKMeans(10, metric=metric, random_state=0).fit(X)
        for metric in ("auto", NeighborEncoder(image_shape=(8, 8)))
    )
    scores = [adjusted_rand_score(y, kmeans.labels_) for kmeans in (plain, told)]
    assert scores[1] > scores[0] + 0.05
    assert told.partition_ == "paths among codes"
    np.testing.assert_array_equal(told.predict(X), told.labels_)
    np.testing.assert_array_equal(X[told.medoid_indices_].shape, (10, 64))


def test_images_of_which_there_are_few_are_data(few):
    X, y = few
    kmeans = RiemannianKMeans(3, metric=NeighborEncoder(image_shape=(8, 8)), random_state=0)
    found = kmeans.fit(X[60:100])
    assert found.encoder_.encoder_ is None
    np.testing.assert_array_equal(found.predict(X[60:100]), found.labels_)


def test_new_images_are_treated_like_those_of_the_fit(few, encoder):
    X, y = few
    codes = np.asarray(encoder.transform(X))
    np.testing.assert_array_equal(codes, encoder.encoder_.codes_[_places(X)])
    new = load_digits().data[1000:1200]
    found = np.asarray(encoder.transform(new))
    alone = np.concatenate([np.asarray(encoder.transform(row[None])) for row in new[:10]])
    np.testing.assert_array_equal(found[:10], alone)
    nearest = np.linalg.norm(found[:, None] - codes, axis=2).argmin(1)
    assert np.mean(y[nearest] == load_digits().target[1000:1200]) > 0.9
    # Next to an image of the fit is its code.
    np.testing.assert_allclose(encoder.transform(X[:5] + 1e-7), codes[:5], atol=1e-3)


def _places(X):
    """Where rows are among all in order."""
    return np.unique(X, axis=0, return_inverse=True)[1].ravel()


def test_units_do_not_matter_and_far_images_are_no_hurdle(few, fast):
    X = few[0]
    encoder = NeighborEncoder(image_shape=(8, 8), random_state=0).fit(X)
    other = NeighborEncoder(image_shape=(8, 8), random_state=0).fit(2.0**20 * X)
    np.testing.assert_allclose(other.transform(2.0**20 * X), encoder.transform(X), rtol=1e-6)
    assert np.isfinite(encoder.transform(1e60 * X[:3])).all()
    assert (other.scale_ == 1.0).all()
    scaled = NeighborEncoder(image_shape=(8, 8), standardize=True, random_state=0).fit(X)
    assert (scaled.scale_ != 1.0).any()


def test_colours_are_images_too(few, fast):
    X = few[0][:60]
    grey = NeighborEncoder(2, image_shape=(1, 8, 8), random_state=0).fit(X)
    flat = NeighborEncoder(2, image_shape=[8, 8], random_state=0).fit(X)
    np.testing.assert_array_equal(grey.transform(X), flat.transform(X))
    coloured = NeighborEncoder(2, image_shape=(3, 8, 8), random_state=0)
    assert coloured.fit_transform(np.hstack([X, X, X])).shape == (60, 2)


@pytest.mark.parametrize("shape", [(8,), (8, 9), (2, 8, 8), 64, (8.0, 8), (-8, -8), "square"])
def test_shapes_that_are_none(few, shape):
    with pytest.raises(ValueError, match="image_shape"):
        NeighborEncoder(image_shape=shape).fit(few[0])
