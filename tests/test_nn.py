"""Networks: derivatives against automatic differentiation, likelihoods against closed forms."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import check_linearised, normal, random_network, random_perceptron, random_precision
from torch.nn.functional import linear

from skriem.calculus.maps import Map
from skriem.decoders.gaussian import DecoderEmbedding
from skriem.decoders.output_sampling import sample_outputs
from skriem.nn.flatness import distortion
from skriem.nn.image_precision import fit_image_weights
from skriem.nn.importance import conditional_means
from skriem.nn.likelihoods import Gaussian
from skriem.nn.network import (
    ACTIVATIONS,
    convolutional,
    layered_network,
    perceptron,
)
from skriem.nn.precision import (
    RBFNoise,
    RBFPrecision,
    bandwidth_rates,
    fit_rbf_weights,
    rbf_features,
)
from skriem.nn.priors.base import Proposals
from skriem.nn.train import Model, Penalties, objective, train
from skriem.nn.variance import PerceptronNoise, fit_variance

NETWORKS = {
    **{name: lambda name=name: random_perceptron([2, 5, 4, 3], name) for name in ACTIVATIONS},
    "residual": lambda: random_perceptron([2, 5, 5, 5, 3], residual=True),
    "without skip": lambda: random_perceptron([2, 5, 3], skip=False),
    "convolutional": lambda: random_network(
        convolutional((2, 5, 4), [3, 2], (4, 2), "tanh")[1], 2, 40
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_derivatives(name):
    network, z = NETWORKS[name](), normal(6, 2)
    n_outputs = network(z).shape[1]
    value, jacobian, curvature = network.linearise(z)
    check_linearised(network, z, (value, jacobian, curvature), normal(6, n_outputs, seed=5))
    direction, weights = normal(6, 2, seed=4), normal(6, n_outputs, seed=5)
    along = (direction[:, None] @ curvature(weights) @ direction[..., None]).flatten()
    torch.testing.assert_close((network.bend(z, direction) * weights).sum(1), along)
    jet = network.jet(z, direction)
    torch.testing.assert_close(jet.value, value)
    torch.testing.assert_close(jet.slope, (direction[:, None] @ jacobian).squeeze(1))
    torch.testing.assert_close(jet.bend, network.bend(z, direction))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (1, 28, 20), (2, 1, 3)])
def test_convolutions_and_their_adjoints(shape):
    encoder, decoder = convolutional(shape, [4, 3], (6, 2), "tanh")
    n_pixels = shape[0] * shape[1] * shape[2]
    assert random_network(encoder, n_pixels, 6)(normal(5, n_pixels)).shape == (5, 6)
    assert random_network(decoder, 2, n_pixels)(normal(5, 2)).shape == (5, n_pixels)
    for layer in (*encoder.layers, *decoder.layers):
        weight = normal(*layer.weight_shape)
        x, y = normal(5, layer.n_inputs), normal(5, layer.n_outputs, seed=1)
        forth, back = layer(x, weight), layer.adjoint(y, weight)
        assert forth.shape == y.shape
        torch.testing.assert_close((forth * y).sum(1), (x * back).sum(1))


def test_rbf_derivatives():
    precision, z = RBFPrecision(random_precision(7, 2, 3)), normal(6, 2, seed=8)
    weights, direction = normal(6, 3, seed=5), normal(6, 2, seed=4)
    for network in (precision, RBFNoise(precision.parts)):
        check_linearised(network, z, network.linearise(z), weights)
        bent = Map.bend(network, z, direction)
        torch.testing.assert_close(network.bend(z, direction), bent)
    torch.testing.assert_close(RBFNoise(precision.parts)(z), precision(z).rsqrt())


def random_noise(kind, m):
    """What a DecoderEmbedding of two dimensions takes as its noise."""
    if kind is None:
        return None
    if kind == "rbf":
        return RBFNoise(random_precision(7, 2, m)).stored()
    parts = [0.1 * normal(m, seed=3).exp(), *random_perceptron([2, 4, m]).parts]
    return PerceptronNoise(parts).stored()


@pytest.mark.parametrize("noise", ["rbf", "mlp", None])
def test_embedding_derivatives_and_fingerprint(noise):
    network = random_perceptron([2, 5, 3]).stored()
    arguments = [network, np.arange(3.0), 2.5, 0.7, random_noise(noise, 3)]
    embedding, z = DecoderEmbedding(*arguments), normal(6, 2, seed=8)
    weights = normal(6, 6 if noise else 3, seed=5)
    value, jacobian, curvature = embedding.linearise(z)
    check_linearised(embedding, z, (value, jacobian, curvature), weights)
    direction = normal(6, 2, seed=4)
    along = (direction[:, None] @ curvature(weights) @ direction[..., None]).flatten()
    torch.testing.assert_close((embedding.bend(z, direction) * weights).sum(1), along)
    both = embedding.bent_jacobian(z, direction)
    torch.testing.assert_close(both, (jacobian, embedding.bend(z, direction)))
    assert embedding(z.float()).dtype == torch.float32

    for twin in (pickle.loads(pickle.dumps(embedding)), copy.deepcopy(embedding)):
        assert twin.fingerprint == embedding.fingerprint
        torch.testing.assert_close(twin(z), embedding(z), rtol=0, atol=0)
    arguments[2] = 2.6
    assert DecoderEmbedding(*arguments).fingerprint != embedding.fingerprint


@pytest.mark.parametrize("noise", ["rbf", "mlp", None])
def test_compact_embedding_has_the_same_geometry(noise):
    network = random_perceptron([2, 5, 40]).stored()
    full = DecoderEmbedding(network, np.arange(40.0), 2.5, 0.7, random_noise(noise, 40))
    compact, z = full.compact(), normal(9, 2, seed=8)
    assert compact(z).shape[1] == full(z).shape[1] - 33
    torch.testing.assert_close(torch.cdist(compact(z), compact(z)), torch.cdist(full(z), full(z)))
    weights = normal(9, compact(z).shape[1], seed=5)
    check_linearised(compact, z, compact.linearise(z), weights)
    assert compact.compact() is compact


def test_networks_start_as_their_skip_connection():
    skip = normal(3, 2), normal(3)
    form = perceptron([2, 8, 3], "tanh")
    network = layered_network(form, skip, torch.Generator().manual_seed(0), torch.float64)
    z = normal(5, 2)
    torch.testing.assert_close(network(z), z @ skip[0].T + skip[1])


def test_precision_recovers_the_noise_of_its_samples():
    rng = np.random.default_rng(0)
    z = torch.as_tensor(np.repeat([[0.0], [10.0]], 4000, axis=0))
    std = torch.as_tensor([[1.0, 2.0], [3.0, 0.5]])
    labels = torch.arange(2).repeat_interleave(4000)
    residual = std[labels] * torch.as_tensor(rng.normal(size=(8000, 2)))
    features = rbf_features(z, torch.tensor([[0.0], [10.0]]).double(), torch.ones(2).double())
    ones = torch.ones(8000, dtype=torch.float64)
    weights, floor = fit_rbf_weights(features, residual.square(), ones, contrast=100.0)
    found = (features @ weights.T + floor).rsqrt()
    torch.testing.assert_close(found[[0, 4000]], std.double(), rtol=0.03, atol=0)
    assert (weights > 0).all()


def test_noise_far_away_is_the_contrast_times_the_typical_noise():
    z, noise = normal(200, 2), 0.3 * torch.ones(200, 4, dtype=torch.float64)
    ones, rates = torch.ones(200, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    weights, floor = fit_rbf_weights(rbf_features(z, z[:5], rates), noise, ones, contrast=30.0)
    far = RBFNoise([z[:5], rates, weights, floor])(torch.full((1, 2), 1e3).double())
    torch.testing.assert_close(far, 30.0 * noise[:1].sqrt())


def test_fitting_the_precision_lowers_the_loss():
    z = normal(300, 2)
    noise = (normal(300, 3, seed=1) * (1 + z[:, :1].abs())).square() + 1e-3
    features = rbf_features(z, z[:20], torch.full((20,), 2.0).double())
    ones = torch.ones(300, dtype=torch.float64)

    def loss(max_iter):
        weights, floor = fit_rbf_weights(features, noise, ones, 30.0, max_iter=max_iter, tol=0.0)
        precision = features @ weights.T + floor
        return (precision * noise - precision.log()).mean().item()

    losses = [loss(n) for n in (1, 5, 25, 100)]
    assert losses == sorted(losses, reverse=True)


def test_bandwidths():
    z = torch.tensor([[0.0], [2.0], [10.0], [14.0], [30.0]]).double()
    centers, labels = torch.tensor([[1.0], [12.0], [30.0]]).double(), torch.tensor([0, 0, 1, 1, 2])
    ones = torch.ones(5, dtype=torch.float64)
    found = bandwidth_rates(z, ones, labels, centers, bandwidth=2.0)
    # Mean distances 1 and 2; the single point takes the smallest width.
    torch.testing.assert_close(found, 0.5 / torch.tensor([2.0, 4.0, 2.0]).double() ** 2)


def small_training(x, flatness=0.0, n_decoders=1, **options):
    generator = torch.Generator().manual_seed(0)
    skip = torch.zeros(4, 6), torch.zeros(4)
    encoder = layered_network(perceptron([6, 8, 4], "tanh"), skip, generator)
    skip = torch.zeros(6, 2), torch.zeros(6)
    decoders = [
        layered_network(perceptron([2, 8, 6], "tanh"), skip, generator) for _ in range(n_decoders)
    ]
    settings = dict(
        batch_size=16,
        learning_rate=1e-2,
        weight_decay=0.0,
        penalties=Penalties(flatness),
        max_iter=40,
        warm_up=5,
        tol=0.0,
        n_iter_no_change=40,
        generator=generator,
    )
    model = Model(encoder, decoders, Gaussian(6), [])
    history = train(model, x, x, torch.ones(len(x)), **{**settings, **options})
    return history, encoder, decoders[0]


def test_training_lowers_the_loss_and_repeats_bit_for_bit():
    x = (normal(64, 2) @ normal(2, 6, seed=1)).float()
    (first, weights, _), (second, again, _) = small_training(x), small_training(x)
    assert first.loss[-1] < first.loss[0] - 1.0
    assert first.loss == second.loss
    assert all((a == b).all() for a, b in zip(weights.parts, again.parts))


def linear_decoder(*stretches):
    """A decoder that stretches orthogonal directions, with outputs mixed by a rotation."""
    rotation = torch.linalg.qr(normal(5, 5))[0]
    skip = rotation[:, : len(stretches)] * torch.tensor(stretches, dtype=torch.float64), normal(5)
    form = perceptron([len(stretches), 4, 5], "tanh")
    return layered_network(form, skip, torch.Generator(), torch.float64)


def test_distortion_of_linear_decoders():
    def of(*stretches):
        z = normal(7, len(stretches))
        return distortion(z, linear_decoder(*stretches), torch.Generator()).item()

    assert of(3.0, 3.0) == pytest.approx(0.0, abs=1e-12)
    # The metric diag(1, 9) over its mean eigenvalue 5, less the identity.
    assert of(1.0, 3.0) == pytest.approx(2 * 0.8**2)
    assert of(1e-3, 3e-3) == pytest.approx(2 * 0.8**2)
    assert of(0.0, 0.0) == pytest.approx(2.0)


@pytest.mark.slow
def test_flatness_evens_the_decoder_out():
    x = (normal(300, 2) @ normal(2, 6, seed=1)).tanh().float()

    def spread(flatness):
        decoder = small_training(x, flatness=flatness)[2]
        z = normal(200, 2, seed=3).float()
        return distortion(z, decoder, torch.Generator()).item()

    assert spread(10.0) < 0.3 * spread(0.0)


def test_training_stops_when_nothing_improves():
    x = normal(64, 6).float()
    history, *_ = small_training(x, tol=1e6, n_iter_no_change=3)
    assert history.converged
    assert len(history.loss) == 5 + 1 + 3
    held_out, *_ = small_training(x, held_out=(x[:16], x[:16], torch.ones(16)))
    assert len(held_out.validation_loss) == len(held_out.loss)


def test_fitting_the_variance_network_finds_the_noise():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    std = 0.5 + torch.sigmoid(2.0 * z)
    noise = (std * torch.randn(4000, 1, generator=generator, dtype=torch.float64)).square()
    fitted = fit_variance(z, noise, torch.ones(4000, dtype=torch.float64), [16], generator)
    at = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)[:, None]
    expected = 0.5 + torch.sigmoid(2.0 * at)
    torch.testing.assert_close(fitted(at), expected, atol=0.1, rtol=0.0)


def test_precision_of_images_is_that_of_their_parts():
    """A bump where the left half is noisy and one where the right half is."""
    rng, centers = np.random.default_rng(0), torch.tensor([[0.0], [10.0]]).double()
    z = centers.repeat_interleave(1000, dim=0)
    std = torch.ones(2, 8, 8, dtype=torch.float64)
    std[0, :, :4], std[1, :, 4:] = 3.0, 3.0
    labels = torch.arange(2).repeat_interleave(1000)
    noise = (std.flatten(1)[labels] * torch.as_tensor(rng.normal(size=(2000, 64)))).square()
    features = rbf_features(z, centers, torch.ones(2).double())
    ones, generator = torch.ones(2000, dtype=torch.float64), torch.Generator().manual_seed(0)
    weights, floor = fit_image_weights(features, noise, ones, 100.0, (1, 8, 8), generator)
    assert (weights > 0).all()
    found = (weights.T + floor).rsqrt().unflatten(1, (8, 8))
    # Filters are wider than the edge between the halves.
    inner = [0, 1, 6, 7]
    torch.testing.assert_close(found[:, :, inner], std[:, :, inner], rtol=0.35, atol=0)
    far = linear(torch.zeros(1, 2).double(), weights, floor).rsqrt()
    torch.testing.assert_close(far[0], 100.0 * noise.mean(0).sqrt())


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_a_mean_in_units_of_the_noise(weight):
    network, z = random_perceptron([2, 5, 3]).stored(), normal(6, 2, seed=8)
    embedding = DecoderEmbedding(network, np.arange(3.0), 2.5, 0.7)
    jacobian = embedding.linearise(z).jacobian / embedding.std(z)[:, None]
    found = embedding.in_noises(weight).linearise(z).jacobian
    torch.testing.assert_close(found, weight**0.5 * jacobian)


def test_a_sample_of_outputs_makes_up_all_of_the_metric():
    slopes = normal(1, 1, 500).exp()
    sample = sample_outputs(lambda z: slopes.expand(len(z), -1, -1), np.zeros((5, 1)))
    assert len(sample.kept) < 97
    found = sample.scale**2 @ np.square(slopes[0, 0].numpy()[sample.kept])
    assert found == pytest.approx(float(slopes.square().sum()))
    assert sample_outputs(lambda z: slopes[..., :190].expand(len(z), -1, -1), normal(5, 1)) is None


def test_conditional_means_of_a_linear_model():
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)

    def given(x, z):
        mean = 2.0 * z + 1.0
        return -2.0 * (x[:, None] - mean).square().squeeze(-1), mean

    decoder = SimpleNamespace(given=given)
    prior = SimpleNamespace(log_density=lambda z: -0.5 * z.square().sum(-1))
    prior.of_rows = lambda rows: prior
    # Proposals that are not the posterior, of mean 8 / 17 times what is above one.
    proposals = Proposals(0.2 * x, torch.full_like(x, 0.8), prior)
    found = conditional_means(x, proposals, decoder, 2000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, 1.0 + 16.0 / 17.0 * (x - 1.0), rtol=0.0, atol=0.02)


def test_importance_weights_average_to_one():
    """A likelihood that says nothing leaves the mean of p(z) / q(z), which is one."""

    def nothing(decoded, target, weights, parts):
        return decoded.new_zeros(decoded.shape[:2])

    model = SimpleNamespace(
        decoders=[lambda z: z],
        encoder=lambda x: torch.cat([0.3 * x, -0.4 + 0.2 * x], dim=1),
        likelihood=SimpleNamespace(of_draws=nothing),
        parts=None,
    )
    x = torch.as_tensor(normal(5, 2))
    generator = torch.Generator().manual_seed(0)
    bound = objective(
        model, 0, x, torch.ones_like(x[:, 0]), 1.0, Penalties(), generator, x, n_draws=100_000
    )
    assert float(bound) == pytest.approx(0.0, abs=0.01)
