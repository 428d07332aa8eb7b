"""
From what there is to what to use
=================================

A tree as a table: every row is a way from the left to the right. Written to
``doc/guide/choosing.png`` or the path given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HAVE, WANT, USE = "#dbe9f8", "#fdeccb", "#e6def2"
TREE = {
    "a table, images, texts": {
        "clusters": "RiemannianKMeans(n_clusters)",
        "clusters, k unknown": 'RiemannianKMeans("auto")',
        "a tree, noise left out": "RiemannianSingleLinkage()",
        "codes to see, interpolate,\nsample, fill gaps": "VAETransformer()",
        "groups with probabilities": 'VAETransformer(prior="mixture")',
    },
    "points in 1 to 3 features": {
        "clusters": "RiemannianKMeans(n_clusters)",
        "a density, outliers": "RiemannianNormal(n_components)",
    },
    "codes of a model\nof your own": {
        "clusters, distances": "decoder_metric(decoder, codes)",
    },
    "distances, or a\ngraph of neighbours": {
        "clusters": 'RiemannianKMeans(\nmetric="precomputed")',
    },
    "an estimator that\ntakes distances": {
        "ways along the data": "GeodesicDistance() before it",
    },
    "zeros and ones": {
        "causes, restoration": "DeepRegressionTransformer()",
    },
    "round, well separated\nclusters": {
        "clusters": "KMeans, of scikit-learn",
    },
}
LEFT, WIDTH = (0.0, 3.1, 6.6), (2.4, 2.8, 3.6)


def box(ax, column, y, text, color):
    ax.text(
        LEFT[column] + 0.5 * WIDTH[column],
        y,
        text,
        ha="center",
        va="center",
        fontsize=9.5,
        family="monospace" if column == 2 else None,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": color, "edgecolor": "none"},
    )


def line(ax, column, start, end):
    ends = LEFT[column] + WIDTH[column], LEFT[column + 1]
    ax.plot(ends, (start, end), color="#94a4a2", linewidth=1.2, zorder=0)


figure, ax = plt.subplots(figsize=(9.6, 6.4), layout="constrained")
y = 0.0
for column, title in enumerate(("you have", "you want", "use")):
    ax.text(LEFT[column] + 0.5 * WIDTH[column], 1.0, title, ha="center", weight="bold")
for have, wants in TREE.items():
    middle = y - 0.5 * (len(wants) - 1)
    box(ax, 0, middle, have, HAVE)
    for want, use in wants.items():
        box(ax, 1, y, want, WANT)
        box(ax, 2, y, use, USE)
        line(ax, 0, middle, y)
        line(ax, 1, y, y)
        y -= 1.0
    y -= 0.25
ax.set(xlim=(-0.1, 10.3), ylim=(y + 0.4, 1.5))
ax.axis("off")
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "choosing.png"])[0], dpi=80)
