"""Likelihoods: their formulas, their Fisher-Rao geometry, and autoencoders that use them."""

import pickle

import numpy as np
import pytest
import torch
from networks import check_linearised, fisher_rao, normal
from scipy import optimize, stats
from sklearn.base import clone
from suites import thorough
from surfaces import bend

from skriem import RBFNoise, RiemannianKMeans, VAETransformer
from skriem.decoders.fisher_rao import StabilisedEmbedding
from skriem.geometry import PullbackMetric
from skriem.nn.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    Gaussian,
    NegativeBinomial,
    Poisson,
    StudentT,
)

COUNTED = {"bernoulli": Bernoulli, "poisson": Poisson, "negative_binomial": NegativeBinomial}
NATURAL = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)[:, None].expand(7, 2)
LOG_SIZE = torch.tensor([0.3, -0.8], dtype=torch.float64)


# Formulas ----------------------------------------------------------------------------------


def expected_log_prob(name, x):
    """What SciPy says, at NATURAL."""
    h = NATURAL.numpy()
    if name == "bernoulli":
        return stats.bernoulli(1 / (1 + np.exp(-h))).logpmf(x > 1)
    if name == "poisson":
        return stats.poisson(np.exp(h)).logpmf(x)
    size = LOG_SIZE.exp().numpy()
    return stats.nbinom(size, size / (size + np.exp(h))).logpmf(x)


@pytest.mark.parametrize("name", COUNTED)
def test_probabilities(name):
    x = np.random.default_rng(0).poisson(2.0, NATURAL.shape).astype(float)
    parts = [LOG_SIZE] if name == "negative_binomial" else []
    target = torch.as_tensor(x > 1 if name == "bernoulli" else x).double()
    found = COUNTED[name]().log_prob(NATURAL, target, parts)
    np.testing.assert_allclose(found, expected_log_prob(name, x), rtol=1e-10, atol=1e-12)


def test_densities():
    x, mean, std = normal(9, 2), normal(9, 2, seed=1), normal(9, 2, seed=2).exp()
    found = Gaussian().log_density(x, mean, std)
    np.testing.assert_allclose(found, stats.norm(mean, std).logpdf(x))
    student = stats.t(4.0, mean, std / np.sqrt(2.0))
    np.testing.assert_allclose(student.std(), std)
    np.testing.assert_allclose(StudentT().log_density(x, mean, std), student.logpdf(x))


def test_noise_of_several_draws_is_that_of_all_together():
    x, natural, weights = 1e4 * normal(9, 2), normal(9, 2, seed=1), torch.arange(9.0).double()
    weights /= weights.sum()
    likelihood = Gaussian(n_varying=2)
    # Draws that are alike are as good as one, of which all is said by its mean squared error.
    found = likelihood.of_draws(natural.expand(3, -1, -1), x, weights, [])
    loss = likelihood.loss(natural, x, weights, [])
    torch.testing.assert_close(found @ weights, (-1.0 - loss).expand(3))


def test_heavy_tails_have_the_noise_that_is_most_likely():
    x = stats.t(4.0).rvs(500, random_state=0)

    def loss(log_std):
        std = torch.tensor(np.exp(log_std))
        return -float(StudentT().log_density(torch.as_tensor(x), 0.0, std).sum())

    best = np.exp(2.0 * optimize.minimize_scalar(loss, bracket=(-1.0, 1.0), tol=1e-10).x)
    squares = torch.as_tensor(x).square()
    assert StudentT().robust_squares(squares, 1.0 / best).mean() == pytest.approx(best, rel=1e-4)


def test_categories_come_back():
    X = np.random.default_rng(0).integers(0, [2, 4, 3], size=(50, 3)).astype(float)
    likelihood = Categorical().fit(X)
    one_hot = likelihood.targets(X)
    assert one_hot.shape == (50, 9)
    np.testing.assert_array_equal(likelihood.decoded(one_hot), X)
    logits = normal(50, 9)
    p = likelihood.mean(logits)
    for block in p.split([2, 4, 3], dim=1):
        torch.testing.assert_close(block.sum(1), torch.ones(50).double())
    found = likelihood.log_prob(logits, torch.as_tensor(one_hot)).sum(1).exp()
    of_seen = (p * torch.as_tensor(one_hot)).split([2, 4, 3], dim=1)
    torch.testing.assert_close(found, torch.stack([q.sum(1) for q in of_seen]).prod(0))


@pytest.mark.parametrize("name", [*COUNTED, "categorical", "student_t"])
def test_draws_have_the_mean(name):
    rng = np.random.RandomState(0)
    natural = torch.tensor([[0.5, -1.0]], dtype=torch.float64).expand(40_000, 2)
    parts = [LOG_SIZE] if name == "negative_binomial" else []
    likelihood = LIKELIHOODS[name]()
    if name == "student_t":
        drawn = likelihood.draw_around(natural.numpy(), np.array([0.5, 2.0]), rng)
        np.testing.assert_allclose(drawn.std(0), [0.5, 2.0], rtol=0.1)
        expected = natural[0]
    else:
        if name == "categorical":
            likelihood.fit(np.array([[0.0], [1.0], [2.0]]))
            natural = torch.tensor([[0.5, -1.0, 1.0]], dtype=torch.float64).expand(40_000, 3)
        drawn = likelihood.draw(natural, parts, rng)
        expected = likelihood.mean(natural, parts)[0]
    np.testing.assert_allclose(drawn.mean(0), expected, atol=4 * drawn.std(0).max() / 200)


# Geometry ----------------------------------------------------------------------------------


INFORMATION = {
    "bernoulli": lambda h: torch.sigmoid(h) * torch.sigmoid(-h),
    "poisson": torch.exp,
    "negative_binomial": lambda h: h.exp() / (1.0 + h.exp() / LOG_SIZE.exp()),
}


def stabilised(name, h):
    """The transform of natural parameters with its derivatives."""
    return COUNTED[name]().stabilised(h, [LOG_SIZE])


@pytest.mark.parametrize("name", INFORMATION)
def test_transforms_make_the_information_constant(name):
    h = NATURAL.clone().requires_grad_()
    value, first, second = stabilised(name, h)
    (slope,) = torch.autograd.grad(value.sum(), h, create_graph=True)
    (bent,) = torch.autograd.grad(slope.sum(), h)
    torch.testing.assert_close(first, slope)
    torch.testing.assert_close(second, bent)
    # The Fisher information of the natural parameter.
    torch.testing.assert_close(first.square(), INFORMATION[name](h))


@pytest.mark.parametrize("name", INFORMATION)
def test_information_is_the_curvature_of_the_divergence(name):
    """Twice the Kullback-Leibler divergence is the squared length of a small step."""
    likelihood = COUNTED[name]()
    parts = [LOG_SIZE] if name == "negative_binomial" else []
    step = 1e-3
    values = torch.arange(4000.0 if name != "bernoulli" else 2.0).double()[:, None, None]
    here, there = NATURAL - 0.5 * step, NATURAL + 0.5 * step
    log_p, log_q = (likelihood.log_prob(h, values, parts) for h in (here, there))
    divergence = (log_p.exp() * (log_p - log_q)).sum(0)
    length = stabilised(name, there)[0] - stabilised(name, here)[0]
    torch.testing.assert_close(2.0 * divergence, length.square(), rtol=2e-3, atol=1e-12)


def test_bernoulli_distances_are_great_circles():
    """One bit is half a circle of radius two: p and 1 - p are sin^2 and cos^2 of half the way."""
    metric = PullbackMetric(lambda z: stabilised("bernoulli", z)[0], 1)
    p, q = np.array([[0.5], [0.1], [0.02]]), np.array([[0.9], [0.9], [0.6]])
    found = metric.distance(np.log(p / (1 - p)), np.log(q / (1 - q)), tol=1e-5)
    overlap = np.sqrt(p * q) + np.sqrt((1 - p) * (1 - q))
    np.testing.assert_allclose(found, 2.0 * np.arccos(overlap)[:, 0], rtol=1e-5)


def test_categorical_distances_are_great_circles():
    def decoder(z):
        logits = torch.cat([z, torch.zeros_like(z[:, :1])], dim=1)
        return Categorical().stabilised(logits.log_softmax(1))[0]

    metric, rng = PullbackMetric(decoder, 2), np.random.default_rng(0)
    a, b = rng.normal(size=(2, 20, 2))
    u, v = metric.embed(a), metric.embed(b)
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 2.0)
    exact = 2.0 * np.arccos(0.25 * (u * v).sum(1))
    np.testing.assert_allclose(metric.distance(a, b, tol=1e-5), exact, rtol=1e-4)
    np.testing.assert_allclose(metric.scalar_curvature(a), 0.5, rtol=1e-6)


def test_poisson_distances_are_differences_of_roots():
    """Whatever the coordinates: the space is flat."""

    def log_means(w):
        return bend(w) @ torch.tensor([[1.0, 0.2], [-0.3, 0.8]], dtype=torch.float64)

    metric = PullbackMetric(lambda w: stabilised("poisson", log_means(w))[0], 2)
    w = np.random.default_rng(0).normal(size=(2, 20, 2)) * 0.4
    roots = [2.0 * np.exp(0.5 * log_means(torch.as_tensor(part)).numpy()) for part in w]
    found = metric.distance(*w, tol=1e-5)
    np.testing.assert_allclose(found, np.linalg.norm(roots[0] - roots[1], axis=1), rtol=1e-4)


@pytest.mark.parametrize("walled", [True, False])
@pytest.mark.parametrize("name", [*COUNTED, "categorical"])
def test_derivatives_of_the_embedding(name, walled):
    embed, z = fisher_rao(name, walled), 0.7 * normal(6, 2, seed=8)
    weights, direction = normal(6, 3, seed=5), normal(6, 2, seed=4)
    value, jacobian, curvature = embed.linearise(z)
    check_linearised(embed, z, (value, jacobian, curvature), weights)
    along = (direction[:, None] @ curvature(weights) @ direction[..., None]).flatten()
    torch.testing.assert_close((embed.bend(z, direction) * weights).sum(1), along)


@pytest.mark.parametrize("name", [*COUNTED, "categorical"])
def test_embeddings_are_stored_whole(name):
    embed, z = fisher_rao(name, True), normal(6, 2)
    twin = pickle.loads(pickle.dumps(embed))
    assert twin.fingerprint == embed.fingerprint != fisher_rao(name, False).fingerprint
    torch.testing.assert_close(twin(z), embed(z), rtol=0, atol=0)


@pytest.mark.parametrize("name", [*COUNTED, "categorical"])
def test_far_from_the_data_nothing_is_known(name):
    embed = fisher_rao(name, True)
    far = torch.tensor([[60.0, -40.0]], dtype=torch.float64)
    np.testing.assert_allclose(embed.widening(far), np.log(30.0), rtol=1e-3)
    plain, widened = fisher_rao(name, False).natural(far), embed.natural(far)
    if isinstance(embed._likelihood, Poisson):
        torch.testing.assert_close(widened - plain, 2.0 * embed.widening(far).expand(1, 3))
    else:
        torch.testing.assert_close(widened, plain * torch.exp(-embed.widening(far)))


@pytest.mark.parametrize("name", [*COUNTED, "categorical"])
def test_walls_are_for_lengths_only(name):
    walled, plain, z = fisher_rao(name, True), fisher_rao(name, False), normal(6, 2, seed=3)
    torch.testing.assert_close(walled.mean(z), plain.mean(z), rtol=0, atol=0)
    x = plain.draw(z, np.random.RandomState(0))
    np.testing.assert_array_equal(walled.draw(z, np.random.RandomState(0)), x)
    x = torch.as_tensor(x)
    torch.testing.assert_close(walled.log_prob(x, z), plain.log_prob(x, z), rtol=0, atol=0)


def test_thinned_embedding_is_nearly_the_same():
    embed = fisher_rao("bernoulli", True, m=600)
    assert isinstance(embed, StabilisedEmbedding)
    codes = np.random.default_rng(0).normal(size=(200, 2))
    full, thin = PullbackMetric(embed, 2), PullbackMetric(embed.thinned(codes), 2)
    difference = np.linalg.norm(full.tensor(codes) - thin.tensor(codes), axis=(1, 2))
    assert (difference < 0.3 * np.linalg.norm(full.tensor(codes), axis=(1, 2))).all()
    assert fisher_rao("bernoulli", True).thinned(codes) is None


# Autoencoders ------------------------------------------------------------------------------


def groups(name, n=240, seed=0):
    """Three groups of samples of 12 features that a likelihood is for, and the groups."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    centers = rng.normal(size=(3, 12))
    h = 1.5 * centers[y] + 0.3 * rng.normal(size=(n, 1)) * rng.normal(size=12)
    if name == "bernoulli":
        return (rng.uniform(size=h.shape) < 1 / (1 + np.exp(-2.0 * h))).astype(float), y
    if name == "categorical":
        return np.digitize(h + 0.5 * rng.normal(size=h.shape), [-1.0, 1.0]).astype(float), y
    if name in ("poisson", "negative_binomial"):
        rate = np.exp(1.0 + 0.6 * h)
        if name == "negative_binomial":
            rate = rate * rng.gamma(2.0, 0.5, size=h.shape)
        return rng.poisson(rate).astype(float), y
    return h + 0.3 * rng.standard_t(2.5 if name == "student_t" else 50, size=h.shape), y


class Fitted(dict):
    """Autoencoders by likelihood, each fitted when first asked for, with data, groups and codes."""

    def __missing__(self, name):
        X, y = groups(name)
        vae = VAETransformer(
            likelihood=name, network=(32,), noise=RBFNoise(bandwidth=1.5), random_state=0
        )
        self[name] = vae.fit(X), X, y, vae.transform(X)
        return self[name]


@pytest.fixture(scope="module")
def fitted():
    return Fitted()


every_likelihood = pytest.mark.parametrize(
    "name", thorough(LIKELIHOODS, slow=LIKELIHOODS.keys() - {"categorical"})
)


@every_likelihood
def test_an_autoencoder_for_every_kind_of_data(name, fitted):
    vae, X, y, Z = fitted[name]
    assert Z.shape == (len(X), 2)
    decoded = vae.inverse_transform(Z)
    assert decoded.shape == X.shape
    center = np.median(X, axis=0) if name == "categorical" else X.mean(0)
    if name == "categorical":
        assert (decoded == X).mean() > (center == X).mean() + 0.1
    else:
        assert np.square(decoded - X).mean() < 0.8 * np.square(center - X).mean()
    if name == "poisson":
        assert abs(decoded.mean() / X.mean() - 1.0) < 0.03
    vae._likelihood.check(vae.sample(20, random_state=0))
    assert vae.sample(20, random_state=0).shape == (20, 12)
    again = clone(vae).fit(X)
    np.testing.assert_array_equal(again.transform(X), Z)
    assert again.metric_ == vae.metric_


@every_likelihood
def test_likelihood_of_new_data_beats_independent_features(name, fitted):
    vae, X, *_ = fitted[name]
    new = groups(name, n=120, seed=0)[0] if name == "categorical" else groups(name, n=240)[0]
    scores = vae.score_samples(new)
    assert np.isfinite(scores).all()
    assert (vae.evidence_lower_bound(new, 200).mean() <= scores.mean() + 0.5).all()
    if name == "bernoulli":
        p = X.mean(0).clip(0.01, 0.99)
        baseline = (new * np.log(p) + (1 - new) * np.log(1 - p)).sum(1).mean()
    elif name == "poisson":
        baseline = stats.poisson(X.mean(0)).logpmf(new).sum(1).mean()
    elif name == "gaussian":
        baseline = stats.norm(X.mean(0), X.std(0)).logpdf(new).sum(1).mean()
    else:
        return
    assert scores.mean() > baseline + 0.5


@every_likelihood
def test_there_are_walls_where_there_are_no_data(name, fitted):
    vae, _, y, Z = fitted[name]
    codes = np.asarray(Z)
    metric = vae.metric_
    out = codes.mean(0) + 3.0 * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]) * (
        np.abs(codes - codes.mean(0)).max()
    )
    edge = codes[[np.linalg.norm(codes - p, axis=1).argmin() for p in out]]
    # Leaving the data costs more than to walk about in a group of them.
    group = codes[y == 0]
    within = np.median(straight_length(metric, group[:40], group[40:80]))
    assert (straight_length(metric, edge, out) > 1.2 * within).all()


def straight_length(metric, a, b):
    t = np.linspace(0, 1, 400)[:, None]
    tensors = [metric.tensor(p + t * (q - p)) for p, q in zip(a, b)]
    squares = [np.einsum("i,nij,j->n", q - p, M, q - p) for M, p, q in zip(tensors, a, b)]
    return np.array([np.sqrt(square).mean() for square in squares])


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.filterwarnings("ignore:Some geodesics did not converge")
def test_clusters_by_geodesic_distance(name, fitted):
    _, _, y, Z = fitted[name]
    found = RiemannianKMeans(3, random_state=0).fit_predict(Z)
    share = [np.bincount(found[y == k]).max() / (y == k).sum() for k in range(3)]
    assert min(share) > 0.8


@pytest.mark.slow
def test_outliers_pull_student_less():
    X, _ = groups("gaussian")
    dirty, rng = X.copy(), np.random.default_rng(1)
    rows = rng.choice(len(X), 12, replace=False)
    dirty[rows] += 20.0 * rng.normal(size=(12, 12))
    clean = np.setdiff1d(np.arange(len(X)), rows)
    errors = {}
    for name in ("gaussian", "student_t"):
        vae = VAETransformer(1, likelihood=name, network=(32,), random_state=0)
        decoded = vae.fit(dirty).inverse_transform(vae.transform(dirty))
        errors[name] = np.square(decoded - X)[clean].mean()
    assert errors["student_t"] < 0.5 * errors["gaussian"]


def test_walls_count_rows_by_their_weight():
    """Of noise alone: what is fitted to rows that are alike merges them first."""
    times, codes = np.arange(1, 41) % 4 + 1, normal(40, 2)
    weights, rows = torch.as_tensor(times).double(), np.repeat(np.arange(40), times)
    noise, rng = RBFNoise(n_centers=1), np.random.RandomState(0)
    weighted = noise._walls(codes, codes, weights, rng).on()
    repeated = noise._walls(codes[rows], codes[rows], torch.ones(len(rows)).double(), rng).on()
    torch.testing.assert_close(weighted(3.0 * codes), repeated(3.0 * codes))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("name", "weights"), [("gaussian", (1.0, 2.0)), ("student_t", (10.0 / 7.0, 8.0 / 7.0))]
)
def test_information_of_means_and_deviations(name, weights):
    """Student's of four degrees of freedom: for a variance of one its squared scale is a half."""
    vae = VAETransformer(
        likelihood=name, geometry="fisher_rao", network=(8,), max_iter=2, random_state=0
    ).fit(groups(name, n=60)[0])
    z, embed = normal(4, 2), vae._embedding
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: embed(x[None])[0]))(z).mT
    parts = (jacobian / embed.std(z).repeat(1, 2)[:, None]).chunk(2, dim=-1)
    expected = sum(weight * part @ part.mT for weight, part in zip(weights, parts))
    torch.testing.assert_close(vae.metric_.tensor(z), expected)


@pytest.mark.slow
def test_geometry_of_a_gaussian_can_be_the_expected_or_the_fisher_rao_metric(fitted):
    vae, X, _, Z = fitted["gaussian"]
    other = clone(vae).set_params(geometry="fisher_rao").fit(X)
    z = np.asarray(Z[:5])
    mean, std = (
        torch.func.vmap(torch.func.jacrev(lambda x, f=f: f(x[None])[0]))(torch.as_tensor(z))
        for f in (vae._embedding.mean, vae._embedding.std)
    )
    s = vae._embedding.std(torch.as_tensor(z))[:, :, None]
    expected = mean.mT @ (mean / s**2) + 2.0 * std.mT @ (std / s**2)
    np.testing.assert_allclose(other.metric_.tensor(z), expected, rtol=1e-8)
    assert other.metric_ != vae.metric_
    constant = clone(other).set_params(noise="constant").fit(X)
    s = constant._embedding.std(torch.as_tensor(z))[:, :, None]
    np.testing.assert_allclose(constant.metric_.tensor(z), mean.mT @ (mean / s**2), rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "X", "match"),
    [
        ("bernoulli", [[0.0, 2.0], [1.0, 0.0]], "ranges from 0 to 2"),
        ("poisson", [[0.0, 2.5], [1.0, 0.0]], "fractions"),
        ("poisson", [[0.0, -2.0], [1.0, 0.0]], "negative"),
        ("negative_binomial", [[0.0, 2.5], [1.0, 0.0]], "negative_binomial.*counts"),
        ("categorical", [[0.0, 2.5], [1.0, 0.0]], "OrdinalEncoder"),
        ("categorical", [[0.0, -1.0], [1.0, 0.0]], "OrdinalEncoder"),
    ],
)
def test_data_of_another_kind_are_refused(name, X, match):
    with pytest.raises(ValueError, match=match):
        VAETransformer(likelihood=name, max_iter=2).fit(X)


@pytest.mark.parametrize("method", ["transform", "score_samples", "partial_fit"])
def test_new_data_of_another_kind_are_refused(method, fitted):
    vae = pickle.loads(pickle.dumps(fitted["categorical"][0]))
    with pytest.raises(ValueError, match="Column 3 of X has a category"):
        getattr(vae, method)(np.eye(12)[[3, 3]] * 9)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"likelihood": "poisson", "geometry": "expected"}, "has none"),
        ({"likelihood": "bernoulli", "noise": "mlp"}, "noise='mlp'"),
        ({"likelihood": "gauss"}, "likelihood must be one of"),
        ({"geometry": "flat"}, "geometry must be one of"),
    ],
)
def test_parameters_that_do_not_go_together(parameters, match):
    with pytest.raises(ValueError, match=match):
        VAETransformer(**parameters).fit(np.eye(4))
