"""Linear dynamical systems as priors of codes, held to dense distributions and closed forms."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import normal
from scipy.stats import matrix_normal, multivariate_normal, wishart
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import DynamicsPrior, VAETransformer
from skriem.nn.importance import log_weights
from skriem.nn.priors import dynamics as dynamics_prior
from skriem.nn.priors.dynamics import Beliefs, Dynamics, System, dynamics_of, states_of
from skriem.nn.priors.kalman import Transition, ahead, filtered
from skriem.nn.priors.matrix_normal import (
    Linear,
    expected_map,
    linear_divergence,
    linear_prior,
    map_statistics,
    moved,
    precision_means,
)
from skriem.nn.priors.steps import Steps, steps_apart
from skriem.nn.windows import Windows

D = 2
EXACT = {"rtol": 1e-8, "atol": 1e-8}


def steps_for(*lengths, unseen=()):
    """Steps of sequences one after the other."""
    starts = torch.zeros(sum(lengths), dtype=torch.bool)
    starts[np.cumsum(lengths) - lengths] = True
    seen = torch.ones_like(starts)
    seen[list(unseen)] = False
    return Steps(starts, ~starts, seen)


def system(d=D, seed=0):
    roots = 0.5 * normal(2, d, d, seed=seed).tril()
    slope = 0.4 * normal(d, d, seed=seed + 1)
    return System(slope, normal(d, seed=seed + 2), roots[0], normal(d, seed=seed + 3), roots[1])


def precision_of(root):
    factor = root.tril(-1) + torch.diag(root.diagonal().exp())
    return factor @ factor.T


def potentials(n, d=D, seed=5):
    """Precisions and natural means, the latter times the former."""
    return normal(n, d, seed=seed).exp(), normal(n, d, seed=seed + 1)


def dense(system, precision, natural, n):
    """Mean, covariance and log normaliser of one sequence, by one large matrix."""
    d = len(system.offset)
    start, noise = precision_of(system.start_root), precision_of(system.noise_root)
    J, h = torch.zeros(n * d, n * d).double(), natural.flatten().clone()
    J[:d, :d] += start
    h[:d] += start @ system.center
    both = torch.cat([-system.slope, torch.eye(d).double()], 1)
    for t in range(n - 1):
        at = slice(t * d, (t + 2) * d)
        J[at, at] += both.T @ noise @ both
        h[at] += both.T @ noise @ system.offset
    J += torch.diag(precision.flatten())
    covariance = torch.linalg.inv(J)
    log_z = 0.5 * (h @ covariance @ h - torch.logdet(J) + n * d * math.log(2.0 * math.pi))
    return (covariance @ h).reshape(n, d), covariance.reshape(n, d, n, d), log_z


def prior(n_states=3, n=40, seed=0):
    """A prior of two sequences of two-dimensional codes."""
    codes = torch.cumsum(normal(n, D, seed=seed), 0)
    return dynamics_of(codes, torch.ones(n).double(), steps_for(n // 2, n // 2), n_states)


# Chains --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
def test_chains_are_dense_normal_distributions(n):
    s, (precision, natural) = system(), potentials(n)
    precision[1:2] = 0.0
    natural[1:2] = 0.0
    mean, covariance, log_z = dense(s, precision, natural, n)
    chain = s.chain(precision, natural, steps_for(n))
    found = chain.marginals()
    torch.testing.assert_close(found.means, mean, **EXACT)
    for t in range(n):
        torch.testing.assert_close(found.covariances[t], covariance[t, :, t], **EXACT)
    for t in range(n - 1):
        torch.testing.assert_close(found.crosses[t], covariance[t, :, t + 1], **EXACT)
    torch.testing.assert_close(chain.log_normalizer(), log_z, **EXACT)


def test_sequences_of_any_lengths_are_one_chain():
    s, lengths = system(), (4, 1, 7)
    precision, natural = potentials(12)
    together = s.chain(precision, natural, steps_for(*lengths)).marginals()
    first = 0
    for length in lengths:
        rows = slice(first, first + length)
        alone = s.chain(precision[rows], natural[rows], steps_for(length)).marginals()
        torch.testing.assert_close(together.means[rows], alone.means, **EXACT)
        torch.testing.assert_close(together.covariances[rows], alone.covariances, **EXACT)
        first += length


def test_steps_that_nobody_has_seen_change_nothing_before_them():
    s, (precision, natural) = system(), potentials(5)
    more = [torch.cat([part, torch.zeros(4, D).double()]) for part in (precision, natural)]
    short = s.chain(precision, natural, steps_for(5)).marginals()
    long = s.chain(*more, steps_for(9)).marginals()
    torch.testing.assert_close(long.means[:5], short.means, **EXACT)
    torch.testing.assert_close(long.covariances[:5], short.covariances, **EXACT)
    # What comes after them is what the system says.
    expected = s.slope @ long.means[-2] + s.offset
    torch.testing.assert_close(long.means[-1], expected, **EXACT)


def test_paths_have_the_moments_of_their_chain():
    s, n = system(), 4000
    precision, natural = (part.repeat(n, 1) for part in potentials(3))
    chain = s.chain(precision, natural, steps_for(*[3] * n))
    paths = chain.draw(torch.Generator().manual_seed(0)).reshape(n, 3 * D)
    mean, covariance, _ = dense(s, precision[:3], natural[:3], 3)
    np.testing.assert_allclose(paths.mean(0), mean.flatten(), atol=0.08)
    np.testing.assert_allclose(np.cov(paths.T), covariance.reshape(6, 6), atol=0.08)


def test_derivatives_of_chains():
    precision, natural = potentials(4)

    def moments(precision, natural, *parts):
        chain = System(*parts).chain(precision, natural, steps_for(3, 1))
        path = chain.draw(torch.Generator().manual_seed(0))
        return (*vars(chain.marginals()).values(), path, chain.log_normalizer())

    parts = [part.clone().requires_grad_() for part in vars(system()).values()]
    inputs = precision.requires_grad_(), natural.requires_grad_(), *parts
    assert torch.autograd.gradcheck(moments, inputs)


def test_the_filter_is_a_chain_without_what_comes_later():
    s, (precision, natural) = system(), potentials(9)
    noise, start = (torch.linalg.inv(precision_of(r)) for r in (s.noise_root, s.start_root))
    transition = Transition(s.slope, s.offset, noise, s.center, start)
    found = filtered(precision, natural, steps_for(5, 3, 1), transition)
    for first, t in ((0, 0), (0, 2), (0, 4), (5, 7), (8, 8)):
        rows = slice(first, t + 1)
        n = t + 1 - first
        upto = s.chain(precision[rows], natural[rows], steps_for(n)).marginals()
        torch.testing.assert_close(found.means[t], upto.means[-1], **EXACT)
        torch.testing.assert_close(found.covariances[t], upto.covariances[-1], **EXACT)
        precisions, naturals = precision[rows].clone(), natural[rows].clone()
        precisions[-1] = naturals[-1] = 0.0
        before = s.chain(precisions, naturals, steps_for(n)).marginals()
        torch.testing.assert_close(found.predicted[t], before.means[-1], **EXACT)
        torch.testing.assert_close(found.wide[t], before.covariances[-1], **EXACT)
    two = ahead(found.means[:1], transition, 2)[0]
    torch.testing.assert_close(two[0], s.slope @ found.means[0] + s.offset)
    torch.testing.assert_close(two[1], s.slope @ two[0] + s.offset)


# Parameters ----------------------------------------------------------------------------------


def linear(d=D, seed=0):
    """Any posterior of a map."""
    inputs = normal(d + 1, d + 1, seed=seed)
    inputs = inputs @ inputs.T + torch.eye(d + 1)
    slope, scale = normal(d, d + 1, seed=seed + 1), normal(d, d, seed=seed + 2)
    scale = scale @ scale.T + torch.eye(d)
    nu = torch.full((1,), d + 4.0, dtype=torch.float64)
    return Linear(nu, inputs, inputs @ slope.T, scale + slope @ inputs @ slope.T)


def test_expectations_of_maps_against_draws():
    q, n, rng = linear(), 20_000, np.random.default_rng(0)
    precisions = wishart(q.nu.item(), torch.linalg.inv(q.scale)).rvs(n, random_state=rng)
    factors = np.linalg.cholesky(np.linalg.inv(precisions))
    spread = np.linalg.cholesky(q.spread.numpy())
    maps = q.map.numpy() + factors @ rng.normal(size=(n, D, D + 1)) @ spread.T
    precision, log_det = precision_means(q)
    np.testing.assert_allclose(precisions.mean(0), precision, atol=0.05)
    assert np.linalg.slogdet(precisions)[1].mean() == pytest.approx(float(log_det), abs=0.03)
    before, after = normal(1, D, seed=7), normal(1, D, seed=8)
    joint = normal(2 * D, 2 * D, seed=9)
    joint = 0.3 * joint @ joint.T
    pair = (before, after), (joint[None, :D, :D], joint[None, D:, D:]), joint[None, :D, D:]
    found = expected_map(q, before).log_densities(*pair)
    drawn = rng.multivariate_normal(torch.cat([before, after], 1)[0].numpy(), joint.numpy(), n)
    error = drawn[:, D:] - (maps @ np.c_[drawn[:, :D], np.ones(n)][..., None])[..., 0]
    squares = np.einsum("ni,nij,nj->n", error, precisions, error)
    logs = 0.5 * (np.linalg.slogdet(precisions)[1] - squares - D * math.log(2.0 * math.pi))
    assert float(found) == pytest.approx(logs.mean(), rel=0.02)


def test_divergences_of_maps():
    q, p = linear(), linear(seed=5)
    assert float(linear_divergence(q, q)) == pytest.approx(0.0, abs=1e-10)
    # By densities of draws.
    rng, total, n = np.random.default_rng(0), 0.0, 400
    of_q, of_p = (wishart(c.nu.item(), torch.linalg.inv(c.scale)) for c in (q, p))
    for precision in of_q.rvs(n, random_state=rng):
        noise = np.linalg.inv(precision)
        on_q, on_p = (matrix_normal(c.map.numpy(), noise, c.spread.numpy()) for c in (q, p))
        drawn = on_q.rvs(random_state=rng)
        total += of_q.logpdf(precision) - of_p.logpdf(precision)
        total += on_q.logpdf(drawn) - on_p.logpdf(drawn)
    assert float(linear_divergence(q, p)) == pytest.approx(total / n, rel=0.1)


def test_a_full_step_is_bayesian_linear_regression(monkeypatch):
    """Certain codes, a rate of one and all data: the conjugate posterior of every output."""
    monkeypatch.setattr(dynamics_prior, "RATE", 1.0)
    ours, n = prior(n_states=D), 40
    codes, steps = torch.cumsum(normal(n, D, seed=3), 0), steps_for(25, 15)
    posterior = ours.infer(codes, torch.full((n, D), -34.0).double(), steps)
    ours.under(80.0, 4.0).learn(posterior, torch.full((n,), 2.0).double())
    x = torch.cat([codes, torch.ones(n, 1).double()], 1)
    before, after = x[:-1][steps.follows[1:]], codes[1:][steps.follows[1:]]
    base = linear_prior(D)
    inputs = base.inputs + 2.0 * before.T @ before
    found = torch.linalg.solve(inputs, base.products + 2.0 * before.T @ after).T
    torch.testing.assert_close(ours.linear.map, found)
    # Of the posterior's form that has residuals: those of the data and those of the prior.
    residuals, off = after - before @ found.T, found - base.map
    scale = base.scale + 2.0 * residuals.T @ residuals + off @ base.inputs @ off.T
    torch.testing.assert_close(ours.linear.scale, scale, rtol=1e-6, atol=1e-8)
    assert float(ours.linear.nu) == D + 2.0 + 2.0 * (n - 2)
    first = codes[steps.starts]
    torch.testing.assert_close(ours.start.means[0], 2.0 * first.sum(0) / (0.5 + 4.0))
    # What is seen at a time stands for all: its weights have no unit.
    twin = prior(n_states=D)
    twin.under(80.0, 4.0).learn(posterior, torch.full((n,), 0.5).double())
    torch.testing.assert_close(list(twin.parts), list(ours.parts))
    settled = ours.settled(codes, torch.full((n, D), -34.0).double(), 2.0 * torch.ones(n), steps)
    torch.testing.assert_close(settled.linear.map, found)


def test_steps_of_batches_go_part_of_the_way():
    base, found = linear_prior(D), linear()
    half = moved(found, base, [0.0 * part for part in base.tensors()], 0.5)
    torch.testing.assert_close(half.inputs, 0.5 * (found.inputs + base.inputs))
    before, wide = normal(3, D), torch.eye(D).double().expand(3, -1, -1)
    weights = torch.tensor([1.0, 2.0, 0.0]).double()
    nu, inputs, products, outputs = map_statistics(
        (before, before), (wide, wide), 0 * wide, weights
    )
    ones = torch.cat([before, torch.ones(3, 1).double()], 1)
    expected = torch.einsum("n,ni,nj->ij", weights, ones, ones)
    torch.testing.assert_close(products, expected[:, :D])
    expected[:D, :D] += 3.0 * torch.eye(D)
    torch.testing.assert_close(inputs, expected)
    torch.testing.assert_close(outputs, expected[:D, :D])
    assert float(nu) == 3.0


# Posteriors ----------------------------------------------------------------------------------


def certain(dynamics):
    """The same with parameters that are known."""
    for k, part in enumerate(dynamics.parts):
        if k >= 5:
            dynamics.parts[k] = 1e9 * part
    return dynamics


def test_divergences_are_those_of_dense_normal_distributions():
    ours, n = certain(prior(n_states=D)), 5
    mean, log_variance = normal(n, D, seed=3), normal(n, D, seed=4)
    steps = steps_for(n, unseen=[2])
    posterior = ours.infer(mean, log_variance, steps)
    t = ours.transition
    model = System(
        t.slope,
        t.offset,
        dynamics_prior.root_of(t.noise),
        t.mean,
        dynamics_prior.root_of(t.covariance),
    )
    nothing = torch.zeros(n, D).double()
    q = dense(ours.system, posterior.precision, posterior.natural, n)
    p = dense(model, nothing, nothing, n)
    q, p = (
        torch.distributions.MultivariateNormal(m.flatten(), c.reshape(n * D, n * D))
        for m, c, _ in (q, p)
    )
    expected = torch.distributions.kl_divergence(q, p)
    torch.testing.assert_close(posterior.divergence().sum(), expected, rtol=1e-5, atol=1e-5)
    # Without potentials and with the model's own system nothing is to be told.
    same = Dynamics([*vars(model).values(), *ours.parts[5:]], 40.0, 2.0)
    silent = same.infer(mean, log_variance, steps_for(n, unseen=range(n)))
    torch.testing.assert_close(silent.divergence(), nothing[:, 0], rtol=0.0, atol=1e-6)
    path = ahead(t.mean[None], t, n - 1)[0]
    torch.testing.assert_close(silent.normal()[0], torch.cat([t.mean[None], path]))


@pytest.mark.parametrize("n_states", [D, D + 1])
def test_the_bound_of_a_linear_decoder_is_the_evidence_of_a_dense_distribution(n_states):
    """With the potentials of the decoder and the prior's system; below it with any others."""
    ours, n, noise = certain(prior(n_states=n_states)), 6, 0.3
    t = ours.transition
    roots = dynamics_prior.root_of(t.noise), dynamics_prior.root_of(t.covariance)
    model = System(t.slope, t.offset, roots[0], t.mean, roots[1])
    own = Dynamics([*vars(model).values(), *ours.parts[5:]], 40.0, 2.0)
    # Columns are orthogonal, so that potentials are independent along the coordinates.
    slope, center = torch.linalg.qr(normal(4, D))[0] * torch.tensor([2.0, 0.7]), normal(4)
    steps, seen = steps_for(n, unseen=[2]), [0, 1, 3, 4, 5]
    nothing = torch.zeros(n, n_states).double()
    m, c, _ = dense(model, nothing, nothing, n)
    m, c = m[seen][:, :D], c[seen][:, :D][:, :, seen][..., :D]
    mean = m @ slope.T + center
    covariance = torch.einsum("iakb,pa,qb->ipkq", c, slope, slope).reshape(20, 20)
    y = mean + normal(5, 4, seed=7)
    evidence = multivariate_normal(
        mean.flatten(), covariance + noise * torch.eye(20).double()
    ).logpdf(y.flatten())
    x = torch.full((n, 4), math.nan).double()
    x[seen] = y

    def log_prob(x, z):
        density = torch.distributions.Normal(z @ slope.T + center, noise**0.5)
        return density.log_prob(x.nan_to_num(0.0)).masked_fill(x.isnan(), 0.0).sum(1)

    precision = slope.square().sum(0).expand(n, -1) / noise
    potential = (x.nan_to_num(0.0) - center) @ slope / noise / precision
    found = []
    for prior_, shift in ((own, 0.0), (own, 0.3), (ours, 0.0)):
        outputs = potential + shift, -precision.log()
        posterior = prior_.infer(*outputs, steps)
        marginals = posterior.marginals
        code, spread = marginals.means[:, :D], marginals.covariances[:, :D, :D]
        unsure = ((spread @ slope.T).mT @ slope.T).diagonal(dim1=-2, dim2=-1)
        fit = log_prob(x, code).sum() - 0.5 * unsure[seen].sum() / noise
        bound = float(fit - posterior.divergence().sum())
        found.append(bound)
        # The average of what an autoencoder weighs draws by.
        proposals, decoder = prior_.proposals(*outputs, steps, "all"), SimpleNamespace()
        decoder.log_prob = log_prob
        generator = torch.Generator().manual_seed(0)
        weights = log_weights(x, proposals, decoder, 4000, generator, widths=(1.0,))
        assert float(weights.mean(1).sum()) == pytest.approx(bound, abs=0.2)
    assert found[0] == pytest.approx(evidence, abs=1e-5)
    assert found[1] < evidence - 0.05
    assert found[2] <= evidence + 1e-5


def test_states_beyond_the_code_are_inferred():
    ours = prior(n_states=4)
    posterior = ours.infer(normal(6, D), normal(6, D, seed=2), steps_for(6))
    assert posterior.marginals.means.shape == (6, 4)
    assert posterior.normal()[0].shape == (6, D)
    assert posterior.draws(torch.Generator().manual_seed(0))[0].shape == (6, D)
    codes = torch.arange(5.0).double()[:, None] ** 2
    velocity = states_of(codes, steps_for(5), 2)[:, 1]
    expected = torch.tensor([1.0, 2.0, 4.0, 6.0, 7.0]).double()
    torch.testing.assert_close(velocity / velocity[0], expected)
    assert states_of(codes, steps_for(5), 3).shape == (5, 3)


def test_cavities_are_what_a_chain_says_without_a_row():
    ours, n = prior(), 6
    mean, log_variance = normal(n, D), normal(n, D, seed=2)
    means, covariances = ours.infer(mean, log_variance, steps_for(n)).cavities()
    for t in (0, 3, 5):
        without = ours.infer(mean, log_variance, steps_for(n, unseen=[t])).marginals
        torch.testing.assert_close(means[t], without.means[t], **EXACT)
        torch.testing.assert_close(covariances[t], without.covariances[t], **EXACT)


def test_densities_of_rows():
    covariances = torch.tensor([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]]]).double()
    beliefs, z = Beliefs(normal(2, D), covariances, torch.tensor([0.0, 1.0])), normal(2, 3, D)
    found = beliefs.log_density(z) - math.log(2.0 * math.pi)
    for k in range(2):
        expected = multivariate_normal(normal(2, D)[k], covariances[k]).logpdf(z[k]) - k
        np.testing.assert_allclose(found[k], expected)
        expected = expected + math.log(2.0 * math.pi)
        alone = beliefs.of_rows([k]).log_density(z[k : k + 1])[0]
        np.testing.assert_allclose(alone, expected)
    ours = prior()
    m, c = ours.start.means[0, :D], ours.start.covariances[0, :D, :D]
    expected = multivariate_normal(m, c).logpdf(z) + math.log(2.0 * math.pi)
    np.testing.assert_allclose(ours.log_density(z), expected)


def test_rows_without_order_are_sequences_of_one():
    ours, (mean, log_variance) = prior(), (normal(3, D), normal(3, D, seed=2))
    apart = ours.normal(mean, log_variance)
    torch.testing.assert_close(apart, ours.normal(mean, log_variance, steps_apart(3)))
    torch.testing.assert_close(apart[0][1:2], ours.normal(mean[1:2], log_variance[1:2])[0])


# Batches -------------------------------------------------------------------------------------


def test_windows_count_every_step_once():
    steps = steps_for(300, 5, 1, 70)
    windows, generator = Windows(steps, 0.0), torch.Generator().manual_seed(0)
    counted = torch.zeros(376)
    for batch in windows.batches(100, generator):
        counted.index_add_(0, batch.rows, batch.counted)
        assert batch.steps.seen.all()
        follows = torch.nonzero(batch.steps.follows).squeeze(1)
        torch.testing.assert_close(batch.rows[follows] - 1, batch.rows[follows - 1])
        # What is counted is not cut off.
        assert ((batch.steps.starts | batch.steps.follows) | (batch.counted == 0.0)).all()
    assert (counted == 1.0).all()
    passes = [[*Windows(steps, 0.3).batches(100, generator)] for _ in range(20)]
    hidden = [~batch.steps.seen for one in passes for batch in one]
    assert 0.15 < float(torch.cat(hidden).double().mean()) < 0.4


# The autoencoder -------------------------------------------------------------------------------


def waves(n_sequences=3, n=30, seed=0):
    """Points that go round at one speed, with a noise of 0.05, and whose sequence each is."""
    rng = np.random.default_rng(seed)
    angle = 0.3 * np.arange(n) + np.linspace(0.0, 2.0, n_sequences)[:, None]
    X = np.stack([np.cos(angle), np.sin(angle), np.cos(angle + 1.0)], axis=-1).reshape(-1, 3)
    return X + 0.05 * rng.normal(size=X.shape), np.repeat(np.arange(n_sequences), n)


def moving(**parameters):
    defaults = {"prior": "dynamics", "network": (8,), "max_iter": 2, "noise": "constant"}
    return VAETransformer(**{"random_state": 0, **defaults, **parameters})


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_order_and_labels_of_sequences_do_not_matter():
    X, groups = waves()
    vae = moving().fit(X, groups=groups)
    order = np.random.default_rng(0).permutation(3)
    rows = np.concatenate([np.flatnonzero(groups == k) for k in order])
    names = np.array(["b", "c", "a"])[groups]
    other = moving().fit(X[rows], groups=names[rows])
    codes = vae.transform(X, groups=groups)
    near(codes[rows], other.transform(X[rows], groups=names[rows]))
    near(vae.forecast(2)[[2, 0, 1]], other.forecast(2))
    # Rows of a sequence keep their order, others may lie between them.
    mixed = np.argsort(np.tile(np.arange(30), 3), kind="stable")
    near(codes[mixed], vae.transform(X[mixed], groups=groups[mixed]))
    near(codes[mixed], moving().fit(X[mixed], groups=groups[mixed]).transform(X, groups)[mixed])
    for k in range(3):
        near(codes[groups == k], vae.transform(X[groups == k]))
        near(vae.forecast(2)[k], vae.forecast(2, X[groups == k])[0])


def test_a_sequence_of_weight_two_is_one_that_comes_twice():
    X, groups = waves()
    weights = np.where(groups == 1, 2.0, 1.0)
    twice = np.r_[X, X[groups == 1]], np.r_[groups, np.full(30, 7)]
    weighted = moving().fit(X, sample_weight=weights, groups=groups)
    near(weighted.transform(X), moving().fit(twice[0], groups=twice[1]).transform(X))
    without = moving().fit(X, sample_weight=(groups != 1).astype(float), groups=groups)
    near(
        without.forecast()[[0, 2]],
        moving().fit(X[groups != 1], groups=groups[groups != 1]).forecast(),
    )


def test_missing_steps_and_entries():
    X, groups = waves()
    gone = X.copy()
    gone[40:44] = np.nan
    vae = moving().fit(gone, groups=groups)
    filled = vae.impute(gone, groups=groups)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:40], X[:40])
    scores = vae.score_samples(gone, groups=groups)
    assert (scores[40:44] == 0.0).all()
    assert (scores[:40] != 0.0).all()
    assert np.isfinite(vae.evidence_lower_bound(gone, groups=groups)).all()
    gone[50, 1] = np.nan
    for each in (vae, moving().fit(gone, groups=groups)):
        assert np.isfinite(each.impute(gone, groups=groups)).all()
        assert np.isfinite(each.transform(gone, groups=groups)).all()


def test_rounds_of_one_step_and_of_one_sequence():
    X, _ = waves()
    for groups in (None, np.arange(len(X))):
        vae = moving().fit(X, groups=groups)
        assert np.isfinite(vae.score(X, groups=groups))
        assert vae.transform(X[:1]).shape == (1, 2)
        assert vae.sample(5, random_state=0).shape == (5, 3)
    assert vae.forecast(3).shape == (90, 3, 3)


def test_parts_of_the_system_are_attributes():
    X, groups = waves()
    vae = moving(prior=DynamicsPrior(3)).fit(X, groups=groups)
    assert vae.transition_matrix_.shape == vae.transition_covariance_.shape == (3, 3)
    assert vae.transition_offset_.shape == vae.initial_mean_.shape == (3,)
    assert (np.linalg.eigvalsh(vae.initial_covariance_) > 0.0).all()
    for name in ("predict", "weights_"):
        assert not hasattr(vae, name)
    vae.fit(X, groups=groups).set_params(prior="normal")
    assert hasattr(vae, "forecast")
    for name in ("forecast", "transition_matrix_", "initial_mean_"):
        assert not hasattr(vae.fit(X), name)


def test_forecasts_follow_the_system():
    X, groups = waves()
    vae = moving().fit(X, groups=groups)
    one, two = vae.forecast(2, X, groups)[0]
    assert vae.forecast(1, X, groups).shape == (3, 1, 3)
    # A missing step is one that the system foresees.
    more = np.r_[X[groups == 0], np.full((1, 3), np.nan)]
    assert np.abs(vae.forecast(1, more)[0, 0] - two).max() < 0.05
    assert np.abs(one - two).max() > 0.1
    states = vae._end_states
    near(
        vae._prior.on().ahead(torch.as_tensor(states), 1)[:, 0],
        states @ vae.transition_matrix_.T + vae.transition_offset_,
    )


@pytest.mark.slow
def test_scores_of_steps_are_densities_given_those_before():
    X, _ = waves(1, 40)
    vae = moving(max_iter=60, prior=DynamicsPrior(2, hidden_fraction=0.0)).fit(X)
    assert vae.score(X) > VAETransformer(
        network=(8,), max_iter=60, noise="constant", random_state=0
    ).fit(X).score(X)
    # The density of the second row given the first integrates to one over what it can be.
    rng = np.random.default_rng(0)
    low, high = X.min(0) - 0.7, X.max(0) + 0.7
    drawn = rng.uniform(low, high, (4000, 3))
    pairs = np.stack([np.broadcast_to(X[0], drawn.shape), drawn], 1).reshape(-1, 3)
    scores = vae.score_samples(pairs, 60, groups=np.repeat(np.arange(4000), 2))[1::2]
    assert np.exp(scores).mean() * np.prod(high - low) == pytest.approx(1.0, abs=0.25)


def test_early_stopping_warm_starts_and_parts():
    X, groups = waves()
    vae = moving(early_stopping=True, validation_fraction=0.3, warm_start=True)
    vae.fit(X, groups=groups)
    assert vae.fit(X, groups=groups)._prior.n_starts == 2.0 or vae._prior.n_starts == 3.0
    with pytest.raises(ValueError, match="distinct sequences"):
        moving(early_stopping=True).fit(X)
    parts = moving().partial_fit(X[:60], groups=groups[:60]).partial_fit(X[60:])
    assert (parts._prior.n_samples, parts._prior.n_starts) == (90.0, 3.0)
    assert parts.forecast().shape == (1, 1, 3)


def test_what_cannot_be_asked():
    X, groups = waves()
    with pytest.raises(ValueError, match="only prior='dynamics'"):
        moving(prior="normal").fit(X, groups=groups)
    with pytest.raises(ValueError, match="90 rows"):
        moving().fit(X, groups=groups[:-1])
    with pytest.raises(ValueError, match="same for all rows of a sequence"):
        moving().fit(X, sample_weight=np.arange(90.0), groups=groups)
    with pytest.raises(ValueError, match="neighbors"):
        moving(neighbors=3).fit(X)
    with pytest.raises(ValueError, match="n_importance_samples"):
        moving(n_importance_samples=3).fit(X)
    for prior in (DynamicsPrior(1), DynamicsPrior(hidden_fraction=1.0)):
        with pytest.raises(ValueError, match="n_states|hidden_fraction"):
            moving(prior=prior).fit(X)
    vae = moving().fit(X, groups=groups)
    with pytest.raises(ValueError, match="n_steps"):
        vae.forecast(0)
    with pytest.raises(ValueError, match="pass X too"):
        vae.forecast(groups=groups)
    with pytest.raises(ValueError, match="only prior='dynamics'"):
        moving(prior="normal").fit(X).transform(X, groups)


def test_groups_are_routed():
    X, groups = waves()
    with config_context(enable_metadata_routing=True):
        vae = moving().set_fit_request(groups=True).set_transform_request(groups=True)
        pipe = make_pipeline(StandardScaler(), vae).fit(X, groups=groups)
        codes = pipe.transform(X, groups=groups)
    scaled = StandardScaler().fit_transform(X)
    near(codes, moving().fit(scaled, groups=groups).transform(scaled, groups))


@pytest.mark.slow
def test_gaps_and_forecasts_of_points_that_go_round():
    X, groups = waves(6, 60)
    vae = moving(max_iter=60, network=(16,)).fit(X, groups=groups)
    clean, _ = waves(6, 80)
    clean = clean.reshape(6, 80, 3)
    error = vae.forecast(10) - clean[:, 60:70]
    last = clean[:, 59:60] - clean[:, 60:70]
    assert np.sqrt((error**2).mean()) < 0.25 * np.sqrt((last**2).mean())
    gone = X[:60].copy()
    gone[20:35] = np.nan
    filled = vae.impute(gone)
    line = np.linspace(X[19], X[35], 17)[1:-1]
    error, straight = ((found - X[20:35]) ** 2 for found in (filled[20:35], line))
    assert np.sqrt(error.mean()) < 0.25 * np.sqrt(straight.mean())
