"""DynamicsPrior: what is assumed of codes that come one after the other."""

from __future__ import annotations

import numbers

import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ...nn.priors.dynamics import dynamics_of
from ...support.rows import check_number


class DynamicsPrior(BaseEstimator):
    """Linear dynamical system as the prior for the codes of a :class:`VAETransformer`.

    Rows are steps of sequences, and the code of each follows from that of the one before, up to
    noise: what comes between and next can be inferred. The system's parameters have conjugate
    priors and a posterior that is learned by natural-gradient steps along with the networks.

    Parameters
    ----------
    n_states : int, default=None
        Dimensions of the system's state. The first are the code; the others, such as velocities,
        are inferred from how codes move, and neither decoded nor returned. None: twice as many as
        the code has.
    hidden_fraction : float, default=0.2
        Share of the steps that encoders do not see in training, in stretches of up to 32: codes
        are then learned to be told by what is before and after.

    See Also
    --------
    VAETransformer : Takes it for `prior`; ``prior="dynamics"`` has the defaults.
    MixturePrior : A prior of codes that come in groups.

    References
    ----------
    W. Lin, N. Hubacher and M. E. Khan, *Variational message passing with structured inference
    networks*, ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skriem import DynamicsPrior, VAETransformer
    >>> angle = 0.3 * np.arange(60)
    >>> X = np.c_[np.cos(angle), np.sin(angle), np.cos(2.0 * angle)]
    >>> prior = DynamicsPrior(n_states=3)
    >>> vae = VAETransformer(prior=prior, noise="constant", max_iter=5, random_state=0)
    >>> vae = vae.fit(X)
    >>> vae.forecast(10).shape
    (1, 10, 3)
    """

    def __init__(self, n_states: int | None = None, *, hidden_fraction: float = 0.2) -> None:
        self.n_states = n_states
        self.hidden_fraction = hidden_fraction

    def _check(self, n_components):
        if self.n_states is not None:
            check_scalar(self.n_states, "n_states", numbers.Integral, min_val=1)
            if self.n_states < n_components:
                raise ValueError(
                    f"n_states must be at least n_components={n_components}, of which codes "
                    f"consist, got {self.n_states}."
                )
        check_number(self.hidden_fraction, "hidden_fraction", 0, 1, include_boundaries="both")
        if self.hidden_fraction >= 1:
            raise ValueError("hidden_fraction must be below 1: encoders have to see something.")

    def _continues(self, prior, n_components):
        return prior.is_like(0, ("dynamics", self._n_states(n_components)))

    def _continued(self, prior, weights, steps, more):
        """The same prior for other data, or for more of them."""
        n_samples, n_starts = float(weights.sum()), float(weights[steps.starts.numpy()].sum())
        if more:
            n_samples, n_starts = n_samples + prior.n_samples, n_starts + prior.n_starts
        return prior.under(n_samples, n_starts)

    def _started(self, codes, weights, steps, rng):
        """What to begin with, given first codes."""
        n_states = self._n_states(codes.shape[1])
        return dynamics_of(codes, torch.as_tensor(weights), steps, n_states)

    def _n_states(self, n_components):
        return 2 * n_components if self.n_states is None else self.n_states
