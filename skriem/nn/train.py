"""Training of a variational autoencoder's encoder and of one or several decoders."""

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch

from .attraction import info_nce
from .flatness import distortion
from .likelihoods.base import Likelihood
from .network import Network
from .priors.base import NormalPrior, Prior
from .windows import Rows

# Gradients are cut to this norm: the exponential in a likelihood of counts can make one so large
# that Adam would take no step worth the name for many passes after.
MAX_GRADIENT = 1e3
# Logarithms of the least and the largest variance that an encoder may say. Codes vary by about one,
# of which these are standard deviations of a thousandth and of seven, and one bad step cannot make
# the exponential overflow.
LOG_VARIANCES = -14.0, 4.0
# Shares of the passes after which components of the prior are moved, so that the last third can
# settle what became of it; and as many rows say where to, some at a time.
MOVES = 0.25, 0.33, 0.42, 0.5, 0.58
N_MOVING, N_AT_A_TIME = 2**14, 2**11


class Model(NamedTuple):
    """What is trained."""

    encoder: Network
    decoders: list  # of Network
    likelihood: Likelihood
    parts: list  # of Tensor: further parameters of the likelihood
    prior: Prior = NormalPrior()

    def trainable(self):
        """All tensors that training changes by gradients."""
        learned = [self.encoder, *self.decoders, self.prior]
        return [part for one in learned for part in one.trainable()] + self.parts

    def all_parts(self):
        """The same, and what modules and the prior change themselves."""
        learned = [self.encoder, *self.decoders, self.prior]
        return [part for one in learned for part in one.parts] + self.parts


class Penalties(NamedTuple):
    """Weights of what is added to the negative evidence lower bound."""

    flatness: float = 0.0  # of the decoder's distortion, in nats per sample
    attraction: float = 0.0  # per output, of the loss that draws codes of neighbours together


class Learning(NamedTuple):
    """How a batch is learned from; see :func:`train`."""

    penalties: Penalties
    n_draws: int
    mixed_precision: bool
    sampler: object  # Rows or Windows
    neighbors: torch.Tensor | None
    n_steps: int


class Patience:
    """Whether a loss has stopped getting better: not by `tol` for `n_iter_no_change` epochs."""

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.waited = math.inf, 0

    def improved(self, loss):
        """Take note of the next loss; whether it is better than all before."""
        better = loss < self.best - self.tol
        self.best, self.waited = (loss, 0) if better else (self.best, self.waited + 1)
        return better

    @property
    def is_over(self):
        """Whether there was no improvement for long enough."""
        return self.waited >= self.n_iter_no_change


class History(NamedTuple):
    """What happened in training, epoch by epoch, and why it ended."""

    loss: list
    validation_loss: list
    converged: bool
    interrupted: bool


def encode(x, encoder):
    """Mean and log variance of the approximate posterior, two (n, d) tensors."""
    mean, log_variance = encoder(x).to(x.dtype).chunk(2, dim=-1)
    return mean, log_variance.clamp(*LOG_VARIANCES)


def rounding(device_type, mixed_precision):
    """The context that networks are asked in.

    Rounded weights are not kept: torch forgets them when the outermost context ends, which one
    around the training, or one that an interrupt has left open, puts off to after the next steps.
    """
    if not mixed_precision:
        return nullcontext()
    return torch.autocast(device_type, torch.bfloat16, cache_enabled=False)


def objective(*arguments, **options):
    """The loss alone; see :func:`loss_and_posterior`."""
    return loss_and_posterior(*arguments, **options)[0]


def loss_and_posterior(
    model,
    which,
    x,
    weights,
    kl_weight,
    penalties,
    generator,
    target,
    near=None,
    log_scale=None,
    n_draws=1,
    mixed_precision=False,
    steps=None,
):
    """Weighted mean of the negative evidence lower bound per sample, up to a constant, plus
    penalties, and the posterior of the codes.

    Parameters
    ----------
    which : int
        The decoder that is asked.
    x, target : Tensor of shape (n, p), (n, m)
        What is encoded, and what the decoder has to say.
    near : Tensor of shape (n, p) or None
        What is encoded of a neighbour of each, where codes attract each other.
    n_draws : int
        Codes drawn for every sample. With several the bound is the importance weighted one
        (Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016), under
        a standard normal prior.
    steps : Steps or None
        What rows are in sequences, for a prior of these.

    Returns
    -------
    loss : Tensor of shape ()
    posterior : Posterior or None
        None for several draws.
    """
    decoder = model.decoders[which]
    # The networks alone: sums over outputs and samples need all digits.
    rough = rounding(x.device.type, mixed_precision)
    with rough:
        mean, log_variance = encode(x, model.encoder)
    weights = weights / weights.sum()
    if n_draws == 1:
        posterior = model.prior.infer(mean, log_variance, steps)
        z, rows, counts = posterior.draws(generator)
    else:
        posterior, shape = None, (n_draws, *mean.shape)
        noise = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        z = mean + torch.exp(0.5 * log_variance) * noise
    flat = z.reshape(-1, z.shape[-1])
    with rough:
        decoded = decoder(flat)
    if n_draws == 1:
        kl = weights @ posterior.divergence()
        if rows is not None:
            target, weights = target[rows], counts * weights[rows]
        loss = model.likelihood.loss(decoded, target, weights, model.parts) + kl_weight * kl
    else:
        decoded = decoded.unflatten(0, z.shape[:2])
        of_data = model.likelihood.of_draws(decoded, target, weights, model.parts)
        of_code = 0.5 * (noise.square() + log_variance - z.square()).sum(-1)
        bound = torch.logsumexp(of_data + kl_weight * of_code, dim=0) - math.log(n_draws)
        loss = -(weights @ bound)
    if penalties.flatness > 0.0:
        loss = loss + penalties.flatness * distortion(
            flat[: len(x)], decoder.evaluated(), generator
        )
    if penalties.attraction > 0.0:
        with rough:
            near, near_log_variance = encode(near, model.encoder)
        noise = torch.randn(near.shape, generator=generator, dtype=x.dtype, device=x.device)
        near = near + torch.exp(0.5 * near_log_variance) * noise
        weight = penalties.attraction * decoded.shape[-1]
        loss = loss + weight * info_nce(z[: len(x)], near, log_scale)
    return loss, posterior


def walk(neighbors, rows, n_steps, generator):
    """Where random walks of `n_steps` among neighbours (n, k) end that start at `rows`."""
    for _ in range(n_steps):
        size, high = (len(rows),), neighbors.shape[1]
        drawn = torch.randint(high, size, generator=generator, device=rows.device)
        rows = neighbors[rows, drawn]
    return rows


def train(
    model,
    x,
    targets,
    weights,
    *,
    batch_size,
    learning_rate,
    weight_decay,
    penalties,
    max_iter,
    warm_up,
    tol,
    n_iter_no_change,
    generator,
    n_draws=1,
    mixed_precision=False,
    neighbors=None,
    n_steps=1,
    windows=None,
    held_out=None,
    on_epoch=None,
):
    """Fit the networks in place by Adam on the warmed-up evidence lower bound.

    Of several decoders one is drawn for every batch, and all share the encoder.

    Parameters
    ----------
    model : Model
    x : Tensor of shape (n, p)
        What the encoder sees, on the device that does the work; batches are cut from it there.
    targets : Tensor of shape (n, m)
        What the decoder has to say.
    weights : Tensor of shape (n,)
    penalties : Penalties
    warm_up : int
        Epochs over which the weight of the Kullback-Leibler term rises from 0 to 1. The loss is
        watched for convergence only afterwards.
    tol, n_iter_no_change : float, int
        Stop when the loss has not improved by `tol` for that many epochs.
    n_draws : int
        Codes drawn for every sample; see :func:`objective`.
    mixed_precision : bool
        Whether matrix products are of bfloat16 numbers; weights stay what they are.
    neighbors : Tensor of shape (n, k) or None
        Rows near each row. If given, what is decoded is compared not with the sample itself but
        with one of these, drawn anew each time: an autoencoder that removes what neighbours do
        not share.
    n_steps : int
        A neighbour is where a random walk of so many steps from row to row ends.
    windows : Windows or None
        Where rows are steps of sequences.
    held_out : tuple or None
        The same as `x`, `targets` and `weights`, and steps if any: data whose loss, if given,
        decides when to stop; the best networks are kept.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each epoch.

    Returns
    -------
    History
    """
    parameters = [part.requires_grad_() for part in model.trainable()]
    log_scale = torch.zeros((), dtype=x.dtype, device=x.device, requires_grad=True)
    optimizer = torch.optim.Adam(
        [*parameters, log_scale], lr=learning_rate, weight_decay=weight_decay, fused=True
    )
    sampler = Rows(len(x)) if windows is None else windows
    learning = Learning(penalties, n_draws, mixed_precision, sampler, neighbors, n_steps)
    moves = {round(share * max_iter) for share in MOVES} - {0}
    losses, validation_losses = [], []
    patience, best_parts, interrupted = Patience(tol, n_iter_no_change), None, False
    try:
        for epoch in range(max_iter):
            kl_weight = min(1.0, (epoch + 1) / (warm_up + 1))
            set_step(optimizer, learning_rate, epoch / max_iter)
            if epoch in moves and model.prior.n_labels > 1:
                move(model, x, weights)
            data = x, targets, weights
            total = one_epoch(
                model, data, batch_size, optimizer, kl_weight, learning, generator, log_scale
            )
            losses.append(total / len(x) + model.prior.cost())
            watched = losses[-1]
            if held_out is not None:
                watched = held_out_loss(
                    model, *held_out[:3], penalties, generator, n_draws, *held_out[3:]
                )
                validation_losses.append(watched)
            if on_epoch is not None:
                on_epoch(losses[-1])
            if epoch < warm_up:
                continue
            if patience.improved(watched) and held_out is not None:
                best_parts = [part.detach().clone() for part in model.all_parts()]
            if patience.is_over:
                break
    except KeyboardInterrupt:
        if not losses:
            raise
        interrupted = True
    for part in parameters:
        part.requires_grad_(False)
    for part, kept in zip(model.all_parts(), best_parts or ()):
        part.copy_(kept)
    return History(losses, validation_losses, patience.is_over, interrupted)


def set_step(optimizer, learning_rate, progress):
    """The step falls over the last third, so that the end does not depend on the last batch."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * min(1.0, 3.0 * (1.0 - progress))


def one_epoch(model, data, batch_size, optimizer, kl_weight, learning, generator, log_scale):
    """Learn from all rows once, batch by batch in random order; the sum of their losses."""
    x, targets, weights = data
    parameters = model.trainable()
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for rows, counted, steps in learning.sampler.batches(batch_size, generator):
        of_target, near, counts = rows, None, weights[rows] * counted
        if learning.neighbors is not None:
            of_target = walk(learning.neighbors, rows, learning.n_steps, generator)
            near = x[of_target]
        optimizer.zero_grad(set_to_none=True)
        loss, posterior = loss_and_posterior(
            model,
            draw_decoder(model, generator),
            x[rows],
            counts,
            kl_weight,
            learning.penalties,
            generator,
            targets[of_target],
            near,
            log_scale,
            learning.n_draws,
            learning.mixed_precision,
            steps,
        )
        loss.backward()
        if not model.likelihood.is_location_scale:
            torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
        optimizer.step()
        if posterior is not None:
            model.prior.learn(posterior, counts)
        total += loss.detach() * counted.sum()
    return total.item()


@torch.no_grad()
def move(model, x, weights):
    """Let the prior find what small steps do not, by some of the rows."""
    encoder = model.encoder.evaluated()
    rows = torch.arange(0, len(x), math.ceil(len(x) / N_MOVING), device=weights.device)
    found = [encode(x[part], encoder) for part in rows.split(N_AT_A_TIME)]
    mean, log_variance = (torch.cat(parts) for parts in zip(*found))
    model.prior.move(mean, log_variance, weights[rows])


def draw_decoder(model, generator):
    """The decoder that the next batch trains."""
    n_decoders = len(model.decoders)
    if n_decoders == 1:
        return 0
    return int(torch.randint(n_decoders, (), generator=generator, device=generator.device))


@torch.no_grad()
def held_out_loss(model, x, targets, weights, penalties, generator, n_draws, steps=None):
    """Loss of samples that do not train, averaged over the decoders."""
    model = model._replace(
        encoder=model.encoder.evaluated(),
        decoders=[decoder.evaluated() for decoder in model.decoders],
    )
    options = {"n_draws": n_draws, "steps": steps}
    losses = [
        objective(model, k, x, weights, 1.0, penalties, generator, targets, **options).item()
        for k in range(len(model.decoders))
    ]
    return sum(losses) / len(losses)
