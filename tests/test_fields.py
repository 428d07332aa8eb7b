"""Metrics given by their tensor, and the table that any metric of low dimension becomes."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from suites import thorough
from surfaces import (
    embedded,
    field,
    great_circle,
    half_plane,
    hills,
    hyperbolic_distance,
    sphere,
    sphere_pairs,
    tensor_of,
    wavy,
)

from skriem import RiemannianKMeans
from skriem.calculus.maps import Map
from skriem.decoders.gaussian import DecoderEmbedding
from skriem.geometry import MetricField, PullbackMetric, Status, local_metric
from skriem.geometry.metrics.metric_field import LocalVariance
from skriem.geometry.spaces.corrected import Corrected
from skriem.geometry.spaces.embedded import Embedded, SinglePrecision
from skriem.geometry.spaces.energy import discrete_energy
from skriem.geometry.spaces.table import SLOW_SHARE, TabulatedTensor, tabulate
from skriem.nn.network import LayeredNetwork, perceptron
from skriem.nn.precision import RBFNoise


def test_hyperbolic_plane():
    rng = np.random.default_rng(0)
    a, b = (rng.uniform([-2, 0.3], [2, 3], (200, 2)) for _ in range(2))
    geodesics = MetricField(half_plane, 2).geodesic(a, b, tol=1e-4)
    assert geodesics.converged.all()
    assert np.abs(geodesics.length / hyperbolic_distance(a, b) - 1.0).max() < 1e-4


def test_field_and_embedding_of_one_surface_agree():
    a, b = sphere_pairs(40, seed=0)
    metric = MetricField(tensor_of(sphere), 2)
    np.testing.assert_allclose(metric.distance(a, b, tol=1e-4), great_circle(a, b), rtol=1e-4)
    np.testing.assert_allclose(metric.log_volume(a), PullbackMetric(sphere, 2).log_volume(a))
    assert metric.pairwise(a[:3]).shape == (3, 3)


def test_energy_derivatives_of_a_field():
    space, n_sub = field(wavy), 3
    nodes = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 5, 2)))
    model = space.expand(nodes, n_sub)
    torch.testing.assert_close(model.energy, discrete_energy(space, nodes, n_sub))
    for i in range(2):

        def half_energy(x):
            points = x.reshape(5, 2)
            s = torch.arange(n_sub, dtype=x.dtype)[:, None] / n_sub + 0.5 / n_sub
            middle = (points[:-1, None] + s * (points[1:] - points[:-1])[:, None]).reshape(-1, 2)
            step = ((points[1:] - points[:-1]) / n_sub).repeat_interleave(n_sub, dim=0)
            return 0.5 * len(step) * torch.einsum("ni,nij,nj->", step, wavy(middle), step)

        flat = nodes[i].flatten()
        gradient = torch.autograd.functional.jacobian(half_energy, flat)
        torch.testing.assert_close(model.gradient[i].flatten(), gradient)
        hessian = torch.autograd.functional.hessian(half_energy, flat)
        blocks = hessian.unflatten(0, (5, 2)).unflatten(2, (5, 2)).transpose(1, 2)
        k = torch.arange(5)
        diagonal = (model.diagonal + model.curvature_diagonal)[i]
        upper = (model.upper + model.curvature_upper)[i]
        torch.testing.assert_close(diagonal, blocks[k, k])
        torch.testing.assert_close(upper, blocks[k[:-1], k[1:]])


def test_bad_fields_have_a_status():
    a, b = np.array([[0.0, 0.0], [0.1, 0.0]]), np.array([[0.2, 0.1], [2.0, 0.3]])

    def nowhere(z):
        eye = torch.eye(2, dtype=z.dtype)
        return torch.where(z[:, :1, None] > 1.0, torch.nan, eye)

    def indefinite(z):
        return torch.diag(torch.tensor([1.0, -1.0], dtype=z.dtype)).expand(len(z), 2, 2)

    geodesics = MetricField(nowhere, 2).geodesic(a, b)
    assert list(geodesics.status) == [Status.CONVERGED, Status.NOT_FINITE]
    geodesics = MetricField(indefinite, 2).geodesic(np.zeros((1, 2)), np.array([[0.1, 1.0]]))
    assert not geodesics.converged.any()
    with pytest.raises(TypeError, match="function"):
        MetricField(3, 2)
    with pytest.raises(ValueError, match="n_dims"):
        MetricField(half_plane, 0)
    with pytest.raises(ValueError, match="matrices"):
        MetricField(lambda z: z, 2)
    with pytest.raises(ValueError, match="2 dimensions"):
        PullbackMetric(hills, 3).scalar_curvature(np.zeros((1, 3)))


def test_scalar_curvature_of_known_surfaces():
    z = np.random.default_rng(0).uniform(0.5, 2.0, size=(10, 2))
    np.testing.assert_allclose(PullbackMetric(sphere, 2).scalar_curvature(z), 2.0)
    np.testing.assert_allclose(MetricField(half_plane, 2).scalar_curvature(z), -2.0)
    np.testing.assert_allclose(
        MetricField(tensor_of(sphere), 2).scalar_curvature(z), 2.0, rtol=1e-8
    )


@pytest.mark.slow
def test_frechet_mean_is_where_logarithms_balance():
    z = np.random.default_rng(0).uniform([-1, 0.5], [1, 2], (6, 2))
    metric = MetricField(half_plane, 2)
    mean = metric.frechet_mean(z)
    logs = metric.log(np.tile(mean, (6, 1)), z)
    assert np.linalg.norm(logs.mean(0)) <= 1e-6 * mean[1] * hyperbolic_distance(mean[None], z).max()


def test_frechet_mean_along_a_geodesic_is_that_of_arc_length():
    points = np.array([[0.0, 1.0], [0.0, np.e], [0.0, np.e**5]])
    mean = MetricField(half_plane, 2).frechet_mean(points)
    np.testing.assert_allclose(mean, [0.0, np.e**2], atol=2e-6 * np.e**2)


def test_derivatives_of_the_local_metric_are_those_of_its_tensor():
    rng = np.random.default_rng(0)
    tensors = LocalVariance(
        rng.normal(size=(30, 3)), 0.7, 0.01, rng.uniform(1, 2, 30), np.array([1.0, 0.5, 2.0])
    )
    z, v = (torch.as_tensor(rng.normal(size=(20, 3))) for _ in range(2))
    automatic = field(lambda at: tensors(at)).tensor_fn.jets(z, v)
    for ours, expected in zip(tensors.jets(z, v), automatic):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_local_metric_of_rows_that_come_often():
    places = np.eye(3)[np.arange(30) % 3]
    assert local_metric(places).distance(places[:1], places[1:2])[0] > 0
    with pytest.raises(ValueError, match="All rows of the data are the same"):
        local_metric(np.ones((5, 2)))


def test_a_field_whose_table_is_too_rough():
    # The table has to be finer where one coordinate is a hundred times the other.
    X = np.random.default_rng(0).normal(size=(4, 3)) * [1, 10, 100]
    metric = local_metric(X)
    lengths = metric.distance(X[:2], X[2:])
    np.testing.assert_allclose(
        lengths,
        MetricField(metric._tensor_fn, 3, X, tabulate=False).distance(X[:2], X[2:]),
        rtol=0.01,
    )


def test_a_weight_is_as_many_rows_for_the_local_metric():
    X = make_moons(40, noise=0.05, random_state=0)[0]
    weights = 1 + np.arange(40) % 3
    weighted = local_metric(X, bandwidth=0.3, sample_weight=weights)
    repeated = local_metric(np.repeat(X, weights, axis=0), bandwidth=0.3)
    np.testing.assert_allclose(weighted.tensor(X), repeated.tensor(X), rtol=1e-12)


def test_units_of_the_local_metric():
    X = make_moons(40, noise=0.05, random_state=0)[0]
    units = np.array([1e3, 0.1])
    plain, scaled = local_metric(X), local_metric(X * units, scale=units)
    np.testing.assert_allclose(
        scaled.tensor(X * units), plain.tensor(X) / np.outer(units, units), rtol=1e-12
    )
    for wrong in ([1.0], [1.0, 0.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="scale must be 2 positive numbers"):
            local_metric(X, scale=wrong)


def test_local_metric():
    X = make_moons(150, noise=0.05, random_state=0)[0]
    metric = local_metric(X)
    far = metric.tensor(np.array([[9.0, 9.0]]))[0, 0, 0]
    assert (metric.tensor(X)[:, 0, 0] < 0.3 * far).all()
    assert local_metric(X) == metric == pickle.loads(pickle.dumps(metric))
    labels = RiemannianKMeans(2, metric="local", random_state=0).fit_predict(X)
    assert set(labels) == {0, 1}
    with pytest.raises(ValueError, match="bandwidth"):
        local_metric(X, bandwidth=0.0)
    with pytest.raises(ValueError, match="finite"):
        local_metric(X * np.nan)
    with pytest.raises(ValueError, match="Raise bandwidth"):
        local_metric(X, bandwidth=1e-6)
    for weights in (-np.ones(150), np.full(150, np.nan), np.ones(3), np.zeros(150)):
        with pytest.raises(ValueError, match="sample_weight"):
            local_metric(X, sample_weight=weights)


def test_gradient_of_the_energy_is_that_of_its_expansion():
    space = field(tensor_of(hills))
    nodes = torch.as_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 9, 3)))
    energy, gradient = space.gradient(nodes, 2)
    expanded = space.expand(nodes, 2)
    torch.testing.assert_close(energy, expanded.energy)
    torch.testing.assert_close(gradient, expanded.gradient)


# Tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("embed", "d"), [(lambda z: torch.cat([z, z.sin()], 1), 1), (hills, 3)])
def test_table_has_the_tensor_and_its_derivatives(embed, d):
    exact = field(tensor_of(embed))
    rng = np.random.default_rng(0)
    box = rng.uniform(-1, 1, (60, d))
    table, error = tabulate(exact, box, 2e-5)
    assert error <= 2e-5
    z, v = (torch.as_tensor(rng.uniform(-0.9, 0.9, (50, d))) for _ in range(2))
    z = z.clamp(torch.as_tensor(box.min(0)), torch.as_tensor(box.max(0)))
    tabulated = TabulatedTensor(table)
    for k, (found, expected) in enumerate(zip(tabulated.jets(z, v), exact.tensor_fn.jets(z, v))):
        # Every derivative costs an order of the spacing.
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-2 if k == 3 else 5e-3)
    torch.testing.assert_close(tabulated(z), exact.tensor(z), rtol=0, atol=1e-3)
    assert tabulated(torch.as_tensor(table.high)[None] + 1.0).isnan().all()


def test_table_is_refused_where_the_metric_is_degenerate():
    box = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    assert tabulate(field(lambda z: z.new_zeros(len(z), 2, 2)), box, 1e-3)[0] is None
    assert tabulate(field(lambda z: z.new_full((len(z), 2, 2), np.nan)), box, 1)[0] is None


@pytest.mark.parametrize(("tol", "bound"), [(1e-3, 1e-3), (1e-5, 1e-5)])
def test_table_and_polish_meet_the_tolerance(tol, bound):
    box = np.random.default_rng(0).uniform(0.3, np.pi - 0.3, (300, 2))
    metric = PullbackMetric(sphere, 2, points=box)
    a, b = sphere_pairs(40, seed=3)
    assert metric._spaces.table is not None
    assert np.abs(metric.distance(a, b, tol=tol) / great_circle(a, b) - 1.0).max() < bound
    # Outside the table the embedding itself is solved.
    a, b = np.array([[1.5, -2.0]]), np.array([[1.0, -1.0]])
    assert not metric._spaces.table.covers(torch.as_tensor(a)).any()
    np.testing.assert_allclose(metric.distance(a, b), great_circle(a, b), rtol=1e-3)
    assert "_spaces" not in pickle.loads(pickle.dumps(metric)).__dict__


@pytest.mark.parametrize(
    "fitted", thorough(["digits_vae", "steep_digits_vae"], ["steep_digits_vae"])
)
def test_tabulated_thinned_and_exact_agree_on_a_decoder(fitted, request):
    vae, codes = request.getfixturevalue(fitted)
    metric, z = vae.metric_, np.asarray(codes[:12])
    without = PullbackMetric(metric._map, 2, metric.points, tabulate=False)
    assert without._spaces.table is None
    table, exact = (m.distance(z[:-1], z[1:], tol=5e-3) for m in (metric, without))
    # Both are local searches: a few pairs may end on different sides of a hill.
    assert np.median(np.abs(table / exact - 1.0)) < 2e-3
    np.testing.assert_allclose(table, exact, rtol=5e-2)


def decoder(m, rng, steepness=1.0, rate=2.0):
    """A decoder with m outputs and bumps of noise, or of none."""
    shapes = [(m, 2), (m,), (8, 2), (8,), (m, 8), (m,)]
    parts = [rng.normal(size=shape) for shape in shapes]
    parts[2] *= steepness
    network = LayeredNetwork(perceptron([2, 8, m], "tanh"), parts)
    weights = rng.normal(size=(20, 2)), np.full(20, rate), rng.uniform(0.5, 5.0, (m, 20))
    noise = RBFNoise([*weights, np.full(m, 0.01)])
    return DecoderEmbedding(network, np.zeros(m), 1.5, 1.0, noise), network


def test_halves_of_a_decoder_add_up():
    rng = np.random.default_rng(0)
    full, network = decoder(7, rng)
    space, at = Embedded(full), torch.as_tensor(rng.normal(size=(30, 2)))
    slow, rest = space.halves()
    torch.testing.assert_close(slow.tensor(at) + rest.tensor(at), space.tensor(at))
    torch.testing.assert_close(slow.embed(at), full.mean(at))
    torch.testing.assert_close(rest.embed(at), full.std(at))
    single = rest.rough_tensor(at)
    torch.testing.assert_close(single, rest.tensor(at), rtol=1e-4, atol=1e-4)
    assert DecoderEmbedding(network, np.zeros(7), 1.0, 1.0).halves() is None
    assert field(half_plane).halves() is embedded(sphere).halves() is None


@pytest.mark.parametrize(("steepness", "is_slow"), [(1.0, True), (60.0, False)])
def test_the_slow_half_of_a_table_is_read_from_a_coarser_one(steepness, is_slow, monkeypatch):
    rng = np.random.default_rng(0)
    space = Embedded(decoder(7, rng, steepness, rate=30.0)[0])
    box, tol, seen, linearise = rng.uniform(-1.0, 1.0, (60, 2)), 1e-4, [], LayeredNetwork.linearise

    def counted(self, z):
        seen.append(len(z))
        return linearise(self, z)

    monkeypatch.setattr(LayeredNetwork, "linearise", counted)
    table, error = tabulate(space, box, tol)
    n_points = table.coefficients[..., 0].size
    assert (sum(seen) < 0.3 * n_points) == is_slow
    monkeypatch.setattr(DecoderEmbedding, "halves", lambda self: None)
    alone, alike = tabulate(space, box, tol)
    np.testing.assert_allclose(error, alike, rtol=0, atol=SLOW_SHARE * tol)
    bound = 1e-4 if is_slow else 0.0
    np.testing.assert_allclose(table.coefficients, alone.coefficients, rtol=bound, atol=bound)


def test_thinned_decoder_is_nearly_the_same():
    rng = np.random.default_rng(0)
    full, network = decoder(600, rng)
    codes = rng.normal(size=(200, 2))
    thin = Embedded(full.thinned(codes))
    at = torch.as_tensor(codes[:50])
    tensor, rough = Embedded(full).tensor(at), thin.tensor(at)
    assert ((tensor - rough).norm(dim=(1, 2)) < 0.3 * tensor.norm(dim=(1, 2))).all()
    nodes = torch.as_tensor(rng.normal(size=(3, 9, 2)))
    corrected = Corrected(Embedded(full), thin).expand(nodes, 2)
    torch.testing.assert_close(corrected.gradient, Embedded(full).expand(nodes, 2).gradient)
    few = DecoderEmbedding(network.some_outputs(range(9)), np.zeros(9), 1.0, 1.0)
    assert few.thinned(codes) is None


@pytest.mark.parametrize("n_outputs", [300, 30])
def test_a_cheaper_space_has_six_digits(n_outputs):
    rng = np.random.default_rng(0)
    full, _ = decoder(n_outputs, rng)
    codes = rng.normal(size=(200, 2))
    rough, thin = Embedded(full).cheaper(codes), Embedded(full.thinned(codes) or full)
    assert isinstance(rough, SinglePrecision)
    nodes = torch.as_tensor(rng.normal(size=(3, 9, 2)))
    for name, at in [("expand", (nodes, 4)), ("squared_chords", (nodes,)), ("measure", (nodes,))]:
        found, expected = (getattr(space, name)(*at) for space in (rough, thin))
        torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-4, atol=1e-3)
        assert any((a != b).any() for a, b in zip(found, expected))
    torch.testing.assert_close(rough.measure_closely(nodes)[:2], rough.measure(nodes))
    torch.testing.assert_close(rough.tensor(nodes[0]), thin.tensor(nodes[0]), rtol=1e-5, atol=1e-3)


def test_single_precision_is_not_used_where_it_has_no_digits():
    class Shifted(Map):
        follows_dtype = True

        def __init__(self, by):
            self.by = by

        def __call__(self, z):
            return torch.sin(z - self.by)

    codes = np.random.default_rng(0).normal(size=(80, 2))
    assert isinstance(Embedded(Shifted(0.0)).cheaper(codes), SinglePrecision)
    assert Embedded(Shifted(1e4)).cheaper(codes + 1e4) is None
    # Nor where a map has the precision that it wants.
    assert embedded(sphere).cheaper(codes) is None


def test_curves_found_in_single_precision_are_exact_in_the_end():
    rng = np.random.default_rng(0)
    full, _ = decoder(30, rng)
    codes = 0.5 * rng.normal(size=(200, 2))
    metrics = [PullbackMetric(f, 2, codes, False) for f in (full, lambda z: full(z))]
    cheaper = [metric._spaces.cheaper for metric in metrics]
    assert isinstance(cheaper[0], SinglePrecision)
    assert cheaper[1] is None
    found, exact = (metric.geodesic(codes[:20], codes[20:40], tol=1e-6) for metric in metrics)
    both = found.converged & exact.converged
    assert both.mean() > 0.9
    np.testing.assert_allclose(found.length[both], exact.length[both], rtol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_in_single_precision(digits_vae):
    metric, z = digits_vae[0].metric_, np.asarray(digits_vae[1][:40])
    ends = [torch.as_tensor(part, dtype=torch.float32).cuda() for part in (z[:-1], z[1:])]
    found = metric.distance(*ends).cpu().numpy()
    np.testing.assert_allclose(found, metric.distance(z[:-1], z[1:]), rtol=1e-4)
