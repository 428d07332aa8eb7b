"""GeodesicDisplay: what the decoder shows along a geodesic and along the straight line."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..estimators.autoencoder.vae import VAETransformer
from ..geometry.paths.graph import segment_lengths
from ..geometry.types import FloatArray
from ._style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOL, N_CHORDS = 1e-3, 1024
# Between frames and rows, as a share of a frame.
GAP = 0.08


class GeodesicDisplay:
    """Frames decoded at equal steps along a geodesic, beside those of the straight line.

    Along the geodesic equal steps change what is seen by equal amounts, the decoder's
    uncertainty included. Made by :meth:`from_estimator`.

    Parameters
    ----------
    frames : ndarray of shape (2, n_frames, n_features)
        Decoded means: along the geodesic, and along the straight line between the codes.
    lengths : ndarray of shape (2,)
        Lengths of the two by the metric.
    image_shape : (int, int), default=None
        Height and width of a frame. None: square if the number of features allows it;
        otherwise every frame is a row of a heat map.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    frames, lengths, image_shape
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skriem import VAETransformer
    >>> from skriem.inspection import GeodesicDisplay
    >>> X, _ = load_digits(n_class=2, return_X_y=True)
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), max_iter=50, random_state=0).fit(X)
    >>> display = GeodesicDisplay.from_estimator(vae, X[0], X[1])
    >>> bool(display.lengths[0] <= display.lengths[1])
    True
    """

    def __init__(
        self, frames: FloatArray, lengths: FloatArray, image_shape: tuple[int, int] | None = None
    ) -> None:
        self.frames = frames
        self.lengths = lengths
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        encoder: VAETransformer | Pipeline,
        a: ArrayLike,
        b: ArrayLike,
        *,
        n_frames: int = 8,
        image_shape: tuple[int, int] | None = None,
        ax: Axes | None = None,
    ) -> GeodesicDisplay:
        """Draw the way between two samples.

        Parameters
        ----------
        encoder : VAETransformer or Pipeline that ends in one
            Fitted.
        a, b : array-like of shape (n_features,)
            Samples.
        n_frames : int, default=8
            Frames along each way, both ends included.
        image_shape : (int, int), default=None
            See the class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        GeodesicDisplay
        """
        last = encoder[-1] if isinstance(encoder, Pipeline) else encoder
        if not isinstance(last, VAETransformer):
            raise TypeError(
                "GeodesicDisplay needs something that decodes: a fitted VAETransformer or a "
                f"Pipeline that ends in one, got {type(last).__name__}."
            )
        check_is_fitted(last)
        check_scalar(n_frames, "n_frames", numbers.Integral, min_val=2)
        metric, t = last.metric_, np.linspace(0.0, 1.0, n_frames)
        start, end = (
            np.array(encoder.transform(np.reshape(x, (1, -1))), dtype=float) for x in (a, b)
        )
        geodesic = metric.geodesic(start, end, tol=TOL)
        straight = start + t[:, None] * (end - start)
        ends = torch.as_tensor(start), torch.as_tensor(end)
        lengths = [geodesic.length[0], segment_lengths(metric._space, *ends, N_CHORDS)[0]]
        codes = np.concatenate([geodesic.curve(t)[0], straight])
        frames = np.asarray(encoder.inverse_transform(codes)).reshape(2, n_frames, -1)
        image_shape = _image_shape(image_shape, frames.shape[2])
        return cls(frames, np.array(lengths), image_shape).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> GeodesicDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str, default="gray"

        Returns
        -------
        GeodesicDisplay
            Itself.
        """
        own = ax is None
        self.ax_ = ax = new_axes(ax)
        self.figure_ = self.ax_.figure
        n = self.frames.shape[1]
        if self.image_shape is None:
            gap = np.full((1, self.frames.shape[2]), np.nan)
            picture = np.concatenate([self.frames[0], gap, self.frames[1]])
            image = ax.imshow(picture, cmap="cividis", aspect="auto", interpolation="nearest")
            self.figure_.colorbar(image, ax=ax, shrink=0.85)
            ticks, size = [(n - 1) / 2.0, n + 1 + (n - 1) / 2.0], (7.0, 5.0)
            ax.set(xlabel="feature", xticks=[])
        else:
            height, width = self.image_shape
            down, across = (max(1, round(GAP * side)) for side in self.image_shape)
            picture = np.full((2 * height + 4 * down, n * (width + across) - across), np.nan)
            for row, frames in enumerate(self.frames):
                for k, frame in enumerate(frames):
                    top, left = row * (height + 4 * down), k * (width + across)
                    picture[top : top + height, left : left + width] = frame.reshape(height, width)
            ax.imshow(picture, cmap=cmap, interpolation="nearest")
            ticks = [(height - 1) / 2.0, height + 4 * down + (height - 1) / 2.0]
            size = (1.2 * n, 1.2 * 2.4 * height / width)
            ax.set_xticks([])
        if own:
            self.figure_.set_size_inches(size)
        names = ("geodesic", "straight line")
        labels = [f"{name}\nlength {length:.4g}" for name, length in zip(names, self.lengths)]
        ax.set_yticks(ticks, labels)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        return self


def _image_shape(image_shape, n_features):
    """Height and width of a frame, or None if frames are no images."""
    if image_shape is None:
        side = round(n_features**0.5)
        return (side, side) if side**2 == n_features and side > 1 else None
    if len(image_shape) != 2 or np.prod(image_shape) != n_features:
        raise ValueError(f"image_shape {image_shape} does not hold {n_features} features.")
    return tuple(image_shape)
