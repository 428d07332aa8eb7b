"""How many clusters plain data have: where partitions show more than in data without any.

For every number of clusters the partition that is taken is compared with what k-means finds in
points without structure, drawn uniformly from the box of the data's principal axes (Tibshirani,
Walther and Hastie, *Estimating the number of clusters in a data set via the gap statistic*, JRSS B
2001). What is compared is not the spread of the clusters but their worst conductance.
"""

from typing import NamedTuple

import numpy as np

from ._partitions import Candidates

# Numbers that are tried, and one more.
MOST = 10
# Draws without structure, and starts of k-means.
N_DRAWS, N_STARTS = 3, 3
# Conductances below this are all the same.
SLACK = 0.003
# With all gaps below this there is one cluster.
LEAST = 1.0


class Count(NamedTuple):
    """A number of clusters, and what it was chosen by."""

    n_clusters: int
    gaps: dict  # log of the conductance without structure over that found, by number of clusters


def count_clusters(candidates, settings, rng):
    """The number of clusters that stands out.

    Of the gaps g that number k is taken that has the largest 2 g(k) - g(k + 1): a large gap, and a
    smaller one after it.

    Parameters
    ----------
    candidates : Candidates
    settings : Settings
    rng : RandomState

    Returns
    -------
    Count
    """
    numbers = range(2, 1 + min(MOST + 1, len(candidates.X) - 1))
    settings = settings._replace(n_runs=N_STARTS)
    empty = [
        Candidates(_without_structure(candidates.views.given, rng), candidates.weights)
        for _ in range(N_DRAWS)
    ]
    gaps = {}
    for k in numbers:
        settings = settings._replace(n_clusters=k)
        found = candidates.simplest(candidates.of(settings, rng)).conductance
        expected = np.mean([draw.kmeans(settings, rng).conductance for draw in empty])
        gaps[k] = float(np.log((expected + SLACK) / (found + SLACK)))
    if len(gaps) < 2 or max(gaps.values()) < LEAST:
        return Count(1, gaps)
    return Count(max(list(gaps)[:-1], key=lambda k: 2.0 * gaps[k] - gaps[k + 1]), gaps)


def _without_structure(x, rng):
    """As many points, uniform in the box of the principal axes."""
    axes = np.linalg.svd(x - x.mean(0), full_matrices=False)[2]
    turned = x @ axes.T
    return rng.uniform(turned.min(0), turned.max(0), size=turned.shape)
