"""What the errors of a decoder's outputs have in common: their covariance, and what the errors of
some outputs say of the others.
"""

import math

import torch

LOG_2PI = math.log(2.0 * math.pi)
# Covariances are learned from so many rows at most, fewer where there are many outputs.
MAX_ROWS, BUDGET = 1000, 2e8
# Errors of more outputs than this are taken for independent.
MAX_OUTPUTS = 100
# Rounds of expectation maximisation where errors are missing, and how little a change is none.
N_ROUNDS, TOLERANCE = 10, 1e-3


def common_noise(errors, weights, floor):
    """Covariance of errors with a mean of zero, by expectation maximisation where some are missing.

    It is drawn towards its diagonal as by as many more errors as there are outputs, independent of
    each other: few rows do not tell correlations.

    Parameters
    ----------
    errors : Tensor of shape (n, m)
        NaN where they are missing.
    weights : Tensor of shape (n,)
    floor : Tensor of shape (m,)
        Added to the variances.

    Returns
    -------
    Tensor of shape (m, m) or None
        None for one output, and for too many.
    """
    m = errors.shape[1]
    if not 1 < m <= MAX_OUTPUTS:
        return None
    size = int(min(MAX_ROWS, BUDGET // m**3))
    some = torch.linspace(0, len(errors) - 1, min(len(errors), size), dtype=torch.float64)
    errors, weights = errors[some.round().long()], weights[some.round().long()]
    known = ~errors.isnan()
    # As many errors of equal weight.
    n = weights.sum().square() / weights.square().sum()
    shares, squares = weights / weights.sum(), errors.square().nan_to_num(0.0)
    least = torch.finfo(errors.dtype).tiny
    variance = (shares @ squares) / (shares @ known.to(errors)).clamp(min=least)
    found = torch.diag(variance + floor)
    for _ in range(N_ROUNDS):
        before, second = found, expected_square(errors, known, found, shares)
        variance = torch.diag(second.diagonal())
        found = (n * second + m * variance) / (n + m) + torch.diag(floor)
        change = (found - before).abs().max() / found.diagonal().max()
        if known.all() or change < TOLERANCE:
            break
    return found


def expected_square(errors, known, covariance, shares):
    """Expected products of errors (n, m), given those that are known, averaged over the rows."""
    keeps = known.to(errors)
    inverse = torch.cholesky_inverse(factor_of_known(covariance, known))
    inverse = keeps[:, :, None] * inverse * keeps[:, None]
    held = (inverse @ errors.nan_to_num(0.0)[..., None]).squeeze(-1)
    full = torch.where(known, errors, held @ covariance)
    # What is missing varies around its expectation.
    gone = 1.0 - keeps
    left = gone[:, :, None] * (covariance - covariance @ inverse @ covariance) * gone[:, None]
    return full.mT @ (shares[:, None] * full) + torch.einsum("n,nij->ij", shares, left)


def factor_of_known(covariance, known):
    """Lower factors (n, m, m) of the covariances of known outputs, ones for the others."""
    keeps = known.to(covariance)
    return torch.linalg.cholesky(
        keeps[:, :, None] * covariance * keeps[:, None] + torch.diag_embed(1.0 - keeps)
    )


def given_known(errors, covariance):
    """Log densities of normal errors that are known, and what is expected of the others.

    Parameters
    ----------
    errors : Tensor of shape (n, K, m)
        For every row K of them, NaN where the row's output is missing.
    covariance : Tensor of shape (m, m)

    Returns
    -------
    log_density : Tensor of shape (n, K)
    expected : Tensor of shape (n, K, m)
        The errors themselves where they are known.
    """
    known = ~errors[:, 0].isnan()
    factor, plain = factor_of_known(covariance, known), errors.nan_to_num(0.0)
    # What is missing is zero here and stays so: the factor has a one for it.
    held = torch.cholesky_solve(plain.mT, factor).mT
    log_det = 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + known.sum(1) * LOG_2PI
    log_density = -0.5 * ((held * plain).sum(-1) + log_det[:, None])
    return log_density, torch.where(known[:, None], plain, held @ covariance)
