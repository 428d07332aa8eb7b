"""Arrays and tensors at the door: checked on the way in, answered in kind on the way out."""

import numpy as np
import torch

# Squares of larger numbers and of their sums, and ones over those of smaller ones, overflow.
LARGEST = 1e100
LARGEST_OF_FLOAT32 = 1e16


def enter(Z, n_dims):
    """Points as a checked tensor, and the function that turns answers into Z's kind.

    Parameters
    ----------
    Z : array-like or Tensor of shape (n, n_dims)
    n_dims : int

    Returns
    -------
    points : Tensor of shape (n, n_dims)
        Arrays become float64 on the processor; tensors stay where and what they are.
    answer : callable
    """
    if isinstance(Z, torch.Tensor):
        points, answer = Z.detach(), lambda result: result
        if points.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"Points must be floating point, float32 or float64, got {points.dtype}."
            )
    else:
        array = np.asarray(Z)
        dtype = array.dtype if array.dtype == np.float32 else np.float64
        points = torch.as_tensor(np.array(array, dtype=np.float64, order="C", subok=False))

        def answer(result):
            result = result.detach().numpy()
            return result.astype(dtype) if result.dtype == np.float64 else result

    if points.ndim != 2 or points.shape[1] != n_dims:
        raise ValueError(
            f"Points must have shape (n, {n_dims}), one row each, got {tuple(points.shape)}."
        )
    if not points.isfinite().all():
        raise ValueError("Points must be finite; some coordinates are NaN or infinite.")
    largest = LARGEST if points.dtype == torch.float64 else LARGEST_OF_FLOAT32
    if points.numel() and points.abs().max() > largest:
        raise ValueError(f"Points must not go beyond {largest:.0e}: choose a larger unit.")
    return points, answer


def enter_weights(sample_weight, Z):
    """Weights of the rows of `Z` as a checked tensor of its kind, ones for None, (n,)."""
    if sample_weight is None:
        return Z.new_ones(len(Z))
    if not isinstance(sample_weight, torch.Tensor):
        sample_weight = np.array(sample_weight)
    weights = torch.as_tensor(sample_weight, dtype=Z.dtype, device=Z.device)
    usable = weights.shape == (len(Z),) and weights.isfinite().all() and (weights >= 0).all()
    if not usable or not weights.any():
        raise ValueError("sample_weight must be n finite numbers from 0 on, not all zero.")
    return weights


def checked_points(points, n_dims):
    """A read-only float64 copy of an array of points."""
    points = np.array(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != n_dims or not len(points):
        raise ValueError(f"points must have shape (n_points, {n_dims}), got {points.shape}.")
    if not np.isfinite(points).all():
        raise ValueError("points must be finite.")
    if np.abs(points).max() > LARGEST:
        raise ValueError(f"points must not go beyond {LARGEST:.0e}: choose a larger unit.")
    points.flags.writeable = False
    return points
