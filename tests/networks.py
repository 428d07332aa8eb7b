"""Networks, noise and Fisher-Rao maps with random weights, and a check of their derivatives."""

import numpy as np
import torch

from skriem.decoders.fisher_rao import fisher_rao_embedding, wall_contrast
from skriem.nn.likelihoods import LIKELIHOODS
from skriem.nn.network import LayeredNetwork, perceptron


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


def random_network(form, n_inputs, n_outputs, seed=0):
    """A network with random weights everywhere."""
    skip = normal(n_outputs, n_inputs, seed=seed), normal(n_outputs, seed=seed + 1)
    parts = form.init(skip, torch.Generator().manual_seed(seed), torch.float64)
    inner = [
        part.numel() ** -0.25 * normal(*part.shape, seed=seed + 2 + k)
        for k, part in enumerate(parts[2:])
    ]
    return LayeredNetwork(form, parts[:2] + inner)


def random_perceptron(sizes, activation="tanh", **options):
    return random_network(perceptron(sizes, activation, **options), sizes[0], sizes[-1])


def random_precision(n_centers, d, m):
    return {
        "centers": normal(n_centers, d),
        "rates": normal(n_centers, seed=1).exp(),
        "weights": normal(m, n_centers, seed=2).exp(),
        "floor": 0.1 * normal(m, seed=3).exp(),
    }


def fisher_rao(name, walled, m=3):
    likelihood = LIKELIHOODS[name]()
    if name == "categorical":
        likelihood.fit(np.array([[0.0], [m - 1.0]]))
    parts = [normal(m, seed=7).numpy()] if name == "negative_binomial" else []
    walls = None
    if walled:
        walls = {k: v.numpy() for k, v in random_precision(7, 2, 1).items()}
        walls["weights"] *= 0.02
        walls["floor"] = np.array([1.0 / wall_contrast(30.0) ** 2])
    network = random_perceptron([2, 5, m]).stored()
    return fisher_rao_embedding(network, likelihood, parts, walls)
