"""
Between and next: sequences
===========================

With a dynamical system for a prior an autoencoder knows that rows are steps of sequences. What is
missing between is inferred from both sides, and what comes next can be foreseen.
"""

# %%
# Pictures of a pendulum, 12 by 12 pixels with noise: six recordings to learn from, and one more of
# which ten pictures in the middle are lost.

import matplotlib.pyplot as plt
import numpy as np

from skriem import DynamicsPrior, VAETransformer

rng, n = np.random.default_rng(0), 70
angle = 0.9 * np.cos(0.25 * np.arange(n + 12) + rng.uniform(0.0, 6.0, (7, 1)))
across, down = np.meshgrid(np.linspace(-1.2, 1.2, 12), np.linspace(-0.2, 1.4, 12))
place = angle[..., None, None]
off = (across - np.sin(place)) ** 2 + (down - np.cos(place)) ** 2
clean = np.exp(-off / 0.08).reshape(7, n + 12, 144)
noisy = clean + 0.15 * rng.normal(size=clean.shape)
X, groups = noisy[:6, :n].reshape(-1, 144), np.repeat(np.arange(6), n)

# %%
# A code of two numbers; the system's state has four, of which two are inferred from how codes move.

vae = VAETransformer(
    2, prior=DynamicsPrior(), noise="constant", batch_size=120, max_iter=35, random_state=0
).fit(X, groups=groups)

swing, gap = noisy[6, :n].copy(), slice(35, 45)
swing[gap] = np.nan
filled, ahead = vae.impute(swing), vae.forecast(12, swing)[0]
line = swing[34] + np.linspace(0.0, 1.0, 12)[1:-1, None] * (swing[45] - swing[34])
for name, found, true in (
    ("gap, straight line", line, clean[6, gap]),
    ("gap, dynamics", filled[gap], clean[6, gap]),
    ("next, last picture", swing[-1:], clean[6, n:]),
    ("next, dynamics", ahead, clean[6, n:]),
):
    print(f"{name}: root mean squared error {np.sqrt(((found - true) ** 2).mean()):.3f}")

# %%
# Every second of the lost pictures and of those that follow: what there would have been above, what
# is inferred below. Right, codes of the recording: dots where there is a picture, the line goes on
# through the gap and beyond.

figure = plt.figure(figsize=(9.5, 3.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[2.1, 1.0])
axes = left.subplots(4, 6)
shown = (
    ("lost", clean[6, gap]),
    ("inferred", filled[gap]),
    ("next", clean[6, n:]),
    ("foreseen", ahead),
)
for row, (name, pictures) in zip(axes, shown):
    row[0].set_ylabel(name)
    for ax, picture in zip(row, pictures[np.linspace(0, len(pictures) - 1, 6).astype(int)]):
        ax.imshow(picture.reshape(12, 12), cmap="gray_r", vmin=-0.1, vmax=1.0)
        ax.set(xticks=[], yticks=[])
codes = np.asarray(vae.transform(np.r_[swing, np.full((12, 144), np.nan)]))
there = np.r_[~np.isnan(swing[:, 0]), np.zeros(12, dtype=bool)]
ax = right.subplots()
time = np.arange(n + 12)
for k, color in enumerate(("C0", "C1")):
    ax.plot(time, codes[:, k], color=color, linewidth=1.0)
    ax.plot(time[there], codes[there, k], ".", color=color, markersize=4)
for low, high in ((35, 44), (n, n + 11)):
    ax.axvspan(low - 0.5, high + 0.5, color="0.9", zorder=0)
ax.set(xlabel="step", ylabel="code")
plt.show()
