"""Trained encoders and decoders as plain torch modules, units of the data included."""

import torch

from .train import encode


class EncoderModule(torch.nn.Module):
    """Rows of data to codes.

    Parameters
    ----------
    network : Network
        The encoder, with arrays for weights.
    likelihood : Likelihood
    prior : Prior
    center, scale : ndarray or float
        Centre and unit of what the encoder sees.
    sees_missing : bool
        Whether it sees which entries are missing.
    dtype : torch.dtype
    """

    def __init__(self, network, likelihood, prior, center, scale, sees_missing, dtype):
        super().__init__()
        self.network = network.as_module(dtype)
        self._likelihood, self._prior, self._sees_missing = likelihood, prior, sees_missing
        self.register_buffer("center", torch.as_tensor(center, dtype=dtype))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=dtype))

    def forward(self, X):
        """Means of the codes (n, d) of rows (n, p)."""
        x = (self._likelihood.seen_of(X) - self.center) / self.scale
        if not self._sees_missing:
            mean, log_variance = encode(x, self.network)
        else:
            missing = x.isnan()
            x = torch.cat([x.masked_fill(missing, 0.0), missing.to(x.dtype)], dim=1)
            mean, log_variance = encode(x, self.network)
            empty = missing.all(1, keepdim=True)
            mean = mean.masked_fill(empty, 0.0)
            log_variance = log_variance.masked_fill(empty, self._prior.silence)
        if self._prior.keeps_means:
            return mean
        return self._prior.on(X.dtype, X.device).normal(mean, log_variance)[0]


class DecoderModule(torch.nn.Module):
    """Codes to means of the data, or to the most probable categories.

    Parameters
    ----------
    networks : list of Network
        Decoders, with arrays for weights; their means are averaged.
    likelihood : Likelihood
    parts : list of ndarray
        Further parameters of the likelihood.
    center, scale : ndarray or float
        Centre and unit of the data, for likelihoods whose networks say means in this unit.
    dtype : torch.dtype
    """

    def __init__(self, networks, likelihood, parts, center, scale, dtype):
        super().__init__()
        self.networks = torch.nn.ModuleList([each.as_module(dtype) for each in networks])
        self._likelihood = likelihood
        self.likelihood_parts = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.as_tensor(part, dtype=dtype)) for part in parts]
        )
        self.register_buffer("center", torch.as_tensor(center, dtype=dtype))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=dtype))

    def forward(self, Z):
        """Rows of data (n, p) at codes (n, d)."""
        means = [self._mean(network(Z)) for network in self.networks]
        mean = means[0] if len(means) == 1 else torch.stack(means).mean(0)
        return self._likelihood.decoded_of(mean)

    def _mean(self, natural):
        if self._likelihood.is_location_scale:
            return natural * self.scale + self.center
        return self._likelihood.mean(natural, list(self.likelihood_parts))
