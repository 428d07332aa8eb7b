"""MixturePrior: what is assumed of codes that come in groups."""

from __future__ import annotations

import numbers
from typing import Literal

from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ...nn.priors.mixture import TAILS
from ...support.rows import check_number

# Concentration of all components together: few of them are expected to be used.
TOTAL = 0.05


class MixturePrior(BaseEstimator):
    """Mixture prior for the codes of a :class:`VAETransformer`.

    Codes come in groups, normally distributed each, and the autoencoder learns where these are:
    shares, means and covariances have a Dirichlet and normal-Wishart prior, as in
    :class:`sklearn.mixture.BayesianGaussianMixture`, and a posterior that is learned by
    natural-gradient steps along with the networks. Components that are not needed get shares
    near zero.

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

    def _check(self):
        check_scalar(self.n_components, "n_components", numbers.Integral, min_val=1)
        if self.concentration is not None:
            check_number(self.concentration, "concentration", 0, include_boundaries="neither")
        if self.component not in TAILS:
            raise ValueError(f"component must be one of {sorted(TAILS)}, got {self.component!r}.")

    @property
    def _share_concentration(self):
        return TOTAL / self.n_components if self.concentration is None else self.concentration


# What names of priors stand for: parameters of a mixture, or none.
PRIORS = {
    "normal": lambda: None,
    "mixture": MixturePrior,
    "student_t": lambda: MixturePrior(component="student_t"),
}
