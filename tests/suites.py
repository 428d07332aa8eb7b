"""What belongs to the thorough suite, and how tests of the fast one save time."""

import numpy as np
import pytest
import torch


def thorough(values, slow):
    """Values of a parameter; those that are among `slow` are for the thorough suite."""
    return [pytest.param(v, marks=pytest.mark.slow) if v in slow else v for v in values]


def work_little(patch):
    """Little training and integration, where it is not what a test is about."""
    patch.setattr("skriem.estimators.neighbor_encoder.N_STEPS", 1)
    patch.setattr("skriem.geometry.solvers.routes.N_NODES", 2_000)
    patch.setattr("skriem.geometry.solvers.shortcuts.N_SAMPLE", 40)
    patch.setattr("skriem.nn.regression.inference.MOST_DRAWN", 1)
    for name, n in [("land.N_FIRST", 128), ("land.N_FITTING", 128), ("density.N_POINTS", 256)]:
        patch.setattr(f"skriem.geometry.models.{name}", n)


def same_bits(found, expected, **message):
    """Equal to the last bit; on a GPU, where sums have no order, up to what rounding makes of it.

    A trained network differs by some 1e-6 there between two fits with one seed.
    """
    if torch.cuda.is_available():
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, **message)
    else:
        np.testing.assert_array_equal(found, expected, **message)
