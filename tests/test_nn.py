"""Networks: derivatives against automatic differentiation, likelihoods against closed forms."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skriem.nn.embedding import DecoderEmbedding
from skriem.nn.flatness import distortion
from skriem.nn.mlp import ACTIVATIONS, init_mlp, linearise_mlp, mlp
from skriem.nn.precision import (
    bandwidth_rates,
    fit_rbf_weights,
    linearise_rbf_std,
    rbf_features,
    rbf_precision,
)
from skriem.nn.train import train
from skriem.nn.variance import fit_variance, mlp_std


def normal(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


def check_linearised(function, z, linearised, weights):
    value, jacobian, curvature = linearised
    torch.testing.assert_close(value, function(z))
    found = curvature(weights)
    for i in range(len(z)):
        expected = torch.autograd.functional.jacobian(lambda x: function(x[None])[0], z[i])
        torch.testing.assert_close(jacobian[i], expected.T)
        hessian = torch.autograd.functional.hessian(
            lambda x, i=i: weights[i] @ function(x[None])[0], z[i]
        )
        torch.testing.assert_close(found[i], hessian)


def random_layers(sizes, seed=0):
    d, m = sizes[0], sizes[-1]
    layers = [(normal(m, d, seed=seed), normal(m, seed=seed + 1))]
    for k, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        layers.append((normal(fan_out, fan_in, seed=seed + 2 + k), normal(fan_out, seed=9 + k)))
    return layers


def random_precision(n_centers, d, m):
    return {
        "centers": normal(n_centers, d),
        "rates": normal(n_centers, seed=1).exp(),
        "weights": normal(m, n_centers, seed=2).exp(),
        "floor": 0.1 * normal(m, seed=3).exp(),
    }


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_mlp_derivatives(activation):
    layers, z = random_layers([2, 5, 4, 3]), normal(6, 2)
    check_linearised(
        lambda x: mlp(x, layers, activation),
        z,
        linearise_mlp(z, layers, activation),
        normal(6, 3, seed=5),
    )


def test_rbf_derivatives():
    parts, z = random_precision(7, 2, 3).values(), normal(6, 2, seed=8)
    check_linearised(
        lambda x: rbf_precision(x, *parts).rsqrt(),
        z,
        linearise_rbf_std(z, *parts),
        normal(6, 3, seed=5),
    )


def random_noise(kind, m):
    """What a DecoderEmbedding of two dimensions takes as its precision."""
    if kind is None:
        return None
    if kind == "rbf":
        return {k: v.numpy() for k, v in random_precision(7, 2, m).items()}
    parts = [0.1 * normal(m, seed=3).exp(), *sum(random_layers([2, 4, m], seed=20), ())]
    return {str(i): part.numpy() for i, part in enumerate(parts)}


@pytest.mark.parametrize("noise", ["rbf", "mlp", None])
def test_embedding_derivatives_and_fingerprint(noise):
    layers = [tuple(part.numpy() for part in pair) for pair in random_layers([2, 5, 3])]
    arguments = [layers, "tanh", np.arange(3.0), 2.5, 0.7, random_noise(noise, 3)]
    embedding, z = DecoderEmbedding(*arguments), normal(6, 2, seed=8)
    weights = normal(6, 6 if noise else 3, seed=5)
    value, jacobian, curvature = embedding.linearise(z)
    check_linearised(embedding, z, (value, jacobian, curvature), weights)
    direction = normal(6, 2, seed=4)
    along = (direction[:, None] @ curvature(weights) @ direction[..., None]).flatten()
    torch.testing.assert_close((embedding.bend(z, direction) * weights).sum(1), along)
    assert embedding(z.float()).dtype == torch.float32

    for twin in (pickle.loads(pickle.dumps(embedding)), copy.deepcopy(embedding)):
        assert twin.fingerprint == embedding.fingerprint
        torch.testing.assert_close(twin(z), embedding(z), rtol=0, atol=0)
    arguments[3] = 2.6
    assert DecoderEmbedding(*arguments).fingerprint != embedding.fingerprint


@pytest.mark.parametrize("noise", ["rbf", "mlp", None])
def test_compact_embedding_has_the_same_geometry(noise):
    layers = [tuple(part.numpy() for part in pair) for pair in random_layers([2, 5, 40])]
    full = DecoderEmbedding(layers, "tanh", np.arange(40.0), 2.5, 0.7, random_noise(noise, 40))
    compact, z = full.compact(), normal(9, 2, seed=8)
    assert compact(z).shape[1] == full(z).shape[1] - 33
    torch.testing.assert_close(torch.cdist(compact(z), compact(z)), torch.cdist(full(z), full(z)))
    weights = normal(9, compact(z).shape[1], seed=5)
    check_linearised(compact, z, compact.linearise(z), weights)
    assert compact.compact() is compact


def test_networks_start_as_their_skip_connection():
    skip = normal(3, 2), normal(3)
    layers = init_mlp([2, 8, 3], skip, torch.Generator().manual_seed(0), dtype=torch.float64)
    z = normal(5, 2)
    torch.testing.assert_close(mlp(z, layers, "tanh"), z @ skip[0].T + skip[1])


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
    far = rbf_precision(torch.full((1, 2), 1e3).double(), z[:5], rates, weights, floor).rsqrt()
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


def small_training(x, **options):
    generator = torch.Generator().manual_seed(0)
    skip = torch.zeros(4, 6), torch.zeros(4)
    encoder = init_mlp([6, 8, 4], skip, generator)
    decoder = init_mlp([2, 8, 6], (torch.zeros(6, 2), torch.zeros(6)), generator)
    settings = dict(
        n_outputs=6,
        batch_size=16,
        learning_rate=1e-2,
        weight_decay=0.0,
        flatness=0.0,
        max_iter=40,
        warm_up=5,
        tol=0.0,
        n_iter_no_change=40,
        generator=generator,
    )
    history = train(x, torch.ones(len(x)), encoder, decoder, "tanh", **{**settings, **options})
    return history, encoder, decoder


def test_training_lowers_the_loss_and_repeats_bit_for_bit():
    x = (normal(64, 2) @ normal(2, 6, seed=1)).float()
    (first, weights, _), (second, again, _) = small_training(x), small_training(x)
    assert first.loss[-1] < first.loss[0] - 1.0
    assert first.loss == second.loss
    assert all((a[0] == b[0]).all() for a, b in zip(weights, again))


def linear_decoder(*stretches):
    """A decoder that stretches orthogonal directions, with outputs mixed by a rotation."""
    rotation = torch.linalg.qr(normal(5, 5))[0]
    skip = rotation[:, : len(stretches)] * torch.tensor(stretches, dtype=torch.float64), normal(5)
    return init_mlp([len(stretches), 4, 5], skip, torch.Generator(), torch.float64)


def test_distortion_of_linear_decoders():
    def of(*stretches):
        z = normal(7, len(stretches))
        return distortion(z, linear_decoder(*stretches), "tanh", torch.Generator()).item()

    assert of(3.0, 3.0) == pytest.approx(0.0, abs=1e-12)
    # The metric diag(1, 9) over its mean eigenvalue 5, less the identity.
    assert of(1.0, 3.0) == pytest.approx(2 * 0.8**2)
    assert of(1e-3, 3e-3) == pytest.approx(2 * 0.8**2)
    assert of(0.0, 0.0) == pytest.approx(2.0)


def test_flatness_evens_the_decoder_out():
    x = (normal(300, 2) @ normal(2, 6, seed=1)).tanh().float()

    def spread(flatness):
        decoder = small_training(x, flatness=flatness)[2]
        z = normal(200, 2, seed=3).float()
        return distortion(z, decoder, "tanh", torch.Generator()).item()

    assert spread(10.0) < 0.3 * spread(0.0)


def test_training_stops_when_nothing_improves():
    x = normal(64, 6).float()
    history, *_ = small_training(x, tol=1e6, n_iter_no_change=3)
    assert history.converged
    assert len(history.loss) == 5 + 1 + 3
    held_out, *_ = small_training(x, held_out=(x[:16], torch.ones(16)))
    assert len(held_out.validation_loss) == len(held_out.loss)


def test_fitting_the_variance_network_finds_the_noise():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    std = 0.5 + torch.sigmoid(2.0 * z)
    noise = (std * torch.randn(4000, 1, generator=generator, dtype=torch.float64)).square()
    parts = fit_variance(z, noise, torch.ones(4000, dtype=torch.float64), [16], generator)
    at = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)[:, None]
    expected = 0.5 + torch.sigmoid(2.0 * at)
    torch.testing.assert_close(mlp_std(at, *parts), expected, atol=0.1, rtol=0.0)
