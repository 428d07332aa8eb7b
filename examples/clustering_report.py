"""What the clustering examples share: scores, their table, and the picture."""

import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
)
from sklearn.metrics.cluster import contingency_matrix

from skriem import RiemannianKMeans

# Ten colours that stay apart for colour-blind readers (Petroff, arXiv 2107.02270).
COLORS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
]


def f_measure(classes, clusters):
    """Mean over classes, weighted by size, of the best F-measure of any cluster."""
    counts = contingency_matrix(classes, clusters)
    of_class, of_cluster = counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    best = (2.0 * counts / (of_class + of_cluster)).max(axis=1)
    return float(np.average(best, weights=of_class[:, 0]))


def print_table(classes, clusterings):
    """Print the scores of each named clustering, one line each."""
    print(f"{'':28} {'adjusted Rand':>14} {'NMI':>6} {'F-measure':>10}")
    for name, clusters in clusterings.items():
        print(
            f"{name:28} {adjusted_rand_score(classes, clusters):14.3f} "
            f"{normalized_mutual_info_score(classes, clusters):6.3f} "
            f"{f_measure(classes, clusters):10.3f}"
        )


def compare(X, y, vae, path):
    """Cluster pixels and codes into ten, print the scores and draw the geodesic clusters."""
    started = time.perf_counter()
    codes = vae.fit_transform(X)
    print(f"trained the autoencoder on {len(X)} images in {time.perf_counter() - started:.1f} s")

    # The codes carry the decoder's geometry, so nothing needs to be said about it here.
    started = time.perf_counter()
    kmeans = RiemannianKMeans(n_clusters=10, random_state=0).fit(codes)
    print(f"clustered them by geodesic distance in {time.perf_counter() - started:.1f} s\n")

    straight = KMeans(n_clusters=10, random_state=0)
    clusterings = {
        "k-means on pixels": straight.fit_predict(X),
        "k-means on codes": straight.fit_predict(codes),
        "Riemannian k-means on codes": kmeans.labels_,
    }
    print_table(y, clusterings)
    plot_clusters(vae.metric_, codes, kmeans, path)


def plot_clusters(metric, codes, kmeans, path, n_geodesics=12, n_shown=2000, seed=0):
    """Codes in the colours of their clusters, with geodesics from the centres to some of them.

    The background is the magnification factor: dark where a step in the code space changes
    the decoded image a lot. Between and around the data the decoder is unsure, and steps are
    long.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    codes, labels = np.asarray(codes), kmeans.labels_
    rng = np.random.default_rng(seed)
    shown = rng.permutation(len(codes))[:n_shown]
    margin = 0.06 * np.ptp(codes, axis=0)
    low, high = codes.min(axis=0) - margin, codes.max(axis=0) + margin
    axes = [np.linspace(low[k], high[k], 220) for k in range(2)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    background = metric.log_volume(grid).reshape(220, 220) / np.log(10.0)

    figure, ax = plt.subplots(figsize=(8.0, 6.6), layout="constrained")
    image = ax.imshow(
        background,
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        aspect="auto",
        cmap="gray_r",
        alpha=0.75,
    )
    figure.colorbar(image, ax=ax, label="magnification factor, log10 √det M", shrink=0.85)
    for k, center in enumerate(kmeans.cluster_centers_):
        color = COLORS[k % len(COLORS)]
        mine = shown[labels[shown] == k]
        ax.scatter(*codes[mine].T, s=7, color=color, linewidth=0, alpha=0.85)
        ends = codes[mine[:n_geodesics]]
        if len(ends):
            found = metric.geodesic(np.tile(center, (len(ends), 1)), ends, tol=1e-2)
            for curve in found.curve(np.linspace(0, 1, 60)):
                ax.plot(*curve.T, color="black", linewidth=1.7, alpha=0.6)
                ax.plot(*curve.T, color=color, linewidth=1.0)
    ax.scatter(
        *kmeans.cluster_centers_.T, s=130, marker="*", color="white", edgecolor="black", zorder=5
    )
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="code 0", ylabel="code 1")
    ax.set_title("Riemannian k-means: clusters, centres (stars) and geodesics from them")
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")
