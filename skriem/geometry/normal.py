"""Normal distributions along geodesics, and mixtures of them (LAND).

The density with respect to Riemannian volume is p(x) = exp(-1/2 v' P v) / C with v = Log_mu(x)
(Arvanitidis, Hansen and Hauberg, *A locally adaptive normal distribution*, NIPS 2016). Tangent
vectors v and precisions P are in the coordinates of the space, at the mean.

The constant C is integrated over the space, not over the tangent space: then neither the
distortion of the exponential map nor its cut locus matters. The points to integrate with are
drawn once (common random numbers), so that for given curves everything below is a smooth
function of the parameters. Between two steps of the mean the curves are carried along.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

from . import maps
from .clustering import check_reached
from .graph import starting_curves
from .proposal import N_REPLICATES
from .relax import relax, relax_best

# Segments of the curves that a fit works with and of those that densities are read from, and
# chords per segment.
N_ROUGH, N_FINE, N_SUB = 16, 32, 2
RTOL = 1e-3
MAX_ITER, FINE_ITER = 20, 60
# Curves that are carried along are nearly right; the few that need longer get it step by step.
CARRY_ITER = 3
# Curves solved for at once, which bounds the memory.
MAX_CURVES = 20_000
N_HALVINGS = 3
# A mean stays where it is if moving it promises less than this share of the tolerance, and is
# moved along a geodesic of this accuracy in at most so many steps.
WORTHWHILE, EXP_TOL, EXP_STEPS = 0.1, 1e-4, 100
# A component with less than this many points has nothing to be estimated from.
LOST = 1e-3
# Iterations with the means held still, at most and until the probabilities change by less.
N_STILL, STILL = 5, 1e-3
# Constants that rest on fewer points than this are not believed.
MIN_EFFECTIVE = 24
# Where points lie as evenly as the space allows there is no largest likelihood: a component's
# standard deviations are kept within this factor of its points' own.
MAX_STRETCH = 30.0


class Mixture(NamedTuple):
    """Parameters of k components."""

    weights: torch.Tensor  # (k,)
    means: torch.Tensor  # (k, d)
    precisions: torch.Tensor  # (k, d, d)


class Stars(NamedTuple):
    """Curves from every component's mean to its points: the data, then its reference points."""

    nodes: torch.Tensor  # (k, n + s, T+1, d)
    logs: torch.Tensor  # (k, n + s, d)
    converged: torch.Tensor  # (k, n + s) bool


class Reference(NamedTuple):
    """Points for every component to integrate with."""

    points: torch.Tensor  # (k, s, d)
    log_mass: torch.Tensor  # (k, s): log of the volume that each stands for


class Fit(NamedTuple):
    """Where a run of expectation maximisation ended."""

    mixture: Mixture
    members: torch.Tensor  # (n, k): probabilities of the components given each point
    history: list  # mean log-likelihood after every iteration, by Riemannian volume
    converged: bool
    points: torch.Tensor  # (k, s, d): where each component was integrated at last
    shares: torch.Tensor  # (k, s): what each of these adds to its constant


def squared_norms(logs, precision):
    """v' P v for tangent vectors (..., n, d) and precisions (..., d, d), (..., n)."""
    return ((logs @ precision) * logs).sum(-1)


def log_terms(logs, precisions, log_mass):
    """Logarithms of what every reference point adds to its constant C, (k, s)."""
    return log_mass - 0.5 * squared_norms(logs, precisions)


def log_normalizers(logs, precisions, log_mass):
    """Logarithms of the constants C, (k,), and their relative standard errors, (k,)."""
    exponents = log_terms(logs, precisions, log_mass)
    total = torch.logsumexp(exponents, dim=-1)
    parts = torch.logsumexp(exponents.unflatten(-1, (N_REPLICATES, -1)), dim=-1)
    shares = torch.exp(parts - total[:, None]) * N_REPLICATES
    return total, shares.std(-1) / N_REPLICATES**0.5


def log_components(logs, mixture, normalizers):
    """Log of weight times density, for every point and component, (n, k)."""
    exponents = -0.5 * squared_norms(logs, mixture.precisions)
    return (mixture.weights.log() - normalizers)[None, :] + exponents.mT


# Curves ----------------------------------------------------------------------------------


def connect(metric, means, ends, n_segments, max_iter):
    """Shortest curves from every mean (k, d) to its points (k, b, d), found afresh."""

    def solve(space, rows):
        found = starting_curves(space, metric.graph, starts[rows], flat[rows], n_segments)
        return relax_best(space, found, N_SUB, RTOL, max_iter)

    starts, flat = means[:, None].expand_as(ends).flatten(0, 1), ends.flatten(0, 1)
    return _stars(metric, flat, ends.shape, n_segments, solve)


def carry(metric, stars, means):
    """The same curves after the means have moved."""

    def solve(space, rows):
        return relax(space, nodes[rows], N_SUB, RTOL, CARRY_ITER)

    n_nodes = stars.nodes.shape[2]
    t = torch.linspace(1.0, 0.0, n_nodes, dtype=means.dtype, device=means.device)
    shift = means[:, None] - stars.nodes[:, :, 0]
    nodes = (stars.nodes + t[:, None] * shift[:, :, None]).flatten(0, 1)
    return _stars(metric, nodes[:, -1], stars.logs.shape, n_nodes - 1, solve)


def _stars(metric, ends, shape, n_segments, solve):
    """Solve for curves to `ends` where that is cheapest, and read off their logarithms."""
    nodes = ends.new_empty(len(ends), n_segments + 1, ends.shape[1])
    logs, converged = torch.empty_like(ends), torch.empty(len(ends), dtype=torch.bool)
    for everyone, space in metric.spaces_for(ends):
        for rows in everyone.split(MAX_CURVES):
            found = solve(space, rows)
            nodes[rows], converged[rows] = found.nodes, found.converged
            logs[rows] = maps.initial_velocity(space, found.nodes, N_SUB, found.energy.sqrt())
    return Stars(*(part.unflatten(0, shape[:2]) for part in (nodes, logs, converged)))


# Expectation maximisation ----------------------------------------------------------------


def fit_mixture(
    metric, z, start, members, reference, refer, *, diagonal, reg_covar, tol, max_iter, report
):
    """Maximise the likelihood from a first guess.

    Parameters
    ----------
    metric : Metric
    z : Tensor of shape (n, d)
    start : Mixture
        Only its means matter if there are `members`.
    members : Tensor of shape (n, k) or None
        First probabilities of the components given each point.
    reference : Reference
    refer : callable
        Makes a new reference for given `members`, for when the components have left theirs.
    diagonal : bool
        Whether precisions are diagonal.
    reg_covar : float
        Added to the diagonal of the covariances of the logarithms.
    tol : float
        The run ends when an iteration gains less mean log-likelihood.
    max_iter : int
    report : callable
        Called as ``report(mean log-likelihood)`` after every iteration.

    Returns
    -------
    Fit
    """
    n, means, precisions = len(z), start.means, start.precisions
    stars, reference = _connected(metric, z, means, reference)
    if members is None:
        members, total = _expectation(stars, start, reference)
        # The fit that the start comes from may have ended with a component that lost its points.
        lost = _lost(members)
        if len(lost):
            means, members = _reseed(z, lost, means, members, total)
            stars, reference = _connected(metric, z, means, refer(members))
            precisions = None
    history, converged = [], False
    while len(history) < max_iter:
        # As long as the means stay no curve has to move: these steps cost next to nothing.
        for _ in range(N_STILL):
            before = members
            shares = members / members.sum(0)
            precisions = _precisions(stars, shares, reference, precisions, diagonal, reg_covar)
            mixture = Mixture(members.mean(0), means, precisions)
            members, total = _expectation(stars, mixture, reference)
            if (members - before).abs().mean() < STILL or len(_lost(members)):
                break
        shares = members / members.sum(0).clamp(min=torch.finfo(z.dtype).tiny)
        means, stars = _move_means(metric, means, precisions, stars, shares, reference, tol)
        mixture = Mixture(members.mean(0), means, precisions)
        # A component without members has no place to draw from; it is seeded anew below.
        alive = not len(_lost(members))
        if alive and (_effective(stars, mixture, reference) < MIN_EFFECTIVE).any():
            stars, reference = _connected(metric, z, means, refer(members))
        members, total = _expectation(stars, mixture, reference)
        history.append(float(total.mean()))
        report(history[-1])
        lost = _lost(members)
        if len(lost):
            means, members = _reseed(z, lost, means, members, total)
            stars, reference = _connected(metric, z, means, refer(members))
            precisions = None
        elif len(history) > 1 and abs(history[-1] - history[-2]) < tol:
            converged = True
            break
    exponents = log_terms(stars.logs[:, n:], mixture.precisions, reference.log_mass)
    shares = torch.softmax(exponents, dim=1)
    return Fit(mixture, members, history, converged, reference.points, shares)


def _precisions(stars, shares, reference, precisions, diagonal, reg_covar):
    """Precisions of largest likelihood for fixed means, (k, d, d)."""
    n, k = shares.shape
    starts = [None] * k if precisions is None else precisions
    return torch.stack([
        fit_precision(
            stars.logs[i, :n],
            shares[:, i],
            stars.logs[i, n:],
            reference.log_mass[i],
            starts[i],
            diagonal,
            reg_covar,
        )
        for i in range(k)
    ])  # fmt: skip


def _expectation(stars, mixture, reference):
    """Probabilities of the components given each point, (n, k), and log densities, (n,)."""
    n_reference = reference.log_mass.shape[1]
    logs = stars.logs.split([stars.logs.shape[1] - n_reference, n_reference], dim=1)
    normalizers, _ = log_normalizers(logs[1], mixture.precisions, reference.log_mass)
    joint = log_components(logs[0], mixture, normalizers)
    total = torch.logsumexp(joint, dim=1)
    return torch.exp(joint - total[:, None]), total


def _effective(stars, mixture, reference):
    """How many of its reference points each component rests on, (k,)."""
    logs = stars.logs[:, -reference.log_mass.shape[1] :]
    exponents = log_terms(logs, mixture.precisions, reference.log_mass)
    return 1.0 / torch.softmax(exponents, dim=1).square().sum(1)


def _connected(metric, z, means, reference):
    """Curves to data and reference points.

    Unreachable data are refused, unreachable points to integrate with left out.
    """
    n, ends = len(z), torch.cat([z.expand(len(means), -1, -1), reference.points], dim=1)
    stars = connect(metric, means, ends, N_ROUGH, MAX_ITER)
    reached = stars.logs.isfinite().all(-1)
    check_reached(reached[:, :n].all(0))
    log_mass = torch.where(reached[:, n:], reference.log_mass, -torch.inf)
    if not (log_mass > -torch.inf).any(1).all():
        raise ValueError(
            "The metric has no volume around the points: its determinant is zero. The embedding "
            "must depend on all coordinates."
        )
    return stars._replace(logs=stars.logs.nan_to_num(nan=0.0)), reference._replace(
        log_mass=log_mass
    )


def _lost(members):
    """Components that have next to no members left."""
    return torch.nonzero(members.sum(0) < LOST).squeeze(1)


def _reseed(z, lost, means, members, total):
    """Give components that lost all their points those that are least explained, and the
    points near them."""
    worst = torch.argsort(total)[: len(lost)]
    means, members = means.clone(), members.clone()
    means[lost] = z[worst]
    squared = (z[:, None] - z[worst]).square().sum(-1)
    scale = squared.quantile(1.0 / len(means), dim=0)
    members[:, lost] = torch.exp(-squared / scale.clamp(min=torch.finfo(z.dtype).tiny))
    total = members.sum(1, keepdim=True)
    return means, torch.where(total > 0.0, members / total, 1.0 / members.shape[1])


def fit_precision(logs, shares, reference_logs, log_mass, start, diagonal, reg_covar):
    """The precision of largest likelihood for a fixed mean, (d, d).

    The mean log-likelihood, -1/2 tr(P S) - log C(P) with the scatter S of the logarithms, is
    concave in P: log C is a logarithm of a sum of exponentials. It is maximised over Cholesky
    factors, in units of the scatter.
    """
    d = logs.shape[1]
    scatter = (logs * shares[:, None]).mT @ logs + reg_covar * torch.eye(d, dtype=logs.dtype)
    if diagonal:
        scatter = scatter.diagonal().diag()
    unit = torch.linalg.cholesky(scatter)
    whitened = torch.linalg.solve_triangular(unit, reference_logs.mT, upper=False).mT.numpy()
    log_mass = log_mass.numpy()
    where = np.diag_indices(d) if diagonal else np.tril_indices(d)
    on_diagonal = where[0] == where[1]

    def factor(x):
        result = np.zeros((d, d))
        result[where] = x
        np.fill_diagonal(result, np.exp(result.diagonal()))
        return result

    def loss(x):
        lower = factor(x)
        turned = whitened @ lower
        exponents = log_mass - 0.5 * (turned**2).sum(1)
        top = exponents.max()
        weights = np.exp(exponents - top)
        total = weights.sum()
        weights /= total
        gradient = lower - (whitened * weights[:, None]).T @ turned
        gradient = gradient[where] * np.where(on_diagonal, lower[where], 1.0)
        return 0.5 * (lower**2).sum() + top + np.log(total), gradient

    first = np.eye(d)
    if start is not None:
        first = torch.linalg.cholesky(unit.mT @ start @ unit).numpy()
    limit = np.log(MAX_STRETCH)
    x = np.where(
        on_diagonal, np.log(np.abs(first[where]) + 1e-300).clip(-limit, limit), first[where]
    )
    bounds = np.where(on_diagonal, limit, MAX_STRETCH)[:, None] * [-1.0, 1.0]
    x = x.clip(*bounds.T)
    found = minimize(loss, x, jac=True, method="L-BFGS-B", bounds=bounds)
    lower = torch.as_tensor(factor(found.x))
    # P = U B B' U' with U the inverse transpose of the scatter's factor.
    turned = torch.linalg.solve_triangular(unit.mT, lower, upper=True)
    return turned @ turned.mT


def _move_means(metric, means, precisions, stars, shares, reference, tol):
    """One step of every mean that raises its component's expected log-likelihood.

    The direction is the difference between the logarithms' averages over the data and over the
    distribution, which is the Newton step where the space is flat.
    """
    n = len(shares)

    def objective(logs, rows):
        data = (shares.mT[rows] * squared_norms(logs[:, :n], precisions[rows])).sum(1)
        return (
            -0.5 * data
            - log_normalizers(logs[:, n:], precisions[rows], reference.log_mass[rows])[0]
        )

    everyone = torch.arange(len(means))
    exponents = log_terms(stars.logs[:, n:], precisions, reference.log_mass)
    expected = (torch.softmax(exponents, dim=1)[..., None] * stars.logs[:, n:]).sum(1)
    step = (shares.mT[..., None] * stars.logs[:, :n]).sum(1) - expected
    before = objective(stars.logs, everyone)
    means, arrived = means.clone(), [part.clone() for part in stars]
    promised = 0.5 * squared_norms(step[:, None], precisions).squeeze(1)
    rows = everyone[promised > WORTHWHILE * tol]
    for halving in range(N_HALVINGS):
        if len(rows) == 0:
            break
        space, move = metric.space_for(means[rows]), 0.5**halving * step[rows]
        trial = maps.exp(space, means[rows], move, EXP_TOL, EXP_STEPS)[0]
        followed = trial.isfinite().all(1)
        trial = torch.where(followed[:, None], trial, means[rows])
        moved = carry(metric, Stars(*(part[rows] for part in stars)), trial)
        better = followed & (objective(moved.logs, rows) > before[rows])
        won = rows[better]
        means[won] = trial[better]
        for part, new in zip(arrived, moved):
            part[won] = new[better]
        rows = rows[~better]
    return means, Stars(*arrived)
