"""Distances between images that hardly see small shifts, turns and other changes of shape."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

# Pixels along the longer side of what is compared, and how much it is smoothed, in pixels.
# Slopes of fewer pixels say little of larger changes, and more pixels take longer for nothing.
SIDE, SMOOTHING = 16, 0.5
# What it costs to change an image by a length of 1, squared.
COST = 0.03
# Images of which changes are computed at once.
AT_ONCE = 2048


class Images(NamedTuple):
    """Images of one size, and how each moves when it is changed a little."""

    pixels: np.ndarray  # (n, p) float32
    changes: np.ndarray  # (n, 7, p) float32, of length 1 or 0
    products: np.ndarray  # (n, 7, 7) of the changes of each image, with their cost


def resampled(X, sides):
    """Rows of pixels as smooth images of about :data:`SIDE` pixels along the longer side.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels * height * width)
    sides : (int, int, int)
        Channels, height and width.

    Returns
    -------
    ndarray of shape (n, n_channels, new_height, new_width), float32
    """
    _, *extent = sides
    down, across = (_resampling(side, max(2, round(side * SIDE / max(extent)))) for side in extent)
    return (down @ X.reshape(-1, *sides) @ across.T).astype(np.float32)


def _resampling(n, n_new):
    """The matrix, (n_new, n), that resamples n numbers in a row by cubic curves and smooths."""
    eye = torch.eye(n, dtype=torch.float64)[None, None]
    cubic = torch.nn.functional.interpolate(
        eye, size=(n_new, n), mode="bicubic", antialias=True, align_corners=False
    )
    return gaussian_filter1d(cubic[0, 0].numpy(), SMOOTHING, axis=0, mode="nearest")


def with_changes(images):
    """Images with their small changes.

    Parameters
    ----------
    images : ndarray of shape (n, n_channels, height, width)

    Returns
    -------
    Images
    """
    n = len(images)
    changes = np.empty((n, 7, images[0].size), dtype=np.float32)
    for first in range(0, n, AT_ONCE):
        part = slice(first, first + AT_ONCE)
        changes[part] = small_changes(images[part]).reshape(-1, *changes.shape[1:])
    length = np.linalg.norm(changes, axis=2, keepdims=True)
    changes /= np.where(length > 0.0, length, 1.0)
    products = np.stack([np.float64(own @ own.T) for own in changes])
    return Images(images.reshape(n, -1), changes, products + COST * np.eye(7))


def small_changes(images):
    """Derivatives of images by seven parameters of what may happen to them.

    A shift across and one down, a turn, a change of size, two of proportions, along the sides
    and along the diagonals, and one of the thickness of lines (Simard, LeCun and Denker,
    *Efficient pattern recognition using a new transformation distance*, NIPS 1992).

    Parameters
    ----------
    images : ndarray of shape (n, n_channels, height, width)

    Returns
    -------
    ndarray of shape (n, 7, n_channels, height, width)
    """
    height, width = images.shape[2:]
    by_y, by_x = np.gradient(images, axis=(2, 3))
    # Places from the centre.
    y = (np.arange(height, dtype=images.dtype) - (height - 1) / 2)[:, None]
    x = np.arange(width, dtype=images.dtype) - (width - 1) / 2
    along = x * by_x, y * by_y
    crossed = x * by_y, y * by_x
    return np.stack(
        [
            by_x,
            by_y,
            crossed[0] - crossed[1],
            along[0] + along[1],
            along[0] - along[1],
            crossed[0] + crossed[1],
            by_x**2 + by_y**2,
        ],
        axis=1,
    )


def tangent_distances(images, others, index):
    """Distances from each image to some others, where both may change a little.

    Two-sided tangent distance: of images x and y with changes in the rows of S and T, the root
    of the least |x + a S - y - b T|^2 + COST (|a|^2 + |b|^2) over a and b. What a change costs
    keeps images apart whose changes span whatever is between them. It is symmetric and at most
    |x - y|, but the triangle inequality does not hold.

    Parameters
    ----------
    images : Images
        n of them.
    others : Images
    index : ndarray of shape (n, m) int
        Which of the others each is compared with.

    Returns
    -------
    ndarray of shape (n, m)
    """
    found = np.empty(index.shape)
    # One by one, since what products of whole batches round depends on the other rows.
    for i, near in enumerate(index):
        found[i] = _from_one(*(part[i] for part in images), *(part[near] for part in others))
    return found


def _from_one(x, own, products, y, changes, their_products):
    """Distances from one image to m others, (m,)."""
    m, k, _ = changes.shape
    apart = y - x
    mixed = -(changes.reshape(m * k, -1) @ own.T).reshape(m, k, k)
    # Where derivatives by what both images change are zero.
    system = np.empty((m, 2 * k, 2 * k))
    system[:, :k, :k], system[:, k:, k:] = products, their_products
    system[:, k:, :k], system[:, :k, k:] = mixed, mixed.transpose(0, 2, 1)
    slopes = np.concatenate([apart @ own.T, -(changes @ apart[:, :, None])[:, :, 0]], axis=1)
    slopes = slopes.astype(np.float64)
    least = np.linalg.solve(system, slopes[:, :, None])[:, :, 0]
    straight = np.square(apart, dtype=np.float64).sum(1)
    return np.sqrt(np.clip(straight - (slopes * least).sum(1), 0.0, straight))


def nearest_images(images, others, index, k):
    """The nearest of some candidates by tangent distance, the nearest first.

    Parameters
    ----------
    images, others : Images
    index : ndarray of shape (n, m) int
        Candidates for each, m of the others.
    k : int
        At most m.

    Returns
    -------
    distances : ndarray of shape (n, k)
    near : ndarray of shape (n, k) int
    """
    distances = tangent_distances(images, others, index)
    order = distances.argsort(axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(index, order, 1)
