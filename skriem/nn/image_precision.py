"""Precisions of the pixels of images: bumps whose weights are smooth pictures.

A bump's weight for every pixel comes out of transposed convolutions whose filters are positive
(*Latent Space Oddity*, appendix D). These are linear, so that what comes out are weights of an
ordinary precision network, see :mod:`.precision`, and the geometry is the same.
"""

import torch
from torch.nn.functional import linear

from .layers import glorot, growing
from .precision import LEAST_SEEN, PRIOR_SAMPLES

N_CHANNELS, N_HALVINGS = 8, 2
N_STEPS, LEARNING_RATE = 300, 0.05
# Weights and filters are not clipped to nothing, from where they could not come back.
LEAST_WEIGHT = 1e-4


def fit_image_weights(features, noise, sample_weight, contrast, image_shape, generator):
    """Weights of the precision network, by projected gradient descent on its likelihood.

    Parameters
    ----------
    features : Tensor of shape (n, K)
        Bumps at the codes.
    noise : Tensor of shape (n, m)
        Squared residuals r^2 > 0 of the pixels.
    sample_weight : Tensor of shape (n,)
    contrast : float
        See :func:`.precision.fit_rbf_weights`, whose loss, prior included, this is too.
    image_shape : tuple of int
        Channels, height and width.
    generator : torch.Generator

    Returns
    -------
    weights : Tensor of shape (m, K)
    floor : Tensor of shape (m,)
    """
    total = sample_weight.sum()
    typical = total / (sample_weight @ noise)
    floor = typical / contrast**2
    seen = (sample_weight @ features / total).sum().clamp(min=LEAST_SEEN)
    prior = (typical / seen)[:, None]
    layers = _layers(image_shape)
    filters = [glorot(layer, generator, noise.dtype)[0].abs() for layer in layers]
    maps = torch.ones(features.shape[1], layers[0].n_inputs, dtype=noise.dtype)
    # The pictures are shares of the prior, and all one at the start but for the filters.
    scale = _grow(layers, filters, maps).mean()
    filters[-1] = filters[-1] / scale
    parts = [part.requires_grad_() for part in (maps, *filters)]
    optimizer = torch.optim.Adam(parts, lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_STEPS)
    share = sample_weight / total
    for _ in range(N_STEPS):
        optimizer.zero_grad(set_to_none=True)
        shares = _grow(layers, parts[1:], parts[0]).T
        precision = linear(features, prior * shares, floor)
        loss = (share @ (precision * noise - precision.log())).mean()
        pull = (shares - shares.log()).mean(1).mean()
        (loss + PRIOR_SAMPLES * features.shape[1] / total * pull).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for part in parts:
                part.clamp_(min=LEAST_WEIGHT)
    with torch.no_grad():
        return (prior * _grow(layers, parts[1:], parts[0]).T).contiguous(), floor


def _layers(image_shape):
    """Transposed convolutions into images from an image of a quarter of the sides."""
    shapes = [tuple(image_shape)]
    for _ in range(N_HALVINGS):
        shapes.append((N_CHANNELS, *((side + 1) // 2 for side in shapes[-1][1:])))
    return growing(shapes)


def _grow(layers, filters, maps):
    """Pictures of the bumps, (K, m)."""
    for layer, weight in zip(layers, filters):
        maps = layer(maps, weight)
    return maps
