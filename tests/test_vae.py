"""VAETransformer: what it learns, and that it does so the same way every time."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from suites import same_bits, thorough

from skriem import (
    Convolutional,
    DecoderEnsemble,
    Modules,
    Neighbors,
    Perceptron,
    RBFNoise,
    VAETransformer,
)
from skriem.estimators.autoencoder.parts import data_scale
from skriem.estimators.autoencoder.renamed import NOW
from skriem.geometry import PullbackMetric

X = load_iris().data


def small(**parameters):
    return VAETransformer(**{"max_iter": 20, "random_state": 0, **parameters})


def test_same_seed_same_result_bit_for_bit(global_state):
    a, b = small().fit(X), small().fit(X)
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    assert a.loss_curve_ == b.loss_curve_
    assert a.metric_ == b.metric_
    assert a.metric_ != small(random_state=1).fit(X).metric_


def test_order_and_repetition_of_rows_do_not_matter():
    weights = np.r_[np.full(50, 2.0), np.ones(50), np.zeros(50)]
    repeated = np.concatenate([X[:100], X[:50]])[np.random.default_rng(0).permutation(150)]
    weighted = small().fit(X, sample_weight=weights)
    np.testing.assert_array_equal(weighted.transform(X), small().fit(repeated).transform(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_of_input(dtype):
    data = np.asfortranarray(X.astype(dtype))
    data.flags.writeable = False
    before = data.copy()
    codes = small().fit(data).transform(data)
    assert codes.dtype == dtype
    np.testing.assert_array_equal(data, before)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e8])
def test_the_unit_of_the_data_does_not_matter(factor):
    vae, scaled = small().fit(X), small().fit(factor * X)
    codes = np.asarray(vae.transform(X))
    np.testing.assert_allclose(scaled.transform(factor * X), codes, atol=1e-3)
    found = scaled.metric_.distance(codes[:5], codes[60:65])
    np.testing.assert_allclose(
        found, factor * vae.metric_.distance(codes[:5], codes[60:65]), rtol=1e-2
    )


def test_where_data_are_does_not_matter():
    moved = X + [64.0, -8.0, 4.0, 0.0]
    found, moved = (small().fit(rows).transform(rows) for rows in (X, moved))
    np.testing.assert_allclose(moved, found, rtol=1e-4, atol=1e-4)


def test_the_unit_is_the_root_of_the_mean_variance_of_what_varies():
    rows = np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 8.0], [3.0, 7.0, 8.0]])
    center, unit, n_varying = data_scale(rows, np.array([3.0, 1.0, 0.0]))
    np.testing.assert_allclose(center, [1.5, 7.0, 2.0])
    assert unit == pytest.approx(np.sqrt((0.75 + 12.0) / 2.0))
    assert n_varying == 2


def test_constant_columns_are_harmless():
    data = np.column_stack([X, np.full(len(X), 7.0), np.zeros(len(X))])
    vae = small().fit(data)
    decoded = vae.inverse_transform(vae.transform(data))
    assert np.isfinite(decoded).all()
    assert np.abs(decoded[:, 4] - 7.0).max() < 0.5


def test_more_codes_than_features():
    vae = small(n_components=3).fit(X[:, :1])
    assert vae.transform(X[:, :1]).shape == (150, 3)


@pytest.mark.slow
def test_reconstruction_beats_pca(digits):
    data = digits[0]
    vae = VAETransformer(random_state=0).fit(data)
    pca = PCA(2).fit(data)
    error = ((vae.inverse_transform(vae.transform(data)) - data) ** 2).mean()
    assert error < 0.8 * ((pca.inverse_transform(pca.transform(data)) - data) ** 2).mean()


def test_codes_keep_the_classes_apart(digits, digits_vae):
    codes = np.asarray(digits_vae[1])
    assert cross_val_score(KNeighborsClassifier(), codes, digits[1]).mean() > 0.93


def test_noise_is_small_near_the_data_and_large_away_from_them(digits_vae):
    vae, codes = digits_vae
    spread = np.asarray(codes).std(0)
    near = vae.metric_.embed(np.asarray(codes))[:, 64:].mean()
    far = vae.metric_.embed(20.0 * spread[None])[:, 64:].mean()
    assert far > 10 * near
    assert vae.metric_.log_volume(np.asarray(codes)).max() < np.inf


def test_constant_precision_gives_the_metric_of_the_mean(digits):
    vae = small(noise="constant").fit(digits[0])
    assert vae.metric_.embed(np.zeros((1, 2))).shape == (1, 64)
    assert np.isfinite(vae.score(digits[0]))


def test_likelihood_of_a_linear_gaussian_model():
    rng = np.random.default_rng(0)
    loadings = np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    data = rng.normal(size=(1000, 2)) @ loadings + 0.5 * rng.normal(size=(1000, 3))
    covariance = loadings.T @ loadings + 0.25 * np.eye(3)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    exact = -0.5 * (np.einsum("ni,ij,nj->n", data, np.linalg.inv(covariance), data) + log_det)
    vae = VAETransformer(noise="constant", random_state=0, max_iter=100).fit(data)
    found = vae.score_samples(data, n_samples=200)
    assert abs(found.mean() - exact.mean()) < 0.1
    assert np.corrcoef(found, exact)[0, 1] > 0.9


def test_errors_of_likelihoods_average_out_over_rows():
    rows = X[::4][:32]
    vae = small(max_iter=20, noise="constant").fit(X)
    found = np.stack([vae.set_params(random_state=k).score_samples(rows, 30) for k in range(20)])
    of_one, of_all = found.std(0).mean(), found.mean(1).std()
    # Independent ones would be in a ratio of 32 ** -0.5, 0.18.
    assert of_all < 0.4 * of_one
    np.testing.assert_allclose(vae.score_samples(rows.astype(np.float32), 30), found[-1], atol=0.01)


def test_more_importance_samples_do_not_lower_the_likelihood(digits_vae, digits):
    few, many = (digits_vae[0].score_samples(digits[0], n).mean() for n in (1, 200))
    assert many > few


@pytest.mark.slow
def test_evidence_bound_is_below_the_likelihood(digits_vae, digits):
    vae = digits_vae[0]
    bound = vae.evidence_lower_bound(digits[0], n_samples=1000)
    likelihood = vae.score_samples(digits[0], n_samples=1000)
    assert (bound <= likelihood).all()


@pytest.mark.slow
def test_likelihood_agrees_with_averaging_over_the_prior(digits_vae, digits):
    """Where codes have two dimensions the integral over the prior can be had by brute force."""
    vae, X = digits_vae[0], digits[0][:20]
    z = np.random.default_rng(0).standard_normal((50_000, 2))
    mean, std = np.split(vae.metric_.embed(z), 2, axis=1)
    exact = [logsumexp(norm.logpdf(x, mean, std).sum(1)) - np.log(len(z)) for x in X]
    np.testing.assert_allclose(vae.score_samples(X, n_samples=3000), exact, atol=1.0)


def test_a_standard_variance_network_is_a_metric_too(digits):
    vae = small(noise="mlp").fit(digits[0])
    codes = vae.transform(digits[0][:6])
    assert vae.metric_.embed(codes).shape == (6, 128)
    assert (vae.metric_.distance(codes[:3], codes[3:], tol=1e-2) > 0).all()
    assert np.isfinite(vae.score(digits[0]))


def test_sampling(digits, global_state):
    vae = small(max_iter=60).fit(digits[0])
    noisy = vae.sample(500, random_state=0)
    assert noisy.shape == (500, 64)
    np.testing.assert_array_equal(noisy, vae.sample(500, random_state=0))
    smooth = vae.sample(500, noise=False, random_state=0)
    assert noisy.var(axis=0).sum() > smooth.var(axis=0).sum()


def test_warm_start_with_other_columns_starts_afresh():
    vae = small(warm_start=True).fit(X).fit(X[:, :3])
    np.testing.assert_array_equal(
        vae.transform(X[:, :3]), small().fit(X[:, :3]).transform(X[:, :3])
    )


def test_a_failed_fit_is_no_fit():
    vae = small()
    with pytest.raises(ValueError, match="the same"):
        vae.fit(np.ones((10, 4)))
    with pytest.raises(NotFittedError):
        vae.transform(X)


@pytest.mark.slow
def test_few_draws_do_not_overestimate_the_likelihood():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(500, 2)) @ np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    data += 0.5 * rng.normal(size=data.shape)
    vae = small(noise="constant", max_iter=100).fit(data)
    scores = [
        np.mean([vae.set_params(random_state=k).score_samples(data, n).mean() for k in range(20)])
        for n in (1, 2, 4, 300)
    ]
    assert max(scores[:3]) < scores[3] + 0.02


def test_warm_start_goes_on(digits):
    vae = small(warm_start=True, max_iter=15).fit(digits[0])
    first = vae.loss_curve_[-1]
    vae.fit(digits[0])
    assert vae.loss_curve_[0] < first + 1.0
    assert vae.loss_curve_[-1] < first
    vae.set_params(network=(8,)).fit(digits[0])
    assert vae.transform(digits[0]).shape == (300, 2)


def test_partial_fit_learns_from_parts(digits):
    vae = small()
    for _ in range(10):
        for part in np.array_split(digits[0], 3):
            vae.partial_fit(part)
    assert vae.n_iter_ == len(vae.loss_curve_) == 30
    assert np.mean(vae.loss_curve_[-3:]) < np.mean(vae.loss_curve_[:3])
    assert (
        cross_val_score(
            KNeighborsClassifier(), np.asarray(vae.transform(digits[0])), digits[1]
        ).mean()
        > 0.8
    )
    assert vae.partial_fit(digits[0][:1]).n_iter_ == 31


def test_partial_fit_draws_other_numbers_in_every_call(digits):
    vae = small()
    for part in np.array_split(digits[0], 3):
        vae.partial_fit(part)
        assert len(np.unique(vae._reservoir[1])) == len(vae._reservoir[1])


def test_rows_of_all_parts_are_kept_alike(monkeypatch):
    monkeypatch.setattr("skriem.estimators.autoencoder.base.MAX_RESERVOIR", 60)
    vae, parts = small(network=(4,)), (X, X + 100.0, X + 200.0)
    for part in parts:
        vae.partial_fit(part)
    # Of every part as many as chance gives it: a third, and four standard deviations.
    n_kept = np.bincount((vae._reservoir[0][:, 0] // 100.0).astype(int), minlength=3)
    assert n_kept.sum() == 60
    assert (np.abs(n_kept - 20) < 15).all()


def test_early_stopping_holds_samples_out(digits):
    vae = small(early_stopping=True, max_iter=300, n_iter_no_change=5).fit(digits[0])
    assert vae.n_iter_ < 300
    with pytest.raises(ValueError, match="early_stopping"):
        small(early_stopping=True, validation_fraction=0.9).fit(X[:5])


def test_fitted_state_is_arrays_and_pickles(digits_vae, digits):
    vae, codes = digits_vae

    def holds_tensor(value):
        if isinstance(value, (list, tuple)):
            return any(holds_tensor(part) for part in value)
        return isinstance(value, (torch.Tensor, torch.nn.Module))

    assert not any(holds_tensor(value) for value in vars(vae).values())
    content = pickle.dumps(vae)
    assert b"torch" not in content
    for twin in (pickle.loads(content), copy.deepcopy(vae)):
        np.testing.assert_array_equal(twin.transform(digits[0]), codes)
        assert twin.metric_ == vae.metric_


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trained_on_cuda_used_without(digits):
    vae = small(device="cuda").fit(digits[0])
    twin = pickle.loads(pickle.dumps(vae)).set_params(device="cpu")
    assert twin.transform(digits[0]).shape == (300, 2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0},
        {"n_components": 1.5},
        {"network": 64},
        {"likelihood": "bernoulli"},
        {"noise": "network"},
        {"alpha": -1.0},
        {"flatness": -1.0},
        {"batch_size": 0},
        {"learning_rate_init": 0.0},
        {"max_iter": 0},
        {"tol": -1.0},
        {"n_iter_no_change": 0},
        {"validation_fraction": 1.0},
    ],
    ids=str,
)
def test_bad_parameters(parameters):
    with pytest.raises((ValueError, TypeError), match=next(iter(parameters))):
        VAETransformer(**parameters).fit(X)


@pytest.mark.parametrize(
    ("part", "name", "match"),
    [
        ((), "network", "at least one layer"),
        ((0,), "network", "network"),
        (Perceptron((0,)), "network", "hidden_layer_sizes"),
        (Perceptron(activation="relu"), "network", "activation"),
        (Convolutional((8, 8), ()), "network", "n_channels"),
        (RBFNoise(0), "noise", "n_centers"),
        (RBFNoise(bandwidth=0.0), "noise", "bandwidth"),
        (RBFNoise(contrast=1.0), "noise", "contrast"),
        (DecoderEnsemble(0), "noise", "n_decoders"),
        (Neighbors(0), "neighbors", "n_neighbors"),
    ],
    ids=str,
)
def test_bad_parameters_of_parts(part, name, match):
    with pytest.raises(ValueError, match=match):
        VAETransformer(**{name: part}).fit(X)


def test_bad_data(digits_vae):
    with pytest.raises(ValueError, match="All rows of X are the same"):
        small().fit(np.ones((10, 3)))
    with pytest.raises(ValueError, match="Codes must have shape"):
        digits_vae[0].inverse_transform(np.zeros((3, 5)))


def test_diverged_training_says_so():
    with pytest.raises(ValueError, match="learning_rate_init"):
        small(learning_rate_init=1e30).fit(X)


@pytest.mark.slow
def test_mixed_precision_trains_about_as_well(digits):
    full, half = (small(mixed_precision=on).fit(digits[0]) for on in (False, True))
    assert half.loss_curve_[-1] == pytest.approx(full.loss_curve_[-1], abs=1.0)
    assert half.loss_curve_ != full.loss_curve_


def test_mixed_precision_within_other_contexts_of_rounding():
    """Weights rounded once were used in all later steps where an outer context was open."""
    losses = small(mixed_precision=True, max_iter=3).fit(X).loss_curve_
    with torch.autocast("cpu", enabled=False):
        assert small(mixed_precision=True, max_iter=3).fit(X).loss_curve_ == losses
    assert losses != small(max_iter=3).fit(X).loss_curve_


# Networks of other kinds -------------------------------------------------------------------


def encoder(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 12), torch.nn.Softplus(), torch.nn.Linear(12, n_outputs)
    )


def decoder(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 12), torch.nn.Tanh(), torch.nn.Linear(12, n_outputs)
    )


KINDS = {
    "images": {"network": Convolutional((8, 8), (4, 8))},
    "residual": {"network": Perceptron((16, 16, 16), residual=True, skip=False)},
    "modules": {"network": Modules(encoder=encoder, decoder=decoder)},
    "ensemble": {"noise": DecoderEnsemble(3)},
    "several draws": {"n_importance_samples": 5},
    "draws of an ensemble of images": {
        "network": Convolutional((1, 8, 8), (4,)),
        "noise": DecoderEnsemble(2),
        "n_importance_samples": 3,
        "likelihood": "poisson",
    },
}


@pytest.mark.parametrize(
    "kind", thorough(KINDS, slow=["images", "residual", "ensemble", "several draws"])
)
def test_every_kind_of_network(kind, digits, global_state):
    data = digits[0]
    vae = small(**{"noise": RBFNoise(bandwidth=2.0, contrast=10), **KINDS[kind]}).fit(data)
    codes = np.asarray(vae.transform(data))
    constant = np.square(data - data.mean(0)).mean()
    decoded = vae.inverse_transform(codes)
    assert decoded.shape == data.shape
    assert np.square(decoded - data).mean() < 0.9 * constant
    assert np.isfinite(vae.score(data))
    assert vae.sample(5, random_state=0).shape == (5, 64)
    length = vae.metric_.geodesic(codes[:5], codes[5:10], tol=1e-2).length
    assert np.isfinite(length).all()

    again = clone(vae).fit(data)
    same_bits(again.transform(data), vae.transform(data))
    stored = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(stored.transform(data), vae.transform(data))
    assert stored.metric_ == vae.metric_
    assert torch.cuda.is_available() or again.metric_ == vae.metric_


def test_an_ensemble_disagrees_away_from_the_data(digits):
    data = digits[0]
    vae = small(noise=DecoderEnsemble(3), network=Perceptron((16,), skip=False)).fit(data)
    codes = np.asarray(vae.transform(data))
    members = vae.metric_.embed(codes).reshape(len(codes), 3, 64)
    far = vae.metric_.embed(codes * 10.0).reshape(len(codes), 3, 64)
    assert far.std(1).mean() > 2 * members.std(1).mean()


def test_an_ensemble_has_the_mean_of_its_members_metrics(digits):
    vae = small(noise=DecoderEnsemble(3), likelihood="poisson").fit(digits[0])
    codes = np.asarray(vae.transform(digits[0]))[:5]
    tensors = [PullbackMetric(member, 2).tensor(codes) for member in vae._embedding._members]
    np.testing.assert_allclose(vae.metric_.tensor(codes), np.mean(tensors, axis=0), rtol=1e-10)


def normalising(n_inputs, n_outputs):
    frozen = torch.nn.Linear(n_inputs, 12).requires_grad_(False)
    torch.nn.init.eye_(frozen.weight)
    return torch.nn.Sequential(
        frozen, torch.nn.BatchNorm1d(12), torch.nn.Tanh(), torch.nn.Linear(12, n_outputs)
    )


def test_modules_with_frozen_layers_and_batch_normalisation():
    vae = small(
        network=Modules(encoder=normalising, decoder=normalising), flatness=0.1, early_stopping=True
    ).fit(X)
    np.testing.assert_array_equal(vae._encoder.parts[0], np.eye(12, 4))
    assert np.isfinite(vae.score(X))
    same_bits(np.asarray(vae.transform(X))[:1], vae.transform(X[:1]))


def test_weights_count_in_training_with_several_draws():
    weights = np.r_[np.full(75, 2.0), np.ones(75)]
    weighted = small(n_importance_samples=3).fit(X, sample_weight=weights)
    repeated = small(n_importance_samples=3).fit(np.r_[X[:75], X])
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


def test_modules_are_asked_for_in_the_right_shape(digits):
    with pytest.raises(ValueError, match="4"):
        small(network=Modules(encoder=lambda n_in, n_out: torch.nn.Linear(n_in, n_out + 1))).fit(
            digits[0]
        )
    with pytest.raises(ValueError, match="64"):
        small(network=Modules(decoder=lambda n_in, n_out: torch.nn.Linear(n_in, 3))).fit(digits[0])
    with pytest.raises(TypeError, match="got a module"):
        small(network=Modules(decoder=torch.nn.Linear(2, 64))).fit(digits[0])
    with pytest.raises(ValueError, match="pixels"):
        small(network=Convolutional((9, 8))).fit(digits[0])


def test_evidence_bound_is_the_fit_less_the_divergence(digits_vae, digits):
    vae, X = digits_vae[0], digits[0][:20]
    mean, log_variance = vae._posterior(X)
    noise = torch.as_tensor(np.random.default_rng(0).standard_normal((1000, 1, 2)))
    z = mean + torch.exp(0.5 * log_variance) * noise
    x = torch.as_tensor(X, dtype=torch.float64).repeat(1000, 1)
    fit = vae._embedding.log_prob(x, z.flatten(0, 1)).reshape(1000, 20).mean(0)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
    np.testing.assert_allclose(vae.evidence_lower_bound(X, 1000), fit - divergence, atol=1.0)


@pytest.mark.parametrize("name", NOW)
def test_parameters_of_old_are_told_what_they_are_called_now(name):
    with pytest.raises(TypeError, match=re.escape(NOW[name])):
        VAETransformer(**{name: None})
    with pytest.raises(TypeError, match=name):
        VAETransformer().set_params(**{name: None})


def test_parts_are_searched_and_cloned(digits):
    vae = small(noise=RBFNoise(bandwidth=2.0), network=Perceptron((8,)))
    assert vae.get_params()["noise__bandwidth"] == 2.0
    twin = clone(vae).set_params(noise__contrast=5.0, network__activation="softplus")
    assert vae.noise.contrast == 30.0
    first, second = vae.fit(digits[0]), twin.fit(digits[0])
    assert first.metric_ != second.metric_
    # Names and widths stand for parts with the defaults.
    same = small(network=(16,), noise="rbf", neighbors=3).fit(digits[0])
    other = small(network=Perceptron((16,)), noise=RBFNoise(), neighbors=Neighbors(3))
    assert same.loss_curve_ == other.fit(digits[0]).loss_curve_
    assert same.metric_ == other.metric_


@pytest.mark.parametrize("name", ["network", "noise", "neighbors"])
def test_parts_of_another_kind_are_refused(name, digits):
    with pytest.raises((TypeError, ValueError), match=name):
        small(**{name: "wide"}).fit(digits[0])


def test_parameters_of_what_is_no_part_are_told_what_to_pass():
    with pytest.raises(ValueError, match=re.escape("noise=RBFNoise()")):
        small().set_params(noise__bandwidth=2.0)
    found = small().set_params(noise=RBFNoise(), noise__bandwidth=2.0)
    assert found.noise.bandwidth == 2.0
    with pytest.raises(ValueError, match="Invalid parameter"):
        small().set_params(nothing__bandwidth=2.0)
