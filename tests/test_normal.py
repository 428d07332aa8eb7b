"""RiemannianNormal against Gaussians, quadrature, and the laws of densities."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from suites import thorough
from surfaces import stereographic

from skriem import RiemannianNormal, VAETransformer
from skriem.estimators.normal_answers import DensityAnswersMixin
from skriem.geometry import MetricField, PullbackMetric
from skriem.geometry.models import proposal
from skriem.geometry.models.expectation import Options, Problem
from skriem.geometry.models.normal import fit_precisions, log_terms, standard_errors

FLAT = PullbackMetric(lambda z: z, 2)


def blobs(n, seed=0):
    """Two Gaussian clusters of unequal weight and shape."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, 2)) @ [[1.0, 0.6], [0.0, 0.5]]
    second = [6.0, -2.0] + rng.normal(size=(n // 2, 2)) @ [[0.4, 0.0], [-0.5, 1.2]]
    return np.concatenate([first, second])


def wide_covariances(covariances, covariance_type, k):
    """The covariance matrix of one component, whatever the type."""
    if covariance_type == "tied":
        return covariances
    return {"full": np.array, "diag": np.diag, "spherical": lambda v: v * np.eye(2)}[
        covariance_type
    ](covariances[k])


# Closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "covariance_type", thorough(["full", "tied", "diag", "spherical"], slow=["diag"])
)
@pytest.mark.parametrize("n_components", thorough([1, 2], slow=[2]))
def test_on_flat_space_it_is_the_gaussian(n_components, covariance_type):
    X = blobs(100)
    options = {"n_components": n_components, "covariance_type": covariance_type, "random_state": 0}
    ours = RiemannianNormal(metric=FLAT, tol=1e-5, **options).fit(X)
    theirs = GaussianMixture(tol=1e-5, **options).fit(X)
    order = np.argsort(-theirs.weights_)
    # The constants are known to a per cent.
    assert (ours.normalizer_stderr_ < 0.01).all()
    np.testing.assert_allclose(ours.weights_, theirs.weights_[order], atol=0.01)
    for k, i in enumerate(order):
        wide, mine = (
            wide_covariances(model.covariances_, covariance_type, at)
            for model, at in ((theirs, i), (ours, k))
        )
        std = np.sqrt(np.diag(wide))
        np.testing.assert_allclose(ours.means_[k] / std, theirs.means_[i] / std, atol=0.05)
        np.testing.assert_allclose(mine / np.outer(std, std), wide / np.outer(std, std), atol=0.05)
    # What a standard deviation is off by counts twice in the squares of far points.
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=0.05, atol=0.1)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=0.015)
    for criterion in ("bic", "aic"):
        mine, charged = (
            getattr(model, criterion)(X) + 2.0 * len(X) * model.score(X) for model in (ours, theirs)
        )
        assert mine == pytest.approx(charged)


def test_probabilities_of_components_are_those_of_bayes():
    class Two(DensityAnswersMixin):
        def _points(self, X):
            return X

        def _log_joint(self, points):
            return np.log([[0.1, 0.3], [0.2, 0.1], [1e-300, 1e-200]])

    expected = [[0.25, 0.75], [2.0 / 3.0, 1.0 / 3.0], [1e-100, 1.0]]
    np.testing.assert_allclose(Two().predict_proba(np.zeros((3, 2))), expected)


def test_the_log_likelihood_counts_points_by_their_weight():
    weights = torch.tensor([0.5, 2.0, 0.5]).double()
    problem = Problem(None, None, weights, None)
    assert problem.value(torch.tensor([4.0, 1.0, -2.0]).double()) == 1.0
    assert problem.value(torch.tensor([6.0, 0.0, 0.0]).double()) == 1.0


def test_a_shared_precision_counts_components_by_their_weight():
    # On flat space, with constants from sums over a fine grid.
    axis = torch.linspace(-9.0, 9.0, 73, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).expand(2, -1, -1)
    log_mass = torch.full(grid.shape[:2], 2.0 * np.log(0.25), dtype=torch.float64)
    logs = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 50, 2)))
    logs[0] *= 1.5
    shares = torch.full((50, 2), 1.0 / 50, dtype=torch.float64)
    weights, eye = torch.tensor([0.2, 0.8], dtype=torch.float64), torch.eye(2).double()
    options = Options("tied", 0.0, 1e-6, 10, "k-means")
    found = fit_precisions(
        logs, shares, weights, grid, log_mass, eye.expand(2, 2, 2), None, options
    )
    scatters = logs.mT @ logs / 50
    expected = torch.linalg.inv(0.2 * scatters[0] + 0.8 * scatters[1])
    torch.testing.assert_close(found, expected.expand(2, 2, 2), rtol=1e-3, atol=1e-3)


def test_a_change_of_coordinates_changes_densities_by_its_volume():
    X = blobs(80)
    stretch = torch.tensor([[3.0, 0.0], [1.0, 0.5]], dtype=torch.float64)
    metric = PullbackMetric(lambda z: z @ stretch, 2)
    ours = RiemannianNormal(metric=metric, random_state=0).fit(X)
    theirs = GaussianMixture(random_state=0).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=0.05, atol=0.1)
    by_volume = ours.score_samples(X, measure="riemannian")
    log_volume = np.log(abs(np.linalg.det(stretch)))
    np.testing.assert_allclose(ours.score_samples(X) - by_volume, log_volume, atol=1e-9)


@pytest.mark.parametrize("spread", thorough([0.3, 0.5], slow=[0.3]))
def test_normalizer_on_the_sphere(spread):
    """Against quadrature in polar coordinates around the mean, up to the antipode."""
    rng = np.random.default_rng(0)
    X = spread * rng.normal(size=(300, 2)) * [1.0, 0.6] + [0.2, -0.1]
    metric = PullbackMetric(stereographic, 2)
    density = RiemannianNormal(metric=metric, random_state=0).fit(X)
    frame = np.linalg.inv(np.linalg.cholesky(metric.tensor(density.means_))[0].T)
    precision = frame.T @ np.linalg.inv(density.covariances_[0]) @ frame
    radius, weights = np.polynomial.legendre.leggauss(200)
    radius, weights = 0.5 * np.pi * (radius + 1.0), 0.5 * np.pi * weights
    angle = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    stiffness = np.einsum("ai,ij,aj->a", direction, precision, direction)
    inside = np.exp(-0.5 * radius**2 * stiffness[:, None]).mean(0)
    exact = 2.0 * np.pi * weights @ (inside * np.sin(radius))
    assert density.log_normalizers_[0] == pytest.approx(np.log(exact), abs=0.01)
    assert density.normalizer_stderr_[0] < 0.01


# Laws --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_decoder(steep_digits_vae):
    """A mixture on the codes of a decoder, and the codes."""
    codes = steep_digits_vae[1]
    return RiemannianNormal(3, random_state=0).fit(codes), codes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*still getting shorter")
def test_density_integrates_to_one(on_decoder):
    density, codes = on_decoder
    low, high = np.asarray(codes).min(0) - 0.4, np.asarray(codes).max(0) + 0.4
    side = 32
    axes = [a + (b - a) * (np.arange(side) + 0.5) / side for a, b in zip(low, high)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    total = logsumexp(density.score_samples(grid)) + np.log(np.prod((high - low) / side))
    assert np.exp(total) == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
def test_probabilities(on_decoder):
    density, codes = on_decoder
    proba = density.predict_proba(codes)
    np.testing.assert_allclose(proba.sum(1), 1.0)
    np.testing.assert_array_equal(density.predict(codes), proba.argmax(1))
    alone = density.score_samples(codes[:1])
    np.testing.assert_allclose(alone, density.score_samples(codes)[:1], rtol=1e-9)
    np.testing.assert_allclose(density.weights_.sum(), 1.0)
    assert (np.linalg.eigvalsh(density.covariances_) > 0).all()


@pytest.mark.slow
def test_likelihood_rises(on_decoder):
    density, codes = on_decoder
    # The fit's own points to integrate with, against fresh ones, and curves of 16 segments.
    assert density.score(codes) == pytest.approx(
        density.lower_bound_, abs=5 * density.normalizer_stderr_.max() + 0.02
    )
    rises = np.diff(density.lower_bounds_)
    assert len(rises)
    assert (rises > -0.01).all()
    assert density.lower_bounds_[-1] == density.lower_bound_


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*still getting shorter")
def test_samples_follow_the_density(on_decoder):
    density, _ = on_decoder
    X, y = density.sample(200, random_state=0)
    assert X.shape == (200, 2)
    assert (np.bincount(y, minlength=3) > 0).all()
    # The mean log density of samples is minus the entropy, which quasi-random points also give.
    log_density = density.score_samples(X)
    kernel = proposal.kernel_density(torch.as_tensor(X), torch.ones(200, dtype=torch.float64), 1e-6)
    rng = np.random.RandomState(0)
    points = proposal.draw(kernel, proposal.even_uniforms(128, 3, rng))
    log_q = proposal.log_density(kernel, points).numpy()
    log_p = density.score_samples(points.numpy())
    entropy = -np.mean(np.exp(log_p - log_q) * log_p)
    stderr = log_density.std() / 200**0.5
    assert -log_density.mean() == pytest.approx(entropy, abs=4 * stderr)
    again, _ = density.sample(200, random_state=0)
    np.testing.assert_array_equal(X, again)


def test_samples_of_a_gaussian():
    X = blobs(100)[:100]
    density = RiemannianNormal(metric=FLAT, random_state=0).fit(X)
    drawn, _ = density.sample(2000, random_state=1)
    np.testing.assert_allclose(drawn.mean(0), density.means_[0], atol=0.12)
    np.testing.assert_allclose(np.cov(drawn.T), density.covariances_[0], atol=0.15)


@pytest.mark.slow
def test_other_metrics():
    X = blobs(40)
    local = RiemannianNormal(metric="local", random_state=0).fit(X)
    assert np.isfinite(local.score_samples(X)).all()

    def half_plane(z):
        return torch.diag_embed((1.0 / z[:, 1:].square()).expand(-1, 2))

    Z = np.random.default_rng(0).normal(size=(80, 2)) * 0.3 + [0.0, 3.0]
    hyperbolic = RiemannianNormal(metric=MetricField(half_plane, 2), random_state=0).fit(Z)
    assert np.isfinite(hyperbolic.score_samples(Z)).all()


# Parameters and hard cases -----------------------------------------------------------------


def test_same_seed_same_result_and_inputs_untouched(global_state, little_work):
    X = blobs(60)
    before = X.copy()
    X.flags.writeable = False
    results = [RiemannianNormal(2, metric=FLAT, random_state=0).fit(X) for _ in range(2)]
    np.testing.assert_array_equal(results[0].means_, results[1].means_)
    np.testing.assert_array_equal(
        results[0].sample(5, random_state=0)[0], results[1].sample(5, random_state=0)[0]
    )
    np.testing.assert_array_equal(X, before)


@pytest.mark.slow
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
def test_starts(init_params):
    X = blobs(100)
    density = RiemannianNormal(
        2, metric=FLAT, init_params=init_params, n_init=2, random_state=0
    ).fit(X)
    reference = GaussianMixture(2, random_state=0).fit(X).score(X)
    assert density.score(X) == pytest.approx(reference, abs=0.1)


@pytest.mark.slow
def test_many_points_start_from_a_sample():
    X = blobs(1200)
    density = RiemannianNormal(2, metric=FLAT, random_state=0).fit(X)
    assert density.score(X) == pytest.approx(GaussianMixture(2).fit(X).score(X), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("n_components", [3, 5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_duplicates_and_more_components_than_places(n_components):
    X = np.repeat(blobs(2)[:3], 20, axis=0)
    density = RiemannianNormal(
        n_components, metric=FLAT, random_state=0, reg_covar=1e-4, max_iter=20
    ).fit(X)
    assert np.isfinite(density.score_samples(X)).all()
    assert np.isfinite(density.lower_bound_)


@pytest.mark.slow
def test_a_lost_component_is_seeded_again():
    X = np.concatenate([blobs(100), [[40.0, 40.0]]])
    density = RiemannianNormal(5, metric=FLAT, init_params="random_from_data", random_state=3)
    density.fit(X)
    assert np.isfinite(density.score_samples(X)).all()
    assert (density.weights_ > 0).all()


@pytest.mark.slow
def test_drop_in_on_plain_data():
    X = blobs(40)
    density = RiemannianNormal(2, metric=VAETransformer(max_iter=20), random_state=0).fit(X)
    assert density.predict(X).shape == (60,)
    assert density.encoder_.inverse_transform(density.sample(3)[0]).shape == (3, 2)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_components": 0}, "n_components"),
        ({"n_components": 100}, "n_samples"),
        ({"covariance_type": "any"}, "covariance_type"),
        ({"init_params": "random"}, "init_params"),
        ({"tol": -1.0}, "tol"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_parameters(options, match):
    with pytest.raises(ValueError, match=match):
        RiemannianNormal(metric=FLAT, **options).fit(blobs(10))


def test_bad_measure_and_degenerate_metric():
    X = blobs(20)
    density = RiemannianNormal(metric=FLAT, random_state=0).fit(X)
    with pytest.raises(ValueError, match="measure"):
        density.score_samples(X, measure="counting")
    flat_line = PullbackMetric(lambda z: z[:, :1], 2)
    with pytest.raises(ValueError, match="no volume"):
        RiemannianNormal(metric=flat_line, random_state=0).fit(X)


def test_broken_embedding():
    def broken(z):
        return torch.where(z[:, :1] > 4.0, torch.nan, z)

    with pytest.raises(ValueError, match="cannot be reached"):
        RiemannianNormal(metric=PullbackMetric(broken, 2), random_state=0).fit(blobs(40))


def test_points_of_a_reference_stand_for_all_volume():
    # Under a metric that makes six of every unit of area.
    stretch = torch.tensor([[3.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    metric = PullbackMetric(lambda z: z @ stretch, 2)
    z = torch.as_tensor(blobs(60)[:60])
    kernel = proposal.kernel_density(z, torch.full((60,), 1.0 / 60).double(), 1e-6)
    drawn = proposal.references(metric, [kernel], 512, np.random.RandomState(0))
    law = multivariate_normal(z.mean(0).numpy(), 0.5 * torch.cov(z.mT).numpy())
    total = np.exp(drawn.log_mass[0].numpy()) @ law.pdf(drawn.points[0].numpy())
    assert total == pytest.approx(6.0, rel=0.03)


def test_standard_error_is_the_spread_of_the_constants():
    """A known constant, integrated again and again, each time with other points."""
    rng = np.random.default_rng(0)
    z = torch.as_tensor(blobs(60))
    z, covariance = z - z.mean(0), torch.cov(z.mT)
    kernel = proposal.kernel_density(z, torch.ones(len(z), dtype=z.dtype), 1e-6)
    found = []
    for _ in range(300):
        at = proposal.draw(kernel, proposal.even_uniforms(32, 3, rng))
        log_mass = -proposal.log_density(kernel, at) - np.log(len(at))
        precisions = torch.linalg.inv(covariance)[None]
        terms = log_terms(at[None], precisions, log_mass[None])
        found.append(torch.cat([terms.logsumexp(1), standard_errors(terms)]))
    total, stderr = torch.stack(found).unbind(1)
    exact = 0.5 * torch.logdet(2.0 * np.pi * covariance)
    assert abs(total.mean() - exact) < 0.3 * total.std()
    assert stderr.square().mean().sqrt() == pytest.approx(float(total.std()), rel=0.2)
