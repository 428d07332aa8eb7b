"""Every geometry of the package, with points in it: what ``test_laws.py`` runs over.

A new metric is one more entry of ``GEOMETRIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from networks import fisher_rao
from sklearn.datasets import make_moons
from surfaces import (
    bend,
    bumps,
    cylinder,
    half_plane,
    hills,
    identity,
    near_pairs,
    paraboloid,
    sphere,
    tensor_of,
    wavy,
)

from skriem.geometry import (
    EnsembleEmbedding,
    Metric,
    MetricField,
    NearestNeighborMetric,
    PullbackMetric,
    ambient_metric,
    conformal_metric,
    local_metric,
    location_scale_metric,
    regularised_metric,
    student_t_weights,
)


@dataclass(frozen=True)
class Geometry:
    """How to make a metric, points of it, and where its laws hold less tightly than others'."""

    make: Callable[..., Metric]
    """The metric, of what `fixture` gives if there is one."""
    points: Callable[..., tuple[np.ndarray, np.ndarray]]
    """Points, and one near each, between which there is one geodesic in any coordinates."""
    tabulate: bool = True
    """Whether the same metric with a table around its points obeys the same laws."""
    fixture: str = ""
    """The fixture with a fitted autoencoder and codes that both of the above are given."""
    slow: bool = False
    """Whether all laws are for the thorough suite here."""
    quick: bool = False
    """Whether the laws of curves that take second derivatives are part of the fast suite here."""
    smooth: bool = True
    """Whether there are tangent vectors, and so laws of ``exp``, ``log`` and transport."""
    exempt: tuple[str, ...] = ()
    """Other laws that do not hold."""
    bounds: dict[str, float] = field(default_factory=dict)
    """Bounds of laws that are wider here than for others, by the name of the bound."""


# Costs, factors and decoders; functions that pickle -----------------------------------------


def height_cost(x):
    return x[:, 1] ** -2


def wavy_cost(x):
    """Factors, one for every output."""
    return 1.5 + torch.sin(x + torch.arange(x.shape[1]).to(x))


def wavy_matrices(x):
    """Symmetric and positive definite, no two directions alike."""
    turned = torch.eye(x.shape[1]).to(x) + 0.3 * x.sin()[:, :, None] * x.cos()[:, None]
    return turned @ turned.mT


def gaussian(z):
    """Means and standard deviations of five features."""
    weights = torch.as_tensor(np.random.default_rng(0).normal(size=(z.shape[1], 10))).to(z)
    mean, spread = torch.tanh(z @ weights).tensor_split(2, dim=1)
    return torch.cat([mean, 0.5 + spread.square()], dim=1)


def feature(z):
    """Features of what a decoder makes of codes."""
    return torch.tanh(bumps(z) @ torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.2]]).to(z))


def bent_cylinder(w):
    return cylinder(bend(w))


sphere_tensor = tensor_of(sphere)


def tensor_of_sphere(z):
    return sphere_tensor(z)


# Points -------------------------------------------------------------------------------------


def around(low, high, size=0.15, n=7):
    """Points of a box, and one at most this far from each in every coordinate."""

    def draw():
        z = np.random.default_rng(0).uniform(low, high, (n, len(low)))
        return z, z + size * np.random.default_rng(2).uniform(-1, 1, z.shape)

    return draw


def pairs(low, high, size=0.2):
    """Points from three seeds, and one at about this distance from each in every coordinate."""
    return lambda: tuple(side[::2] for side in near_pairs(low, high, size))


def some(X, size=0.1):
    return lambda: (X, X + size * np.random.default_rng(1).normal(size=X.shape))


def of_decoder(fitted):
    return fitted[0].metric_


def of_digits(fitted):
    z = np.asarray(fitted[1][:6])
    return z, z + 0.05 * np.random.default_rng(0).normal(size=z.shape)


SQUARE, CUBE = ([-1, -1], [1, 1]), ([-1] * 3, [1] * 3)
SMALL, SMALL_CUBE = ([-0.6] * 2, [0.6] * 2), ([-0.6] * 3, [0.6] * 3)
ABOVE = [-1, 1.2], [1, 2]
MOONS = make_moons(60, noise=0.08, random_state=0)[0]
OFF_DATA = MOONS + 0.1 * np.random.default_rng(3).normal(size=MOONS.shape)
CLOUD = np.random.default_rng(1).normal(size=(60, 5))

GEOMETRIES = {
    # Maps
    "sphere": Geometry(lambda: PullbackMetric(sphere, 2), pairs([0.8, 0.5], [2.3, 2.5])),
    "paraboloid": Geometry(lambda: PullbackMetric(paraboloid, 2), pairs(*SQUARE), quick=True),
    "bumps": Geometry(lambda: PullbackMetric(bumps, 2), pairs(*SQUARE)),
    "cylinder": Geometry(lambda: PullbackMetric(bent_cylinder, 2), around(*SMALL)),
    "hills": Geometry(lambda: PullbackMetric(hills, 3), pairs(*CUBE)),
    "features": Geometry(
        # A table is as good as it has to be for lengths.
        lambda: PullbackMetric(feature, 2),
        around(*SQUARE),
        bounds={"chord": 1e-5},
    ),
    "ensemble": Geometry(
        lambda: PullbackMetric(EnsembleEmbedding([bumps, paraboloid]), 2), around(*SQUARE)
    ),
    **{
        f"{name} decoder": Geometry(
            lambda name=name: PullbackMetric(fisher_rao(name, True), 2),
            around([-0.3] * 2, [0.3] * 2),
        )
        for name in ("bernoulli", "categorical", "poisson", "negative_binomial")
    },
    "digits": Geometry(of_decoder, of_digits, tabulate=False, fixture="digits_vae"),
    "digits, steep walls": Geometry(
        of_decoder, of_digits, tabulate=False, fixture="steep_digits_vae", slow=True
    ),
    # Tensors
    "half-plane": Geometry(lambda: MetricField(half_plane, 2), pairs([-1, 1], [1, 2]), quick=True),
    "wavy": Geometry(lambda: MetricField(wavy, 2), pairs(*SQUARE, 0.3)),
    "sphere's tensor": Geometry(
        lambda: MetricField(tensor_of_sphere, 2), pairs([0.8, 0.5], [2.3, 2.5])
    ),
    "local": Geometry(lambda: MetricField(local_metric(MOONS)._tensor_fn, 2), some(MOONS[:7])),
    "conformal": Geometry(
        lambda: MetricField(conformal_metric(MOONS, 0.4)._tensor_fn, 2), some(MOONS[:7])
    ),
    "conformal in 5": Geometry(
        lambda: MetricField(conformal_metric(CLOUD)._tensor_fn, 5),
        some(CLOUD[:7]),
        quick=True,
        tabulate=False,
    ),
    "conformal to a mixture": Geometry(
        lambda: MetricField(
            conformal_metric(
                np.array([[0.0, 0.5], [1.0, 0.0]]),
                covariances=np.array([[[0.6, 0.3], [0.3, 0.4]], [[0.5, -0.2], [-0.2, 0.3]]]),
                weights=[0.3, 0.7],
                rho=0.1,
            )._tensor_fn,
            2,
        ),
        some(MOONS[:7]),
        tabulate=False,
    ),
    "half-plane by cost": Geometry(
        lambda: ambient_metric(identity, height_cost, 2), around(*ABOVE)
    ),
    "diagonal cost": Geometry(lambda: ambient_metric(bumps, wavy_cost, 2), around(*SQUARE)),
    "full cost": Geometry(lambda: ambient_metric(paraboloid, wavy_matrices, 3), around(*CUBE)),
    "regularised": Geometry(
        lambda: regularised_metric(PullbackMetric(bumps, 2), 0.5), around(*SQUARE)
    ),
    "regularised field": Geometry(
        lambda: regularised_metric(MetricField(half_plane, 2), 0.1), around(*ABOVE)
    ),
    "gaussian": Geometry(lambda: location_scale_metric(gaussian, 2), around(*SMALL)),
    "student": Geometry(
        lambda: location_scale_metric(gaussian, 3, *student_t_weights(4.0)), around(*SMALL_CUBE)
    ),
    # Neither
    "nearest": Geometry(
        lambda: NearestNeighborMetric(MOONS),
        lambda: (MOONS[:7], MOONS[7:14]),
        tabulate=False,
        smooth=False,
        # It vanishes at its points, its speed is that of the gaps, and it knows no chords.
        exempt=(
            "tensors_are_symmetric_and_positive_definite",
            "geodesics_have_the_speed_of_their_length",
            "pickles_and_points_make_no_other_metric",
            "no_curve_is_shorter_than_the_chord",
        ),
        # Lengths are sums along paths; the quadrature of the law meets the kinks of the speed.
        bounds={"symmetry": 1e-12, "length of the curve": 5e-3},
    ),
}
GEOMETRIES["nearest, off the data"] = replace(
    GEOMETRIES["nearest"],
    points=lambda: (OFF_DATA[:7], OFF_DATA[7:14]),
    # Ways between places off the data are straight.
    bounds={**GEOMETRIES["nearest"].bounds, "triangle": 0.03},
)
