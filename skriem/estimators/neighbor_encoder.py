"""NeighborEncoder: data as points of a space where paths run along them."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ..geometry import NearestNeighborMetric
from ..geometry.paths.polygons import N_PARTS
from ..geometry.types import FloatArray, RandomState
from ..support.blocks import by_blocks
from ..support.fitting import all_or_nothing
from ..support.latent import LatentArray, attach_metric
from ..support.rows import (
    check_image_shape,
    check_number,
    check_weights,
    distinct_rows,
    validated,
)
from ..support.state import Estimator
from .autoencoder.parts import common_unit, feature_moments
from .graph_encoder import GraphEncoder
from .views import local_spread, of_two_values

if TYPE_CHECKING:
    from typing_extensions import Self

# Data of at most so many features, or at most so many samples, are their own codes.
MAX_PLAIN = 50
# Features of two values are encoded only where they are all but one of so many: among others,
# categories would be what is told apart.
NEARLY_ALL = 20
# Features are in units of their own where less than the first share of them has all the variance,
# and less than the second has that among neighbours, which distant clusters do not add to.
FEW, FEW_NEARBY = 0.15, 0.5
# Steps of all samples together, and the least and the largest number for each.
N_STEPS, MIN_EPOCHS, MAX_EPOCHS = 6_000_000, 100, 600


class _NeighborEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Everything but the metric on the points; see :class:`skriem.NeighborEncoder`."""

    def __init__(
        self,
        n_components: int | None = 5,
        *,
        n_neighbors: int = 10,
        image_shape: tuple[int, int] | tuple[int, int, int] | None = None,
        standardize: bool | Literal["auto"] = "auto",
        power: float = 2.0,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.image_shape = image_shape
        self.standardize = standardize
        self.power = power
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Make codes, if there are to be any, and the metric of the points.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, at least two rows, without missing values.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If `image_shape` is not that of rows of `X`.
        """
        self._check_parameters()
        values = validated(self, X, ensure_min_samples=2)
        values, weights = distinct_rows(values, check_weights(sample_weight, values))
        rng = check_random_state(self.random_state)
        sides = self.image_shape
        if sides is not None:
            sides = check_image_shape(sides, values.shape[1])
        # Pixels are all in one unit.
        standardize = self.standardize if sides is None else self.standardize is True
        self.scale_: FloatArray = feature_scale(values, weights, standardize)
        self.encoder_: GraphEncoder | None = None
        self._encoded = ~of_two_values(values)
        if sides is not None or NEARLY_ALL * self._encoded.sum() < len(self._encoded):
            self._encoded[:] = True
        many = min(self._encoded.sum(), len(values)) > MAX_PLAIN
        if many and self.n_components is not None:
            scaled = self._scaled(values)
            self.encoder_ = self._encoder(scaled, sides, rng).fit(scaled)
        codes = values if self.encoder_ is None else self.encoder_.codes_
        points = np.unique(codes, axis=0)
        scale = self.scale_ if self.encoder_ is None else 1.0
        self.metric_ = NearestNeighborMetric(points, scale, self.power)
        self._n_features_out = self.metric_.n_dims
        return self

    @by_blocks
    def transform(self, X: ArrayLike) -> Any:
        """Encode data as points.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_dims)
            Float64 or, for float32 input, float32. Carries the metric; so does a pandas data
            frame, in ``attrs``.
        """
        check_is_fitted(self)
        values = validated(self, X, reset=False)
        return self._points(values).astype(values.dtype)

    def _points(self, X):
        if self.encoder_ is None:
            return X
        return np.asarray(self.encoder_.transform(self._scaled(X)))

    def _steps_to(self, X, way):
        """What changes of scaled features along ways that begin at samples, step by step.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        way : Geodesics
            Among the points, n of them.

        Yields
        ------
        steps : ndarray of shape (n_steps, n_features)
        arcs : ndarray of shape (n_steps,)
            Length of each, up to a factor.
        """
        if self.encoder_ is None:
            # From corner to corner; in between ways are straight.
            corners = np.asarray(way.points)[:, ::N_PARTS] / self.scale_
            yield from zip(
                np.diff(corners, axis=1), np.diff(np.asarray(way.arc_length)[:, ::N_PARTS])
            )
            return
        encoded = self._scaled(validated(self, X, reset=False))
        for steps, arcs in self.encoder_.steps_to(encoded, way):
            of_all = np.zeros((len(steps), len(self.scale_)))
            of_all[:, self._encoded] = steps
            yield of_all, arcs

    def _scaled(self, X):
        """What is encoded of data."""
        return X[:, self._encoded] / self.scale_[self._encoded]

    def _encoder(self, x, sides, rng):
        """What encodes scaled data, images with these sides if any, sized after them."""
        n, n_features = x.shape
        return GraphEncoder(
            min(self.n_components, n_features),
            n_neighbors=max(1, min(self.n_neighbors, n // 10)),
            n_epochs=int(np.clip(N_STEPS // n, min(N_STEPS, MIN_EPOCHS), MAX_EPOCHS)),
            image_shape=sides,
            device=self.device,
            random_state=rng.randint(2**31 - 1),
            verbose=self.verbose,
        )

    def _check_parameters(self):
        if self.n_components is not None:
            check_scalar(self.n_components, "n_components", numbers.Integral, min_val=1)
        check_scalar(self.n_neighbors, "n_neighbors", numbers.Integral, min_val=1)
        if self.image_shape is not None:
            check_image_shape(self.image_shape)
        check_number(self.power, "power", min_val=1)
        if self.standardize not in ("auto", True, False):
            raise ValueError(
                f"standardize must be 'auto', True or False, got {self.standardize!r}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class NeighborEncoder(_NeighborEncoder):
    """Data as points whose metric makes paths run along them.

    This is what :class:`RiemannianKMeans` puts before itself when it is given plain data.
    Distances are geodesic distances of the
    :class:`~skriem.geometry.NearestNeighborMetric` of the points, in which gaps between data
    are long and ways along data are short.

    Up to 50 features or 50 samples the points are the data themselves. (Among others, features
    of two values do not count, and are not encoded: categories are no place.) Of more the points
    are codes: data are joined to their neighbours along principal components, weighed as UMAP does,
    and moved until neighbours are close and all others apart. A new sample gets a mean of the
    codes of the five samples that it is nearest to, and one of those of ``fit`` its own code.

    Where `image_shape` says that rows are images, the hundred nearest to each along principal
    components are compared by tangent distance [1]_: the least between two images that may both be
    shifted, turned, resized, sheared, and drawn with thicker or thinner lines a little, as far as
    straight lines tell. Its neighbours are the nearest of them.
    ``RiemannianKMeans(metric=NeighborEncoder(image_shape=(28, 28)))`` divides images as it does
    plain data.

    Parameters
    ----------
    n_components : int or None, default=5
        Dimension of the codes. None: there are none, and the points are the data.
    n_neighbors : int, default=10
        Neighbours that every sample is joined to; at most a tenth of the samples.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of images whose pixels are the features; of
        codes only.
    standardize : "auto" or bool, default="auto"
        Whether every feature is divided by its own standard deviation. "auto": where nearly all
        of the variance among neighbours is that of a few features, which is what features in
        different units look like; otherwise, and of images, proportions and units are kept.
    power : float, default=2.0
        Of the metric: how much costlier than steps along the data gaps are; 1 for straight
        lines.
    device : str, default="auto"
        Where codes are moved; see :class:`VAETransformer`.
    random_state : int, RandomState instance or None, default=None
        Determines the codes, if there are any.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate and time left.

    Attributes
    ----------
    metric_ : NearestNeighborMetric
        What the points carry.
    encoder_ : estimator or None
        What encodes the scaled data, if they are encoded: its ``transform`` gives codes.
    scale_ : ndarray of shape (n_features,)
        What features are divided by.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when the data have feature names that are all strings.

    See Also
    --------
    VAETransformer : Codes with the metric of the decoder instead.

    References
    ----------
    .. [1] Simard, LeCun and Denker, *Efficient pattern recognition using a new transformation
       distance*, NIPS 1992.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skriem import NeighborEncoder
    >>> X = make_moons(200, noise=0.05, random_state=0)[0]
    >>> points = NeighborEncoder(random_state=0).fit_transform(X)
    >>> points.metric.pairwise(points[:2], points[2:5]).shape
    (2, 3)

    Clusters of images that are told to be images:

    >>> from sklearn.datasets import load_digits
    >>> from skriem import RiemannianKMeans
    >>> X = load_digits(n_class=3).data
    >>> encoder = NeighborEncoder(image_shape=(8, 8), random_state=0)
    >>> RiemannianKMeans(3, metric=encoder, random_state=0).fit_predict(X).shape
    (537,)
    """

    def transform(self, X: ArrayLike) -> LatentArray:
        return attach_metric(super().transform(X), self.metric_)

    transform.__doc__ = _NeighborEncoder.transform.__doc__


def feature_scale(X, weights, standardize):
    """What to divide each feature by, (n_features,): ones, or the standard deviations."""
    _, variance, varying = feature_moments(X, weights)
    unit = common_unit(variance, varying)
    if standardize == "auto":
        spread = np.sqrt(variance[varying]) / unit
        nearby = local_spread(X[:, varying] / unit, spread)
        standardize = concentrated(spread**2, FEW) and concentrated(nearby**2, FEW_NEARBY)
    if not standardize:
        return np.ones(X.shape[1])
    return np.sqrt(np.where(varying, variance, unit**2))


def concentrated(variance, share):
    """Whether less than a share of the features carries the variance.

    Of p features with variances v the participation ratio, sum(v)^2 / sum(v^2), tells how many
    carry the variance: p if all do alike, 1 if one has it all.
    """
    if len(variance) < 2:
        return False
    ratio = variance.sum() ** 2 / np.square(variance).sum()
    return bool(ratio < 1.0 + share * (len(variance) - 1))
