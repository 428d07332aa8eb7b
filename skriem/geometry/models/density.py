"""Normal distributions along geodesics once they are known: constants, densities and draws."""

from typing import NamedTuple

import numpy as np
import torch

from ..solvers.relax import regularised
from .clustering import check_reached
from .grid_stars import GridStars
from .normal import Mixture, log_components, log_terms, squared_norms, standard_errors
from .proposal import N_REPLICATES, draw, log_density, references
from .stars import connect

# Points per component that constants are integrated with: by curves alone, or for a comparison
# with what paths along a grid say.
N_POINTS, N_COMPARED = 1024, 256
# Segments of the curves, and Newton iterations.
N_SEGMENTS, MAX_ITER = 32, 60
# Cells along the longest side of the grid that says which components are far.
N_COARSE = 80
# Components that surely add less than e to the minus this are not solved for; squares of lengths
# along a grid may be this factor off either way.
NEGLIGIBLE, TRUST = 10.0, 0.7
# A batch of candidates in rejection sampling.
MIN_CANDIDATES = 64


class Constants(NamedTuple):
    """What belongs to k components besides their parameters."""

    log_normalizers: torch.Tensor  # (k,)
    stderr: torch.Tensor  # (k,): relative standard errors
    kernels: list  # k densities to draw candidates from
    log_bounds: torch.Tensor  # (k,): largest log ratio to them that was met


def find_constants(metric, mixture, kernels, rng):
    """Constants, by points that no fit has seen and that are drawn from about the components.

    Parameters
    ----------
    metric : RiemannianMetric
    mixture : Mixture
    kernels : list
        Densities to draw the points of every component from.
    rng : RandomState

    Returns
    -------
    Constants
    """
    points, log_mass = references(metric, kernels, N_POINTS, rng)
    logs = connect(metric, mixture.means, points, N_SEGMENTS, MAX_ITER).logs
    terms = _terms(logs, mixture.precisions, log_mass)
    log_bounds = terms.max(1).values + np.log(N_POINTS)
    return Constants(torch.logsumexp(terms, 1), standard_errors(terms), kernels, log_bounds)


def calibrated(metric, cells, mixture, kernels, covariance_type, rng):
    """A mixture that was fitted along the metric's grid, and its constants, by curves.

    Logarithms along the grid are those by curves but for a matrix, nearly, which some points
    tell. Constants are those along the grid times their ratios to those by curves: few points
    tell them, since both are nearly the same (a control variate).

    Returns
    -------
    mixture : Mixture
        With precisions for logarithms by curves.
    constants : Constants
    gap : float
        Standard deviation, in nats, of what log densities along the grid are still off.
    """
    means, precisions = mixture.means, mixture.precisions
    points, log_mass = references(metric, kernels, N_COMPARED, rng)
    stars = connect(metric, means, points, N_SEGMENTS, MAX_ITER)
    rough = [
        GridStars(metric, cells, own).connect(one[None]).logs[0] for own, one in zip(points, means)
    ]
    along, nodes = torch.stack(rough).split_with_sizes([N_COMPARED, len(cells.points)], dim=1)
    terms = _terms(along, precisions, log_mass)
    weights = torch.softmax(terms, dim=1)
    known = (stars.logs.isfinite() & along.isfinite()).all(-1) & (weights > 0.0)
    weights = weights.where(known, 0.0)[..., None]
    logs, along = (part.where(known[..., None], 0.0) for part in (stars.logs, along))
    turn = _regression(logs, along, weights, covariance_type, stars.tensors)
    mixture = mixture._replace(precisions=turn @ precisions @ turn.mT)
    exact = _terms(logs, mixture.precisions, log_mass).where(known, -torch.inf)
    terms = terms.where(known, -torch.inf)
    total = torch.logsumexp(_terms(nodes, precisions, cells.log_volumes), dim=1)
    ratio = torch.logsumexp(exact, 1) - torch.logsumexp(terms, 1)
    parts = [part.unflatten(1, (N_REPLICATES, -1)).logsumexp(2) for part in (exact, terms)]
    stderr = torch.exp(parts[0] - parts[1] - ratio[:, None]).std(1) / N_REPLICATES**0.5
    weights, off = torch.softmax(exact, dim=1), torch.where(known, exact - terms, 0.0)
    off = off - (weights * off).sum(1, keepdim=True)
    gap = (weights * off.square()).sum(1).sqrt().max()
    log_bounds = exact.max(1).values + np.log(N_COMPARED)
    return mixture, Constants(total + ratio, stderr, kernels, log_bounds), float(gap)


def _regression(logs, along, weights, covariance_type, tensors):
    """Matrices B (k, d, d) for which `along` (k, s, d) is about `logs` times B.

    Of such a kind that precisions B P B' have the type that they had.
    """
    if covariance_type == "spherical":
        lowered = weights * (logs @ tensors)
        scale = (lowered * along).sum((1, 2)) / (lowered * logs).sum((1, 2))
        return scale[:, None, None] * torch.eye(logs.shape[2], dtype=logs.dtype)
    cross, squares = (weights * logs).mT @ along, (weights * logs).mT @ logs
    if covariance_type == "tied":
        cross, squares = (part.sum(0, keepdim=True).expand_as(part) for part in (cross, squares))
    elif covariance_type == "diag":
        cross, squares = (torch.diag_embed(p.diagonal(dim1=1, dim2=2)) for p in (cross, squares))
    return torch.linalg.solve(regularised(squares), cross)


def _terms(logs, precisions, log_mass):
    """Logarithms of what points add to constants, (k, s); nothing where no curve goes."""
    lost = ~logs.isfinite().all(-1)
    terms = log_terms(logs.masked_fill(lost[..., None], 0.0), precisions, log_mass)
    return terms.masked_fill(lost, -torch.inf)


def log_joint(metric, mixture, normalizers, z):
    """Log of weight times density by Riemannian volume, and whether all curves it is read from
    are done.

    Returns
    -------
    joint : Tensor of shape (n, k)
    finished : Tensor of shape (n,) bool
        Of the curve from the component that a point most likely belongs to.
    """
    done = torch.ones(len(z), len(mixture.means), dtype=torch.bool)
    cells = metric.cells(N_COARSE) if len(mixture.means) > 1 else None
    if cells is None:
        far = torch.zeros(len(z), len(mixture.means), dtype=torch.bool)
        joint = far.to(z)
    else:
        along = GridStars(metric, cells, z).connect(mixture.means).logs[:, : len(z)]
        joint = log_components(along, mixture, normalizers)
        far = _beyond(along, mixture, normalizers)
    for k in range(len(mixture.means)):
        rows = torch.nonzero(~far[:, k]).squeeze(1)
        one = Mixture(*(part[k : k + 1] for part in mixture))
        stars = connect(metric, one.means, z[rows][None], N_SEGMENTS, MAX_ITER)
        joint[rows, k] = log_components(stars.logs, one, normalizers[k : k + 1]).squeeze(1)
        done[rows, k] = stars.converged[0]
    check_reached(joint.isfinite().all(1))
    return joint, done.gather(1, joint.argmax(1, keepdim=True)).squeeze(1)


def _beyond(along, mixture, normalizers):
    """Whether each component is out of question for each point, (n, k) bool.

    Squared lengths along the grid are trusted up to a factor.
    """
    squares = squared_norms(along, mixture.precisions).mT
    offsets = mixture.weights.log() - normalizers
    at_best = (offsets - 0.5 * squares / TRUST).max(1, keepdim=True).values
    return offsets - 0.5 * TRUST * squares < at_best - NEGLIGIBLE


def draw_points(metric, mean, precision, log_normalizer, kernel, log_bound, count, rng):
    """Points of one component (count, d), by rejection from a kernel density."""
    accepted, rate = [], float(torch.exp(log_normalizer - log_bound))
    bound = float(log_bound)
    while (missing := count - sum(map(len, accepted))) > 0:
        n = max(MIN_CANDIDATES, int(1.2 * missing / rate))
        uniforms = torch.as_tensor(rng.uniform(size=(n, len(mean) + 1)))
        points = draw(kernel, uniforms)
        logs = connect(metric, mean[None], points[None], N_SEGMENTS, MAX_ITER).logs[0]
        ratios = metric.log_volume(points) - log_density(kernel, points)
        ratios = (ratios - 0.5 * squared_norms(logs, precision)).nan_to_num(
            nan=-torch.inf, neginf=-torch.inf
        )
        bound = max(bound, float(ratios.max()))
        accepted.append(points[torch.as_tensor(rng.uniform(size=n)) < torch.exp(ratios - bound)])
    return torch.cat(accepted)[:count]
