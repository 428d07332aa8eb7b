"""
The geometry of your own surface or decoder
===========================================

:class:`~skriem.geometry.PullbackMetric` takes any differentiable torch function: a surface
written down as a formula, or a decoder that was trained elsewhere. Distances between its inputs
are then lengths of curves among its outputs.
"""

# %%
# A landscape first, as a function from the plane to space. One line makes it a geometry.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from skriem.geometry import PullbackMetric


def landscape(z):
    x, y = z.unbind(-1)
    height = 1.6 * torch.exp(-2.0 * (x**2 + y**2)) - 1.0 * torch.exp(-3.0 * ((x - 1.1) ** 2 + y**2))
    return torch.stack([x, y, height], dim=-1)


metric = PullbackMetric(landscape, n_dims=2)

# %%
# Shortest ways go round the hill and the pit, where the straight line on the map goes through
# both.

a = np.array([[-1.5, 0.1], [-1.5, -0.7], [-0.9, 1.3]])
b = np.array([[1.8, 0.05], [1.4, 0.9], [0.4, -1.4]])
geodesics = metric.geodesic(a, b)
t = np.linspace(0.0, 1.0, 100)
curves, lines = geodesics.curve(t), a[:, None] + t[:, None] * (b - a)[:, None]
for k, line in enumerate(lines):
    way = np.linalg.norm(np.diff(metric.embed(line), axis=0), axis=1).sum()
    print(f"way {k}: straight on the map {way:.3f}, geodesic {geodesics.length[k]:.3f}")

# %%
# On the left is the map. Its shades are the magnification factor, √det M: how much larger the
# surface is than the map there. On the right is the surface.

side = np.linspace(-1.9, 1.9, 120)
grid = np.stack(np.meshgrid(side, side), axis=-1)
magnification = np.exp(metric.log_volume(grid.reshape(-1, 2))).reshape(120, 120)

figure = plt.figure(figsize=(9.6, 4.4), layout="constrained")
left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
shades = left.pcolormesh(side, side, magnification, cmap="gray_r", shading="gouraud")
figure.colorbar(shades, ax=left, label="magnification factor", shrink=0.9)
x, y, height = np.moveaxis(metric.embed(grid.reshape(-1, 2)).reshape(120, 120, 3), -1, 0)
right.plot_surface(x, y, height, color="#d8dde3", alpha=0.6, rstride=4, cstride=4, zorder=0)
for ways, style, color, name in (
    (lines, "--", "#3f90da", "straight on the map"),
    (curves, "-", "#bd1f01", "geodesics"),
):
    for k, way in enumerate(ways):
        left.plot(*way.T, style, color=color, linewidth=2, label=name if k == 0 else None)
        right.plot(*(metric.embed(way) + [0.0, 0.0, 0.03]).T, style, color=color, zorder=5)
left.plot(*np.concatenate([a, b]).T, "o", color="black", markersize=5)
left.set(aspect="equal", xlabel="x", ylabel="y")
left.legend(loc="lower right", fontsize=8)
right.view_init(elev=48, azim=-65)
right.set_box_aspect((1, 1, 0.65), zoom=1.25)
right.set_axis_off()

# %%
# Now a decoder: half of an autoencoder in plain torch, trained on images of digits. A module is
# copied, so what happens to it later does not matter. `points` says where it will be used.

X, digit = load_digits(return_X_y=True)
images = torch.as_tensor(X / 16.0, dtype=torch.float32)
torch.manual_seed(0)
encoder = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
decoder = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 64))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
for _ in range(600):
    codes = encoder(images)
    loss = (decoder(codes) - images).square().sum(1).mean() + 1e-2 * codes.square().sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
codes = encoder(images).detach().double().numpy()

metric = PullbackMetric(decoder, n_dims=2, points=codes[::4])

# %%
# Geodesics from one image to a few others, over the magnification factor. This decoder has no
# noise, so nothing keeps the curves near the data, and they follow the mean image alone.
# ``decoder_metric(decoder, codes, data=images)`` puts up the walls that do.

low, high = codes.min(0) - 0.3, codes.max(0) + 0.3
axes = [np.linspace(low[k], high[k], 120) for k in range(2)]
grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
start = codes[[codes.sum(1).argmax()]]
others = codes[[*codes.argmin(0), *codes.argmax(0), *(codes @ [[1, 2], [-1, 1]]).argmin(0)]]
curves = metric.geodesic(np.tile(start, (len(others), 1)), others).curve(t)

figure, ax = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
shades = ax.pcolormesh(
    *axes,
    metric.log_volume(grid).reshape(120, 120) / np.log(10.0),
    cmap="gray_r",
    shading="gouraud",
)
figure.colorbar(shades, ax=ax, label="magnification factor, log10")
ax.scatter(*codes.T, s=4, color="#3f90da", linewidth=0)
for curve in curves:
    ax.plot(*curve.T, color="white", linewidth=3)
    ax.plot(*curve.T, color="#bd1f01", linewidth=1.8)
ax.plot(*np.concatenate([start, others]).T, "o", color="black", markersize=5)
ax.set(xlabel="code 0", ylabel="code 1")
plt.show()
