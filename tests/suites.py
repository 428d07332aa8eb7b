"""What belongs to the thorough suite, and how tests of the fast one save time."""

import pytest


def thorough(values, slow):
    """Values of a parameter; those that are among `slow` are for the thorough suite."""
    return [pytest.param(v, marks=pytest.mark.slow) if v in slow else v for v in values]


def work_little(patch):
    """Little training and integration, where it is not what a test is about."""
    patch.setattr("skriem.estimators.neighbor_encoder.N_STEPS", 1)
    for name, n in [("land.N_FIRST", 128), ("land.N_FITTING", 128), ("density.N_POINTS", 256)]:
        patch.setattr(f"skriem.geometry.{name}", n)
