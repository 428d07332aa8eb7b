"""Code paths for accelerators, on a pretended one: see other_device.py."""

import warnings

import numpy as np
import pytest
import torch
from geometries import GEOMETRIES
from other_device import other_device
from sklearn.base import clone
from suites import thorough
from surfaces import bumps, paraboloid

from skriem import (
    Convolutional,
    DecoderEnsemble,
    DeepRegressionClassifier,
    DeepRegressionTransformer,
    Modules,
    NeighborEncoder,
    Neighbors,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
    decoder_metric,
)
from skriem.geometry import (
    EnsembleEmbedding,
    NearestNeighborMetric,
    PullbackMetric,
    conformal_metric,
    local_metric,
)

# Training ----------------------------------------------------------------------------------


def small(**parameters):
    return VAETransformer(**{"network": (8,), "max_iter": 3, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def data():
    """40 rows for every likelihood, and images."""
    rng = np.random.default_rng(0)
    t = rng.uniform(0.0, 6.0, size=(40, 1))
    reals = np.hstack([np.cos(t), np.sin(t), 0.3 * t, 0.1 * t**2])
    reals = reals + 0.05 * rng.normal(size=reals.shape)
    counts = rng.poisson(np.exp(reals)).astype(float)
    return {
        "gaussian": reals,
        "student_t": reals,
        "bernoulli": (reals > 0.0).astype(float),
        "categorical": np.minimum(counts, 2.0),
        "poisson": counts,
        "negative_binomial": counts,
        "images": rng.uniform(size=(40, 36)),
    }


def with_dropout(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 8),
        torch.nn.BatchNorm1d(8),
        torch.nn.Tanh(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(8, n_outputs),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"noise": "mlp", "flatness": 1.0},
        {"noise": DecoderEnsemble(2), "prior": "student_t"},
        {"noise": DecoderEnsemble(2), "early_stopping": True},
        {"likelihood": "student_t", "n_importance_samples": 3, "batch_size": 7},
        {"likelihood": "bernoulli", "network": Convolutional((6, 6), (8,), residual=True)},
        {"likelihood": "categorical", "mixed_precision": True},
        {"likelihood": "poisson", "n_importance_samples": 2, "noise": DecoderEnsemble(2)},
        {"likelihood": "negative_binomial", "neighbors": Neighbors(5, attraction=1.0)},
        {"network": Modules(encoder=with_dropout, decoder=with_dropout), "noise": "constant"},
    ],
    ids=lambda parameters: "-".join(map(str, parameters)) or "default",
)
def test_training_there_is_training_here(data, parameters):
    images = isinstance(parameters.get("network"), Convolutional)
    kind = "images" if images else parameters.get("likelihood", "gaussian")

    def results(device):
        vae = small(device=device, **parameters).fit(data[kind])
        codes = np.asarray(vae.transform(data[kind]))
        return (
            vae.loss_curve_,
            codes,
            vae.inverse_transform(codes),
            vae.score_samples(data[kind][:3], n_samples=5),
            vae.sample(3, random_state=0),
            vae.metric_.tensor(codes[:3]),
        )

    expected = results("cpu")
    with other_device() as device:
        found = results(str(device))
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)


def test_training_part_by_part(data):
    def results(device):
        vae = small(device=device, noise="constant").partial_fit(data["gaussian"][:20])
        return vae.partial_fit(data["gaussian"][20:]).transform(data["gaussian"])

    expected = results("cpu")
    with other_device() as device:
        np.testing.assert_array_equal(results(str(device)), expected)


@pytest.mark.parametrize("kind", thorough(["gaussian", "bernoulli"], slow=["gaussian"]))
def test_regression_networks_are_trained_there(data, kind):
    X, y = data[kind], (data["gaussian"][:, 0] > 0.0).astype(int)

    def results(device):
        options = {"likelihood": kind, "max_iter": 2, "device": device, "random_state": 0}
        network = DeepRegressionTransformer((4, 2), **options).fit(X).partial_fit(X[:20])
        codes = np.asarray(network.set_params(warm_start=True).fit(X).transform(X))
        classifier = DeepRegressionClassifier((4,), objective="discriminative", **options)
        return [*network.coefs_, codes, *classifier.fit(X, y).coefs_]

    expected = results("cpu")
    with other_device() as device:
        found = results(str(device))
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)


# Geometry ----------------------------------------------------------------------------------

POINTS = np.random.default_rng(0).uniform(-1.0, 1.0, size=(40, 2))
A, B, V = POINTS[:2], POINTS[2:4], 0.1 * POINTS[4:6]


def module(n_outputs=5):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, n_outputs)
        )


def normal(z):
    return torch.distributions.Normal(bumps(z), 1.0 + z.square().sum(1, keepdim=True))


def negative_binomial(z):
    return torch.distributions.NegativeBinomial(z.new_ones(3), logits=bumps(z))


def adopted(decoder, **options):
    return decoder_metric(decoder, POINTS, random_state=0, **options)


METRICS = {
    "tabulated": lambda data: PullbackMetric(bumps, 2, POINTS),
    "polished": lambda data: PullbackMetric(module(), 2, POINTS, tabulate=False),
    "module": lambda data: PullbackMetric(module(), 2),
    "ensemble": lambda data: PullbackMetric(EnsembleEmbedding([module(), bumps]), 2),
    "local": lambda data: local_metric(POINTS).with_points(POINTS[:9]),
    "conformal": lambda data: conformal_metric(POINTS, points=POINTS[:9]),
    "adopted": lambda data: adopted(module()),
    "adopted with features": lambda data: adopted(module(), features=torch.nn.Linear(5, 3)),
    "adopted probabilities": lambda data: adopted(
        module(), likelihood="bernoulli", output=torch.sigmoid
    ),
    "adopted normal": lambda data: adopted(normal),
    "adopted negative binomial": lambda data: adopted(negative_binomial),
    "gaussian": lambda data: trained(data, "gaussian"),
    "variance network": lambda data: trained(data, "gaussian", noise="mlp"),
    "constant noise": lambda data: trained(data, "gaussian", noise="constant"),
    "decoders": lambda data: trained(data, "poisson", noise=DecoderEnsemble(2)),
    "student_t": lambda data: trained(data, "student_t"),
    "bernoulli": lambda data: trained(data, "bernoulli"),
    "categorical": lambda data: trained(data, "categorical"),
    "negative_binomial": lambda data: trained(data, "negative_binomial"),
}
# Those that are in the registry of geometries, at its points.
REGISTERED = ("bumps", "half-plane", "gaussian", "diagonal cost", "regularised", "nearest")
# Metrics of which everything is asked: all code behind it is the same for the others.
THOROUGH = ("constant noise",)


def trained(data, kind, **options):
    return small(likelihood=kind, device="cpu", **options).fit(data[kind]).metric_


def answers(metric, thorough, a, b, v):
    """What a metric says of points: names and tensors."""
    yield "tensor", metric.tensor(a)
    yield "log_volume", metric.log_volume(a)
    yield "norm", metric.norm(a, v)
    # One step suffices to ask for all derivatives.
    yield from metric.geodesic(a, b, tol=0.5, max_iter=1)._asdict().items()
    if isinstance(metric, PullbackMetric):
        yield "embed", metric.embed(a)
    if isinstance(metric, NearestNeighborMetric) or thorough:
        yield "pairwise", metric.pairwise(a)
        yield "pairwise with others", metric.pairwise(a, b)
        yield "mean", metric.frechet_mean(a, v[:, 0].square(), tol=1e-2)
    if not isinstance(metric, NearestNeighborMetric):
        yield "lower_bounds", metric.lower_bounds(a, b)
        yield "curvature", metric.scalar_curvature(a)
    if thorough:
        geodesics = metric.geodesic(a, b)
        yield "curve", geodesics.curve([0.0, 0.5])
        yield "transport", metric.transport(geodesics, v)
        yield "exp", metric.exp(a, v)
        yield "log", metric.log(a, a + v, tol=1e-4)
        yield "exact mean", metric.frechet_mean(torch.cat([a[:1], a[:1] + v]), tol=1e-4)


def same_on_both(compute, *arrays):
    """Compare what is computed from tensors there, the type included, to that here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = dict(compute(*map(torch.as_tensor, arrays)))
        with other_device() as device:
            found = dict(compute(*(torch.as_tensor(part, device=device) for part in arrays)))
            assert {name for name, x in found.items() if x.device != device} == set()
            found = {name: x.cpu() for name, x in found.items()}
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=0.0, atol=0.0, equal_nan=True, msg=name
        )


@pytest.mark.parametrize("name", REGISTERED)
def test_registered_metrics_stay_where_points_are(name):
    metric, (z, near) = GEOMETRIES[name].make(), GEOMETRIES[name].points()
    same_on_both(lambda a, b, v: answers(metric, False, a, b, v), z[:2], z[2:4], (near - z)[:2])


# That of "student_t" is the map of "gaussian" with other weights.
@pytest.mark.parametrize("name", thorough(METRICS, slow=["student_t"]))
def test_metrics_stay_where_points_are(data, name):
    metric = METRICS[name](data)
    same_on_both(lambda a, b, v: answers(metric, name in THOROUGH, a, b, v), A, B, V)


@pytest.mark.parametrize("n_dims", [1, 4])
def test_approximate_distances_stay_where_points_are(n_dims):
    # Along a grid, and through a graph; the last row is off the grid.
    points = np.random.default_rng(0).uniform(-1.0, 1.0, size=(20, n_dims))
    metric = PullbackMetric(paraboloid, n_dims, points)

    def compute(a, b):
        yield "approximate", metric.approximate_pairwise(a, b)
        yield "among themselves", metric.approximate_pairwise(b)
        yield "path_lengths", metric.path_lengths(a, b)

    same_on_both(compute, points[:3], np.vstack([points[3:5], 2.0 * np.ones(n_dims)]))


def test_approximate_distances_are_of_the_type_of_points():
    points = np.random.default_rng(0).uniform(-1.0, 1.0, size=(20, 1))
    metric = PullbackMetric(paraboloid, 1, points)
    single = torch.as_tensor(points[:3], dtype=torch.float32)
    assert metric.approximate_pairwise(single).dtype == torch.float32


# Estimators --------------------------------------------------------------------------------


def test_neighbors_are_encoded_there(data, monkeypatch):
    for name in ("MIN_EPOCHS", "MAX_EPOCHS"):
        monkeypatch.setattr(f"skriem.estimators.neighbor_encoder.{name}", 2)

    def results(device):
        encoder = NeighborEncoder(2, device=device, random_state=0)
        return RiemannianKMeans(2, metric=encoder, random_state=0).fit_predict(data["gaussian"])

    expected = results("cpu")
    with other_device() as device:
        np.testing.assert_array_equal(results(str(device)), expected)


@pytest.mark.parametrize(
    ("estimator", "fitted"),
    [
        (RiemannianKMeans(2, random_state=0), "cluster_centers_"),
        (RiemannianNormal(max_iter=1, tol=10.0, random_state=0), "means_"),
    ],
)
def test_estimators_have_their_encoder_trained_there(data, little_work, estimator, fitted):
    def results(device):
        encoder = small(noise="constant", device=device)
        return getattr(clone(estimator).set_params(metric=encoder).fit(data["gaussian"]), fitted)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = results("cpu")
        with other_device() as device:
            np.testing.assert_array_equal(results(str(device)), expected)
