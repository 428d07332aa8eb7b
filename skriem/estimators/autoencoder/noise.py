"""How the noise of a VAETransformer's decoder depends on the code: RBFNoise, DecoderEnsemble."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from typing import Literal

import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ...decoders.uncertainty import fit_precision, fit_walls, place_bumps
from ...nn.precision import RBFNoise as FittedRBFNoise
from ...nn.variance import fit_variance
from ...support.rows import check_number
from .parts import torch_generator

# Rounds of weighing outliers down when the precision is fitted to errors with heavy tails.
N_ROUNDS = 5


class NoiseSettings(BaseEstimator, ABC):
    """What is asked of the noise around a decoder's mean."""

    def _check(self):
        """Raise for parameters that cannot work."""
        return

    @property
    def _n_decoders(self):
        """How many decoders there are."""
        return 1

    # Whether standard deviations are everywhere the same.
    _is_constant = False

    @abstractmethod
    def _spread(self, errors, network, rng):
        """Standard deviations for a likelihood that has them: a fitted noise, or None if constant.

        Parameters
        ----------
        errors : Errors
        network : NetworkSettings
        rng : RandomState
        """

    @abstractmethod
    def _walls(self, codes, z, weights, rng):
        """The precision by which other distributions become unsure, or None for not at all."""


class RBFNoise(NoiseSettings):
    """Noise of a :class:`VAETransformer`: small near the data, large away from them.

    A precision network of radial basis functions around the codes says how large it is
    (Arvanitidis, Hansen and Hauberg, *Latent Space Oddity*, ICLR 2018).

    Parameters
    ----------
    n_centers : int or "auto", default="auto"
        Number of radial basis functions. "auto": one for every 8 samples, at most 64.
    bandwidth : float, default=1.0
        Width of a radial basis function, as a multiple of the mean distance of its codes to
        their centre (the `a` of the paper). Smaller values follow the data more closely.
    contrast : float, default=30.0
        How many times the typical noise the noise far from all data is (standard deviations;
        those of negative binomial counts grow by up to its square). Larger values make it
        costlier to leave the data.

    See Also
    --------
    VAETransformer : Takes it for `noise`; ``noise="rbf"`` has the defaults.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RBFNoise, VAETransformer
    >>> X = load_iris().data
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), max_iter=20, random_state=0)
    >>> vae.set_params(noise__contrast=100.0).fit_transform(X).shape
    (150, 2)
    """

    def __init__(
        self,
        n_centers: int | Literal["auto"] = "auto",
        *,
        bandwidth: float = 1.0,
        contrast: float = 30.0,
    ) -> None:
        self.n_centers = n_centers
        self.bandwidth = bandwidth
        self.contrast = contrast

    def _check(self):
        if self.n_centers != "auto":
            check_scalar(self.n_centers, "n_centers", numbers.Integral, min_val=1)
        check_number(self.bandwidth, "bandwidth", min_val=0, include_boundaries="neither")
        check_number(self.contrast, "contrast", min_val=1, include_boundaries="neither")

    def _bumps(self, codes, weights, rng):
        seed = rng.randint(2**31 - 1)
        return place_bumps(codes, weights, self.n_centers, self.bandwidth, seed)

    def _spread(self, errors, network, rng):
        bumps = self._bumps(errors.codes, errors.weights, rng)
        image = network._image_shape
        image = None if image is None else (image, torch_generator(rng))
        likelihood = errors.likelihood
        precision = torch.ones_like(errors.squares) * torch.as_tensor(errors.std**-2)
        for _ in range(N_ROUNDS if likelihood.is_heavy_tailed else 1):
            squares = likelihood.robust_squares(errors.squares, precision)
            fitted = fit_precision(bumps, errors.z, squares, errors.weights, self.contrast, image)
            precision = fitted.on()(errors.z)
        return FittedRBFNoise(fitted.parts)

    def _walls(self, codes, z, weights, rng):
        return fit_walls(self._bumps(codes, weights, rng), z, weights, self.contrast)


class PerceptronNoise(NoiseSettings):
    """A second perceptron says how large the noise is, which is arbitrary away from the data."""

    def _spread(self, errors, network, rng):
        hidden = network._hidden[::-1]
        generator = torch_generator(rng)
        return fit_variance(errors.z, errors.squares, errors.weights, hidden, generator).stored()

    def _walls(self, codes, z, weights, rng):
        raise ValueError("noise='mlp' is a network for standard deviations. Use noise='rbf'.")


class ConstantNoise(NoiseSettings):
    """Everywhere the same, so that the metric is the mean's alone."""

    _is_constant = True

    def _spread(self, errors, network, rng):
        return None

    def _walls(self, codes, z, weights, rng):
        return None


class DecoderEnsemble(ConstantNoise):
    """Several decoders in a :class:`VAETransformer` in place of noise that depends on the code.

    They share the encoder, and every batch trains one of them. The metric is the mean of theirs:
    where their slopes differ, away from the data, distances are long (Syrota, Moreno-Muñoz and
    Hauberg, *Decoder ensembling for learned latent geometries*, GRaM 2024).

    Parameters
    ----------
    n_decoders : int, default=4
        Number of decoders.

    See Also
    --------
    VAETransformer : Takes it for `noise`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import DecoderEnsemble, VAETransformer
    >>> vae = VAETransformer(noise=DecoderEnsemble(3), max_iter=20, random_state=0)
    >>> vae.fit(load_iris().data).metric_.embed([[0.0, 0.0]]).shape
    (1, 12)
    """

    def __init__(self, n_decoders: int = 4) -> None:
        self.n_decoders = n_decoders

    def _check(self):
        check_scalar(self.n_decoders, "n_decoders", numbers.Integral, min_val=1)

    @property
    def _n_decoders(self):
        return self.n_decoders


# What names of noise stand for.
NOISES = {"rbf": RBFNoise, "mlp": PerceptronNoise, "constant": ConstantNoise}


def noise_of(noise):
    """The settings that a VAETransformer's `noise` stands for."""
    if isinstance(noise, NoiseSettings):
        return noise
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(
            f"noise must be one of {sorted(NOISES)}, an RBFNoise or a DecoderEnsemble, got "
            f"{noise!r}."
        )
    return NOISES[noise]()
