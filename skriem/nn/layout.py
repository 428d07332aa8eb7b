"""Places of points in a few dimensions, by forces along the edges of a graph of neighbours."""

import torch

# Halvings in the search for bandwidths, and the least bandwidth in units of the mean distance.
N_HALVINGS, LEAST = 40, 1e-3
# Points that repel each other in one step, and how strongly: the more, the finer what is told
# apart. Twice or half of it changes little.
BLOCK, REPULSION = 128, 15.0
# How much of a step is that of the last one, and how far a point goes at most.
MOMENTUM, FURTHEST = 0.8, 4.0


def memberships(distances):
    """How much of a neighbour each neighbour is, as UMAP weighs them, (n, k) from 0 to 1.

    The nearest counts 1 and the others exp(-(d - d_1) / s), where s is such that all together
    are log2(k) (McInnes, Healy and Melville, *UMAP: Uniform manifold approximation and
    projection*, 2018).

    Parameters
    ----------
    distances : Tensor of shape (n, k)
        To the nearest neighbours, in increasing order.
    """
    beyond = distances - distances[:, :1]
    wanted = torch.log2(torch.tensor(float(max(2, distances.shape[1]))))
    mean = distances.mean(1, keepdim=True)
    # Where all neighbours coincide any bandwidth will do.
    mean = torch.where(mean > 0.0, mean, 1.0)
    low, high = LEAST * mean, 2.0**10 * mean
    for _ in range(N_HALVINGS):
        middle = torch.sqrt(low * high)
        above = torch.exp(-beyond / middle).sum(1, keepdim=True) > wanted
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return torch.exp(-beyond / low)


def lay_out(edges, weights, start, n_epochs, generator, on_epoch=None):
    """Move points until neighbours are close and all others apart.

    Gradient steps with momentum on sum_ij w_ij log(1 + d_ij^2) / 2 for the edges and on
    -REPULSION / (2 (1 + d^2)) for pairs of points drawn anew in each step, a heavy-tailed
    attraction and repulsion like that of t-SNE and UMAP (Böhm, Berens and Kobak,
    *Attraction-repulsion spectrum in neighbor embeddings*, JMLR 2022).

    Parameters
    ----------
    edges : pair of Tensor of shape (m,) int
        Of a symmetric graph, both ways, by increasing row.
    weights : Tensor of shape (m,)
    start : Tensor of shape (n, d)
    n_epochs : int
    generator : torch.Generator
    on_epoch : callable or None
        Called after each step with the mean length of a move.

    Returns
    -------
    Tensor of shape (n, d)
    """
    rows, columns = edges
    n = len(start)
    ends = torch.bincount(rows, minlength=n).cumsum(0)
    offsets = torch.cat([ends.new_zeros(1), ends])
    weights = weights / (weights.sum() / n)
    z, move = start.clone(), torch.zeros_like(start)
    block = min(BLOCK, n)
    for epoch in range(n_epochs):
        apart = z[columns] - z[rows]
        pull = apart * (weights / (1.0 + apart.square().sum(1)))[:, None]
        force = torch.segment_reduce(pull, "sum", offsets=offsets)
        drawn = torch.randperm(n, generator=generator, device=z.device)[: n // block * block]
        force[drawn] += REPULSION * repulsion(z[drawn].unflatten(0, (-1, block))).flatten(0, 1)
        move = MOMENTUM * move + force
        step = (1.0 - epoch / n_epochs) * move.clamp(-FURTHEST, FURTHEST)
        z = z + step
        if on_epoch is not None:
            on_epoch(step.norm(dim=1).mean().item())
    return z


def repulsion(z):
    """Mean of what others in their block push points with, (b, m, d) like the points."""
    squares = z.square().sum(2)
    products = z @ z.mT
    distances = (squares[:, :, None] + squares[:, None] - 2.0 * products).clamp(min=0.0)
    push = (1.0 + distances).square().reciprocal()
    # A point's push of itself cancels.
    return (z * push.sum(2, keepdim=True) - push @ z) / z.shape[1]
