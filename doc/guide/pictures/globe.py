"""
A map and a globe
=================

The map is a space of codes with two coordinates, and the globe is what they decode to. Written to
``doc/guide/globe.png`` or the path given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from skriem.geometry import PullbackMetric

STRAIGHT, GEODESIC, RING, GRID = "#3f90da", "#bd1f01", "#ffa90e", "#c5c9cf"
RADIUS = 0.2


def globe(z):
    longitude, latitude = torch.deg2rad(z).unbind(-1)
    ring = torch.cos(latitude)
    return torch.stack([ring * longitude.cos(), ring * longitude.sin(), latitude.sin()], dim=-1)


metric = PullbackMetric(globe, n_dims=2)
a, b = np.array([[-75.0, 40.0]]), np.array([[75.0, 50.0]])
t = np.linspace(0.0, 1.0, 120)
curve = metric.geodesic(a, b).curve(t)[0]
line = a + t[:, None] * (b - a)
for name, way in (("straight on the map", line), ("geodesic", curve)):
    length = np.linalg.norm(np.diff(metric.embed(way), axis=0), axis=1).sum()
    print(f"{name:20} {length:.3f} radii of the globe")

# Places that are equally far from a centre, wherever it is.
turns = np.linspace(0.0, 2.0 * np.pi, 80)
directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
rings = []
for center in ([-60.0, 0.0], [0.0, 0.0], [60.0, 0.0], [-60.0, -45.0], [0.0, -45.0], [60.0, -45.0]):
    place = np.tile(center, (len(turns), 1))
    tensor = metric.tensor(place)
    length = np.sqrt(np.einsum("ni,nij,nj->n", directions, tensor, directions))
    rings.append(metric.exp(place, RADIUS * directions / length[:, None]))

figure = plt.figure(figsize=(9.6, 4.0), layout="constrained")
left = figure.add_subplot(1, 2, 1)
right = figure.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
azimuth, elevation = 5.0, 12.0
view = metric.embed(np.array([[azimuth, elevation]]))[0]


def on_globe(way, **style):
    """Draw what is on the side that one sees."""
    points = 1.002 * metric.embed(way)
    points[points @ view < 0.0] = np.nan
    right.plot(*points.T, **style)


longitudes, latitudes = np.arange(-180.0, 181.0, 30.0), np.arange(-75.0, 76.0, 15.0)
along = np.linspace(-180.0, 180.0, 200)
grid = [np.stack([along, np.full(200, at)], 1) for at in latitudes]
grid += [np.stack([np.full(200, at), 0.5 * along], 1) for at in longitudes]
u, v = np.meshgrid(np.linspace(-180, 180, 60), np.linspace(-90, 90, 30))
x, y, z = metric.embed(np.stack([u.ravel(), v.ravel()], 1)).T.reshape(3, 30, 60)
right.plot_surface(x, y, z, color="#eef1f5", shade=False, zorder=0)
ways = [(way, {"color": GRID, "linewidth": 0.7}) for way in grid]
ways += [(way, {"color": RING, "linewidth": 1.8}) for way in rings]
ways += [
    (line, {"color": STRAIGHT, "linewidth": 2.2, "linestyle": "--"}),
    (curve, {"color": GEODESIC, "linewidth": 2.2}),
]
for way, style in ways:
    left.plot(*way.T, **style)
    on_globe(way, **style)
for end in (a, b):
    left.plot(*end.T, "o", color="black")
    on_globe(end, color="black", marker="o")
left.plot([], [], "--", color=STRAIGHT, label="straight on the map")
left.plot([], [], color=GEODESIC, label="geodesic")
left.plot([], [], color=RING, label="rings of one size")
figure.legend(loc="outside lower center", ncols=3, frameon=False)
left.set(
    xlim=(-120, 120),
    ylim=(-90, 90),
    aspect="equal",
    xlabel="longitude",
    ylabel="latitude",
    title="codes",
)
right.set_title("what they decode to")
right.set_proj_type("ortho")
right.view_init(elev=elevation, azim=azimuth)
right.set_box_aspect((1, 1, 1), zoom=1.4)
right.set(xlim=(-1.0, 1.0), ylim=(-1.0, 1.0), zlim=(-1.0, 1.0))
right.set_axis_off()
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "globe.png"])[0], dpi=90)
