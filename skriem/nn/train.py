"""Training of the Gaussian variational autoencoder's encoder and mean decoder."""

import math
from typing import NamedTuple

import torch

from .attraction import info_nce
from .flatness import distortion
from .mlp import mlp

# The decoder is never trained to be surer than this (standard deviation, on data of unit
# variance): with as many codes as features the likelihood has no maximum otherwise.
NOISE_FLOOR = 0.05


class History(NamedTuple):
    """What happened in training, epoch by epoch, and why it ended."""

    loss: list
    validation_loss: list
    converged: bool
    interrupted: bool


def encode(x, encoder, activation):
    """Mean and log variance of the approximate posterior, two (n, d) tensors."""
    mean, log_variance = mlp(x, encoder, activation).to(x.dtype).chunk(2, dim=-1)
    # Bounded both ways so that one bad step cannot overflow the exponential.
    return mean, log_variance.clamp(-14.0, 4.0)


def objective(
    x,
    weights,
    encoder,
    decoder,
    activation,
    n_outputs,
    kl_weight,
    flatness,
    generator,
    mixed_precision=False,
    target=None,
    attraction=0.0,
    log_scale=None,
):
    """Weighted mean of the negative evidence lower bound per sample, up to a constant, plus
    `flatness` times the decoder's distortion and, per output, `attraction` times the loss that
    draws the codes of `x` and `target` together.

    What is decoded is compared with `target`, by default `x`. The noise level is constant over
    the data and set to its maximum likelihood value, which turns the reconstruction term into
    the logarithm of the mean squared error (Rybkin, Daniilidis and Levine, *Simple and
    effective VAE training with calibrated decoders*, ICML 2021).
    """
    # The networks alone: sums over outputs and samples need all digits.
    rough = torch.autocast(x.device.type, torch.bfloat16, enabled=mixed_precision)
    with rough:
        mean, log_variance = encode(x, encoder, activation)
    noise = torch.randn(mean.shape, generator=generator, dtype=x.dtype, device=x.device)
    z = mean + torch.exp(0.5 * log_variance) * noise
    weights = weights / weights.sum()
    with rough:
        decoded = mlp(z, decoder, activation)
    errors = ((x if target is None else target) - decoded).square().sum(-1)
    mse = weights @ errors / n_outputs + NOISE_FLOOR**2
    kl = 0.5 * weights @ (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1)
    loss = 0.5 * n_outputs * mse.log() + kl_weight * kl
    if flatness > 0.0:
        loss = loss + flatness * distortion(z, decoder, activation, generator)
    if attraction > 0.0:
        with rough:
            near, near_log_variance = encode(target, encoder, activation)
        noise = torch.randn(near.shape, generator=generator, dtype=x.dtype, device=x.device)
        near = near + torch.exp(0.5 * near_log_variance) * noise
        loss = loss + attraction * n_outputs * info_nce(z, near, log_scale)
    return loss


def walk(neighbors, rows, n_steps, generator):
    """Where random walks of `n_steps` among neighbours (n, k) end that start at `rows`."""
    for _ in range(n_steps):
        size, high = (len(rows),), neighbors.shape[1]
        drawn = torch.randint(high, size, generator=generator, device=rows.device)
        rows = neighbors[rows, drawn]
    return rows


def train(
    x,
    weights,
    encoder,
    decoder,
    activation,
    *,
    n_outputs,
    batch_size,
    learning_rate,
    weight_decay,
    flatness,
    max_iter,
    warm_up,
    tol,
    n_iter_no_change,
    generator,
    mixed_precision=False,
    neighbors=None,
    n_steps=1,
    attraction=0.0,
    held_out=None,
    on_epoch=None,
):
    """Fit encoder and decoder in place by Adam on the warmed-up evidence lower bound.

    Parameters
    ----------
    x : Tensor of shape (n, m)
        Scaled data, on the device that does the work; batches are cut from it there.
    weights : Tensor of shape (n,)
    flatness : float
        Weight of the decoder's distortion, in nats per sample; see :mod:`.flatness`.
    n_outputs : int
        Number of features that vary; the others carry no information on the noise level.
    warm_up : int
        Epochs over which the weight of the Kullback-Leibler term rises from 0 to 1. The loss is
        watched for convergence only afterwards.
    tol, n_iter_no_change : float, int
        Stop when the loss has not improved by `tol` for that many epochs.
    mixed_precision : bool
        Whether matrix products are of bfloat16 numbers; weights stay what they are.
    neighbors : Tensor of shape (n, k) or None
        Rows near each row. If given, what is decoded is compared not with the sample itself but
        with one of these, drawn anew each time: an autoencoder that removes what neighbours do
        not share.
    n_steps : int
        A neighbour is where a random walk of so many steps from row to row ends.
    attraction : float
        Weight, per output, of a loss that draws codes of neighbours together and others apart;
        see :mod:`.attraction`.
    held_out : pair of Tensor or None
        Data and weights whose loss, if given, decides when to stop; the best networks are kept.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each epoch.

    Returns
    -------
    History
    """
    parameters = [part.requires_grad_() for pair in (*encoder, *decoder) for part in pair]
    log_scale = torch.zeros((), dtype=x.dtype, device=x.device, requires_grad=True)
    optimizer = torch.optim.Adam(
        [*parameters, log_scale], lr=learning_rate, weight_decay=weight_decay, fused=True
    )
    n_batches = math.ceil(len(x) / batch_size)
    losses, validation_losses = [], []
    best, best_parameters, waited, converged = math.inf, None, 0, False
    interrupted = False
    try:
        for epoch in range(max_iter):
            kl_weight = min(1.0, (epoch + 1) / (warm_up + 1))
            # The last third is spent with a falling step so that the end does not depend on
            # which batch came last.
            progress = epoch / max_iter
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, 3.0 * (1.0 - progress))
            order = torch.randperm(len(x), generator=generator, device=x.device)
            total = torch.zeros((), dtype=x.dtype, device=x.device)
            for rows in order.tensor_split(n_batches):
                target = None
                if neighbors is not None:
                    target = x[walk(neighbors, rows, n_steps, generator)]
                optimizer.zero_grad(set_to_none=True)
                loss = objective(
                    x[rows],
                    weights[rows],
                    encoder,
                    decoder,
                    activation,
                    n_outputs,
                    kl_weight,
                    flatness,
                    generator,
                    mixed_precision,
                    target,
                    attraction,
                    log_scale,
                )
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            losses.append(total.item() / len(x))
            watched = losses[-1]
            if held_out is not None:
                with torch.no_grad():
                    watched = objective(
                        *held_out, encoder, decoder, activation, n_outputs, 1.0, flatness, generator
                    ).item()
                validation_losses.append(watched)
            if on_epoch is not None:
                on_epoch(losses[-1])
            if epoch < warm_up:
                continue
            if watched < best - tol:
                best, waited = watched, 0
                if held_out is not None:
                    best_parameters = [part.detach().clone() for part in parameters]
            else:
                waited += 1
            if waited >= n_iter_no_change:
                converged = True
                break
    except KeyboardInterrupt:
        if not losses:
            raise
        interrupted = True
    for i, part in enumerate(parameters):
        part.requires_grad_(False)
        if best_parameters is not None:
            part.copy_(best_parameters[i])
    return History(losses, validation_losses, converged, interrupted)
