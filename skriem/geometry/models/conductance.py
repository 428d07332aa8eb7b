"""How well a partition is separated in a graph of neighbours, whatever metric it came from."""

import numpy as np

# A cluster counts as if it had at least this share of the mean volume: a few far points that
# hardly anything is tied to are no well separated cluster.
LEAST_VOLUME = 0.25


def conductances(graph, labels, n_clusters):
    """The conductance of every cluster: 0 if nothing ties it to the others.

    The conductance of a cluster is the weight of the edges that leave it as a share of all of
    its edges (Kannan, Vempala and Vetta, *On clusterings: good, bad and spectral*, Journal of
    the ACM 2004).

    Parameters
    ----------
    graph : sparse matrix of shape (n, n)
        Symmetric.
    labels : ndarray of shape (n,) int
        From 0 to `n_clusters` - 1.
    n_clusters : int

    Returns
    -------
    ndarray of shape (n_clusters,)
        All are 1 if a cluster is empty.
    """
    if len(np.unique(labels)) < n_clusters:
        return np.ones(n_clusters)
    graph = graph.tocoo()
    first, second = labels[graph.row], labels[graph.col]
    volume = np.bincount(first, graph.data, minlength=n_clusters)
    leaving = first != second
    cut = np.bincount(first[leaving], graph.data[leaving], minlength=n_clusters)
    return cut / np.maximum(volume, LEAST_VOLUME * volume.mean())
