"""GeodesicDisplay: what the decoder shows along a geodesic and along the straight line."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
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
from ._style import new_axes, shape_of_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOL, N_CHORDS = 1e-3, 1024
# More features than this have no names in a heat map; so many stand side by side.
MAX_NAMED, MAX_LEVEL = 30, 6
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
        Height and width of a frame. None: every frame is a row of a heat map, in which each
        feature goes from its least to its largest value.
    feature_names : sequence of n_features str, default=None
        Columns of the heat map; up to 30 are named, with the values that they go between.
    feature_levels : sequence of n_features list or None, default=None
        What the numbers 0, 1, ... of a feature stand for, such as categories. None where
        numbers are what they are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    frames, lengths, image_shape, feature_names, feature_levels
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skriem import RBFNoise, VAETransformer
    >>> from skriem.inspection import GeodesicDisplay
    >>> X, _ = load_digits(n_class=2, return_X_y=True)
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), max_iter=50, random_state=0).fit(X)
    >>> display = GeodesicDisplay.from_estimator(vae, X[0], X[1])
    >>> bool(display.lengths[0] <= display.lengths[1])
    True
    """

    def __init__(
        self,
        frames: FloatArray,
        lengths: FloatArray,
        image_shape: tuple[int, int] | None = None,
        feature_names: Sequence[str] | None = None,
        feature_levels: Sequence[list | None] | None = None,
    ) -> None:
        self.frames = frames
        self.lengths = lengths
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.feature_levels = feature_levels

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
        a, b : array-like of shape (n_features,), or data frame of one row
            Samples.
        n_frames : int, default=8
            Frames along each way, both ends included.
        image_shape : (int, int), default=None
            Height and width of a frame. None: those of the encoder's network, or a square if
            there are as many features as a square of at least eight has and they have no names.
            Otherwise samples are no images.
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
            np.array(encoder.transform(_one_row(x, name)), dtype=float)
            for x, name in ((a, "a"), (b, "b"))
        )
        geodesic = metric.geodesic(start, end, tol=TOL)
        straight = start + t[:, None] * (end - start)
        ends = torch.as_tensor(start), torch.as_tensor(end)
        lengths = [geodesic.length[0], segment_lengths(metric._space, *ends, N_CHORDS)[0]]
        codes = np.concatenate([geodesic.curve(t)[0], straight])
        decoded = encoder.inverse_transform(codes)
        names, levels = getattr(encoder, "feature_names_in_", None), None
        if last._columns is not None and encoder is last:
            decoded, levels = last._read(decoded), last._columns.levels
            names = np.asarray(last._columns.titles, dtype=object)
        frames = np.asarray(decoded).reshape(2, n_frames, -1)
        image_shape = _image_shape(image_shape, frames.shape[2], last, names is not None)
        return cls(frames, np.array(lengths), image_shape, names, levels).plot(ax)

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
            low, high = self.frames.min((0, 1)), self.frames.max((0, 1))
            shares = (self.frames - low) / np.where(high > low, high - low, 1.0)
            picture = np.concatenate([shares[0], np.full((1, len(low)), np.nan), shares[1]])
            image = ax.imshow(picture, cmap="cividis", aspect="auto", interpolation="nearest")
            self.figure_.colorbar(image, ax=ax, shrink=0.85, label="from least to largest value")
            ticks, size = [(n - 1) / 2.0, n + 1 + (n - 1) / 2.0], (7.0, 5.0)
            self._name_features(ax, low, high)
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

    def _name_features(self, ax, low, high):
        """Names under the columns of a heat map, and between which values they go."""
        n, names = len(low), self.feature_names
        if n > MAX_NAMED:
            ax.set(xlabel="feature", xticks=[])
            return
        names = [f"feature {k + 1}" for k in range(n)] if names is None else names
        levels = [None] * n if self.feature_levels is None else self.feature_levels
        labels = [
            f"{name}\n{_between(least, most, own)}"
            for name, own, least, most in zip(names, levels, low, high)
        ]
        ax.set_xticks(range(n), labels, rotation=90.0 if n > MAX_LEVEL else 0.0, fontsize="small")


def _between(least, most, levels):
    """Two numbers, or what they stand for; one where they are the same."""
    ends = [f"{end:.3g}" if levels is None else str(levels[round(end)]) for end in (least, most)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _one_row(x, name):
    """A sample as a table of one row, with names where it is a row of a data frame."""
    if hasattr(x, "columns"):
        if len(x) != 1:
            raise ValueError(f"{name} must be one sample, got a data frame of {len(x)} rows.")
        return x
    return x.to_frame().T if hasattr(x, "to_frame") else np.reshape(x, (1, -1))


def _image_shape(image_shape, n_features, vae, named):
    """Height and width of a frame, or None if frames are no images."""
    if image_shape is None:
        shape = vae._network._image_shape or ()
        image_shape = shape if len(shape) == 2 else None
    return shape_of_images(image_shape, n_features, named)
