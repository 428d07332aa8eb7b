"""The laws that every geometry obeys, and what is known about each of them."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad_vec
from sklearn.datasets import make_moons
from surfaces import bend, bumps, paraboloid
from test_fields import hyperbolic_distance
from test_likelihoods import embedding
from test_maps import half_plane, near_pairs

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
from skriem.geometry.field import Field
from skriem.geometry.regularised import RegularisedTensor, differentiable_tensor

# Near pairs have one geodesic between them, in any coordinates.
NEAR = 0.15


def identity(z):
    return z


def unit_cost(x):
    return x.new_ones(len(x))


def height_cost(x):
    return x[:, 1] ** -2


def wavy_cost(x):
    """Factors, one for every output."""
    return 1.5 + torch.sin(x + torch.arange(x.shape[1]).to(x))


def wavy_matrices(x):
    """Symmetric and positive definite, no two directions alike."""
    turned = torch.eye(x.shape[1]).to(x) + 0.3 * x.sin()[:, :, None] * x.cos()[:, None]
    return turned @ turned.mT


def gaussian(z):
    """Means and standard deviations of five features."""
    weights = torch.as_tensor(np.random.default_rng(0).normal(size=(z.shape[1], 10))).to(z)
    mean, spread = torch.tanh(z @ weights).tensor_split(2, dim=1)
    return torch.cat([mean, 0.5 + spread.square()], dim=1)


def feature(z):
    """Features of what a decoder makes of codes."""
    return torch.tanh(bumps(z) @ torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.2]]).to(z))


def points(low, high, n=7):
    return np.random.default_rng(0).uniform(low, high, (n, len(low)))


SQUARE, CUBE = points([-1, -1], [1, 1]), points([-1] * 3, [1] * 3)
ABOVE = points([-1, 1.2], [1, 2])
MOONS = make_moons(60, noise=0.08, random_state=0)[0]
CLOUD = np.random.default_rng(1).normal(size=(60, 5))
# Any metric of geodesics, and points in it; functions that pickle.
GEOMETRIES = {
    "half-plane": (ambient_metric(identity, height_cost, 2), ABOVE),
    "diagonal cost": (ambient_metric(bumps, wavy_cost, 2), SQUARE),
    "full cost": (ambient_metric(paraboloid, wavy_matrices, 3), CUBE),
    "conformal": (MetricField(conformal_metric(MOONS, 0.4)._tensor_fn, 2), MOONS[:7]),
    "conformal in 5": (MetricField(conformal_metric(CLOUD)._tensor_fn, 5), CLOUD[:7]),
    "regularised": (regularised_metric(PullbackMetric(bumps, 2), 0.5), SQUARE),
    "regularised field": (regularised_metric(MetricField(half_plane, 2), 0.1), ABOVE),
    "gaussian": (location_scale_metric(gaussian, 2), 0.6 * SQUARE),
    "student": (location_scale_metric(gaussian, 3, *student_t_weights(4.0)), 0.6 * CUBE),
    **{
        f"{name} decoder": (PullbackMetric(embedding(name, True), 2), 0.3 * SQUARE)
        for name in ("bernoulli", "categorical", "poisson", "negative_binomial")
    },
    "ensemble": (PullbackMetric(EnsembleEmbedding([bumps, paraboloid]), 2), SQUARE),
    "features": (PullbackMetric(feature, 2), SQUARE),
}


@pytest.fixture(scope="module", params=GEOMETRIES)
def space(request):
    """A metric, points, curves from each to the next, and near pairs."""
    metric, z = GEOMETRIES[request.param]
    near = z + NEAR * np.random.default_rng(2).uniform(-1, 1, z.shape)
    curves = metric.geodesic(z[:-1], z[1:])
    assert curves.converged.all()
    return SimpleNamespace(metric=metric, z=z, near=near, curves=curves)


# Laws --------------------------------------------------------------------------------------


def test_tensors_are_symmetric_and_positive_definite(space):
    tensor = space.metric.tensor(space.z)
    np.testing.assert_allclose(tensor, tensor.swapaxes(1, 2), rtol=1e-12, atol=1e-12)
    assert (np.linalg.eigvalsh(tensor) > 0).all()
    np.testing.assert_allclose(space.metric.log_volume(space.z), 0.5 * np.linalg.slogdet(tensor)[1])


def test_geodesics_have_the_speed_of_their_length(space):
    t = np.linspace(0.0, 1.0, 201)
    nodes = space.curves.curve(t)
    middles, steps = 0.5 * (nodes[:, 1:] + nodes[:, :-1]), np.diff(nodes, axis=1) * 200.0
    d = middles.shape[-1]
    speed = space.metric.norm(middles.reshape(-1, d), steps.reshape(-1, d)).reshape(-1, 200)
    np.testing.assert_allclose(speed.mean(1), space.curves.length, rtol=2e-3)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[:, :1], speed.shape), rtol=0.1)


def test_symmetry_and_identity_of_indiscernibles(space):
    back = space.metric.geodesic(space.z[1:], space.z[:-1])
    np.testing.assert_array_equal(back.length, space.curves.length)
    assert (space.metric.distance(space.z, space.z) == 0).all()
    assert (space.curves.length > 0).all()


def test_triangle_inequality(space):
    D = space.metric.pairwise(space.z)
    np.testing.assert_array_equal(D, D.T)
    through = (D[:, :, None] + D[None, :, :]).min(axis=1)
    assert (1.005 * through >= D).all()


def test_reported_length_is_the_length_of_the_curve(space):
    curve = space.curves.curve(np.linspace(0, 1, 1001))
    step = np.diff(curve, axis=1)
    middle = 0.5 * (curve[:, 1:] + curve[:, :-1])
    tensor = space.metric.tensor(middle.reshape(-1, curve.shape[2]))
    tensor = tensor.reshape(*step.shape, -1)
    measured = np.sqrt(np.einsum("ntk,ntkl,ntl->nt", step, tensor, step)).sum(axis=1)
    np.testing.assert_allclose(space.curves.length, measured, rtol=1e-3)


def test_no_curve_is_longer_than_the_straight_line(space):
    t = (np.arange(1000) + 0.5)[:, None, None] / 1000
    a, step = space.z[:-1], np.diff(space.z, axis=0)
    tensor = space.metric.tensor((a + t * step).reshape(-1, a.shape[1]))
    tensor = tensor.reshape(1000, *a.shape, -1)
    straight = np.sqrt(np.einsum("nk,tnkl,nl->tn", step, tensor, step)).mean(axis=0)
    assert (space.curves.length <= straight * (1 + 1e-3)).all()


def bend_first(w):
    """A diffeomorphism of space that bends its first two coordinates."""
    return torch.cat([bend(w[:, :2]), w[:, 2:]], dim=1)


def test_distances_do_not_depend_on_coordinates(space):
    bent = ambient_metric(bend_first, differentiable_tensor(space.metric), space.metric.n_dims)
    a, b = (bend_first(torch.as_tensor(w)).numpy() for w in (space.z, space.near))
    found = bent.distance(space.z, space.near, tol=1e-4)
    np.testing.assert_allclose(found, space.metric.distance(a, b, tol=1e-4), rtol=5e-4)


def test_exp_undoes_log(space):
    v = space.metric.log(space.z, space.near)
    np.testing.assert_allclose(space.metric.exp(space.z, v), space.near, rtol=0, atol=1e-6)
    norm = np.sqrt(np.einsum("ni,nij,nj->n", v, space.metric.tensor(space.z), v))
    np.testing.assert_allclose(space.metric.distance(space.z, space.near), norm, rtol=1e-3)


def test_pickles_and_points_make_no_other_metric(space):
    a, b = space.z[:2], space.near[:2]
    again = pickle.loads(pickle.dumps(space.metric))
    assert again == space.metric
    np.testing.assert_array_equal(again.distance(a, b), space.metric.distance(a, b))
    assert space.metric.with_points(space.z) == space.metric


def test_tensors_of_single_precision(space):
    a, b = (torch.as_tensor(part[:3], dtype=torch.float32) for part in (space.z, space.near))
    found = space.metric.distance(a, b)
    assert found.dtype == torch.float32
    expected = space.metric.distance(a.double(), b.double())
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_nothing_of_nothing(space):
    assert space.metric.tensor(space.z[:0]).shape == (0, *2 * space.z.shape[1:])
    assert space.metric.distance(space.z[:0], space.z[:0]).shape == (0,)


# Costs in the space of the data ------------------------------------------------------------


def test_a_cost_of_one_is_the_pullback():
    a, b = near_pairs([-1, -1], [1, 1], 0.5)
    metric, expected = ambient_metric(bumps, unit_cost, 2), PullbackMetric(bumps, 2)
    np.testing.assert_allclose(metric.tensor(a), expected.tensor(a), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(metric.distance(a, b), expected.distance(a, b), rtol=1e-4)
    dear = ambient_metric(bumps, lambda x: 9.0 * unit_cost(x), 2)
    np.testing.assert_allclose(dear.distance(a, b), 3.0 * metric.distance(a, b), rtol=1e-9)


@pytest.mark.parametrize("name", ["half-plane", "diagonal cost", "full cost", "student"])
def test_derivatives_of_pulled_back_costs_are_those_of_the_tensor(name):
    metric, z = GEOMETRIES[name]
    z, v = torch.as_tensor(z), torch.as_tensor(z[::-1].copy())
    automatic = Field(lambda at: metric._tensor_fn(at)).jets(z, v)
    for ours, expected in zip(Field(metric._tensor_fn).jets(z, v), automatic):
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
    automatic = Field(lambda at: metric._tensor_fn(at)).jets(z, v)
    for ours, expected in zip(Field(metric._tensor_fn).jets(z, v), automatic):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


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


# Regularised metrics -----------------------------------------------------------------------


@pytest.mark.parametrize("base", ["full cost", "student"])
def test_eigenvalues_of_a_regularised_metric(base):
    base, z = GEOMETRIES[base]
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
        base = PullbackMetric.from_decoder(bumps, MOONS, noise=0.3, bandwidth=3.0, random_state=0)
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
    base = differentiable_tensor(GEOMETRIES["full cost"][0])

    def by_eigenvectors(z):
        s, vectors = torch.linalg.eigh(base(z))
        kept = torch.arange(3) >= 3 - rank
        return (vectors * (kept * s**3 / (s**2 + 0.3))[:, None]) @ vectors.mT

    ours = RegularisedTensor(GEOMETRIES["full cost"][0], 0.3, rank)
    z, v = (torch.as_tensor(part) for part in (CUBE, CUBE[::-1].copy()))
    for found, expected in zip(Field(ours).jets(z, v), Field(by_eigenvectors).jets(z, v)):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("scales", [(2.0, 1.0, 0.1), (2.0, 2.0, 0.1), (2.0, 0.1, 0.1)])
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
        ((bumps, 1.0), TypeError, "metric of skriem"),
        ((NearestNeighborMetric(MOONS), 1.0), ValueError, "no derivatives"),
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
    metric = GEOMETRIES["gaussian"][0]
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


class Shifted:
    """A decoder of one number, the code and a shift, with noise of one."""

    def __init__(self, shift):
        self.shift = shift

    def __call__(self, z):
        return z + self.shift

    mean = __call__

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
