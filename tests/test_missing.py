"""Tables in which entries are missing: what is not there counts for nothing, and is filled in."""

import itertools
import math

import numpy as np
import pytest
import torch
from networks import normal
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.utils import get_tags

from skriem import Convolutional, DecoderEnsemble, MixturePrior, Modules, Neighbors, VAETransformer
from skriem.decoders.gaussian import DecoderEmbedding
from skriem.geometry.maps.ensemble import EnsembleEmbedding
from skriem.nn.common_noise import common_noise, given_known
from skriem.nn.importance import conditional_means
from skriem.nn.likelihoods import LIKELIHOODS
from skriem.nn.likelihoods.base import known_average
from skriem.nn.network import LayeredNetwork, perceptron
from skriem.nn.priors.base import NormalPrior, Proposals

# What is fitted here is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def little(**parameters):
    defaults = {"network": (8,), "max_iter": 4, "random_state": 0}
    return VAETransformer(**{**defaults, **parameters})


def generator():
    return torch.Generator().manual_seed(0)


def line(n=200, p=5, noise=0.1, seed=0):
    """Data along a plane."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, p)) + noise * rng.normal(size=(n, p))


def holes(X, share=0.2, seed=1):
    X = np.array(X, dtype=np.float64)
    X[np.random.default_rng(seed).uniform(size=X.shape) < share] = np.nan
    return X


def of_kind(kind, n=40):
    rng = np.random.default_rng(0)
    reals = line(n, 4)
    counts = rng.poisson(np.exp(0.5 * reals)).astype(float)
    return {
        "gaussian": reals,
        "student_t": reals,
        "bernoulli": (reals > 0).astype(float),
        "categorical": np.minimum(counts, 2.0),
        "poisson": counts,
        "negative_binomial": counts,
    }[kind]


# Likelihoods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_column_that_is_missing_is_a_column_less(kind):
    X = of_kind(kind)
    gone = X.copy()
    gone[:, -1] = np.nan
    both = []
    for data, columns in ((gone, slice(None)), (X[:, :-1], slice(-1))):
        likelihood = LIKELIHOODS[kind]().fit(np.nan_to_num(X[:, columns]))
        if likelihood.is_location_scale:
            likelihood.n_varying = len(X.T[columns])
        target = torch.as_tensor(likelihood.targets(data))
        natural = normal(40, 12)[:, : target.shape[1]].requires_grad_()
        parts = [part.double() + 0.1 for part in likelihood.init_parts(target.shape[1])]
        weights = torch.full((40,), 1.0 / 40.0).double()
        loss = likelihood.loss(natural, target, weights, parts)
        (slope,) = torch.autograd.grad(loss, natural)
        draws = natural.detach().expand(3, -1, -1)
        of_draws = likelihood.of_draws(draws, target, weights, parts)
        both.append((loss.detach(), slope, of_draws))
    (loss, slope, of_draws), (fewer, fewer_slopes, fewer_draws) = both
    torch.testing.assert_close(loss, fewer)
    n_fewer = fewer_slopes.shape[1]
    torch.testing.assert_close(slope[:, :n_fewer], fewer_slopes)
    assert (slope[:, n_fewer:] == 0.0).all()
    torch.testing.assert_close(of_draws, fewer_draws)


def test_averages_of_what_is_known():
    X = np.array([[1.0, 5.0], [np.nan, 7.0], [4.0, np.nan]])
    np.testing.assert_allclose(known_average(X, np.array([1.0, 1.0, 3.0])), [13.0 / 4.0, 6.0])


# Fits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_every_method_takes_missing_entries(kind):
    X = of_kind(kind)
    gone = holes(X)
    gone[:2] = X[:2]
    before = gone.copy()
    for vae in (little(likelihood=kind).fit(gone), little(likelihood=kind).fit(X)):
        codes = vae.transform(gone)
        assert np.isfinite(codes).all()
        assert np.isfinite(vae.inverse_transform(codes)).all()
        assert np.isfinite(vae.score_samples(gone)).all()
        filled = vae.impute(gone)
        assert np.isfinite(filled).all()
        known = ~np.isnan(gone)
        np.testing.assert_array_equal(filled[known], gone[known])
        np.testing.assert_array_equal(vae.impute(X), X)
        # What comes of a row does not depend on the others.
        np.testing.assert_allclose(vae.impute(gone[5:6]), filled[5:6], rtol=1e-6)
    np.testing.assert_array_equal(gone, before)


@pytest.mark.parametrize(
    "parameters",
    [
        {"prior": MixturePrior(3)},
        {"noise": "mlp"},
        {"network": Convolutional((2, 2), (2,))},
        {"neighbors": Neighbors(3, attraction=1.0)},
        {"noise": DecoderEnsemble(2), "n_importance_samples": 2},
        {"early_stopping": True},
        {"network": Modules(encoder=lambda n, m: torch.nn.Linear(n, m))},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_missing_entries_in_every_kind_of_network(parameters):
    gone = holes(of_kind("gaussian"))
    vae = little(**parameters).fit(gone)
    assert np.isfinite(vae.impute(gone)).all()
    assert np.isfinite(vae.metric_.tensor(np.asarray(vae.transform(gone[:3])))).all()


@pytest.mark.parametrize("complete", [False, True])
def test_data_in_a_plane_are_filled_in_from_the_plane(complete):
    X = line()
    gone = holes(X)
    vae = VAETransformer(random_state=0, max_iter=60, noise="constant")
    vae.fit(X if complete else gone)
    missing = np.isnan(gone)
    error = np.square(vae.impute(gone) - X)[missing].mean()
    with_means = SimpleImputer().fit_transform(gone)
    plain = np.square(with_means - X)[missing].mean()
    assert error < 0.25 * plain
    codes = [np.asarray(vae.transform(rows)) for rows in (X, gone, with_means)]
    assert np.square(codes[1] - codes[0]).mean() < 0.5 * np.square(codes[2] - codes[0]).mean()


def test_imputations_are_conditional_means():
    """Of a linear model: what the normal distribution of the data says."""
    X = line(1000, 3, noise=0.5)
    vae = VAETransformer(random_state=0, max_iter=60, noise="constant").fit(X)
    gone = X[:100].copy()
    gone[:, 0] = np.nan
    covariance, mean = np.cov(X.T), X.mean(0)
    slopes = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    exact = mean[0] + (gone[:, 1:] - mean[1:]) @ slopes
    found = vae.impute(gone, 500)[:, 0]
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.25 * exact.std()


# Noise that outputs have in common -------------------------------------------------------------


def covariance(m, seed=0):
    root = normal(m, m, seed=seed)
    return root @ root.T / m + 0.1 * torch.eye(m).double()


def test_what_known_errors_say_of_others():
    sigma, errors = covariance(4), normal(3, 2, 4)
    known = torch.tensor([[True, False, True, True], [True] * 4, [False] * 4])
    errors = errors.masked_fill(~known[:, None], math.nan)
    log_density, expected = given_known(errors, sigma)
    for i, k in itertools.product(range(3), range(2)):
        o, e = known[i].numpy(), errors[i, k].numpy()
        full = e.copy()
        full[~o] = sigma.numpy()[~o][:, o] @ np.linalg.solve(sigma.numpy()[o][:, o], e[o])
        np.testing.assert_allclose(expected[i, k], full)
        exact = multivariate_normal(cov=sigma.numpy()[o][:, o]).logpdf(e[o]) if o.any() else 0.0
        assert float(log_density[i, k]) == pytest.approx(exact)


def test_the_covariance_of_errors_of_which_some_are_missing():
    """What the most probable one is given the rows, by a slope of their density of zero."""
    errors = (normal(300, 3) @ torch.linalg.cholesky(covariance(3)).T).numpy()
    errors[np.random.default_rng(1).uniform(size=errors.shape) < 0.3] = np.nan
    errors, floor = torch.as_tensor(errors), torch.full((3,), 1e-9).double()
    weights = torch.ones(300).double()
    found = common_noise(errors, weights, floor)
    # Pulled by three more errors that are independent: a density of Wishart's kind.
    own = torch.diag(found.diagonal())
    sigma = found.clone().requires_grad_()
    fit = given_known(errors[:, None], sigma)[0].sum()
    prior = -1.5 * (torch.logdet(sigma) + torch.trace(torch.linalg.solve(sigma, own)))
    (slope,) = torch.autograd.grad(fit + prior, sigma)
    (scale,) = torch.autograd.grad(torch.logdet(sigma), sigma)
    assert float(slope.abs().max()) < 3e-3 * 150.0 * float(scale.abs().max())
    # Weights are repetitions, in any unit.
    twice = common_noise(errors[:100], 2.0 * weights[:100], floor)
    torch.testing.assert_close(twice, common_noise(errors[:100], weights[:100], floor))
    # All known: the second moments, nearly.
    whole = normal(1000, 3)
    found = common_noise(whole, weights.new_ones(1000), floor)
    torch.testing.assert_close(found, whole.T @ whole / 1000, rtol=0.0, atol=1e-3)
    assert common_noise(whole[:, :1], weights.new_ones(1000), floor[:1]) is None
    assert common_noise(normal(5, 101), weights[:5], normal(101)) is None


@pytest.mark.parametrize("n_members", [1, 2])
def test_conditional_means_of_linear_decoders_with_common_noise(n_members):
    """In closed form: codes and errors together make rows normal."""
    n, m, d = 6, 5, 2
    slope, center, sigma = normal(m, d, seed=1), normal(m, seed=2), covariance(m, 3)
    form = perceptron([d, 3, m], "tanh")
    parts = [part * 0.0 for part in form.init((slope, center), generator(), torch.float64)]
    parts[0], parts[1] = slope, center
    network = LayeredNetwork(form, parts).stored()
    decoder = DecoderEmbedding(network, np.ones(m), 2.0, 0.5, common=sigma.numpy())
    if n_members == 2:
        decoder = EnsembleEmbedding([decoder, decoder])
    mean, total = 2.0 * center.numpy() + 1.0, 4.0 * slope @ slope.T + sigma
    x = torch.as_tensor(np.random.default_rng(5).multivariate_normal(mean, total.numpy(), n))
    x[:, 0] = math.nan
    x[3:, 3] = math.nan
    prior = NormalPrior()
    proposals = Proposals(torch.zeros(n, d).double(), torch.ones(n, d).double(), prior)
    found = conditional_means(x, proposals, decoder, 20_000, generator())
    for i in range(n):
        o = ~x[i].isnan().numpy()
        exact = mean + total.numpy()[:, o] @ np.linalg.solve(
            total.numpy()[o][:, o], x[i].numpy()[o] - mean[o]
        )
        np.testing.assert_allclose(found[i], exact, atol=0.03)


def test_columns_with_common_noise_beside_others():
    """The covariance of those that are real numbers is used, and no other."""
    X = line(300, 6)
    X[:, :2] = X[:, :2] > 0.0
    kinds = {0: "bernoulli", 1: "bernoulli", **dict.fromkeys(range(2, 6), "gaussian")}
    gone = holes(X)
    vae = little(likelihood=kinds, noise="constant").fit(gone)
    error = np.square(vae.impute(gone) - X)[:, 2:][np.isnan(gone)[:, 2:]].mean()
    # Four passes are too few for the codes alone.
    for member in vae._embedding._members:
        member._common = None
    assert error < 0.9 * np.square(vae.impute(gone) - X)[:, 2:][np.isnan(gone)[:, 2:]].mean()


def test_the_geometry_knows_nothing_of_common_noise():
    vae = little(noise="constant").fit(line())
    common, before = vae._embedding._common, vae.metric_.fingerprint
    assert common.shape == (5, 5)
    vae._embedding._common = None
    assert vae.metric_.fingerprint == before


def test_few_draws_do():
    gone = holes(line())
    vae = little(prior=MixturePrior(3)).fit(gone)
    for n_samples in (1, 2, 29, 31):
        assert np.isfinite(vae.impute(gone[:9], n_samples)).all()


# Rows and columns ------------------------------------------------------------------------------


def test_rows_and_columns_of_which_nothing_is_known():
    X = holes(line(60))
    with_empty = np.r_[X, np.full((3, 5), np.nan)]
    vae = little(prior=MixturePrior(3)).fit(X)
    # Nothing is learned from empty rows, and they are what the prior says.
    found = clone(vae).fit(with_empty)
    np.testing.assert_array_equal(found.transform(X), vae.transform(X))
    empty = vae.predict_proba(with_empty[-1:])[0]
    graph = vae._prior.on().graph
    np.testing.assert_allclose(empty, graph.logits.softmax(0), rtol=1e-6)
    normal_prior = little().fit(X)
    np.testing.assert_array_equal(normal_prior.transform(with_empty[-1:]), [[0.0, 0.0]])
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"columns \[2\]"):
        little().fit(X)
    with pytest.raises(ValueError, match="columns"):
        little().fit(np.full((5, 5), np.nan))
    # Later they may be missing.
    assert np.isfinite(vae.impute(X)).all()


def test_infinite_entries_are_refused():
    X = line(20)
    vae = little().fit(X)
    X[3, 1] = np.inf
    for ask in (vae.fit, vae.transform, vae.impute):
        with pytest.raises(ValueError, match="infinity"):
            ask(X)


def test_repetitions_and_order_of_rows_with_gaps():
    X = holes(line(40))
    weights = np.r_[np.full(10, 2.0), np.ones(30)]
    weighted = little().fit(X, sample_weight=weights)
    repeated = little().fit(np.r_[X[:10], X[::-1]])
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


def test_parts_and_warm_starts_with_gaps():
    X = holes(line(60))
    parts = little().partial_fit(X[:30]).partial_fit(X[30:]).partial_fit(line(20))
    assert np.isfinite(parts.impute(X)).all()
    vae = little(warm_start=True).fit(line(60))
    assert np.isfinite(vae.fit(X).impute(X)).all()
    assert np.isfinite(vae.fit(X).impute(X)).all()


def test_tags_say_that_entries_may_be_missing():
    assert get_tags(VAETransformer()).input_tags.allow_nan


def test_a_batch_of_empty_rows_changes_nothing():
    X = np.random.default_rng(0).normal(size=(12, 3))
    empty = np.concatenate([X, np.full((5, 3), np.nan)])
    found = [
        VAETransformer(network=(4,), batch_size=1, random_state=0).partial_fit(part).transform(X)
        for part in (X, empty)
    ]
    assert np.isfinite(found[1]).all()
    np.testing.assert_array_equal(*found)
