"""Checks of decoders that were trained elsewhere, and of what goes with them."""

import math
import numbers

import numpy as np
import torch

from ..geometry.maps.frozen import ADVICE, check_rows
from .outputs import READINGS, check_shape, decoded, mean_of


def check_options(decoder, likelihood, output, features, n_centers, bandwidth, contrast):
    """Raise for options that cannot work, whatever the decoder returns."""
    for name, function in (("decoder", decoder), ("output", output), ("features", features)):
        if not callable(function) and (name == "decoder" or function is not None):
            raise TypeError(f"{name} must be a module or function, got {function!r}.")
    if likelihood != "auto" and likelihood not in READINGS:
        allowed = ", ".join(map(repr, ["auto", *READINGS]))
        raise ValueError(f"likelihood must be one of {allowed}, got {likelihood!r}.")
    if n_centers != "auto" and not (isinstance(n_centers, numbers.Integral) and n_centers >= 1):
        raise ValueError(f"n_centers must be 'auto' or at least 1, got {n_centers!r}.")
    if not (isinstance(bandwidth, numbers.Real) and 0 < bandwidth < math.inf):
        raise ValueError(f"bandwidth must be positive, got {bandwidth!r}.")
    if not (isinstance(contrast, numbers.Real) and 1 <= contrast < math.inf):
        raise ValueError(f"contrast must be at least 1, got {contrast!r}.")


def check_noise(noise, data, reading):
    """Raise ValueError for noise that is none, or has no use."""
    if noise is None:
        return
    if not (isinstance(noise, numbers.Real) and 0 < noise < math.inf):
        raise ValueError(f"noise must be positive, got {noise!r}.")
    if data is not None or reading.name != "gaussian":
        raise ValueError(
            "noise is for likelihood='gaussian' without data; "
            + ("data say what it is." if data is not None else f"here it is {reading.name}.")
        )


def check_features(features, reading):
    """Raise ValueError for features of something that is not measured by means."""
    if features is not None and reading.likelihood is not None:
        raise ValueError(
            "features are of means: they go with likelihood='gaussian' or None, not with "
            f"{reading.name!r}."
        )


def checked_codes(codes):
    """A float64 copy of codes (n, d) on the processor."""
    z = as_float64(codes)
    if z.ndim != 2 or not z.numel():
        raise ValueError(f"codes must have shape (n, d), one row each, got {tuple(z.shape)}.")
    if not z.isfinite().all():
        raise ValueError("codes must be finite; some are NaN or infinite.")
    return z


def checked_data(data, n, shape):
    """Data as float64 in the shape of the decoder's output, (n, *shape)."""
    x = as_float64(data)
    if len(x) != n or x[0].numel() != math.prod(shape):
        raise ValueError(
            f"data must be what the codes are of, shape {(n, *shape)} or flattened like the "
            f"decoder's output, got {tuple(x.shape)}."
        )
    if not x.isfinite().all():
        raise ValueError("data must be finite; some are NaN or infinite.")
    return x.reshape(n, *shape)


def as_float64(values):
    if isinstance(values, torch.Tensor):
        return values.detach().to("cpu", torch.float64, copy=True)
    return torch.as_tensor(np.array(values, dtype=np.float64, order="C", subok=False))


def try_out(decoder, z):
    """What an :class:`AdoptedDecoder` finds at a few codes, after checks of its rows."""
    with torch.no_grad():
        try:
            found = decoder.found(z)
        except RuntimeError as error:
            raise ValueError(
                f"The decoder failed on codes of shape {tuple(z.shape)} in float64: {error}. They "
                f"must have as many columns as it takes. {ADVICE}"
            ) from error
        value = mean_of(found)
        check_shape(value, len(z), "decoder")
        if len(z) > 2:
            again = mean_of(decoder.found(z[:2]))
            check_shape(again, 2, "decoder")
            check_rows(value, again, "The decoder")
    return found


def check_values(values, decoder, z, reading):
    """Raise ValueError for outputs at codes that are not finite or no means of the likelihood."""
    means = decoded(decoder, z) if reading.likelihood is not None else values
    bad = int((~means.isfinite()).any(1).sum() + (~values.isfinite()).any(1).sum())
    if bad:
        raise ValueError("The decoder's output must be finite at the codes; it is NaN or infinite.")
    low, high = float(means.min()), float(means.max())
    if reading.name == "bernoulli" and not (low >= 0 and high <= 1):
        raise ValueError(
            "likelihood='bernoulli' takes outputs for probabilities, but they range from "
            f"{low:.4g} to {high:.4g}. If they are logits pass output=torch.sigmoid."
        )
    if reading.name == "poisson" and low < 0:
        raise ValueError(
            f"likelihood='poisson' takes outputs for means, but there are some of {low:.4g}. If "
            "they are logarithms of means pass output=torch.exp."
        )
