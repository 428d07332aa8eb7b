"""Soft clusters from distances."""

import numpy as np


def memberships(distances, unit=0.0):
    """Memberships of fuzzy c-means with its usual exponent: shares of inverse squared distances.

    Bezdek, *Pattern recognition with fuzzy objective function algorithms*, 1981.

    Parameters
    ----------
    distances : ndarray of shape (n, k)
        To every cluster; infinite for one that is empty.
    unit : float
        Distances count from so far before a cluster on.

    Returns
    -------
    ndarray of shape (n, k)
        Rows sum to one. Clusters at distance zero share what there is.
    """
    distances = distances + unit
    nearest = distances.min(1, keepdims=True)
    # The nearest has a share of one before division, whatever the unit of length.
    with np.errstate(invalid="ignore"):
        shares = np.where(distances > nearest, np.square(nearest / distances), 1.0)
    return shares / shares.sum(1, keepdims=True)
