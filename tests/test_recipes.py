"""What can be added from outside of the package, each in at most twenty lines."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.datasets import load_iris
from surfaces import embedded, half_plane, paraboloid

from skriem import RBFNoise, VAETransformer
from skriem.estimators.autoencoder.networks import NetworkSettings
from skriem.estimators.autoencoder.noise import NoiseSettings
from skriem.estimators.metric_input import MetricConsumerMixin
from skriem.geometry import MetricField, PullbackMetric, Status
from skriem.geometry.curves import straight
from skriem.geometry.maps.tensor_field import TensorField
from skriem.geometry.spaces.energy import energy_gradient
from skriem.inspection._style import Projection, draw_points, new_axes
from skriem.nn.likelihoods import LIKELIHOODS
from skriem.nn.likelihoods.base import Natural
from skriem.nn.network import perceptron
from skriem.nn.weighted import Noise

X = load_iris().data


class HalfPlane(TensorField):
    """The hyperbolic plane, with a quadratic form that costs less than its tensor."""

    fingerprint = "hyperbolic half plane"

    def __call__(self, z):
        return half_plane(z)

    def form(self, z, v):
        return v.square().sum(1) / z[:, 1].square()


def test_a_metric():
    metric = MetricField(HalfPlane(), 2)
    assert metric == MetricField(HalfPlane(), 2)
    found = metric.distance(np.array([[0.0, 1.0]]), np.array([[0.0, np.e]]))
    np.testing.assert_allclose(found, 1.0, rtol=1e-3)


class Exponential(Natural):
    """Waiting times; the natural parameter is the logarithm of the mean, which is its distance."""

    def start(self, targets, sample_weight):
        return np.log(np.average(targets, axis=0, weights=sample_weight)), np.ones(targets.shape[1])

    def log_prob(self, natural, target, parts=()):
        return -natural - target * (-natural).exp()

    def widen(self, natural, widening):
        return natural * (-widening).exp()

    def stabilised(self, normalised, parts=()):
        return normalised, torch.ones_like(normalised), torch.zeros_like(normalised)

    def mean(self, natural, parts=()):
        return natural.exp()

    def draw(self, natural, parts, rng):
        return rng.exponential(natural.exp().numpy())


def test_a_likelihood(monkeypatch):
    monkeypatch.setitem(LIKELIHOODS, "exponential", Exponential)
    times = np.random.default_rng(0).exponential(np.exp(X - X.mean(0)))
    noise = RBFNoise(bandwidth=2.0, contrast=5.0)
    vae = VAETransformer(likelihood="exponential", noise=noise, max_iter=10, random_state=0)
    vae.fit(times)
    codes = vae.transform(times)
    assert np.isfinite(vae.metric_.distance(codes[:5], codes[5:10])).all()
    assert (vae.sample(10, random_state=0) > 0).all()
    z, direction = torch.as_tensor(np.asarray(codes[:5])), torch.ones(5, 2, dtype=torch.float64)
    automatic = torch.func.jvp(vae._embedding, (z,), (direction,))[1]
    torch.testing.assert_close(vae._embedding.jet(z, direction).slope, automatic)


class OneLayer(NetworkSettings):
    """Linear decoders, encoders with one layer as wide as the data."""

    def _check(self):
        pass

    def _forms(self, n_inputs, n_codes, n_outputs):
        encoder = perceptron([n_inputs, n_inputs, 2 * n_codes], "tanh")
        return encoder, perceptron([n_codes, n_outputs], "tanh")

    _hidden = (4,)


def test_a_network():
    vae = VAETransformer(network=OneLayer(), max_iter=10, random_state=0).fit(X)
    decoded = vae.inverse_transform(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    np.testing.assert_allclose(decoded[1] - decoded[0], decoded[2] - decoded[1], atol=1e-6)


class Bowl(Noise):
    """A standard deviation that grows with the distance from the middle."""

    def __call__(self, z):
        return self.parts[0] * (1.0 + z.square().sum(1, keepdim=True)).sqrt()


class BowlNoise(NoiseSettings):
    def _spread(self, errors, network, rng):
        return Bowl([np.full(errors.squares.shape[1], errors.std)])

    def _walls(self, codes, z, weights, rng):
        return None


def test_a_noise():
    vae = VAETransformer(noise=BowlNoise(), max_iter=10, random_state=0).fit(X)
    at = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    low, high = vae._embedding.std(at)
    torch.testing.assert_close(high, np.sqrt(26.0) * low)
    assert np.isfinite(vae.metric_.distance(vae.transform(X[:3]), vae.transform(X[-3:]))).all()


def descend(space, a, b, n_segments=16, rate=0.1, tol=1e-4, max_iter=3000):
    """Curves made short by gradient descent: nodes, and a status for each."""
    nodes = straight(a, b, n_segments)
    status = torch.full((len(a),), int(Status.MAX_ITER))
    for _ in range(max_iter):
        _, slope = energy_gradient(space.squared_chords, nodes, 2)
        slope = torch.nn.functional.pad(slope[:, 1:-1], (0, 0, 1, 1)) / n_segments
        status[slope.abs().amax((1, 2)) < tol] = int(Status.CONVERGED)
        if (status == Status.CONVERGED).all():
            break
        nodes = nodes - rate * slope
    return nodes, status


def test_a_solver():
    space = embedded(paraboloid)
    a, b = torch.tensor([[[-0.8, 0.1]], [[0.7, 0.2]]], dtype=torch.float64)
    nodes, status = descend(space, a, b)
    assert (status == Status.CONVERGED).all()
    expected = PullbackMetric(paraboloid, 2).distance(a, b)
    torch.testing.assert_close(space.measure(nodes)[0], expected, rtol=2e-3, atol=0.0)


class OneCenter(MetricConsumerMixin, ClusterMixin, BaseEstimator):
    """The sample from which the others are nearest along geodesics."""

    def __init__(self, metric="auto", random_state=None):
        self.metric = metric
        self.random_state = random_state

    def fit(self, X, y=None):
        values, _ = self._fit_metric(X)
        points = self._embed_values(values)
        distances = self.metric_.approximate_pairwise(points)
        self.center_index_ = int(distances.sum(0).argmin())
        self.labels_ = np.zeros(len(points), dtype=int)
        return self


def test_an_estimator():
    codes = VAETransformer(max_iter=5, random_state=0).fit_transform(X[:40])
    model = OneCenter().fit(codes)
    assert model.metric_ == codes.metric
    assert 0 <= model.center_index_ < 40
    assert OneCenter("local").fit(X[:40]).metric_.n_dims == 4


def draw_center(model, points):
    """Points, and the centre among them."""
    projection = Projection(points)
    ax = new_axes(None)
    draw_points(ax, projection(points), None)
    ax.scatter(*projection(points[model.center_index_]), marker="*", color="black")
    projection.label(ax)
    return ax


def test_a_picture():
    pytest.importorskip("matplotlib").use("agg")
    ax = draw_center(OneCenter("local").fit(X[:40]), X[:40])
    assert len(ax.collections) == 2
    assert "principal component" in ax.get_xlabel()


@pytest.mark.parametrize(
    "part",
    [HalfPlane, Exponential, OneLayer, Bowl, BowlNoise, descend, OneCenter, draw_center],
)
def test_each_takes_at_most_twenty_lines(part):
    lines = [line for line in inspect.getsource(part).splitlines() if line.strip()]
    assert len(lines) <= 20
