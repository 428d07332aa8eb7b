"""Codes of neighbours drawn together, all others apart."""

import torch


def info_nce(z, near, log_scale):
    """How badly each code is told from the others as the one its neighbour belongs to.

    InfoNCE (van den Oord, Li and Vinyals, *Representation learning with contrastive predictive
    coding*, 2018) in both directions with the heavy-tailed similarity 1 / (1 + d^2) of t-SNE
    (Damrich, Böhm, Hamprecht and Kobak, *From t-SNE to UMAP with contrastive learning*, ICLR
    2023).

    Parameters
    ----------
    z, near : Tensor of shape (n, d)
        Codes, and codes of one neighbour of each.
    log_scale : Tensor of shape ()
        Logarithm of what distances are multiplied by first; learned with the rest.

    Returns
    -------
    Tensor of shape ()
        In nats.
    """
    products = z @ near.mT
    squares = z.square().sum(1)[:, None] + near.square().sum(1) - 2.0 * products
    similarity = -torch.log1p(squares.clamp(min=0.0) * torch.exp(2.0 * log_scale))
    normalised = torch.logsumexp(similarity, 0).mean() + torch.logsumexp(similarity, 1).mean()
    return 0.5 * normalised - similarity.diagonal().mean()
