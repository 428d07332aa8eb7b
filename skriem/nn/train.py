"""Training of the Gaussian variational autoencoder's encoder and mean decoder."""

import math
from typing import NamedTuple

import torch

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
):
    """Weighted mean of the negative evidence lower bound per sample, up to a constant, plus
    `flatness` times the decoder's distortion.

    The noise level is constant over the data and set to its maximum likelihood value, which
    turns the reconstruction term into the logarithm of the mean squared error (Rybkin,
    Daniilidis and Levine, *Simple and effective VAE training with calibrated decoders*, ICML
    2021).
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
    errors = (x - decoded).square().sum(-1)
    mse = weights @ errors / n_outputs + NOISE_FLOOR**2
    kl = 0.5 * weights @ (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1)
    loss = 0.5 * n_outputs * mse.log() + kl_weight * kl
    if flatness > 0.0:
        loss = loss + flatness * distortion(z, decoder, activation, generator)
    return loss


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
    held_out : pair of Tensor or None
        Data and weights whose loss, if given, decides when to stop; the best networks are kept.
    on_epoch : callable or None
        Called as ``on_epoch(loss)`` after each epoch.

    Returns
    -------
    History
    """
    parameters = [part.requires_grad_() for pair in (*encoder, *decoder) for part in pair]
    optimizer = torch.optim.Adam(
        parameters, lr=learning_rate, weight_decay=weight_decay, fused=True
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
