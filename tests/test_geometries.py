"""What is known of each geometry; the laws that all obey are in ``test_laws.py``."""

import pickle

import numpy as np
import pytest
import torch
from geometries import (
    GEOMETRIES,
    MOONS,
    gaussian,
    height_cost,
    wavy_cost,
)
from scipy import stats
from scipy.integrate import quad_vec
from suites import thorough
from surfaces import bumps, field, hyperbolic_distance, identity, near_pairs, paraboloid

from skriem import decoder_metric
from skriem.geometry import (
    ConvergenceWarning,
    EnsembleEmbedding,
    MetricField,
    NearestNeighborMetric,
    PullbackMetric,
    Status,
    ambient_metric,
    conformal_metric,
    ensemble_energy,
    local_metric,
    location_scale_metric,
    regularised_metric,
    student_t_weights,
)
from skriem.geometry.maps.decoder import Decoder
from skriem.geometry.metrics.regularised import RegularisedTensor


def unit_cost(x):
    return x.new_ones(len(x))


def points(low, high, n=7):
    return np.random.default_rng(0).uniform(low, high, (n, len(low)))


SQUARE, CUBE = points([-1, -1], [1, 1]), points([-1] * 3, [1] * 3)
ABOVE = points([-1, 1.2], [1, 2])


# Costs in the space of the data ------------------------------------------------------------


def test_a_cost_of_one_is_the_pullback():
    a, b = near_pairs([-1, -1], [1, 1], 0.5)
    metric, expected = ambient_metric(bumps, unit_cost, 2), PullbackMetric(bumps, 2)
    np.testing.assert_allclose(metric.tensor(a), expected.tensor(a), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(metric.distance(a, b), expected.distance(a, b), rtol=1e-4)
    dear = ambient_metric(bumps, lambda x: 9.0 * unit_cost(x), 2)
    np.testing.assert_allclose(dear.distance(a, b), 3.0 * metric.distance(a, b), rtol=1e-9)


@pytest.mark.parametrize("name", ["half-plane by cost", "diagonal cost", "full cost", "student"])
def test_derivatives_of_pulled_back_costs_are_those_of_the_tensor(name):
    metric, (z, _) = GEOMETRIES[name].make(), GEOMETRIES[name].points()
    z, v = torch.as_tensor(z), torch.as_tensor(z[::-1].copy())
    automatic = field(lambda at: metric._tensor_fn(at)).tensor_fn.jets(z, v)
    for ours, expected in zip(metric._tensor_fn.jets(z, v), automatic):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("embed", [identity, torch.ones_like])
def test_flat_and_constant_maps(embed):
    curves = ambient_metric(embed, unit_cost, 2).geodesic(SQUARE[:-1], SQUARE[1:])
    flat = np.linalg.norm(np.diff(SQUARE, axis=0), axis=1) * (embed is identity)
    np.testing.assert_allclose(curves.length, flat, rtol=1e-9)
    expected = Status.CONVERGED if embed is identity else Status.DEGENERATE
    assert (curves.status == expected).all()


def test_half_plane_from_its_cost():
    rng = np.random.default_rng(0)
    a, b = (rng.uniform([-2, 0.3], [2, 3], (50, 2)) for _ in range(2))
    metric = ambient_metric(identity, height_cost, 2)
    np.testing.assert_allclose(
        metric.distance(a, b, tol=1e-4), hyperbolic_distance(a, b), rtol=1e-4
    )
    np.testing.assert_allclose(metric.scalar_curvature(a), -2.0, rtol=1e-8)


def test_factors_diagonals_and_matrices_agree():
    a = SQUARE
    factor = ambient_metric(bumps, lambda x: wavy_cost(x)[:, 0], 2)
    spread = ambient_metric(bumps, lambda x: wavy_cost(x)[:, :1].expand_as(x), 2)
    np.testing.assert_allclose(factor.tensor(a), spread.tensor(a), rtol=1e-12)
    diagonal = ambient_metric(bumps, wavy_cost, 2)
    full = ambient_metric(bumps, lambda x: torch.diag_embed(wavy_cost(x)), 2)
    np.testing.assert_allclose(full.tensor(a), diagonal.tensor(a), rtol=1e-12)
    np.testing.assert_allclose(
        full.distance(a[:-1], a[1:]), diagonal.distance(a[:-1], a[1:]), rtol=1e-9
    )


def test_modules_are_copied_and_recognised():
    embed = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    cost = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softplus())
    metric = ambient_metric(embed, cost, 2)
    assert metric == ambient_metric(embed, cost, 2) == pickle.loads(pickle.dumps(metric))
    single = torch.as_tensor(SQUARE, dtype=torch.float32)
    np.testing.assert_allclose(metric.tensor(single), metric.tensor(SQUARE), rtol=1e-3)
    before = metric.tensor(SQUARE)
    with torch.no_grad():
        embed[0].weight.mul_(2.0)
    np.testing.assert_array_equal(metric.tensor(SQUARE), before)
    assert ambient_metric(embed, cost, 2) != metric


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((bumps, lambda x: x[0], 2), ValueError, r"cost must map \(1, 3\)"),
        ((bumps, lambda x: x[:, :2], 2), ValueError, r"got \(1, 2\)"),
        ((bumps, lambda x: x.sum(), 2), ValueError, r"got \(\)"),
        ((bumps, 1.0, 2), TypeError, "cost must be a function"),
        ((1.0, unit_cost, 2), TypeError, "embed must be a function"),
        ((bumps, unit_cost, 0), ValueError, "n_dims"),
    ],
)
def test_bad_costs(arguments, error, match):
    with pytest.raises(error, match=match):
        ambient_metric(*arguments)


# Densities of codes ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (30,), (30, 3)])
def test_volume_is_one_over_the_density(shape):
    rng = np.random.default_rng(0)
    codes, scale = rng.normal(size=(30, 3)), rng.uniform(0.3, 1.0, shape)
    z = rng.normal(size=(10, 3))
    each = np.broadcast_to(scale.reshape(-1, 1) if scale.ndim < 2 else scale, codes.shape)

    def density(at):
        steps = (at[:, None] - codes) / each
        return (np.exp(-0.5 * (steps**2).sum(-1)) / each.prod(1)).mean(1)

    metric = conformal_metric(codes, scale, rho=0.02)
    volume = 1.0 / (density(z) / density(codes).mean() + 0.02)
    np.testing.assert_allclose(np.exp(metric.log_volume(z)), volume, rtol=1e-10)
    tensor = metric.tensor(z)
    np.testing.assert_allclose(tensor, tensor[:, :1, :1] * np.eye(3), rtol=1e-12, atol=0)
    far = metric.tensor(np.full((1, 3), 1e3))
    np.testing.assert_allclose(far[0], 0.02 ** (-2 / 3) * np.eye(3), rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_derivatives_of_the_conformal_metric_are_those_of_its_tensor(d):
    rng = np.random.default_rng(0)
    metric = conformal_metric(rng.normal(size=(30, d)), rng.uniform(0.5, 1.0, (30, d)))
    z, v = (torch.as_tensor(rng.normal(size=(20, d))) for _ in range(2))
    automatic = field(lambda at: metric._tensor_fn(at)).tensor_fn.jets(z, v)
    for ours, expected in zip(metric._tensor_fn.jets(z, v), automatic):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


def shaped(n, d, seed=0):
    """Means, covariances and weights of a mixture."""
    rng = np.random.default_rng(seed)
    factors = 0.4 * rng.normal(size=(n, d, d))
    covariances = factors @ factors.swapaxes(1, 2) + 0.2 * np.eye(d)
    return rng.normal(size=(n, d)), covariances, rng.dirichlet(np.ones(n))


def test_volumes_of_a_mixture_are_inverse_densities():
    means, covariances, weights = shaped(4, 3)
    z = np.random.default_rng(1).normal(size=(10, 3))

    def density(at):
        parts = (stats.multivariate_normal(*part).pdf(at) for part in zip(means, covariances))
        return sum(weight * part for weight, part in zip(weights, parts))

    metric = conformal_metric(
        means, covariances=covariances, weights=3.0 * weights, rho=0.02, points=z
    )
    volume = 1.0 / (density(z) / (weights @ density(means)) + 0.02)
    np.testing.assert_allclose(np.exp(metric.log_volume(z)), volume, rtol=1e-10)
    np.testing.assert_array_equal(metric.points, z)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_derivatives_of_a_mixture_are_those_of_its_tensor(d):
    means, covariances, weights = shaped(6, d)
    metric = conformal_metric(means, covariances=covariances, weights=weights)
    z, v = torch.as_tensor(np.random.default_rng(2).normal(size=(2, 20, d)))
    automatic = field(lambda at: metric._tensor_fn(at)).tensor_fn.jets(z, v)
    for ours, expected in zip(metric._tensor_fn.jets(z, v), automatic):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


def test_a_diagonal_mixture_is_one_along_the_axes():
    rng = np.random.default_rng(0)
    codes, scale = rng.normal(size=(9, 3)), rng.uniform(0.3, 1.0, (9, 3))
    covariances = scale[:, None] ** 2 * np.eye(3)
    z, v = torch.as_tensor(rng.normal(size=(2, 10, 3)))
    for given in (None, rng.uniform(size=9)):
        a = conformal_metric(codes, scale, weights=given)
        b = conformal_metric(codes, covariances=covariances, weights=given)
        for one, other in zip(a._tensor_fn.jets(z, v), b._tensor_fn.jets(z, v)):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    alike = conformal_metric(codes, scale, weights=np.full(9, 2.0))
    expected = conformal_metric(codes, scale).tensor(z.numpy())
    np.testing.assert_allclose(alike.tensor(z.numpy()), expected, rtol=1e-12)


def test_gaussians_without_weight_are_none():
    means, covariances, weights = shaped(5, 2)
    weights[1] = 0.0
    z = np.random.default_rng(2).normal(size=(5, 2))
    metric = conformal_metric(means, covariances=covariances, weights=weights, points=z)
    kept = np.flatnonzero(weights)
    fewer = conformal_metric(
        means[kept], covariances=covariances[kept], weights=weights[kept], points=z
    )
    assert metric == fewer
    assert metric != conformal_metric(
        means[kept], covariances=covariances[kept], weights=weights[kept] ** 2, points=z
    )
    wide = 1.01 * covariances
    assert metric != conformal_metric(means, covariances=wide, weights=weights, points=z)


def test_turned_and_scaled_codes_have_turned_and_scaled_geodesics():
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    a, b = MOONS[:6], MOONS[6:12]

    def distance(change, *arguments):
        metric = MetricField(conformal_metric(change(MOONS), *arguments)._tensor_fn, 2)
        return metric.distance(change(a), change(b), tol=1e-4)

    expected = distance(lambda z: z)
    np.testing.assert_allclose(distance(lambda z: z @ turn + 3.0), expected, rtol=1e-3)
    np.testing.assert_allclose(distance(lambda z: 50.0 * z), 50.0 * expected, rtol=1e-4)


def test_codes_draw_geodesics():
    metric = conformal_metric(MOONS)
    assert metric == conformal_metric(MOONS) != conformal_metric(MOONS, rho=0.1)
    ends = MOONS[[0, 3]], MOONS[[5, 8]]
    curve = metric.geodesic(*ends).curve(np.linspace(0, 1, 50)).reshape(-1, 2)
    line = np.linspace(*ends, 50).reshape(-1, 2)
    assert metric.log_volume(curve).mean() < metric.log_volume(line).mean()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((MOONS * np.nan,), "finite"),
        ((np.ones((5, 2)),), "All rows"),
        ((MOONS, np.ones(3)), "scale must be a number or have shape"),
        ((MOONS, 0.0), "scale must be positive"),
        ((MOONS, 1.0, 0.0), "rho must be positive"),
    ],
)
def test_bad_codes(arguments, match):
    with pytest.raises(ValueError, match=match):
        conformal_metric(*arguments)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"scale": 1.0, "covariances": np.stack([np.eye(2)] * 3)}, "not both"),
        ({"covariances": np.eye(2)}, "covariances must have shape"),
        ({"covariances": np.stack([np.eye(2), -np.eye(2), np.eye(2)])}, "positive definite"),
        ({"covariances": np.stack([[[1.0, 0.5], [0.0, 1.0]]] * 3)}, "symmetric"),
        ({"covariances": np.full((3, 2, 2), np.nan)}, "finite"),
        ({"covariances": np.stack([np.full((2, 2), np.inf)] * 3)}, "finite"),
        ({"scale": 1.0, "weights": np.ones(2)}, "weights must have shape"),
        ({"scale": 1.0, "weights": [1.0, -1.0, 1.0]}, "weights must be finite and not negative"),
        ({"scale": 1.0, "weights": np.zeros(3)}, "some of them positive"),
    ],
)
def test_bad_mixtures(parameters, match):
    with pytest.raises(ValueError, match=match):
        conformal_metric(MOONS[:3], **parameters)


# Regularised metrics -----------------------------------------------------------------------


@pytest.mark.parametrize("base", ["full cost", "student"])
def test_eigenvalues_of_a_regularised_metric(base):
    base, (z, _) = GEOMETRIES[base].make(), GEOMETRIES[base].points()
    s = np.linalg.eigvalsh(base.tensor(z))
    for rank in (None, 1, 2):
        kept = np.arange(base.n_dims) >= base.n_dims - (rank or base.n_dims)
        found = np.linalg.eigvalsh(regularised_metric(base, 0.3, rank).tensor(z))
        np.testing.assert_allclose(found, kept * s**3 / (s**2 + 0.3), rtol=1e-9, atol=1e-12)


def test_no_strength_and_full_rank_change_nothing():
    a, b = near_pairs([-1, -1], [1, 1], 0.5)
    base = PullbackMetric(bumps, 2)
    found = regularised_metric(base, 0.0)
    np.testing.assert_allclose(found.tensor(a), base.tensor(a), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.distance(a, b), base.distance(a, b), rtol=1e-4)
    assert regularised_metric(base, 0.5, 2) == regularised_metric(base, 0.5) != found
    assert (regularised_metric(base, 0.5).distance(a, b) < base.distance(a, b)).all()


@pytest.mark.parametrize("kind", ["adopted", "ensemble"])
def test_derivatives_of_a_regularised_metric_of_plain_functions(kind):
    # Maps that do not know their derivatives, within one that asks for them.
    if kind == "adopted":
        base = decoder_metric(bumps, MOONS, noise=0.3, bandwidth=3.0, random_state=0)
    else:
        base = PullbackMetric(EnsembleEmbedding([bumps, paraboloid]), 2)
    z = MOONS[:5]
    found = regularised_metric(base, 0.0).scalar_curvature(z)
    np.testing.assert_allclose(found, base.scalar_curvature(z), rtol=1e-6, atol=1e-9)


def test_small_eigenvalues_keep_their_digits():
    base = MetricField(lambda z: torch.diag(z.new_tensor([1e4, 1e-2])).expand(len(z), 2, 2), 2)
    found = regularised_metric(base, 1.0).tensor(np.zeros((1, 2)))[0]
    np.testing.assert_allclose(np.diag(found), [1e4, 1e-6], rtol=1e-3)


@pytest.mark.parametrize("rank", [1, 2])
def test_derivatives_at_a_lower_rank(rank):
    base = GEOMETRIES["full cost"].make()._space.differentiable_tensor

    def by_eigenvectors(z):
        s, vectors = torch.linalg.eigh(base(z))
        kept = torch.arange(3) >= 3 - rank
        return (vectors * (kept * s**3 / (s**2 + 0.3))[:, None]) @ vectors.mT

    ours = RegularisedTensor(GEOMETRIES["full cost"].make(), 0.3, rank)
    z, v = (torch.as_tensor(part) for part in (CUBE, CUBE[::-1].copy()))
    for found, expected in zip(ours.jets(z, v), field(by_eigenvectors).tensor_fn.jets(z, v)):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "scales",
    thorough(
        [(2.0, 1.0, 0.1), (2.0, 2.0, 0.1), (2.0, 0.1, 0.1)],
        slow=[(2.0, 1.0, 0.1), (2.0, 2.0, 0.1)],
    ),
)
def test_dropped_directions_of_a_linear_decoder_have_no_length(scales):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    kept = np.array(scales) > 0.5
    linear = PullbackMetric(lambda z: z @ torch.as_tensor(turn * scales), 3)
    metric = regularised_metric(linear, 0.0, int(kept.sum()))
    a, b = rng.normal(size=(2, 10, 3))
    expected = np.linalg.norm((b - a) @ turn * scales * kept, axis=1)
    np.testing.assert_allclose(metric.distance(a, b), expected, rtol=1e-6)
    along = metric.geodesic(a, a + turn[:, 2])
    assert (along.length < 1e-6).all()
    assert np.isin(along.status, [Status.CONVERGED, Status.DEGENERATE]).all()


def test_a_rank_that_splits_equal_directions_is_reported():
    metric = regularised_metric(PullbackMetric(identity, 2), 0.0, 1)
    with pytest.warns(ConvergenceWarning, match="NaN"):
        metric.distance(SQUARE[:2], SQUARE[2:4])


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((bumps, 1.0), TypeError, "must be a RiemannianMetric"),
        ((NearestNeighborMetric(MOONS), 1.0), TypeError, "must be a RiemannianMetric"),
        ((local_metric(MOONS), -1.0), ValueError, "strength"),
        ((local_metric(MOONS), 1.0, 3), ValueError, "rank must be between 1 and 2"),
        ((local_metric(MOONS), 1.0, 0), ValueError, "rank must be between 1 and 2"),
    ],
)
def test_bad_regularisation(arguments, error, match):
    with pytest.raises(error, match=match):
        regularised_metric(*arguments)


# Locations and scales ----------------------------------------------------------------------


def test_gaussians_are_a_hyperbolic_plane():
    rng = np.random.default_rng(0)
    a, b = (rng.uniform([-2, 0.3], [2, 3], (50, 2)) for _ in range(2))
    metric = location_scale_metric(identity, 2)
    step = ((a - b) ** 2 * [0.5, 1.0]).sum(1)
    expected = np.sqrt(2.0) * np.arccosh(1.0 + step / (2.0 * a[:, 1] * b[:, 1]))
    np.testing.assert_allclose(metric.distance(a, b, tol=1e-4), expected, rtol=1e-4)
    np.testing.assert_allclose(metric.scalar_curvature(a), -1.0, rtol=1e-8)


@pytest.mark.parametrize("df", [1.0, 5.0, 1e7])
def test_weights_of_student_t_distributions(df):
    # Information is the mean square of the slope of the logarithm of the density.
    def square_of_slopes(x):
        location = -(df + 1.0) * x / (df + x * x)
        return stats.t.pdf(x, df) * np.array([location, 1.0 + location * x]) ** 2

    weights = student_t_weights(df)
    found = quad_vec(square_of_slopes, -np.inf, np.inf)[0]
    np.testing.assert_allclose(weights, found, rtol=1e-5)
    metric = location_scale_metric(identity, 2, *weights)
    np.testing.assert_allclose(metric.scalar_curvature(ABOVE), -2.0 / weights[1], rtol=1e-8)


def test_units_of_the_data_do_not_matter():
    metric = GEOMETRIES["gaussian"].make()
    units = torch.tensor([1e3, 1.0, 1e-3, 2.0, 5.0], dtype=torch.float64).repeat(2)
    other = location_scale_metric(lambda z: gaussian(z) * units, 2)
    np.testing.assert_allclose(other.tensor(SQUARE), metric.tensor(SQUARE), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: location_scale_metric(bumps, 2), "as many standard deviations"),
        (lambda: location_scale_metric(gaussian, 2, -1.0), "Weights"),
        (lambda: location_scale_metric(gaussian, 2, 0.0, 0.0), "Weights"),
        (lambda: student_t_weights(0.0), "df"),
    ],
)
def test_bad_locations_and_scales(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_an_ensemble_has_the_mean_of_its_members_metrics():
    members = [bumps, paraboloid, lambda z: 2.0 * z]
    tensors = [PullbackMetric(member, 2).tensor(SQUARE) for member in members]
    found = PullbackMetric(EnsembleEmbedding(members), 2).tensor(SQUARE)
    np.testing.assert_allclose(found, np.mean(tensors, axis=0), rtol=1e-12)


def test_an_ensemble_asks_its_members_for_derivatives_at_once():
    ensemble, z = EnsembleEmbedding([bumps, paraboloid]), torch.as_tensor(SQUARE)
    direction = torch.as_tensor(np.random.default_rng(0).normal(size=SQUARE.shape))
    expected = ensemble.linearise(z).jacobian, ensemble.bend(z, direction)
    torch.testing.assert_close(ensemble.bent_jacobian(z, direction), expected)


def test_energy_of_an_ensemble_is_the_mean_over_independent_pairs():
    decoders = [bumps, paraboloid, lambda z: torch.cat([z, z[:, :1] * z[:, 1:]], dim=1)]
    curves = torch.as_tensor(np.random.default_rng(0).normal(size=(3, 9, 2)))
    values = torch.stack([decoder(curves.flatten(0, 1)) for decoder in decoders])
    values = values.unflatten(1, (3, 9))
    pairs = [
        (ahead[:, 1:] - behind[:, :-1]).square().sum((1, 2))
        for ahead in values
        for behind in values
    ]
    expected = 8.0 * torch.stack(pairs).mean(0)
    torch.testing.assert_close(ensemble_energy(decoders, curves), expected)
    same = ensemble_energy([bumps, bumps], curves)
    torch.testing.assert_close(same, ensemble_energy([bumps], curves))


class Shifted(Decoder):
    """A decoder of one number, the code and a shift, with noise of one."""

    def __init__(self, shift):
        self.shift = shift

    def __call__(self, z):
        return z + self.shift

    mean = __call__

    def draw(self, z, rng):
        return rng.normal(self(z).numpy())

    def log_prob(self, x, z):
        return torch.distributions.Normal(self(z), 1.0).log_prob(x).sum(-1)


def test_an_ensemble_is_a_mixture_of_its_members():
    ensemble = EnsembleEmbedding([Shifted(-1.0), Shifted(0.0), Shifted(4.0)])
    x = torch.linspace(-20.0, 20.0, 4001, dtype=torch.float64)[:, None]
    z = torch.full_like(x, 0.5)
    density = ensemble.log_prob(x, z).exp()
    assert torch.trapezoid(density, x[:, 0]) == pytest.approx(1.0)
    mean = torch.trapezoid(density * x[:, 0], x[:, 0])
    torch.testing.assert_close(ensemble.mean(z[:1]), mean[None, None])
