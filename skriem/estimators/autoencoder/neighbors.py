"""Neighbors: learning from neighbours in place of samples alone."""

from __future__ import annotations

import numbers

from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ...support.rows import check_number


class Neighbors(BaseEstimator):
    """Neighbours from which a :class:`VAETransformer` learns.

    The decoder does not learn to return the sample but one of its nearest neighbours, drawn anew
    in every pass. Codes then forget what neighbours do not share, and decoding denoises. Cannot
    be combined with `early_stopping`.

    Parameters
    ----------
    n_neighbors : int, default=15
        Number of neighbours.
    attraction : float, default=0.0
        If positive, training goes on for another `max_iter` passes, with neighbours among the
        codes, and a loss of this weight, per feature, that draws codes of neighbours together
        and others apart (InfoNCE). With 1 codes fall into groups as those of UMAP do.

    See Also
    --------
    VAETransformer : Takes it for `neighbors`; a number is that of the neighbours.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import Neighbors, VAETransformer
    >>> neighbors = Neighbors(10, attraction=1.0)
    >>> vae = VAETransformer(neighbors=neighbors, max_iter=20, random_state=0)
    >>> vae.fit_transform(load_iris().data).shape
    (150, 2)
    """

    def __init__(self, n_neighbors: int = 15, *, attraction: float = 0.0) -> None:
        self.n_neighbors = n_neighbors
        self.attraction = attraction

    def _check(self):
        check_scalar(self.n_neighbors, "n_neighbors", numbers.Integral, min_val=1)
        check_number(self.attraction, "attraction", min_val=0)


def neighbors_of(neighbors):
    """The settings that a VAETransformer's `neighbors` stands for, or None."""
    if neighbors is None or isinstance(neighbors, Neighbors):
        return neighbors
    if isinstance(neighbors, bool) or not isinstance(neighbors, numbers.Integral):
        raise TypeError(
            f"neighbors must be None, a number of neighbours or Neighbors, got {neighbors!r}."
        )
    return Neighbors(int(neighbors))
