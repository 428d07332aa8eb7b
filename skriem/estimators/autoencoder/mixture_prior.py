"""MixturePrior: what is assumed of codes that come in groups."""

from __future__ import annotations

import numbers
from typing import Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.utils import check_scalar

from ...nn.priors.mixture import TAILS, mixture_of
from ...support.rows import check_number
from .dynamics_prior import DynamicsPrior

# Concentration of all components together: few of them are expected to be used.
TOTAL = 0.05


class MixturePrior(BaseEstimator):
    """Mixture prior for the codes of a :class:`VAETransformer`.

    Codes come in groups, normally distributed each, and the autoencoder learns where these are:
    shares, means and covariances have a Dirichlet and normal-Wishart prior, as in
    :class:`sklearn.mixture.BayesianGaussianMixture`, and a posterior that is learned by
    natural-gradient steps along with the networks. Components that are not needed get shares
    near zero. A few times in training, not in the last third, two components are made one, or one
    is split into itself and one that is not needed, where the evidence lower bound of the mixture,
    given the codes, becomes better by it.

    Parameters
    ----------
    n_components : int, default=10
        Number of components, at most.
    concentration : float, default=None
        Of the Dirichlet prior of the shares, per component. The smaller it is the fewer
        components are used. None: 0.05 / `n_components`.
    component : {"normal", "student_t"}, default="normal"
        Distribution of the codes of a component. "student_t": with five degrees of freedom, so
        that outliers among the codes do not widen a component.

    See Also
    --------
    VAETransformer : Takes it for `prior`; ``prior="mixture"`` has the defaults.

    References
    ----------
    W. Lin, N. Hubacher and M. E. Khan, *Variational message passing with structured inference
    networks*, ICLR 2018.

    M. Hughes and E. Sudderth, *Memoized online variational inference for Dirichlet process mixture
    models*, NeurIPS 2013: splits and merges.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import MixturePrior, VAETransformer
    >>> X = load_iris().data
    >>> prior = MixturePrior(n_components=5)
    >>> vae = VAETransformer(prior=prior, noise="constant", max_iter=20, random_state=0)
    >>> vae = vae.fit(X)
    >>> vae.predict_proba(X).shape
    (150, 5)
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        concentration: float | None = None,
        component: Literal["normal", "student_t"] = "normal",
    ) -> None:
        self.n_components = n_components
        self.concentration = concentration
        self.component = component

    def _check(self, n_components):
        check_scalar(self.n_components, "n_components", numbers.Integral, min_val=1)
        if self.concentration is not None:
            check_number(self.concentration, "concentration", 0, include_boundaries="neither")
        if self.component not in TAILS:
            raise ValueError(f"component must be one of {sorted(TAILS)}, got {self.component!r}.")

    def _continues(self, prior, n_components):
        return prior.is_like(self.n_components, self.component)

    def _continued(self, prior, weights, steps, more):
        """The same prior for other data, or for more of them."""
        n_before = prior.n_samples if more else 0.0
        return prior.under(n_before + float(weights.sum()), self._share_concentration)

    def _started(self, codes, weights, steps, rng):
        """What to begin with, given first codes: k-means on them."""
        n_distinct = len(np.unique(codes.numpy(), axis=0))
        kmeans = KMeans(
            min(self.n_components, n_distinct), n_init=1, random_state=rng.randint(2**31 - 1)
        )
        labels = kmeans.fit(codes.numpy(), sample_weight=weights).labels_
        return mixture_of(
            codes,
            torch.as_tensor(weights),
            torch.as_tensor(labels, dtype=torch.long),
            self.n_components,
            self._share_concentration,
            self.component,
        )

    @property
    def _share_concentration(self):
        return TOTAL / self.n_components if self.concentration is None else self.concentration


# What names of priors stand for: parameters, or none.
PRIORS = {
    "dynamics": DynamicsPrior,
    "normal": lambda: None,
    "mixture": MixturePrior,
    "student_t": lambda: MixturePrior(component="student_t"),
}
