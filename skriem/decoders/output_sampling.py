"""A sample of an embedding's outputs that stands for all of them."""

from typing import NamedTuple

import numpy as np
import torch

# Outputs of the sample, and points that tell what outputs contribute.
N_SAMPLED = 96
N_PROBES = 200


class Sample(NamedTuple):
    """Outputs that were drawn and what each is multiplied by."""

    kept: np.ndarray  # (n_kept,) int
    scale: np.ndarray  # (n_kept,)


def sample_outputs(jacobian, codes):
    """Draw outputs, each with a probability in proportion to its share of the metric.

    The same sample is drawn every time.

    Parameters
    ----------
    jacobian : callable
        Maps points (n, d) to derivatives (n, d, m).
    codes : ndarray of shape (n_codes, d)
        Where the sample is for: between these.

    Returns
    -------
    Sample or None
        None where there are too few outputs for anything to be gained.
    """
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(codes), size=(2, N_PROBES))
    total = jacobian(torch.as_tensor(0.5 * (codes[i] + codes[j]))).square().sum(1)
    if total.shape[1] < 2 * N_SAMPLED:
        return None
    share = (total / total.sum(1, keepdim=True).clamp(min=1e-300)).mean(0).numpy() + 1e-12
    expected = N_SAMPLED * share / share.sum()
    # Systematic sampling: evenly spaced marks on the line of cumulated shares.
    marks = np.floor(np.cumsum(expected) + rng.uniform())
    counts = np.diff(marks, prepend=0.0)
    kept = np.flatnonzero(counts)
    return Sample(kept, np.sqrt(counts[kept] / expected[kept]))
