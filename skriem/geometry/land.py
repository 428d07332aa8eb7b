"""Expectation maximisation for mixtures of normal distributions along geodesics.

Logarithms come from paths along a grid in one and two dimensions, from curves elsewhere and where
the grid is too coarse. The points that constants are integrated with stay the same (common random
numbers), so that for given logarithms everything is a smooth function of the parameters. Logarithms
are what costs. How they change with the mean is known to first order; so means, precisions and
probabilities are first maximised on these linear models, and followed where that leads.
"""

from typing import NamedTuple

import numpy as np
import torch

from .clustering import check_reached
from .density import calibrated, find_constants
from .grid_stars import GridStars
from .medoids import alternate, seed_medoids
from .normal import (
    Mixture,
    fit_precisions,
    log_components,
    log_normalizers,
    log_terms,
    squared_norms,
)
from .proposal import Reference, kernel_densities, references
from .relax import regularised
from .riemannian import RiemannianMetric
from .stars import CurveStars, Stars

# Points per component to integrate with: for a first fit, and for the fit.
N_FIRST, N_FITTING = 256, 1024
# A fit starts on a sample of this size, from the best of so many runs of k-medoids.
N_SAMPLE, N_KMEANS = 300, 10
# Share of every point that the first assignment leaves open.
UNDECIDED = 1e-2
# Steps on the linear models, until one gains less than this share of the tolerance, and how far
# they may take a mean, in standard deviations of its component.
N_INNER, LITTLE, REACH = 30, 0.1, 1.0
# Where they lead astray they are followed less and less far, down to this.
LEAST_REACH = 0.05
N_HALVINGS = 3
# A component with less than this many points has nothing to be estimated from.
LOST = 1e-3
# So many points tell where a component is.
N_KEPT = 512
# Cells along the longest side of a grid, and of a finer one. By so much, in nats, log densities
# along each may be off, and by such a share constants, before the next one has a go, and curves at
# last.
N_CELLS, TRUSTED, SURE = (80, 160), (0.4, 0.5), 0.05
# Constants that rest on fewer points than this are not believed.
MIN_EFFECTIVE = 24


class Options(NamedTuple):
    """How a mixture is fitted; see :class:`skriem.RiemannianNormal`."""

    covariance_type: str
    reg_covar: float
    tol: float
    max_iter: int
    init_params: str


class Fit(NamedTuple):
    """Where a run of expectation maximisation ended."""

    mixture: Mixture
    history: list  # mean log-likelihood at the start and after every iteration, by volume
    n_iter: int
    converged: bool
    points: torch.Tensor  # (k, s, d): where each component was integrated at last
    shares: torch.Tensor  # (k, s): what each of these adds to its constant
    effective: torch.Tensor  # (k,): how many of these each component rests on


class State(NamedTuple):
    """Parameters, and everything that is known of the data under them."""

    mixture: Mixture
    stars: Stars  # to the data, then to the points of the reference
    reference: Reference
    members: torch.Tensor  # (n, k): probabilities of the components given each point
    log_density: torch.Tensor  # (n,)

    @property
    def reference_shares(self):
        """What every point of the reference adds to its component's constant, (k, s)."""
        logs = self.stars.logs[:, -self.reference.log_mass.shape[1] :]
        exponents = log_terms(logs, self.mixture.precisions, self.reference.log_mass)
        return torch.softmax(exponents, dim=1)

    @property
    def effective(self):
        """How many points of the reference each component rests on, (k,)."""
        return 1.0 / self.reference_shares.square().sum(1)


class Problem(NamedTuple):
    """What is fitted, and how."""

    metric: RiemannianMetric
    z: torch.Tensor  # (n, d)
    weights: torch.Tensor  # (n,): how often each point counts, one on average
    options: Options

    def drawn_around(self, members, n, rng):
        """A reference of points drawn around the members of every component."""
        places, shares = self.z.expand(members.shape[1], -1, -1), self.shares(members).mT
        kernels = kernel_densities(places, shares, self.options.reg_covar)
        return references(self.metric, kernels, n, rng)

    def shares(self, members):
        """Of every point in each component, (n, k)."""
        weighted = self.weights[:, None] * members
        return weighted / weighted.sum(0).clamp(min=torch.finfo(weighted.dtype).tiny)

    def value(self, log_density):
        """Mean log-likelihood."""
        return float((self.weights * log_density).mean())

    def lost(self, members):
        """Components that have next to no members left."""
        return torch.nonzero((self.weights[:, None] * members).sum(0) < LOST).squeeze(1)


def fit(problem, start, n_init, rng, report):
    """The best of several runs, and its constants.

    Parameters
    ----------
    problem : Problem
    start : Tensor of shape (k, d) or int
        Means to start from, or how many to look for.
    n_init : int
    rng : RandomState
    report : callable
        Called as ``report(mean log-likelihood)`` after every iteration.

    Returns
    -------
    fit : Fit
    constants : Constants
    """
    best = max(
        (run(problem, start, rng, report) for _ in range(n_init)), key=lambda run: run.history[-1]
    )
    metric = problem.metric
    for level, n_cells in enumerate(N_CELLS):
        cells = metric.cells(n_cells)
        if cells is None:
            break
        if level > 0:
            best = on_grid(problem, cells, best.mixture, None, report)
        best, kernels = _sorted(problem, best)
        options = problem.options.covariance_type, rng
        mixture, constants, gap = calibrated(metric, cells, best.mixture, kernels, *options)
        best = best._replace(mixture=mixture)
        resolved = (best.effective >= MIN_EFFECTIVE).all() and (constants.stderr <= SURE).all()
        if resolved and gap <= TRUSTED[level]:
            return best, constants
    if cells is not None:
        best = polished(problem, best.mixture, kernels, rng, report)
    best, kernels = _sorted(problem, best)
    return best, find_constants(metric, best.mixture, kernels, rng)


def on_grid(problem, cells, start, members, report):
    """A fit along a grid; see :func:`fit_mixture`."""
    stars = GridStars(problem.metric, cells, problem.z)
    means = start if members is not None else start.means
    return fit_mixture(problem, stars, start, stars.reference(len(means)), members, None, report)


def _sorted(problem, found):
    """A fit with its largest components first, and densities around them to draw from."""
    order = torch.argsort(found.mixture.weights, descending=True)
    mixture = Mixture(*(part[order] for part in found.mixture))
    # Of many points some, each as often as it adds.
    at = (torch.arange(N_KEPT, dtype=torch.float64) + 0.5) / N_KEPT
    shares = found.shares[order].cumsum(1).contiguous()
    places = torch.searchsorted(shares, at.expand(len(order), -1).contiguous())
    places = places.clamp(max=shares.shape[1] - 1)
    points = torch.take_along_dim(found.points[order], places[..., None], dim=1)
    shares = torch.full_like(points[..., 0], 1.0 / N_KEPT)
    kernels = kernel_densities(points, shares, problem.options.reg_covar)
    return found._replace(mixture=mixture, points=points, shares=shares), kernels


def run(problem, start, rng, report):
    """One run along a grid where there can be one; else with curves, on a sample and then on all.

    Returns
    -------
    Fit
    """
    some = problem
    if len(problem.z) > 2 * N_SAMPLE:
        k = start if isinstance(start, int) else len(start)
        share = problem.weights.numpy() / problem.weights.numpy().sum()
        n = len(problem.z)
        rows = np.sort(rng.choice(n, min(n, max(N_SAMPLE, k)), replace=False, p=share))
        some = problem._replace(z=problem.z[rows], weights=torch.ones_like(problem.z[rows, 0]))
    means = first_means(some, start, rng) if isinstance(start, int) else start
    cells = problem.metric.cells(N_CELLS[0])
    if cells is not None:
        return on_grid(problem, cells, means, near(problem, means), report)

    def around(members):
        return some.drawn_around(members, N_FIRST, rng)

    stars, members = CurveStars(some.metric, some.z), near(some, means)
    rough = fit_mixture(some, stars, means, around(members), members, around, report)
    kernels = kernel_densities(rough.points, rough.shares, problem.options.reg_covar)
    return polished(problem, rough.mixture, kernels, rng, report)


def polished(problem, mixture, kernels, rng, report):
    """A fit with curves, started from another, and densities around its components."""

    def around(members):
        return problem.drawn_around(members, N_FITTING, rng)

    reference = references(problem.metric, kernels, N_FITTING, rng)
    stars = CurveStars(problem.metric, problem.z)
    return fit_mixture(problem, stars, mixture, reference, None, around, report)


def first_means(problem, n_components, rng):
    """Where a run starts, (k, d)."""
    z, weights = problem.z, problem.weights.numpy()
    if problem.options.init_params == "random_from_data":
        rows = rng.choice(len(z), n_components, replace=len(z) < n_components)
        return z[np.sort(rows)]
    squares = problem.metric.path_lengths(z, z).numpy() ** 2
    np.fill_diagonal(squares, 0.0)
    check_reached(torch.as_tensor(np.isfinite(squares).sum(0) >= min(len(z), 2)))

    def seeds():
        return seed_medoids(squares, n_components, weights, rng)

    if problem.options.init_params == "k-means++":
        return z[seeds()]
    runs = [alternate(squares, seeds(), weights, 100, 1e-3) for _ in range(N_KMEANS)]
    return z[min(runs, key=lambda run: run.inertia[-1]).rows]


def near(problem, means):
    """Every point a member of the component whose mean is the nearest through the graph."""
    lengths = problem.metric.path_lengths(problem.z, means).nan_to_num(nan=torch.inf)
    one_hot = torch.nn.functional.one_hot(lengths.argmin(1), len(means)).to(problem.z)
    # Not quite, so that no component is without points where means coincide.
    return (1.0 - UNDECIDED) * one_hot + UNDECIDED / len(means)


def fit_mixture(problem, stars, start, reference, members, refer, report):
    """Maximise the likelihood from a first guess.

    Parameters
    ----------
    problem : Problem
    stars : CurveStars or GridStars
    start : Mixture or Tensor of shape (k, d)
        Only the means if there are `members`.
    reference : Reference
    members : Tensor of shape (n, k) or None
        First probabilities of the components given each point.
    refer : callable or None
        Draws another reference around members, for when components have left theirs. None if
        there is only one.
    report : callable
        Called as ``report(mean log-likelihood)`` after every iteration.

    Returns
    -------
    Fit
    """

    def begin(means, members, reference):
        """Start from probabilities alone."""
        found = _connected(problem, stars, means, reference)
        return _maximised(problem, means, *found, members, None)

    if members is None:
        state = _expected(problem, start, *_connected(problem, stars, start.means, reference))
    else:
        state = begin(start, members, reference)
    history, n_iter, converged, reach = [problem.value(state.log_density)], 0, False, REACH
    while n_iter < problem.options.max_iter and not converged:
        before, n_iter = history[-1], n_iter + 1
        state, followed = _improved(problem, stars, state, reach)
        reach = min(REACH, 2.0 * reach) if followed else 0.1 * reach
        history.append(problem.value(state.log_density))
        report(history[-1])
        lost = problem.lost(state.members)
        if len(lost):
            means, members = _reseed(problem.z, lost, state)
        elif refer is not None and (state.effective < MIN_EFFECTIVE).any():
            means, members = state.mixture.means, state.members
        else:
            small = history[-1] - before < problem.options.tol
            converged = small and (followed or reach < LEAST_REACH)
            continue
        # Other components, or other points to integrate with: what was reached so far does not
        # compare.
        reference = state.reference if refer is None else refer(members)
        state = begin(means, members, reference)
        history = [problem.value(state.log_density)]
    return Fit(
        state.mixture,
        history,
        n_iter,
        converged,
        state.reference.points,
        state.reference_shares,
        state.effective,
    )


def _improved(problem, makes, state, reach):
    """A state of no lower likelihood, and whether the means went where they were sent."""
    shift, members, precisions = _sent(problem, state, reach)
    for halving in range(N_HALVINGS):
        means = state.mixture.means + 0.5**halving * shift
        stars = _usable(makes.carry(state.stars, means), state.reference)
        if stars.logs.isfinite().all():
            found = _maximised(problem, means, stars, state.reference, members, precisions)
            if problem.value(found.log_density) >= problem.value(state.log_density):
                return found, True
    mixture = state.mixture
    held = mixture.means, state.stars, state.reference, state.members, mixture.precisions
    return _maximised(problem, *held), False


def _sent(problem, state, reach):
    """Where expectation maximisation takes the linear models.

    Returns
    -------
    shift : Tensor of shape (k, d)
        Of the means.
    members : Tensor of shape (n, k)
    precisions : Tensor of shape (k, d, d)
    """
    (_, means, precisions), members = state.mixture, state.members
    shift, value = torch.zeros_like(means), -np.inf
    data, shares = state.stars.logs[:, : len(members)], problem.shares(members)
    scatter = (data * shares.mT[..., None]).mT @ data
    limits = torch.linalg.inv(regularised(scatter)) / reach**2
    for _ in range(N_INNER):
        shift = _step(state, shift, problem.shares(members), precisions, limits)
        stars = state.stars._replace(logs=state.stars.moved(shift))
        found = _maximised(problem, means, stars, state.reference, members, precisions)
        members, precisions = found.members, found.mixture.precisions
        before, value = value, problem.value(found.log_density)
        if value - before < LITTLE * problem.options.tol or len(problem.lost(members)):
            break
    return shift, members, precisions


def _step(state, shift, shares, precisions, limits):
    """A shift of the means that raises every component's expected log-likelihood.

    Its gradient is the difference between two averages, over the data and over the
    distribution. What the former changes by stands for the second derivative, which is exact
    where the space is flat.
    """
    n, log_mass = len(shares), state.reference.log_mass

    def objective(shift):
        logs = state.stars.moved(shift)
        data = (shares.mT * squared_norms(logs[:, :n], precisions)).sum(1)
        return -0.5 * data - log_normalizers(logs[:, n:], precisions, log_mass)

    logs, slopes = state.stars.moved(shift), state.stars.slopes
    pulls = (slopes * (logs @ precisions)[..., None]).sum(-2)
    expected = torch.softmax(log_terms(logs[:, n:], precisions, log_mass), dim=1)
    gradient = (shares.mT[..., None] * pulls[:, :n]).sum(1) - (
        expected[..., None] * pulls[:, n:]
    ).sum(1)
    stiffness = slopes[:, :n].mT @ precisions[:, None] @ slopes[:, :n]
    stiffness = regularised((shares.mT[..., None, None] * stiffness).sum(1))
    aim = shift + torch.linalg.solve_ex(stiffness, gradient)[0]
    aim = aim / squared_norms(aim[:, None], limits).sqrt().clamp(min=1.0)
    before, open_ones = objective(shift), torch.ones(len(shift), dtype=torch.bool)
    for halving in range(N_HALVINGS):
        trial = shift + 0.5**halving * (aim - shift)
        better = open_ones & (objective(trial) > before)
        shift = torch.where(better[:, None], trial, shift)
        open_ones &= ~better
        if not open_ones.any():
            break
    return shift


def _expected(problem, mixture, stars, reference):
    """The state under some parameters."""
    n = len(problem.z)
    logs, others = stars.logs[:, :n], stars.logs[:, n:]
    normalizers = log_normalizers(others, mixture.precisions, reference.log_mass)
    joint = log_components(logs, mixture, normalizers)
    total = torch.logsumexp(joint, dim=1)
    return State(mixture, stars, reference, torch.exp(joint - total[:, None]), total)


def _maximised(problem, means, stars, reference, members, precisions):
    """The state under the best weights and precisions, started from those given."""
    n, shares = len(problem.z), problem.shares(members)
    weights = (problem.weights[:, None] * members).mean(0)
    precisions = fit_precisions(
        stars.logs[:, :n],
        shares,
        weights,
        stars.logs[:, n:],
        reference.log_mass,
        stars.tensors,
        precisions,
        problem.options,
    )
    return _expected(problem, Mixture(weights, means, precisions), stars, reference)


def _connected(problem, makes, means, reference):
    """Curves to data and reference points.

    Unreachable data are refused, unreachable points to integrate with left out.
    """
    _check_volume(reference.log_mass)
    stars = makes.connect(means, reference)
    n, reached = len(problem.z), stars.logs.isfinite().all(-1)
    check_reached(reached[:, :n].all(0))
    log_mass = torch.where(reached[:, n:], reference.log_mass, -torch.inf)
    _check_volume(log_mass)
    reference = reference._replace(log_mass=log_mass)
    return _usable(stars, reference), reference


def _check_volume(log_mass):
    if not (log_mass > -torch.inf).any(1).all():
        raise ValueError(
            "The metric has no volume around the points: its determinant is zero. The embedding "
            "must depend on all coordinates."
        )


def _usable(stars, reference):
    """Numbers in place of NaN for the points of a reference that are left out."""
    n_reference = reference.log_mass.shape[1]
    out = torch.nn.functional.pad(
        reference.log_mass == -torch.inf, (stars.logs.shape[1] - n_reference, 0)
    )
    return stars._replace(
        logs=stars.logs.masked_fill(out[..., None], 0.0),
        slopes=stars.slopes.masked_fill(out[..., None, None], 0.0),
    )


def _reseed(z, lost, state):
    """Give components that lost all their points those that are least explained, and the
    points near them.

    Returns
    -------
    means : Tensor of shape (k, d)
    members : Tensor of shape (n, k)
    """
    worst = torch.argsort(state.log_density)[: len(lost)]
    means, members = state.mixture.means.clone(), state.members.clone()
    means[lost] = z[worst]
    squared = (z[:, None] - z[worst]).square().sum(-1)
    scale = squared.quantile(1.0 / len(means), dim=0)
    members[:, lost] = torch.exp(-squared / scale.clamp(min=torch.finfo(z.dtype).tiny))
    total = members.sum(1, keepdim=True)
    return means, torch.where(total > 0.0, members / total, 1.0 / members.shape[1])
