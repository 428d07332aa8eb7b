"""The metric of a decoder that was trained elsewhere, as users ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..geometry.callers import warn
from ..geometry.metrics.pullback import PullbackMetric
from ..geometry.types import AnyRandomState, ArrayOrTensor, TensorMap
from .pretrained import adopt


def decoder_metric(
    decoder: Callable[..., Any],
    codes: ArrayOrTensor,
    *,
    data: ArrayOrTensor | None = None,
    likelihood: Literal["auto", "gaussian", "bernoulli", "poisson"] | None = "auto",
    output: Callable[[Any], Any] | None = None,
    features: TensorMap | None = None,
    noise: float | None = None,
    n_centers: int | Literal["auto"] = "auto",
    bandwidth: float = 1.0,
    contrast: float = 30.0,
    random_state: AnyRandomState = None,
) -> PullbackMetric:
    """The metric of a decoder that was trained elsewhere, with walls around codes.

    Parameters
    ----------
    decoder : torch.nn.Module or callable
        Maps codes (n, d), each row on its own, to a tensor of any shape (n, ...), a mapping
        with one tensor or with a tensor called "reconstruction", or a torch distribution. A
        module, or the module of a method such as ``model.decode``, is copied, and the copy is
        converted to float64; other functions are given float64.
    codes : array-like or Tensor of shape (n, d)
        Codes of data. The decoder is sure of what it says around them, and searches for
        geodesics lead through them, or through 1000 of them.
    data : array-like or Tensor of shape (n, ...), default=None
        What the codes are of, in the unit and shape of the output, or flattened. Says how
        large the noise of a "gaussian" is, and where; of no use to others.
    likelihood : {"auto", "gaussian", "bernoulli", "poisson"} or None, default="auto"
        What the output says of data, and so what is measured.

        - "gaussian": the output is a mean. Its noise is found around the codes as in
          :class:`VAETransformer`, and the metric is the expected one.
        - "bernoulli", "poisson": the output is a probability of ones or the mean of counts,
          and the metric is Fisher-Rao's, with distributions that become unsure away from the
          codes.
        - None: the output is all there is. No noise, no walls.
        - "auto": "gaussian" for tensors, and with `features`. Normal distributions have
          their own standard deviations, and no walls but these; Bernoulli, Poisson,
          NegativeBinomial, Categorical and OneHotCategorical ones have Fisher-Rao's metric.

        Of a distribution all but "auto" use the mean.
    output : callable, default=None
        Picks the tensor or distribution from what `decoder` returns, such as
        ``lambda out: out[2]``, or makes the mean of it, such as ``torch.sigmoid``.
    features : torch.nn.Module or callable, default=None
        Where lengths are measured, in place of the space of the output: maps outputs, in
        their own shape, to tensors (n, ...). Of `data` the features are taken too.
    noise : float, default=None
        Standard deviation of a "gaussian" without `data`, in the unit of the output or of
        the features. None takes a tenth of the standard deviation of what codes decode to.
    n_centers : int or "auto", default="auto"
        Bumps around which the decoder is sure, at most. "auto": one for every 8 codes, at
        most 64.
    bandwidth : float, default=1.0
        Width of a bump, in mean distances of its codes to its centre.
    contrast : float, default=30.0
        Noise (standard deviation) far from all codes, in multiples of that at codes. 1 for
        no walls.
    random_state : int, RandomState instance, Generator or None, default=None
        Where bumps begin to be looked for, and which codes are kept of many.

    Returns
    -------
    PullbackMetric
        Distances are in the unit of the output or of the features; Fisher-Rao's have none.

    Raises
    ------
    TypeError
        If it is not clear which tensor is the output, or nothing is known of its
        distribution.
    ValueError
        If `decoder` or `features` have dropout or batch normalisation in training mode, or
        rows depend on each other; if outputs have another shape than `data`, are not finite,
        carry no gradient or are no means of the likelihood; if `codes` are not two-dimensional
        or not finite; for options out of range.

    Warns
    -----
    UserWarning
        If the decoder has kinks, as ReLU makes them.

    Notes
    -----
    A decoder that takes codes of another shape, such as (n, d, 1, 1), becomes one of rows
    by ``torch.nn.Sequential(torch.nn.Unflatten(1, (d, 1, 1)), decoder)``.

    References
    ----------
    Laine, *Feature-based metrics for exploring the latent space of generative models*, ICLR
    workshop 2018.

    Examples
    --------
    Codes on a circle, and a decoder that puts out what it gets:

    >>> import torch
    >>> from skriem import decoder_metric
    >>> class Decoder(torch.nn.Module):
    ...     def forward(self, z):
    ...         return {"reconstruction": z}
    >>> angle = torch.linspace(0.0, 6.28, 400)
    >>> codes = torch.stack([angle.cos(), angle.sin()], dim=1)
    >>> mean = decoder_metric(Decoder(), codes, likelihood=None)
    >>> metric = decoder_metric(
    ...     Decoder(), codes, noise=0.1, bandwidth=2.0, random_state=0
    ... )
    >>> a, b = torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> mean.distance(a, b).round(decimals=3)  # through the middle
    tensor([2.])
    >>> bool(metric.distance(a, b) > 2.8)  # round it, along the codes
    True
    """
    adopted = adopt(
        decoder,
        codes,
        data,
        likelihood,
        output,
        features,
        noise,
        n_centers,
        bandwidth,
        contrast,
        random_state,
    )
    if adopted.warning is not None:
        warn(adopted.warning)
    return PullbackMetric(adopted.embed, adopted.points.shape[1], adopted.points)
