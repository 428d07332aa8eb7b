"""What a graphical model makes of an encoder's potentials: a product, in closed form.

An encoder gives every row a normal factor, independent along the coordinates. A mixture of normal
distributions times such a factor is a mixture again (Lin, Hubacher and Khan, *Variational message
passing with structured inference networks*, ICLR 2018).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """Shares, means and precisions of what turns potentials into posteriors."""

    logits: Tensor  # (K,)
    centers: Tensor  # (K, d)
    roots: Tensor  # (K, d, d): lower factors of precisions, with logarithms on their diagonals

    @property
    def factors(self):
        """Lower triangular factors of the precisions, (K, d, d)."""
        diagonal = self.roots.diagonal(dim1=-2, dim2=-1).exp()
        return self.roots.tril(-1) + torch.diag_embed(diagonal)


@dataclass(frozen=True)
class Combined:
    """q(x, z): shares of the components and normal distributions for each of them."""

    log_shares: Tensor  # (n, K)
    means: Tensor  # (n, K, d)
    covariances: Tensor  # (n, K, d, d)
    log_dets: Tensor  # (n, K), of the covariances


def combine(mean, precision, graph):
    """Normalise the product of potentials and a graphical model.

    Parameters
    ----------
    mean, precision : Tensor of shape (n, d)
        Potentials N(mean | x, 1 / precision) up to a factor; a precision of zero says nothing.
    graph : Graph

    Returns
    -------
    Combined
    """
    factors = graph.factors
    log_own = graph.roots.diagonal(dim1=-2, dim2=-1).sum(-1)
    weights = graph.logits.log_softmax(-1) + log_own
    own = factors @ factors.mT
    return Combined(*_Product.apply(mean, precision, weights, graph.centers, own))


class _Product(torch.autograd.Function):
    """Potentials times normal distributions; the derivative is written out, for speed."""

    @staticmethod
    def forward(ctx, mean, precision, weights, centers, own):
        """The precisions of the normal distributions are `own` (K, d, d), and the logarithms of
        what they weigh, with the roots of the determinants of these, `weights` (K,).
        """
        covariances, log_dets = inverse(own + torch.diag_embed(precision)[:, None])
        log_dets = -log_dets
        natural = (precision * mean)[:, None] + (own @ centers[..., None]).squeeze(-1)
        means = (covariances @ natural[..., None]).squeeze(-1)
        # At the mean the sum of both quadratic forms is what the product has lost.
        on, off = mean[:, None] - means, means - centers
        lost = (on.square() * precision[:, None]).sum(-1)
        lost = lost + (torch.einsum("nki,kij->nkj", off, own) * off).sum(-1)
        joint = weights + 0.5 * (log_dets - lost)
        log_shares = joint - torch.logsumexp(joint, dim=-1, keepdim=True)
        ctx.save_for_backward(mean, precision, centers, own, covariances, means, log_shares)
        return log_shares, means, covariances, log_dets

    @staticmethod
    def backward(ctx, of_shares, of_means, of_covariances, of_dets):
        mean, precision, centers, own, covariances, means, log_shares = ctx.saved_tensors
        of_joint = of_shares - log_shares.exp() * of_shares.sum(-1, keepdim=True)
        on, off = mean[:, None] - means, means - centers
        by_natural = (covariances @ of_means[..., None]).squeeze(-1)
        pulled = -(covariances @ of_covariances @ covariances)
        per_volume, weighed = -(of_dets + 0.5 * of_joint), of_joint[..., None]
        of_mean = precision * (by_natural - weighed * on).sum(1)
        of_precision = mean * by_natural.sum(1) - 0.5 * (weighed * on.square()).sum(1)
        # Of the matrices' slopes only diagonals and sums over the rows are asked for.
        spread = pulled.diagonal(dim1=-2, dim2=-1) - by_natural * means
        spread = spread + per_volume[..., None] * covariances.diagonal(dim1=-2, dim2=-1)
        of_precision = of_precision + spread.sum(1)
        of_centers = ((by_natural + weighed * off).sum(0)[:, None] @ own).squeeze(1)
        of_own = by_natural.sum(0)[..., None] * centers[:, None] + pulled.sum(0)
        of_own = of_own - by_natural.permute(1, 2, 0) @ means.transpose(0, 1)
        of_own = of_own - 0.5 * (weighed * off).permute(1, 2, 0) @ off.transpose(0, 1)
        by_volume = per_volume.T[:, None] @ covariances.flatten(2).transpose(0, 1)
        of_own = of_own + by_volume.reshape(of_own.shape)
        of_own = 0.5 * (of_own + of_own.mT)
        return of_mean, of_precision, of_joint.sum(0), of_centers, of_own


def inverse(matrices):
    """Inverses and logarithms of determinants of positive definite matrices (..., d, d).

    By the sweep operator, one dimension after the other for all matrices together: several
    times as fast as one matrix after the other, for the few dimensions that codes have.
    """
    d, shape = matrices.shape[-1], matrices.shape
    swept = matrices.reshape(-1, d * d).T.clone(memory_format=torch.contiguous_format)
    swept = swept.reshape(d, d, -1)
    log_dets = torch.zeros_like(swept[0, 0])
    for i in range(d):
        pivot, row = swept[i, i].clone(), swept[i].clone()
        log_dets = log_dets + pivot.log()
        scaled = row / pivot
        swept.addcmul_(row[:, None], scaled[None], value=-1.0)
        swept[i], swept[:, i], swept[i, i] = scaled, scaled, -pivot.reciprocal()
    # In this order in memory, or products with it take many times as long.
    found = swept.reshape(d * d, -1).T.contiguous().neg_()
    return found.reshape(shape), log_dets.reshape(shape[:-2])
