"""Linear dynamical systems as priors of the codes of sequences.

The system's parameters have a posterior, :mod:`.matrix_normal` for steps and :mod:`.conjugate` for
beginnings, that is learned by natural-gradient steps along with the networks. Encoders give
potentials, which a system of the encoder's own joins to posteriors of whole sequences (Lin,
Hubacher and Khan, *Variational message passing with structured inference networks*, ICLR 2018):
:mod:`.chains`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import Density, Posterior, Prior, Proposals
from .chains import LOG_2PI, Chain, inverted, times
from .conjugate import (
    Conjugate,
    conjugate_prior,
    distances,
    divergence,
    expected,
    stepped,
)
from .kalman import Transition, ahead, filtered
from .matrix_normal import (
    Linear,
    expected_map,
    linear_divergence,
    linear_prior,
    map_statistics,
    moved,
)
from .potentials import Combined
from .steps import steps_apart

# Natural-gradient steps of one batch go so far.
RATE = 0.1
# Precision of the first code of a sequence that was cut off from what is before it.
CUT = 1e-2


@dataclass(frozen=True)
class System:
    """What turns potentials into posteriors: a linear dynamical system of the encoder's."""

    slope: Tensor  # (d, d)
    offset: Tensor  # (d,)
    noise_root: Tensor  # (d, d): lower factor of a precision, logarithms on its diagonal
    center: Tensor  # (d,)
    start_root: Tensor  # (d, d): the same of the first code

    def chain(self, precision, natural, steps):
        """Potentials (n, d), (n, d) times the system, for rows of sequences."""
        noise, start = _squared(self.noise_root), _squared(self.start_root)
        d = len(noise)
        onward = self.slope.mT @ noise
        starts, follows = (part.to(precision) for part in (steps.starts, steps.follows))
        cut = 1.0 - starts - follows
        precedes = torch.cat([follows[1:], follows.new_zeros(1)])
        pulls = torch.stack([start, CUT * torch.eye(d).to(start), noise, onward @ self.slope])
        which = torch.stack([starts, cut, follows, precedes], 1)
        diagonal = (which @ pulls.flatten(1)).unflatten(1, (d, d)) + torch.diag_embed(precision)
        by_start, by_step = times(start, self.center), times(noise, self.offset)
        pushes = torch.stack([by_start, 0.0 * by_start, by_step, -times(onward, self.offset)])
        return Chain(diagonal, -follows[1:, None, None] * onward, natural + which @ pushes)


def _squared(root):
    """The positive definite matrix of a lower factor with logarithms on its diagonal."""
    factor = root.tril(-1) + torch.diag_embed(root.diagonal().exp())
    return factor @ factor.mT


class DynamicsPosterior(Posterior):
    """What a system makes of potentials, beside what the prior says of it."""

    def __init__(self, mean, log_variance, steps, system, start, step):
        self.steps, self._start, self._step, self._like = steps, start, step, mean
        # Differences of large precisions need all digits.
        precision = (-log_variance.double()).exp() * steps.seen[:, None]
        # Encoders say nothing of what is no code.
        hidden = (0, len(system.offset) - mean.shape[1])
        self.precision = torch.nn.functional.pad(precision, hidden)
        self.natural = torch.nn.functional.pad(precision * mean.double(), hidden)
        self.chain = system.chain(self.precision, self.natural, steps)
        self.marginals = self.chain.marginals()

    def draws(self, generator):
        d = self._like.shape[1]
        return self.chain.draw(generator)[:, :d].to(self._like), None, None

    def divergence(self):
        """Of every step given the one before."""
        m, d = self.marginals, self.marginals.means.shape[1]
        covariances, follows = m.covariances, self.steps.follows
        pairs = self._pairs()
        before, _ = inverted(pairs[1][0])
        given = pairs[1][1] - pairs[2].mT @ before @ pairs[2]
        log_dets = inverted(covariances)[1].masked_scatter(follows, inverted(given)[1])
        own = -0.5 * (log_dets + d * (1.0 + LOG_2PI))
        starts = self._of_start()
        first = 0.5 * (self._start.log_dets - distances(starts, self._start) - d * LOG_2PI)
        of_prior = first[:, 0].masked_scatter(follows, self._step.log_densities(*pairs))
        cut = ~(self.steps.starts | follows)
        return (own - of_prior).masked_fill(cut, 0.0).to(self._like)

    def _pairs(self):
        """Means, covariances and cross-covariances of steps that follow and those before."""
        m, after = self.marginals, torch.nonzero(self.steps.follows).squeeze(1)
        means, covariances = m.means, m.covariances
        return (
            (means[after - 1], means[after]),
            (covariances[after - 1], covariances[after]),
            m.crosses[after - 1],
        )

    def _of_start(self):
        """All codes as of a mixture of one component."""
        m = self.marginals
        one = torch.zeros_like(m.means[:, :1])
        return Combined(one, m.means[:, None], m.covariances[:, None], one)

    def statistics(self, weights):
        """Expected sufficient statistics of beginnings and of steps, and what these weigh."""
        weights = weights.double()
        starts, follows = self.steps.starts * weights, self.steps.follows
        m = self.marginals
        count, moment = starts.sum()[None], (starts @ m.means)[None]
        second = m.covariances + m.means[:, :, None] * m.means[:, None]
        scatter = torch.einsum("n,nij->ij", starts, second)[None]
        of_steps = map_statistics(*self._pairs(), weights[follows])
        return (count, count, count, moment, scatter), of_steps

    def cavities(self):
        """What all other rows say of the state of a row: means and covariances."""
        m = self.marginals
        own, _ = inverted(m.covariances)
        found, _ = inverted(own - torch.diag_embed(self.precision))
        return times(found, times(own, m.means) - self.natural), found

    def normal(self):
        """Means and log variances of the codes, two (n, d) tensors."""
        d, marginals = self._like.shape[1], self.marginals
        variance = marginals.covariances.diagonal(dim1=-2, dim2=-1)[:, :d]
        return marginals.means[:, :d].to(self._like), variance.log().to(self._like)


class Beliefs(Density):
    """Normal distributions, one for the codes of every row, less a number in their logarithms."""

    def __init__(self, means, covariances, shift=None):
        self._means, self._covariances = means, covariances
        self._shift = means.new_zeros(len(means)) if shift is None else shift

    def of_rows(self, rows):
        return Beliefs(self._means[rows], self._covariances[rows], self._shift[rows])

    def log_density(self, z):
        factor = torch.linalg.cholesky(self._covariances)
        off = (z - self._means[:, None]).mT
        squares = torch.linalg.solve_triangular(factor, off, upper=False).square().sum(1)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * squares - (log_det + self._shift)[:, None]


class Dynamics(Prior):
    """A linear dynamical system whose parameters have a posterior, and the encoder's own.

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
        Those of :class:`System`, of :class:`Linear`, then of :class:`Conjugate`.
    n_samples : float
        How much all data weigh.
    n_starts : float
        How much all sequences weigh.
    """

    # A precision that is nothing.
    silence = 60.0
    has_steps = True

    def __init__(self, parts, n_samples, n_starts):
        self.parts, self.n_samples, self.n_starts = list(parts), n_samples, n_starts

    @property
    def system(self):
        return System(*self.parts[:5])

    @property
    def linear(self):
        return Linear(*self.parts[5:9])

    @property
    def start(self):
        return Conjugate(*self.parts[9:])

    def infer(self, mean, log_variance, steps=None):
        if steps is None:
            steps = steps_apart(len(mean), mean.device)
        # The trained parts may have fewer digits than what is computed with them.
        system = System(*(part.double() for part in self.parts[:5]))
        like = mean.new_zeros((), dtype=torch.float64)
        said = expected(self.start, like), expected_map(self.linear, like)
        return DynamicsPosterior(mean, log_variance, steps, system, *said)

    def normal(self, mean, log_variance, steps=None):
        return self.infer(mean, log_variance, steps).normal()

    def log_density(self, z):
        """That of the first code of a sequence."""
        d = z.shape[-1]
        return (
            Beliefs(self.start.means[:, :d], self.start.covariances[:, :d, :d])
            .log_density(z.flatten(0, -2)[None])
            .reshape(z.shape[:-1])
        )

    def proposals(self, mean, log_variance, steps=None, given="past"):
        """ "past": from the filter by the expected system. Rows add up to the density of their
        sequence by the chain rule.
        """
        posterior, d = self.infer(mean, log_variance, steps), mean.shape[1]
        m = posterior.marginals
        center, spread = m.means, m.covariances
        if given == "past":
            found = filtered(
                posterior.precision, posterior.natural, posterior.steps, self.transition
            )
            known, center, spread = (found.predicted, found.wide), found.means, found.covariances
        elif given == "others":
            known = posterior.cavities()
        else:
            known = m.means, m.covariances
        shift = posterior.divergence().double() if given == "all" else 0.0 * center[:, 0]
        density = Beliefs(known[0][:, :d], known[1][:, :d, :d], shift)
        return Proposals(center[:, :d], torch.linalg.cholesky(spread[:, :d, :d]), density)

    @property
    def transition(self):
        """What the expected parameters say of the next step."""
        linear, start = self.linear, self.start
        slope, offset = linear.map[:, :-1], linear.map[:, -1]
        return Transition(slope, offset, linear.covariance, start.means[0], start.covariances[0])

    def ahead(self, states, n_steps):
        """Expected states after others (n, n_states), (n, n_steps, n_states)."""
        return ahead(states, self.transition, n_steps)

    def draw(self, n, n_dims, rng):
        """One sequence of n steps."""
        system = self.transition
        factor, start = (torch.linalg.cholesky(c) for c in (system.noise, system.covariance))
        noise = torch.as_tensor(rng.standard_normal((n, len(factor))))
        path = [system.mean + start @ noise[0]]
        for one in noise[1:]:
            path.append(system.slope @ path[-1] + system.offset + factor @ one)
        return torch.stack(path)[:, :n_dims].numpy()

    def trainable(self):
        return self.parts[:5]

    @torch.no_grad()
    def learn(self, posterior, weights):
        of_starts, of_steps = posterior.statistics(weights)
        n_steps = self.n_samples - self.n_starts
        for found, total in ((of_starts, self.n_starts), (of_steps, n_steps)):
            if float(found[0]) <= 0.0:
                continue
            scaled = [part.cpu() * (total / float(found[0])) for part in found]
            if found is of_steps:
                new, parts = moved(self.linear, self._priors[1], scaled, RATE), self.parts[5:9]
            else:
                new, parts = stepped(self.start, self._priors[0], scaled, RATE), self.parts[9:]
            for part, value in zip(parts, new.tensors()):
                part.copy_(value)

    def settled(self, mean, log_variance, weights, steps=None):
        """One step of all data that goes all the way."""
        of_starts, of_steps = self.infer(mean, log_variance, steps).statistics(weights)
        new = [
            *moved(self.linear, self._priors[1], of_steps, 1.0).tensors(),
            *stepped(self.start, self._priors[0], of_starts, 1.0).tensors(),
        ]
        return self._with([*self.parts[:5], *new])

    def is_like(self, n_labels, component):
        return component == ("dynamics", len(self.parts[1]))

    def under(self, n_samples, n_starts):
        """The same where all data and all sequences weigh so much."""
        return type(self)(self.parts, n_samples, n_starts)

    def cost(self):
        total = divergence(self.start, self._priors[0])
        return (total + linear_divergence(self.linear, self._priors[1])).item() / self.n_samples

    def on(self, dtype=torch.float64, device=None):
        system = [torch.tensor(part, dtype=dtype, device=device) for part in self.parts[:5]]
        conjugate = [torch.tensor(part, dtype=torch.float64) for part in self.parts[5:]]
        return self._with([*system, *conjugate])

    def stored(self):
        return self._with([part.detach().cpu().numpy() for part in self.parts])

    @cached_property
    def _priors(self):
        d = len(self.parts[1])
        return conjugate_prior(1, d, 1.0), linear_prior(d)

    def _with(self, parts):
        return type(self)(parts, self.n_samples, self.n_starts)


def states_of(codes, steps, n_states):
    """Codes and, as far as there are more states, their velocities in units of their own."""
    after = torch.cat([steps.follows[1:], steps.follows[:1] & False])
    to_next = (codes.roll(-1, 0) - codes) * after[:, None]
    from_last = (codes - codes.roll(1, 0)) * steps.follows[:, None]
    both = (after.double() + steps.follows.double()).clamp(min=1.0)
    velocity = (to_next + from_last) / both[:, None]
    spread = velocity.square().mean(0).sqrt().clamp(min=1e-6)
    found = torch.cat([codes, velocity / spread], 1)[:, :n_states]
    return torch.nn.functional.pad(found, (0, n_states - found.shape[1]))


def dynamics_of(codes, weights, steps, n_states):
    """A system to start from, by regression of states on those before them.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    weights : Tensor of shape (n,)
    steps : Steps

    Returns
    -------
    Dynamics
        With tensors of float64 for parts.
    """
    states = states_of(codes, steps, n_states)
    after = torch.nonzero(steps.follows).squeeze(1)
    nothing = states.new_zeros(len(after), n_states, n_states)
    pairs = (states[after - 1], states[after]), (nothing, nothing), nothing
    prior = linear_prior(n_states)
    linear = moved(prior, prior, map_statistics(*pairs, weights[after]), 1.0)
    first, weighs = states[steps.starts], weights[steps.starts]
    count, weighted = weighs.sum()[None], weighs[:, None] * first
    moments = count, count, count, weighted.sum(0)[None], (weighted.mT @ first)[None]
    prior = conjugate_prior(1, n_states, 1.0)
    start = stepped(prior, prior, moments, 1.0)
    parts = [*system_of(linear, start), *linear.tensors(), *start.tensors()]
    return Dynamics(parts, float(weights.sum()), float(count))


def system_of(linear, start):
    """Parts of the system that says what the expected parameters do."""
    return (
        linear.map[:, :-1].clone(),
        linear.map[:, -1].clone(),
        root_of(linear.covariance),
        start.means[0].clone(),
        root_of(start.covariances[0]),
    )


def root_of(covariance):
    factor = torch.linalg.cholesky(torch.linalg.inv(covariance))
    return factor.tril(-1) + torch.diag_embed(factor.diagonal().log())
