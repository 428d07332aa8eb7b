"""Expectation maximisation for mixtures of normal distributions along geodesics, one run of it.

The points that constants are integrated with stay the same (common random numbers), so that for
given logarithms everything is a smooth function of the parameters. Logarithms are what costs. How
they change with the mean is known to first order; so means, precisions and probabilities are first
maximised on these linear models, and followed where that leads.
"""

from typing import NamedTuple

import numpy as np
import torch

from ..metrics.riemannian import RiemannianMetric
from ..solvers.relax import regularised
from .clustering import check_reached
from .normal import (
    Mixture,
    fit_precisions,
    log_components,
    log_normalizers,
    log_terms,
    squared_norms,
)
from .proposal import Reference, kernel_densities, references
from .stars import Stars

# Steps on the linear models, until one gains less than this share of the tolerance, and how far
# they may take a mean, in standard deviations of its component.
N_INNER, LITTLE, MAX_REACH = 30, 0.1, 1.0
# Where they lead astray they are followed less and less far, down to this.
LEAST_REACH = 0.05
N_HALVINGS = 3
# Curves to data that belong to a component by less are carried along, not solved for. Points to
# integrate with all are: a component would move to where they seem to have gone.
NEGLIGIBLE = 1e-3
# A component with less than this many points has nothing to be estimated from.
LOST = 1e-3
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
    def counted(self):
        """Which curves from each component make a difference, (k, n + s) bool."""
        everyone = torch.ones_like(self.stars.converged)
        everyone[:, : len(self.members)] = self.members.mT > NEGLIGIBLE
        return everyone

    @property
    def effective(self):
        """How many points of the reference each component rests on, (k,)."""
        return 1.0 / self.reference_shares.square().sum(1)

    @property
    def is_believed(self):
        """Whether all constants rest on enough points."""
        return bool((self.effective >= MIN_EFFECTIVE).all())


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
    history, n_iter, converged, reach = [problem.value(state.log_density)], 0, False, MAX_REACH
    # Points that were too few from the start would be so again.
    enough = state.is_believed
    while n_iter < problem.options.max_iter and not converged:
        before, n_iter = history[-1], n_iter + 1
        state, followed = _improved(problem, stars, state, reach)
        reach = min(MAX_REACH, 2.0 * reach) if followed else 0.1 * reach
        history.append(problem.value(state.log_density))
        report(history[-1])
        lost = problem.lost(state.members)
        if len(lost):
            means, members = _reseed(problem.z, lost, state)
        elif refer is not None and enough and not state.is_believed:
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
        enough = state.is_believed
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
    counted = state.counted
    for halving in range(N_HALVINGS):
        means = state.mixture.means + 0.5**halving * shift
        stars = _usable(makes.carry(state.stars, means, counted), state.reference)
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
            "The metric has no volume around the points: its determinant is zero. Lengths must "
            "depend on all coordinates."
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
