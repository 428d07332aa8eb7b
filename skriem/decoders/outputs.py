"""What decoders that were trained elsewhere return, and how it is read."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import distributions

from ..calculus.slopes import no_gradients
from ..geometry.maps.frozen import FrozenModule, in_their_dtype
from ..geometry.maps.users import UserMap
from ..nn.likelihoods import Bernoulli, Categorical, NegativeBinomial, Poisson

# Codes decoded at once.
N_ROWS = 1024
CATEGORICAL = (distributions.Categorical, distributions.OneHotCategorical)


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

    Immutable.

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

    def by_feature(self, parts):
        if self._read is mean_and_std:
            return parts.unflatten(-1, (2, -1)).sum(-2)
        return parts

    def reading(self, read, features=None):
        """The same decoder read in another way."""
        return AdoptedDecoder(self._decoder, self._output, read, features)

    def __repr__(self):
        return f"AdoptedDecoder({self._read.__name__})"


@no_gradients()
def decoded(network, z):
    """What a network makes of all codes, (n, m)."""
    return torch.cat([network(part) for part in z.split(N_ROWS)])


@no_gradients()
def targets_of(data, network):
    """Data (n, ...) as rows (n, m), in features if there are any."""
    return torch.cat([network.measured(part) for part in data.split(N_ROWS)])


def check_shape(value, n, name):
    """Raise ValueError for a tensor that is not one row of numbers per code."""
    if value.ndim == 0 or len(value) != n or not value.numel():
        raise ValueError(
            f"The {name} must return one row for each code, shape ({n}, ...) for {n} codes, got "
            f"{tuple(value.shape)}."
        )
    if not value.is_floating_point():
        raise ValueError(f"The {name} must return floating point numbers, got {value.dtype}.")


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
