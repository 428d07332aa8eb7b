"""Decoders that were trained elsewhere: what they return, and what their uncertainty is to be."""

import hashlib
import math
import numbers
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import distributions

from ..nn.likelihoods import NOISE_FLOOR, Bernoulli, Categorical, NegativeBinomial, Poisson
from ..nn.precision import bandwidth_rates, fit_rbf_weights, rbf_features, usual_n_centers
from .decoder import DecoderEmbedding
from .fisher_rao import fisher_rao_embedding, wall_contrast
from .frozen import (
    ADVICE,
    FrozenModule,
    UserMap,
    check_rows,
    frozen,
    in_their_dtype,
    kinks_of,
)

# Codes that a metric keeps for its graph.
MAX_POINTS = 1000
# Without data the noise is this share of the standard deviation of what is decoded.
NOISE_SHARE = 0.1
# Codes decoded at once, and codes at which a decoder is tried out.
N_ROWS, N_TRIED = 1024, 16
CATEGORICAL = (distributions.Categorical, distributions.OneHotCategorical)


# What decoders return ----------------------------------------------------------------------


def found_in(returned, who):
    """The tensor or distribution in what was returned; TypeError if that is not clear."""
    if isinstance(returned, (torch.Tensor, distributions.Distribution)):
        return returned
    hint = f"{who} returned {type(returned).__name__}"
    if isinstance(returned, Mapping):
        if "reconstruction" in returned:
            return found_in(returned["reconstruction"], who)
        single = [
            value
            for value in returned.values()
            if isinstance(value, (torch.Tensor, distributions.Distribution))
        ]
        if len(single) == 1:
            return single[0]
        hint += f" with keys {[*returned]}: pass output=lambda out: out[key]"
    elif isinstance(returned, (tuple, list)):
        kinds = ", ".join(type(value).__name__ for value in returned)
        hint += f" of {len(returned)} ({kinds}): pass output=lambda out: out[2], say"
    else:
        hint += ": pass an output= that reads it"
    raise TypeError(f"Which tensor or torch distribution is the output? Here {hint}.")


def base_of(found):
    """What a distribution is of single numbers or categories."""
    while isinstance(found, distributions.Independent):
        found = found.base_dist
    return found


def rows(value):
    """A tensor of any shape (n, ...) as (n, m)."""
    return value.flatten(1) if value.ndim > 1 else value[:, None]


# Each of the following reads a tensor or a distribution.


def mean_of(found):
    """Means, in the shape of the decoder's output."""
    base = base_of(found)
    if isinstance(base, CATEGORICAL):
        return base.probs
    return base.mean if isinstance(base, distributions.Distribution) else base


def mean_and_std(found):
    """Means and then standard deviations, (n, 2 m)."""
    base = base_of(found)
    return torch.cat([rows(base.mean), rows(base.stddev)], dim=1)


def category_logits(found):
    """Logits of categories."""
    return base_of(found).logits


def logits(found):
    """Logits of ones."""
    base = base_of(found)
    if isinstance(base, distributions.Bernoulli):
        return base.logits
    p = mean_of(found)
    eps = torch.finfo(p.dtype).eps
    p = p.clamp(eps, 1.0 - eps)
    # torch.logit has no second derivative forward.
    return p.log() - torch.log1p(-p)


def log_means(found):
    """Logarithms of means."""
    base = base_of(found)
    if isinstance(base, distributions.NegativeBinomial):
        return base.total_count.log() + base.logits
    mean = mean_of(found)
    return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


class AdoptedDecoder(UserMap):
    """A decoder from elsewhere as a map from codes (n, d) to tensors (n, m).

    Immutable, with the two things that an embedding asks of a network: :meth:`on` and
    ``fingerprint``.

    Parameters
    ----------
    decoder : FrozenModule or callable
        Maps codes to anything that `output` and `read` understand.
    output : callable or None
        Picks the tensor or distribution. None: see :func:`found_in`.
    read : callable
        Makes a tensor of it.
    features : FrozenModule, callable or None
        What the tensor is measured by.
    """

    follows_dtype = True

    def __init__(self, decoder, output=None, read=mean_of, features=None):
        self._decoder, self._output = decoder, output
        self._read, self._features = read, features
        said = [
            getattr(part, "fingerprint", None)
            for part in (decoder, output, features)
            if part is not None
        ]
        # What cannot be read is equal to itself and its pickles only.
        self.fingerprint = (
            uuid.uuid4().hex
            if None in said
            else hashlib.sha256(repr([read.__name__, features is None, *said]).encode()).hexdigest()
        )

    def _values(self, z):
        return self.measured(self._read(self.found(z)).to(z.dtype))

    def found(self, z):
        """The tensor or distribution that the decoder returns."""
        returned = self._decoder(in_their_dtype(self._decoder, z))
        if self._output is None:
            return found_in(returned, "the decoder")
        output = self._output
        if isinstance(output, FrozenModule):
            output = output.on(z.dtype, z.device)
        return found_in(output(returned), "output")

    def measured(self, value):
        """A tensor of the shape that the decoder returns as rows (n, m) of features."""
        if self._features is None:
            return rows(value)
        features = self._features(in_their_dtype(self._features, value))
        if not isinstance(features, torch.Tensor):
            raise TypeError(f"features must return a tensor, got {type(features).__name__}.")
        check_shape(features, len(value), "features module")
        return rows(features.to(value.dtype))

    def on(self, dtype=torch.float64, device=None):
        """The same for inputs of a dtype on a device, with copies of modules at hand."""
        for part in (self._decoder, self._output, self._features):
            if isinstance(part, FrozenModule):
                part.on(dtype, device)
        return self

    def reading(self, read, features=None):
        """The same decoder read in another way."""
        return AdoptedDecoder(self._decoder, self._output, read, features)

    def __repr__(self):
        return f"AdoptedDecoder({self._read.__name__})"


# From a decoder to an embedding ------------------------------------------------------------


class Reading(NamedTuple):
    """How a decoder's output is read, and the distribution that has this for its parameter."""

    name: str
    read: Callable
    likelihood: type | None = None


OWN_NOISE = Reading("own noise", mean_and_std)
READINGS = {
    None: Reading("deterministic", mean_of),
    "gaussian": Reading("gaussian", mean_of),
    "bernoulli": Reading("bernoulli", logits, Bernoulli),
    "poisson": Reading("poisson", log_means, Poisson),
}
# How distributions are read if nothing else is said.
OWN_READINGS = {
    distributions.Normal: OWN_NOISE,
    distributions.Bernoulli: READINGS["bernoulli"],
    distributions.Poisson: READINGS["poisson"],
    distributions.NegativeBinomial: Reading("negative binomial", log_means, NegativeBinomial),
    distributions.Categorical: Reading("categorical", category_logits, Categorical),
    distributions.OneHotCategorical: Reading("categorical", category_logits, Categorical),
}


class Adopted(NamedTuple):
    """What a metric is made of, and what to warn of."""

    embed: Callable
    points: np.ndarray
    warning: str | None


def adopt(
    decoder,
    codes,
    data,
    likelihood,
    output,
    features,
    noise,
    n_centers,
    bandwidth,
    contrast,
    random_state,
):
    """The embedding of a trained decoder; see :meth:`.PullbackMetric.from_decoder`."""
    check_options(decoder, likelihood, output, features, n_centers, bandwidth, contrast)
    z, rng = checked_codes(codes), generator(random_state)
    plain = AdoptedDecoder(frozen(decoder), frozen(output))
    tried = z[np.linspace(0, len(z) - 1, min(len(z), N_TRIED)).astype(int)]
    found = try_out(plain, tried)
    reading = reading_of(found, likelihood, features)
    check_noise(noise, data, reading)
    check_features(features, reading)
    network = plain.reading(reading.read, frozen(features))
    values = decoded(network, z)
    check_values(values, plain, z, reading)
    data = None if data is None else checked_data(data, len(z), mean_of(found).shape[1:])
    if reading.likelihood is not None:
        walls = None
        if contrast > 1:
            # The precision of errors that are one wherever there are data.
            ones, contrast = z.new_ones(len(z), 1), wall_contrast(contrast)
            walls = walls_around(z, ones, n_centers, bandwidth, contrast, rng)
        likelihood, parts = further_parameters(base_of(found), reading)
        embed = fisher_rao_embedding(network, likelihood, parts, walls)
    elif reading.name == "gaussian":
        targets = None if data is None else targets_of(data, network)
        squares, std = squared_errors(values, targets, noise)
        walls = None
        if contrast > 1:
            walls = walls_around(z, squares, n_centers, bandwidth, contrast, rng)
            if data is None:
                # One noise for all outputs.
                for name in ("weights", "floor"):
                    walls[name] = np.repeat(walls[name], values.shape[1], axis=0)
        embed = DecoderEmbedding(network, np.zeros(values.shape[1]), 1.0, std, walls)
    else:
        embed = network
    points = z[np.sort(rng.permutation(len(z))[:MAX_POINTS])]
    what = "decoder" if features is None else "decoder with its features"
    smooth = network if reading.likelihood is None else plain
    return Adopted(embed, points.numpy(), kinks_of(smooth.on(), z, f"The {what}"))


def reading_of(found, likelihood, features):
    """How to read a decoder that returns `found`, a tensor or distribution; :class:`Reading`."""
    base = base_of(found)
    if likelihood != "auto":
        return READINGS[likelihood]
    if features is not None or isinstance(base, torch.Tensor):
        return READINGS["gaussian"]
    for kind, reading in OWN_READINGS.items():
        if isinstance(base, kind):
            return reading
    known = ", ".join(kind.__name__ for kind in OWN_READINGS)
    raise TypeError(
        f"The decoder returns a {type(base).__name__}. Distributions with a geometry of their own "
        f"are {known} and Independent of these. For others say likelihood='gaussian', "
        "'bernoulli', 'poisson' or None, and the mean is used."
    )


def further_parameters(base, reading):
    """The likelihood, and what of it does not depend on the code: Likelihood, list of ndarray.

    Parameters
    ----------
    base : Distribution or Tensor
        What the decoder returns at some codes.
    reading : Reading
    """
    likelihood = reading.likelihood()
    if reading.name == "categorical":
        n_categories = base.logits.shape[-1]
        likelihood.n_categories = [n_categories] * (base.logits[0].numel() // n_categories)
    if reading.name != "negative binomial":
        return likelihood, []
    size = rows(base.total_count.expand(base.logits.shape)).detach()
    if ((size - size[0]).abs() > 1e-6 * size[0]).any():
        raise ValueError(
            "The total_count of the decoder's NegativeBinomial depends on the code; its geometry "
            "is that of the mean for a constant one. Say likelihood='poisson' to use the mean "
            "alone."
        )
    return likelihood, [size[0].double().log().numpy()]


@torch.no_grad()
def decoded(network, z):
    """What a network makes of all codes, (n, m)."""
    return torch.cat([network(part) for part in z.split(N_ROWS)])


@torch.no_grad()
def targets_of(data, network):
    """Data (n, ...) as rows (n, m), in features if there are any."""
    return torch.cat([network.measured(part) for part in data.split(N_ROWS)])


def squared_errors(values, targets, noise):
    """Squared errors that a precision is fitted to, and one standard deviation for all.

    Parameters
    ----------
    values : Tensor of shape (n, m)
        What is decoded.
    targets : Tensor of shape (n, m) or None
        What it should have been.
    noise : float or None

    Returns
    -------
    squares : Tensor of shape (n, m), or (n, 1) without targets
    std : float
    """
    variance = (values if targets is None else targets).var(0, correction=0)
    varying = variance[variance > 0]
    scale = float(varying.mean().sqrt()) if len(varying) else 0.0
    if noise is None and not scale > 0:
        raise ValueError(
            "All codes are decoded to the same, which leaves no scale for the noise: pass noise, "
            "or likelihood=None for a metric without."
        )
    if targets is not None:
        squares = (targets - values).square() + (NOISE_FLOOR * scale) ** 2
        return squares, float(squares.mean().sqrt())
    std = NOISE_SHARE * scale if noise is None else float(noise)
    return torch.full_like(values[:, :1], std**2), std


def walls_around(z, squares, n_centers, bandwidth, contrast, rng):
    """Precision network around codes for squared errors (n, m), dict of ndarray."""
    centers, rates = place_bumps(z, n_centers, bandwidth, rng)
    features = rbf_features(z, centers, rates)
    weights, floor = fit_rbf_weights(features, squares, z.new_ones(len(z)), contrast)
    found = {"centers": centers, "rates": rates, "weights": weights, "floor": floor}
    return {name: value.numpy() for name, value in found.items()}


def place_bumps(z, n_centers, bandwidth, rng):
    """Centres by k-means on codes (n, d), and their rates: Tensors (K, d) and (K,)."""
    if n_centers == "auto":
        n_centers = usual_n_centers(len(z))
    codes = z.numpy()
    n_centers = min(n_centers, len(np.unique(codes, axis=0)))
    with warnings.catch_warnings():
        # A centre may lose its codes on the way, and is left out then.
        warnings.simplefilter("ignore", UserWarning)
        centers, labels = kmeans2(codes, n_centers, iter=30, minit="++", seed=rng)
    used, labels = np.unique(labels, return_inverse=True)
    centers, labels = torch.as_tensor(centers[used]), torch.as_tensor(labels)
    return centers, bandwidth_rates(z, z.new_ones(len(z)), labels, centers, bandwidth)


# Checks ------------------------------------------------------------------------------------


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


def check_shape(value, n, name):
    """Raise ValueError for a tensor that is not one row of numbers per code."""
    if value.ndim == 0 or len(value) != n or not value.numel():
        raise ValueError(
            f"The {name} must return one row for each code, shape ({n}, ...) for {n} codes, got "
            f"{tuple(value.shape)}."
        )
    if not value.is_floating_point():
        raise ValueError(f"The {name} must return floating point numbers, got {value.dtype}.")


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


def generator(random_state):
    """A generator of our own from anything that scikit-learn takes for a seed."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
