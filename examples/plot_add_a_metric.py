"""
A metric of your own: the hyperbolic plane
==========================================

A metric is a function that returns a symmetric positive definite matrix for every point. From it
:class:`~skriem.geometry.MetricField` makes distances, geodesics, means, tangent vectors, and a
geometry that every estimator takes. The upper half of the plane, with all lengths divided by the
height, is the hyperbolic plane. Everything about it is known, so that the result can be checked.
"""

# %%
# The metric in three lines. The function gets all points at once and works on torch tensors.

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Circle

from skriem import RiemannianKMeans
from skriem.geometry import MetricField


def half_plane(z):
    return torch.eye(2, dtype=z.dtype, device=z.device) / z[:, 1, None, None] ** 2


metric = MetricField(half_plane, n_dims=2)

# %%
# Distances against the formula, arcosh(1 + ‖a − b‖² / (2 aᵧ bᵧ)), and the curvature, whose
# scalar is −2 everywhere:

rng = np.random.default_rng(0)
a, b = (rng.uniform([-2.0, 0.3], [2.0, 3.0], (100, 2)) for _ in range(2))
known = np.arccosh(1.0 + ((a - b) ** 2).sum(1) / (2.0 * a[:, 1] * b[:, 1]))
found = metric.distance(a, b, tol=1e-5)
print(f"largest relative error of a distance {np.abs(found / known - 1.0).max():.1e}")
print(f"scalar curvature {metric.scalar_curvature(a).min():.6f}")
assert np.abs(found / known - 1.0).max() < 1e-4

# %%
# Geodesics are arcs of circles that meet the edge at right angles. On the left some of them, drawn
# over the circles. On the right, what is half a unit away from each of three points: measured by
# the metric, all of these rings have the same size.

starts = np.array([[-1.8, 0.15], [-1.2, 0.6], [-0.4, 0.15], [0.9, 0.4], [-1.9, 1.5]])
ends = np.array([[1.9, 0.15], [0.3, 0.2], [0.15, 0.15], [1.5, 0.2], [1.2, 2.3]])
curves = metric.geodesic(starts, ends).curve(np.linspace(0.0, 1.0, 100))

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9), layout="constrained", sharey=True)
for start, end, curve in zip(starts, ends, curves):
    # The circle around a point of the edge that is as far from both ends.
    middle = (end @ end - start @ start) / (2.0 * (end[0] - start[0]))
    radius = np.hypot(start[0] - middle, start[1])
    left.add_patch(Circle((middle, 0.0), radius, fill=False, color="#94a4a2", linewidth=3.5))
    left.plot(*curve.T, color="#bd1f01", linewidth=1.5)
    left.plot(*np.stack([start, end]).T, "o", color="black", markersize=4)
left.set(title="geodesics, over circles", ylabel="height")

turns = np.linspace(0.0, 2.0 * np.pi, 120)
directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
for center in np.array([[-1.0, 1.5], [0.4, 0.7], [1.4, 0.3]]):
    # A tangent vector of length one is as long in the plane as the point is high.
    ring = metric.exp(np.tile(center, (120, 1)), 0.5 * center[1] * directions)
    right.plot(*ring.T, color="#3f90da", linewidth=2)
    for end in ring[::10]:
        spoke = metric.geodesic(center[None], end[None]).curve(np.linspace(0.0, 1.0, 20))[0]
        right.plot(*spoke.T, color="#3f90da", linewidth=0.8)
    right.plot(*center, "o", color="black", markersize=4)
right.set(title="half a unit away")
for ax in (left, right):
    ax.set(xlim=(-2.0, 2.0), ylim=(0.0, 2.9), aspect="equal")
    ax.axhline(0.0, color="black", linewidth=2)

# %%
# An estimator takes the metric as it is. Given `points` it can search along them as well:

labels = RiemannianKMeans(3, metric=metric.with_points(a), random_state=0).fit_predict(a)
print("points per cluster", np.bincount(labels))
plt.show()
