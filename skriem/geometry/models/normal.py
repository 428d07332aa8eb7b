"""Normal distributions along geodesics, and mixtures of them (LAND): the formulas.

The density with respect to Riemannian volume is p(x) = exp(-1/2 v' P v) / C with v = Log_mu(x)
(Arvanitidis, Hansen and Hauberg, *A locally adaptive normal distribution*, NIPS 2016). Tangent
vectors v and precisions P are in the coordinates of the space, at the mean.

The constant C is integrated over the space, not over the tangent space: then neither the
distortion of the exponential map nor its cut locus matters.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import softmax

from .proposal import N_REPLICATES

# Where points lie as evenly as the space allows there is no largest likelihood: a component's
# standard deviations are kept within this factor of its points' own.
MAX_STRETCH = 30.0


class Mixture(NamedTuple):
    """Parameters of k components."""

    weights: torch.Tensor  # (k,)
    means: torch.Tensor  # (k, d)
    precisions: torch.Tensor  # (k, d, d)


def squared_norms(logs, precision):
    """v' P v for tangent vectors (..., n, d) and precisions (..., d, d), (..., n)."""
    return torch.einsum("...ni,...ij,...nj->...n", logs, precision, logs)


def log_terms(logs, precisions, log_mass):
    """Logarithms of what every reference point adds to its constant C, (k, s)."""
    return log_mass - 0.5 * squared_norms(logs, precisions)


def log_normalizers(logs, precisions, log_mass):
    """Logarithms of the constants C, (k,)."""
    return torch.logsumexp(log_terms(logs, precisions, log_mass), dim=-1)


def standard_errors(exponents):
    """Relative standard errors of sums over points drawn as replicates, (k,).

    Parameters
    ----------
    exponents : Tensor of shape (k, s)
        Logarithms of what is summed.
    """
    total = torch.logsumexp(exponents, dim=-1)
    parts = torch.logsumexp(exponents.unflatten(-1, (N_REPLICATES, -1)), dim=-1)
    shares = torch.exp(parts - total[:, None]) * N_REPLICATES
    return shares.std(-1) / N_REPLICATES**0.5


def log_components(logs, mixture, normalizers):
    """Log of weight times density, for every point and component, (n, k)."""
    exponents = -0.5 * squared_norms(logs, mixture.precisions)
    return (mixture.weights.log() - normalizers)[None, :] + exponents.mT


def fit_precisions(logs, shares, weights, reference_logs, log_mass, tensors, start, options):
    """Precisions of largest likelihood for fixed means, (k, d, d).

    Parameters
    ----------
    logs : Tensor of shape (k, n, d)
        Of the data.
    shares : Tensor of shape (n, k)
        Of the data in each component, adding up to one over the data.
    weights : Tensor of shape (k,)
        Of the components.
    reference_logs : Tensor of shape (k, s, d)
    log_mass : Tensor of shape (k, s)
    tensors : Tensor of shape (k, d, d)
        Metric tensors at the means.
    start : Tensor of shape (k, d, d) or None
    options : Options
    """
    k, _, d = logs.shape
    eye = torch.eye(d, dtype=logs.dtype)
    scatters = (logs * shares.mT[..., None]).mT @ logs + options.reg_covar * eye
    if options.covariance_type == "tied":
        scatters = (weights[:, None, None] * scatters).sum(0, keepdim=True) / weights.sum()
        found = fit_precision(scatters[0], weights, reference_logs, log_mass, start, "full")
        return found.expand(k, -1, -1)
    shape = "full" if options.covariance_type == "full" else "diag"
    if options.covariance_type == "diag":
        scatters = torch.diag_embed(scatters.diagonal(dim1=1, dim2=2))
    elif options.covariance_type == "spherical":
        # The same in all directions, measured with the metric.
        shape, squares = "spherical", (scatters * tensors).sum((1, 2))
        scatters = (squares / d)[:, None, None] * torch.linalg.inv(tensors)
    starts = [None] * k if start is None else start[:, None]
    return torch.stack([
        fit_precision(
            scatters[i], weights.new_ones(1), reference_logs[i, None], log_mass[i, None],
            starts[i], shape,
        )
        for i in range(k)
    ])  # fmt: skip


def fit_precision(scatter, weights, reference_logs, log_mass, start, shape):
    """The precision of largest likelihood that some components share, (d, d).

    The mean log-likelihood, -1/2 tr(P S) - log C(P) with the scatter S of the logarithms, is
    concave in P: log C is a logarithm of a sum of exponentials. It is maximised over Cholesky
    factors, in units of the scatter.

    Parameters
    ----------
    scatter : Tensor of shape (d, d)
    weights : Tensor of shape (g,)
        Shares of the components.
    reference_logs : Tensor of shape (g, s, d)
    log_mass : Tensor of shape (g, s)
    start : Tensor of shape (g, d, d) or None
        The first is where to start.
    shape : {"full", "diag", "spherical"}
        Of the factor, in units of the scatter.
    """
    d = len(scatter)
    unit = np.linalg.cholesky(scatter.numpy())
    whitened = reference_logs.numpy() @ np.linalg.inv(unit).T
    log_mass = log_mass.numpy()
    given = whitened, log_mass, (weights / weights.sum()).numpy()
    where = np.tril_indices(d) if shape == "full" else np.diag_indices(d)
    shares = softmax(log_mass - 0.5 * (whitened**2).sum(2), axis=1)
    if 1.0 / (shares**2).sum(1).max() < len(where[0]):
        # Resting on fewer points than there are parameters, these would be fitted to the points.
        shape, where = "spherical", np.diag_indices(d)
    on_diagonal = where[0] == where[1]
    n_free = 1 if shape == "spherical" else len(on_diagonal)

    def factor(x):
        result = np.zeros((d, d))
        result[where] = x
        np.fill_diagonal(result, np.exp(result.diagonal()))
        return result

    def loss(x):
        lower = factor(x)
        value, gradient = _minus_likelihood(lower, *given)
        gradient = gradient[where] * np.where(on_diagonal, lower[where], 1.0)
        return value, gradient if n_free > 1 else gradient.sum(keepdims=True)

    first = np.eye(d)
    if start is not None:
        first = np.linalg.cholesky(_within_reach(unit.T @ start[0].numpy() @ unit))
    limit = np.log(MAX_STRETCH)
    x = np.where(
        on_diagonal, np.log(np.abs(first[where]) + 1e-300).clip(-limit, limit), first[where]
    )[:n_free]
    bounds = (np.where(on_diagonal, limit, MAX_STRETCH)[:, None] * [-1.0, 1.0])[:n_free]
    x = x.clip(*bounds.T)
    lower = factor(minimize(loss, x, jac=True, method="L-BFGS-B", bounds=bounds).x)
    lower = np.linalg.cholesky(_within_reach(lower @ lower.T))
    lower = min([lower, first], key=lambda lower: _minus_likelihood(lower, *given)[0])
    # P = U B B' U' with U the inverse transpose of the scatter's factor.
    turned = np.linalg.inv(unit).T @ lower
    return torch.as_tensor(turned @ turned.T)


def _minus_likelihood(lower, whitened, log_mass, weights):
    """Minus the mean log-likelihood, and its gradient with respect to the factor (d, d)."""
    d = len(lower)
    turned = whitened @ lower
    exponents = log_mass - 0.5 * (turned**2).sum(2)
    top = exponents.max(1, keepdims=True)
    masses = np.exp(exponents - top)
    total = masses.sum(1, keepdims=True)
    masses *= weights[:, None] / total
    weighted = whitened * masses[..., None]
    gradient = lower - weighted.reshape(-1, d).T @ turned.reshape(-1, d)
    return 0.5 * (lower**2).sum() + weights @ (top + np.log(total)).squeeze(1), gradient


def _within_reach(precision):
    """The nearest precision that stretches no direction by more than ``MAX_STRETCH``, (d, d)."""
    values, vectors = np.linalg.eigh(precision)
    kept = values.clip(MAX_STRETCH**-2, MAX_STRETCH**2)
    return precision if (kept == values).all() else (vectors * kept) @ vectors.T
