"""Estimators of deep regression networks."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skriem import (
    DeepRegressionClassifier,
    DeepRegressionTransformer,
    GeodesicDistance,
    RiemannianKMeans,
)
from skriem.nn.regression.network import means_below


@pytest.fixture(scope="module")
def images():
    """Black and white images of digits, and their labels."""
    X, y = load_digits(return_X_y=True)
    return (X > 7.0).astype(float), y


@pytest.fixture(scope="module")
def fitted(images):
    network = DeepRegressionTransformer(
        (16, 3), likelihood="bernoulli", batch_size=100, max_iter=20, random_state=0
    )
    return network.fit(images[0][:600])


def test_codes_are_zeros_and_ones_that_carry_a_metric(fitted, images):
    codes = fitted.transform(images[0][600:700])
    assert codes.shape == (100, 3)
    assert set(np.unique(codes)) <= {0.0, 1.0}
    assert codes.metric == fitted.metric_
    assert fitted.transform(images[0][600:610].astype(np.float32)).dtype == np.float32


def test_probabilities_agree_with_codes(fitted, images):
    codes = fitted.transform(images[0][600:700])
    shares = clone(fitted).set_params(output="proba")
    shares.__dict__.update(
        {k: v for k, v in vars(fitted).items() if k.endswith("_") or k[0] == "_"}
    )
    found = shares.transform(images[0][600:700])
    assert ((found > 0.5) == (codes > 0.5)).all()
    assert ((found > 0.0) & (found < 1.0)).all()


def test_learning_tells_images_from_noise(fitted, images):
    held_out, error = fitted.score_samples(images[0][600:700], return_std=True)
    p = images[0][:600].mean(0).clip(1e-3, 1 - 1e-3)
    X = images[0][600:700]
    independent = (X * np.log(p) + (1 - X) * np.log1p(-p)).sum(1)
    assert held_out.mean() > independent.mean() + 3.0
    assert error.mean() < 0.5
    noise = np.random.default_rng(0).permuted(X, axis=1)
    assert fitted.score(noise) < held_out.mean() - 20.0


def test_flipped_pixels_are_put_right(fitted, images):
    X = images[0][600:700]
    wrong = np.random.default_rng(0).random(X.shape) < 0.1
    restored = fitted.restore(np.abs(X - wrong), flip_rate=0.1) > 0.5
    assert (restored != X).mean() < 0.7 * wrong.mean()


def test_missing_pixels_are_filled_in(fitted, images):
    X = images[0][600:700].copy()
    missing = np.random.default_rng(0).random(X.shape) < 0.3
    X[missing] = np.nan
    restored = fitted.restore(X)
    truth, mean = images[0][600:700][missing], images[0][:600].mean(0)
    np.testing.assert_array_equal(restored[~missing], X[~missing])
    by_mean = np.broadcast_to(mean, X.shape)[missing]
    assert np.square(restored[missing] - truth).mean() < 0.75 * np.square(by_mean - truth).mean()
    np.testing.assert_array_equal(fitted.restore(X[:3]), restored[:3])


def test_missing_numbers_are_filled_in_by_the_units_that_the_others_name():
    X = load_iris().data
    model = DeepRegressionTransformer((8,), max_iter=30, random_state=0).fit(X)
    damaged = X.copy()
    damaged[::2, 2], damaged[1::3, 0] = np.nan, np.nan
    restored, missing = model.restore(damaged), np.isnan(damaged)
    np.testing.assert_array_equal(restored[~missing], X[~missing])
    errors = np.square(restored - X)[::2, 2].mean()
    assert errors < 0.5 * X[:, 2].var()


@pytest.mark.parametrize("flip_rate", [-0.1, 0.5])
def test_a_share_of_flips_that_says_nothing_is_refused(fitted, images, flip_rate):
    with pytest.raises(ValueError, match="flip_rate"):
        fitted.restore(images[0][:5], flip_rate=flip_rate)
    with pytest.raises(ValueError, match="gaussian"):
        DeepRegressionTransformer((2,), max_iter=1).fit(np.eye(3)).restore(np.eye(3), flip_rate=0.1)


def test_samples_look_like_the_data(fitted, images):
    samples = fitted.sample(2000, random_state=0)
    assert set(np.unique(samples)) == {0.0, 1.0}
    assert np.abs(samples.mean(0) - images[0][:600].mean(0)).max() < 0.2
    means = fitted.sample(5, noise=False, random_state=0)
    assert ((means > 0.0) & (means < 1.0)).all()
    np.testing.assert_array_equal(samples, fitted.sample(2000, random_state=0))


def test_the_loss_falls(fitted):
    assert fitted.n_iter_ == len(fitted.loss_curve_)
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


def test_the_metric_is_fisher_raos_of_the_decoded_probabilities(fitted):
    rng = np.random.default_rng(0)
    z, step = torch.tensor(rng.random((4, 3))), torch.tensor(rng.normal(size=(4, 3)))
    network = fitted._network()
    p, slope = torch.func.jvp(lambda z: means_below(network, z), (z,), (step,))
    expected = (slope.square() / (p * (1.0 - p))).sum(1).sqrt()
    torch.testing.assert_close(fitted.metric_.norm(z, step), expected)


def test_the_metric_of_real_numbers_is_in_units_of_the_noise():
    X = load_iris().data
    model = DeepRegressionTransformer((6, 2), max_iter=20, random_state=0).fit(X)
    rng = np.random.default_rng(0)
    z, step = torch.tensor(rng.random((4, 2))), torch.tensor(rng.normal(size=(4, 2)))
    network = model._network()
    _, slope = torch.func.jvp(lambda z: means_below(network, z), (z,), (step,))
    expected = (slope / network.noise).square().sum(1).sqrt()
    torch.testing.assert_close(model.metric_.norm(z, step), expected)
    np.testing.assert_allclose(
        model.inverse_transform(z.numpy()), means_below(network, z).numpy(), rtol=1e-12
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skriem.geometry.ConvergenceWarning")
def test_codes_go_into_a_pipeline(fitted, images):
    codes = fitted.transform(images[0][:100])
    kmeans = RiemannianKMeans(3, random_state=0).fit(codes)
    assert kmeans.metric_ == fitted.metric_
    distance = GeodesicDistance(method="exact").fit(codes[:20])
    assert distance.metric_ == fitted.metric_
    network = DeepRegressionTransformer((8, 2), likelihood="bernoulli", max_iter=5, random_state=0)
    pipe = make_pipeline(network, RiemannianKMeans(2, random_state=0)).fit(images[0][:100])
    assert pipe[1].metric_ == pipe[0].metric_


def test_units_of_the_data_do_not_matter():
    X = load_iris().data

    def codes(X):
        model = DeepRegressionTransformer((6, 2), max_iter=5, random_state=0).fit(X)
        return np.asarray(model.transform(X)), model.score_samples(X[:5])

    (plain, density), (scaled, scaled_density) = codes(X), codes(64.0 * X)
    np.testing.assert_array_equal(plain, scaled)
    np.testing.assert_allclose(density, scaled_density + 4 * np.log(64.0), rtol=1e-4)


def test_a_warm_start_goes_on(images):
    X = images[0][:300]
    model = DeepRegressionTransformer(
        (8,), likelihood="bernoulli", batch_size=100, max_iter=10, random_state=0, warm_start=True
    )
    first = model.fit(X).loss_curve_
    assert model.fit(X).loss_curve_[0] < first[-1] + 0.5
    cold = clone(model).set_params(warm_start=False).fit(X)
    np.testing.assert_array_equal(cold.loss_curve_, first)


def test_parts_are_learned_from_one_after_the_other(images):
    X = images[0]
    model = DeepRegressionTransformer((8, 3), likelihood="bernoulli", max_iter=30, random_state=0)
    first = model.partial_fit(X[:100]).score(X[600:700])
    n_iter = model.n_iter_
    for part in np.split(X[100:600], 5):
        model.partial_fit(part)
    assert model.n_iter_ == n_iter + 5
    assert model.score(X[600:700]) > first


def test_a_fit_changes_nothing_outside(images, global_state):
    X = images[0][:60].copy()
    model = DeepRegressionTransformer((4, 2), likelihood="bernoulli", max_iter=2, random_state=0)
    model.fit(X).sample(3, random_state=0)
    model.score(X)
    np.testing.assert_array_equal(X, images[0][:60])


@pytest.mark.parametrize("X", [[[0.0, 2.0], [1.0, 0.0]], [[-1.0, 0.0], [1.0, 0.0]]])
def test_zeros_and_ones_are_asked_for(X):
    with pytest.raises(ValueError, match="zeros and ones"):
        DeepRegressionTransformer(likelihood="bernoulli").fit(X)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"hidden_layer_sizes": ()}, "at least one layer"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"likelihood": "poisson"}, "likelihood"),
        ({"output": "both"}, "output"),
        ({"learning_rate_init": 0.0}, "learning_rate_init"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_parameters_that_cannot_work_are_named(parameters, match):
    with pytest.raises(ValueError, match=match):
        DeepRegressionTransformer(**parameters).fit(np.eye(4))


def test_a_fit_that_fails_changes_nothing(images):
    model = DeepRegressionTransformer((4,), likelihood="bernoulli", max_iter=2, random_state=0)
    model.fit(images[0][:60])
    before = model.transform(images[0][60:70])
    with pytest.raises(ValueError, match="zeros and ones"):
        model.fit(2.0 * images[0][:60])
    np.testing.assert_array_equal(model.transform(images[0][60:70]), before)


# Labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["generative", "discriminative"])
def test_labels_are_learned(objective):
    X, y = load_digits(n_class=4, return_X_y=True)
    X, names = X / 16.0, np.array(["null", "one", "two", "three"])[y]
    model = DeepRegressionClassifier((24,), likelihood="bernoulli", objective=objective)
    model.set_params(batch_size=50, max_iter=20, random_state=0).fit(X[:400], names[:400])
    assert model.score(X[400:], names[400:]) > 0.9
    shares = model.predict_proba(X[400:420])
    np.testing.assert_allclose(shares.sum(1), 1.0)
    assert (model.classes_[shares.argmax(1)] == model.predict(X[400:420])).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_labels_are_told_apart_as_well_as_by_logistic_regression(likelihood):
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    linear = LogisticRegression(solver="newton-cg").fit(X[:400], y[:400])
    model = DeepRegressionClassifier(
        (64,), likelihood=likelihood, objective="discriminative", max_iter=20, random_state=0
    )
    model.fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > linear.score(X[400:], y[400:])
    # Setting a parameter does not change what was learned.
    before = model.predict_proba(X[:5])
    after = model.set_params(objective="generative").predict_proba(X[:5])
    np.testing.assert_array_equal(before, after)


def test_objectives_are_named():
    with pytest.raises(ValueError, match="objective"):
        DeepRegressionClassifier(objective="both").fit(np.eye(4), [0, 1, 0, 1])


def test_a_warm_start_goes_on_with_the_same_classes():
    X = (np.random.default_rng(0).uniform(size=(20, 5)) > 0.5).astype(float)
    model = DeepRegressionClassifier(
        (3,), likelihood="bernoulli", max_iter=2, warm_start=True, random_state=0
    )
    model.fit(X, ["a", "b"] * 10).fit(X, ["b", "a"] * 10)
    with pytest.raises(ValueError, match="classes of the fit before"):
        model.fit(X, ["a", "c"] * 10)
    assert model.classes_.tolist() == ["a", "b"]
