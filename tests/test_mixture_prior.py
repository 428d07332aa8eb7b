"""Mixtures as priors of codes, held to closed forms and to scikit-learn's mixtures."""

import math

import numpy as np
import pytest
import torch
from networks import normal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t, norm, wishart
from sklearn.decomposition import FactorAnalysis
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from torch.distributions import Dirichlet, kl_divergence

from skriem import MixturePrior, VAETransformer
from skriem.nn.priors import mixture as mixture_prior
from skriem.nn.priors.conjugate import (
    Conjugate,
    conjugate_prior,
    distances,
    divergence,
    expected,
    log_share_means,
    precision_means,
    stepped,
)
from skriem.nn.priors.mixture import Mixture, MixturePosterior, NormalTails, mixture_of
from skriem.nn.priors.potentials import Graph, combine, inverse


def graph(n_components=3, d=2, seed=0):
    roots = 0.5 * normal(n_components, d, d, seed=seed + 1).tril()
    return Graph(normal(n_components, seed=seed + 2), normal(n_components, d, seed=seed), roots)


def conjugate(n_components=3, d=2, seed=0):
    """Any posterior of the parameters."""
    factors = normal(n_components, d, d, seed=seed)
    beta, means = normal(n_components, seed=seed + 1).exp(), normal(n_components, d, seed=seed + 2)
    moment = beta[:, None] * means
    scatter = factors @ factors.mT + 0.5 * torch.eye(d) + means[:, :, None] * moment[:, None]
    nu = d + 4.0 + normal(n_components, seed=seed + 3).exp()
    return Conjugate(normal(n_components, seed=seed + 4).exp(), beta, nu, moment, scatter)


def mixture(n_components=3, d=2, component="normal", seed=0):
    labels = torch.arange(60) % n_components
    codes = normal(60, d, seed=seed) + 2.0 * labels[:, None]
    weights = torch.ones(60, dtype=torch.float64)
    return mixture_of(codes, weights, labels, n_components, 0.1, component)


def potentials(n=5, d=2, seed=3):
    return normal(n, d, seed=seed), 0.5 * normal(n, d, seed=seed + 1)


# Potentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 5])
def test_inverses_and_determinants(d):
    factors = normal(4, 3, d, d)
    matrices = factors @ factors.mT + 0.1 * torch.eye(d)
    found, log_dets = inverse(matrices)
    torch.testing.assert_close(found, torch.linalg.inv(matrices))
    torch.testing.assert_close(log_dets, torch.logdet(matrices))
    torch.testing.assert_close(found, found.mT)
    torch.testing.assert_close(matrices, factors @ factors.mT + 0.1 * torch.eye(d))


def test_written_out_derivatives_are_those_of_the_values():
    mean, log_variance = potentials()
    g = graph()
    inputs = mean, log_variance.exp(), g.logits, g.centers, g.roots
    inputs = [part.clone().requires_grad_() for part in inputs]

    def values(mean, precision, *parts):
        return tuple(vars(combine(mean, precision, Graph(*parts))).values())

    assert torch.autograd.gradcheck(values, inputs)


def test_the_normaliser_by_quadrature():
    g = graph(d=1)
    mean, precision = (torch.tensor([[x]], dtype=torch.float64) for x in (0.7, 2.5))
    x = np.linspace(-30.0, 30.0, 400_001)
    std = g.factors[:, 0, 0].numpy() ** -1.0
    shares = torch.softmax(g.logits, 0).numpy()
    means = g.centers[:, 0].numpy()
    density = (
        shares * np.exp(-0.5 * ((x[:, None] - means) / std) ** 2) / (std * np.sqrt(2.0 * np.pi))
    )
    joint = density * np.exp(-0.5 * 2.5 * (x[:, None] - 0.7) ** 2)
    each = joint.sum(0) * (x[1] - x[0])
    found = combine(mean, precision, g)
    # The product is the posterior, at any place, times what it integrates to.
    stds = found.covariances[0, :, 0, 0].sqrt().numpy()
    off = (x[:, None] - found.means[0, :, 0].numpy()) / stds
    posterior = found.log_shares.exp()[0].numpy() * norm.pdf(off) / stds
    core = np.abs(x) < 5.0
    log_ratio = np.log(joint.sum(1)[core]) - np.log(posterior.sum(1)[core])
    np.testing.assert_allclose(log_ratio, np.log(each.sum()), rtol=1e-8)
    np.testing.assert_allclose(found.log_shares.exp()[0], each / each.sum(), rtol=1e-8)
    np.testing.assert_allclose(
        found.means[0, :, 0], (x[:, None] * joint).sum(0) / joint.sum(0), rtol=1e-8
    )


def test_shares_are_those_of_marginal_densities():
    """r_k is proportional to pi_k N(m | mu_k, V + S_k)."""
    g, (mean, log_variance) = graph(), potentials()
    covariances = torch.linalg.inv(g.factors @ g.factors.mT)
    log_joint = [
        [
            share + multivariate_normal(mu, s + np.diag(v)).logpdf(m)
            for share, mu, s in zip(g.logits.numpy(), g.centers.numpy(), covariances.numpy())
        ]
        for m, v in zip(mean.numpy(), log_variance.exp().numpy())
    ]
    expected = np.array(log_joint) - logsumexp(log_joint, axis=1, keepdims=True)
    found = combine(mean, torch.exp(-log_variance), g).log_shares
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(found.exp().sum(1), 1.0)


def test_potentials_that_say_nothing_leave_the_graphical_model():
    g = graph()
    found = combine(normal(4, 2), torch.zeros(4, 2).double(), g)
    torch.testing.assert_close(found.log_shares, g.logits.log_softmax(-1).expand(4, -1))
    torch.testing.assert_close(found.means, g.centers.expand(4, -1, -1))
    covariances = torch.linalg.inv(g.factors @ g.factors.mT)
    torch.testing.assert_close(found.covariances, covariances.expand(4, -1, -1, -1))
    log_dets = -2.0 * torch.logdet(g.factors)
    torch.testing.assert_close(found.log_dets, log_dets.expand(4, -1))


# Parameters ----------------------------------------------------------------------------------


def test_divergences_of_parameters():
    p, q = conjugate(seed=5), conjugate()
    assert float(divergence(q, q)) == pytest.approx(0.0, abs=1e-10)
    total = float(kl_divergence(Dirichlet(q.alpha), Dirichlet(p.alpha)))
    precisions, log_dets = precision_means(q)
    for k in range(3):
        # Entropy and constants are scipy's.
        of_q = wishart(q.nu[k].item(), torch.linalg.inv(q.scales[k]))
        of_p = wishart(p.nu[k].item(), torch.linalg.inv(p.scales[k]))
        constant = of_p.logpdf(np.eye(2)) + 0.5 * torch.trace(p.scales[k])
        cross = constant + 0.5 * (p.nu[k] - 3.0) * log_dets[k]
        cross = cross - 0.5 * torch.trace(p.scales[k] @ precisions[k])
        total -= of_q.entropy() + float(cross)
        # Of the mean, given the expected precision.
        off, ratio = q.means[k] - p.means[k], p.beta[k] / q.beta[k]
        total += float(0.5 * p.beta[k] * off @ precisions[k] @ off + ratio - 1.0 - ratio.log())
    assert float(divergence(q, p)) == pytest.approx(total, rel=1e-8)


def test_expectations_against_draws():
    c, x, n = conjugate(n_components=2), normal(1, 2, seed=9), 40_000
    rng = np.random.default_rng(0)
    said, point = expected(c, x), MixturePosteriorAt(x)
    shares = rng.dirichlet(c.alpha.numpy(), n)
    np.testing.assert_allclose(log_share_means(c), np.log(shares).mean(0), atol=0.1)
    for k in range(2):
        of_precision = wishart(c.nu[k].item(), torch.linalg.inv(c.scales[k]))
        precisions = of_precision.rvs(n, random_state=rng)
        factors = np.linalg.cholesky(np.linalg.inv(c.beta[k].item() * precisions))
        means = c.means[k].numpy() + (factors @ rng.normal(size=(n, 2, 1)))[..., 0]
        squares = np.einsum("ni,nij,nj->n", x.numpy() - means, precisions, x.numpy() - means)
        assert float(distances(point, said)[0, k]) == pytest.approx(squares.mean(), rel=0.05)
        log_dets = np.linalg.slogdet(precisions)[1].mean()
        assert float(said.log_dets[k]) == pytest.approx(log_dets, abs=0.05)


class MixturePosteriorAt:
    """Codes without any spread, the same for two components."""

    def __init__(self, x):
        self.means = x[:, None].expand(-1, 2, -1)
        self.covariances = torch.zeros(1, 2, 2, 2).double()


def test_a_full_step_is_that_of_a_bayesian_gaussian_mixture(monkeypatch):
    """Certain codes, a rate of one and all data: the maximisation of variational Bayes."""
    X = np.random.default_rng(0).normal(size=(80, 2)) + np.arange(80)[:, None] % 3
    theirs = BayesianGaussianMixture(
        n_components=3,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.1,
        mean_precision_prior=0.5,
        mean_prior=np.zeros(2),
        degrees_of_freedom_prior=4.5,
        covariance_prior=2.5 * np.eye(2),
        reg_covar=0.0,
        max_iter=1,
        random_state=0,
    )
    with pytest.warns(Warning, match="converge"):
        theirs.fit(X)
    # What they start their last maximisation from.
    ours = mixture()
    codes, far = torch.as_tensor(X), torch.full((80, 2), -40.0).double()
    posterior = ours.infer(codes, far)
    shares = posterior.shares().numpy()
    theirs._m_step(X, np.log(shares))
    settled = ours.settled(codes, far, torch.ones(80).double()).conjugate
    monkeypatch.setattr(mixture_prior, "RATE", 1.0)
    # Of a batch only the proportions of weights count: all data weigh 80.
    ours.under(80.0, 0.1).learn(posterior, torch.full((80,), 2.0).double())
    found = ours.conjugate
    order = torch.argsort(found.alpha, descending=True)
    for name, value in vars(found).items():
        torch.testing.assert_close(getattr(settled, name), value[order])
    np.testing.assert_allclose(found.alpha, theirs.weight_concentration_, rtol=1e-8)
    np.testing.assert_allclose(found.beta, theirs.mean_precision_, rtol=1e-8)
    np.testing.assert_allclose(found.nu, theirs.degrees_of_freedom_, rtol=1e-8)
    np.testing.assert_allclose(found.means, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(found.covariances, theirs.covariances_, rtol=1e-8)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_statistics_are_sums_over_rows_and_components(component):
    ours, (mean, log_variance) = mixture(component=component), potentials()
    posterior, weights = ours.infer(mean, log_variance), normal(5, seed=8).exp()
    c, d = posterior.combined, 2
    expected = [torch.zeros_like(part) for part in ours.conjugate.tensors()]
    for n in range(5):
        for k in range(3):
            share = weights[n] * c.log_shares[n, k].exp()
            # The mean of u ~ Gamma((dof + d) / 2, (dof + distance) / 2), dof = 5.
            heavy = (5.0 + d) / (5.0 + posterior.squares[n, k])
            u = share * (heavy if component == "student_t" else 1.0)
            second = c.covariances[n, k] + torch.outer(c.means[n, k], c.means[n, k])
            terms = share, u, share, u * c.means[n, k], u * second
            for total, term in zip(expected, terms):
                total[k] += term
    for found, total in zip(posterior.statistics(weights), expected):
        torch.testing.assert_close(found, total)


def test_steps_of_batches_average_to_that_of_all(monkeypatch):
    ours, (mean, log_variance) = mixture(), potentials(60)
    weights = normal(60, seed=8).exp()
    before = ours.stored()
    monkeypatch.setattr(mixture_prior, "RATE", 1.0)

    def learned(rows, share):
        new = before.on().under(60.0 * share, 0.1)
        new.learn(new.infer(mean[rows], log_variance[rows]), weights[rows])
        return new.parts[3:]

    every = learned(slice(None), 1.0)
    shares = [weights[rows].sum() / weights.sum() for rows in (slice(20), slice(20, 60))]
    first, second = learned(slice(20), shares[0]), learned(slice(20, 60), shares[1])
    prior = conjugate_prior(3, 2, 0.1).tensors()
    for a, b, base, total in zip(first, second, prior, every):
        torch.testing.assert_close(a + b - base, total)
    half = stepped(ours.conjugate, conjugate_prior(3, 2, 0.1), [0 * p for p in prior], 0.5)
    torch.testing.assert_close(half.alpha, 0.5 * (ours.conjugate.alpha + 0.1))


# Posteriors and priors -------------------------------------------------------------------------


def test_one_component_and_a_linear_decoder_are_factor_analysis():
    """With the exact potentials of a linear decoder the bound is the likelihood."""
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7]
    model = FactorAnalysis(2)
    model.mean_, model.components_, model.noise_variance_ = np.zeros(5), loadings.T, np.full(5, 0.3)
    Y = rng.normal(size=(6, 5))
    exact = model.score_samples(Y)
    # The factor of a code in the likelihood: columns are orthogonal, so that it is diagonal.
    precision = torch.as_tensor((loadings**2).sum(0) / 0.3).expand(6, -1)
    mean = torch.as_tensor(Y @ loadings) / 0.3 / precision
    certain = 1e12
    standard = Conjugate(
        torch.ones(1).double(),
        torch.full((1,), certain).double(),
        torch.full((1,), certain).double(),
        torch.zeros(1, 2).double(),
        certain * torch.eye(2).double()[None],
    )
    own = Graph(torch.zeros(1), torch.zeros(1, 2).double(), torch.zeros(1, 2, 2).double())
    posterior = MixturePosterior(
        mean, -precision.log(), own, expected(standard, mean), NormalTails()
    )
    m, s = posterior.combined.means[:, 0].numpy(), posterior.combined.covariances[:, 0].numpy()
    squares = ((Y - m @ loadings.T) ** 2).sum(1) + np.einsum("pi,nij,pj->n", loadings, s, loadings)
    fit = -0.5 * (squares / 0.3 + 5 * np.log(2 * np.pi * 0.3))
    np.testing.assert_allclose(fit - posterior.divergence().numpy(), exact, rtol=1e-6)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_draws_stand_for_the_whole_posterior(component, monkeypatch):
    """Value and slope of an expectation over labels and codes."""
    monkeypatch.setattr(mixture_prior, "SMALL", 0.3)
    ours, n = mixture(component=component), 40_000
    mean, log_variance = (part.clone().requires_grad_() for part in potentials(2))
    generator = torch.Generator().manual_seed(0)
    many = ours.infer(mean.repeat_interleave(n, 0), log_variance.repeat_interleave(n, 0))
    codes, rows, counts = many.draws(generator)
    assert len(codes) < 2 * len(many.squares)
    estimate = torch.zeros(2).double().index_add(0, rows // n, counts * codes.square().sum(1) / n)
    one = ours.infer(mean, log_variance)
    spread = one.combined.covariances.diagonal(dim1=-2, dim2=-1)
    exact = (one.shares()[..., None] * (spread + one.combined.means.square())).sum((1, 2))
    torch.testing.assert_close(estimate, exact, rtol=0.03, atol=0.0)
    slopes = torch.autograd.grad(estimate.sum(), mean)[0]
    torch.testing.assert_close(
        slopes, torch.autograd.grad(exact.sum(), mean)[0], rtol=0.1, atol=0.03
    )


def test_draws_have_the_covariances_of_their_components():
    """Of potentials and components that are long in other directions."""
    n, roots = 20_000, torch.tensor([[[1.0, 0.0], [2.0, -1.0]]], dtype=torch.float64)
    model = Graph(
        torch.zeros(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), roots
    )
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64).expand(n, -1)
    log_variance = torch.tensor([1.0, -2.0], dtype=torch.float64).expand(n, -1)
    said = expected(conjugate(1), mean)
    posterior = MixturePosterior(mean, log_variance, model, said, NormalTails())
    codes, _, _ = posterior.draws(torch.Generator().manual_seed(0))
    covariance = posterior.combined.covariances[0, 0]
    error = (torch.cov(codes.T) - covariance).abs() / covariance.diagonal().max()
    assert error.max() < 0.03
    torch.testing.assert_close(codes.mean(0), posterior.combined.means[0, 0], atol=0.02, rtol=0.0)


def test_the_divergence_against_draws():
    """Of normal components with parameters that are certain, from the densities themselves."""
    ours, (mean, log_variance) = mixture(), potentials(1)
    certain = Conjugate(*(1e9 * part for part in ours.conjugate.tensors()))
    ours.parts[3:] = certain.tensors()
    posterior = ours.infer(mean, log_variance)
    c, rng = posterior.combined, np.random.default_rng(0)
    total = 0.0
    for k, share in enumerate(posterior.shares()[0].numpy()):
        q = multivariate_normal(c.means[0, k], c.covariances[0, k])
        x = q.rvs(20_000, random_state=rng)
        p = multivariate_normal(certain.means[k], certain.covariances[k])
        ratio = np.log(share) - np.log(certain.shares[k].item()) + q.logpdf(x) - p.logpdf(x)
        total += share * ratio.mean()
    assert float(posterior.divergence()) == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_the_slope_of_the_divergence(component):
    ours, inputs = mixture(component=component), potentials(3)

    def divergence(mean, log_variance, *parts):
        return (
            Mixture([*parts, *ours.parts[3:]], 60.0, 0.1, component)
            .infer(mean, log_variance)
            .divergence()
        )

    inputs = [part.clone().requires_grad_() for part in (*inputs, *ours.parts[:3])]
    assert torch.autograd.gradcheck(divergence, inputs)


def test_heavy_tails_are_a_bound_that_touches_for_certain_codes():
    ours = mixture(component="student_t")
    ours.parts[3:] = Conjugate(*(1e9 * part for part in ours.conjugate.tensors())).tensors()
    x = 3.0 * normal(4, 2)
    squares = distances(
        ours.infer(x, torch.full_like(x, -60.0)).combined, expected(ours.conjugate, x)
    )
    found = 0.5 * expected(ours.conjugate, x).log_dets + mixture_prior.StudentTails().log_profile(
        squares, 2
    )
    for k in range(3):
        t = multivariate_t(ours.conjugate.means[k], ours.conjugate.covariances[k], df=5.0)
        np.testing.assert_allclose(found[:, k], t.logpdf(x), rtol=1e-5)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_the_density_of_the_prior_is_that_of_its_draws(component):
    ours = mixture(component=component)
    z = torch.as_tensor(ours.draw(100_000, 2, np.random.RandomState(0)))
    density = torch.exp(ours.log_density(z) - math.log(2.0 * math.pi))
    # Of the area of a window, the share of the draws in it.
    grid = torch.linspace(-1.0, 1.0, 81).double()
    window = torch.cartesian_prod(grid, grid)
    inside = (z.abs() < 1.0).all(1).double().mean()
    area = torch.exp(ours.log_density(window) - math.log(2.0 * math.pi)).mean() * 4.0
    assert float(area) == pytest.approx(float(inside), rel=0.04)
    assert density.isfinite().all()


def test_the_order_of_components_does_not_matter():
    ours, (mean, log_variance) = mixture(), potentials()
    order = [2, 0, 1]
    other = Mixture([part[order] for part in ours.parts], 60.0, 0.1, "normal")
    a, b = ours.infer(mean, log_variance), other.infer(mean, log_variance)
    torch.testing.assert_close(a.shares()[:, order], b.shares())
    torch.testing.assert_close(a.divergence(), b.divergence())
    torch.testing.assert_close(a.normal(), b.normal())


def test_rows_do_not_depend_on_each_other():
    ours, (mean, log_variance) = mixture(d=3), potentials(7, 3)
    every = ours.infer(mean, log_variance)
    for i in range(7):
        one = ours.infer(mean[i : i + 1], log_variance[i : i + 1])
        torch.testing.assert_close(one.shares()[0], every.shares()[i], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(one.normal()[0][0], every.normal()[0][i], rtol=1e-12, atol=1e-14)


# The autoencoder -------------------------------------------------------------------------------


def pinwheel(seed=0, n=60):
    """Five arms, turned the more the further out (Johnson et al., NeurIPS 2016)."""
    rng, labels = np.random.RandomState(seed), np.repeat(np.arange(5), n)
    arms = rng.randn(5 * n, 2) * [0.3, 0.05] + [1.0, 0.0]
    angle = 2.0 * np.pi * labels / 5.0 + 0.25 * np.exp(arms[:, 0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return 10.0 * np.einsum("nj,jin->ni", arms, turn), labels


def grouped(**parameters):
    defaults = {"prior": MixturePrior(4), "max_iter": 4, "noise": "constant"}
    return VAETransformer(**{"random_state": 0, **defaults, **parameters})


@pytest.mark.slow
def test_arms_of_a_pinwheel_are_groups():
    X, y = pinwheel()
    vae = grouped(prior=MixturePrior(5), max_iter=60, learning_rate_init=1e-2).fit(X)
    found = adjusted_rand_score(y, vae.predict(X))
    assert found > 0.9
    assert found > adjusted_rand_score(y, GaussianMixture(5, random_state=0).fit_predict(X))
    assert vae.sample(20, random_state=0).shape == (20, 2)


@pytest.mark.slow
@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_five_of_ten_components_are_used(component):
    found = []
    for seed in range(5):
        X, y = pinwheel(seed, 200)
        prior = MixturePrior(10, component=component)
        vae = grouped(prior=prior, max_iter=300, n_iter_no_change=300, learning_rate_init=1e-2)
        vae.set_params(random_state=seed).fit(X)
        arms = vae.weights_ > 0.1
        assert arms.sum() == 5
        assert vae.weights_[arms].sum() > 0.85
        found.append(adjusted_rand_score(y, vae.predict(X)))
    assert np.sum(np.array(found) > 0.9) >= 4


def test_labels_and_groups_have_the_meanings_of_mixtures():
    X, _ = pinwheel()
    vae = grouped().fit(X)
    shares = vae.predict_proba(X)
    assert shares.shape == (300, 4)
    np.testing.assert_allclose(shares.sum(1), 1.0)
    np.testing.assert_array_equal(vae.predict(X), shares.argmax(1))
    np.testing.assert_array_equal(vae.predict(X), grouped().fit_predict(X))
    assert vae.weights_.sum() == pytest.approx(1.0)
    assert (np.diff(vae.weights_) <= 0.0).all()
    assert vae.means_.shape == (4, 2)
    assert (np.linalg.eigvalsh(vae.covariances_) > 0.0).all()
    # What all data say together, not the last batch.
    np.testing.assert_allclose(vae.weights_, (0.0125 + shares.sum(0)) / (0.05 + 300), rtol=1e-6)


def test_a_normal_prior_has_no_labels():
    vae = grouped(prior="normal")
    for name in ("predict", "predict_proba", "fit_predict", "weights_"):
        assert not hasattr(vae, name)
    vae.set_params(prior="mixture")
    assert hasattr(vae, "predict")
    vae.fit(pinwheel()[0])
    assert vae.set_params(prior="normal").weights_.shape == (10,)
    assert not hasattr(vae.fit(pinwheel()[0]), "weights_")


def test_fewer_rows_than_components():
    X = pinwheel()[0][:6]
    vae = grouped(prior=MixturePrior(9)).fit(X)
    assert vae.predict_proba(X).shape == (6, 9)
    assert np.isfinite(vae.score(X))


def test_priors_that_cannot_be_used():
    X = pinwheel()[0]
    for prior, error in (
        ("gaussian", ValueError),
        (MixturePrior(0), ValueError),
        (MixturePrior(component="cauchy"), ValueError),
        (MixturePrior(concentration=0.0), ValueError),
        (None, TypeError),
    ):
        with pytest.raises(error, match="prior|n_components|component|concentration"):
            grouped(prior=prior).fit(X)
    with pytest.raises(ValueError, match="n_importance_samples"):
        grouped(n_importance_samples=2).fit(X)


def test_weights_repetitions_and_parts():
    X, _ = pinwheel()
    weights = np.r_[np.full(100, 2.0), np.ones(200)]
    weighted = grouped().fit(X, sample_weight=weights)
    repeated = grouped().fit(np.r_[X, X[:100]])
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    parts = grouped().partial_fit(X[:150]).partial_fit(X[150:])
    assert parts._prior.n_samples == 300.0
    again = grouped(warm_start=True).fit(X)
    before = again.predict(X)
    assert adjusted_rand_score(before, again.fit(X).predict(X)) > 0.5


def test_parameters_of_the_prior_can_be_searched():
    search = GridSearchCV(grouped(max_iter=4), {"prior__n_components": [2, 3]}, cv=2)
    search.fit(pinwheel()[0])
    assert search.best_estimator_.weights_.shape[0] in (2, 3)


def test_scores_are_densities_of_what_is_drawn():
    """The share of draws in a box is the integral of the density over it."""
    X, _ = pinwheel()
    vae = grouped().fit(X)
    drawn = vae.sample(20_000, random_state=0)
    low, high = np.quantile(drawn, [0.35, 0.65], axis=0)
    inside = ((drawn > low) & (drawn < high)).all(1).mean()
    at = np.random.RandomState(1).uniform(low, high, (300, 2))
    density = np.exp(vae.score_samples(at, 300))
    assert density.mean() * np.prod(high - low) == pytest.approx(inside, rel=0.2)
