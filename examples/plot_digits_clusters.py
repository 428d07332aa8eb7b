"""
Clusters of handwritten digits
==============================

k-means on pixels, k-means on the codes of a variational autoencoder, and k-means with geodesic
distances on the same codes. Uses the digits that come with scikit-learn; nothing is downloaded.
"""

import sys
import time

from clustering_report import plot_clusters, print_table
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from skriem import RiemannianKMeans, VAETransformer

X, y = load_digits(return_X_y=True)

started = time.perf_counter()
vae = VAETransformer(random_state=0)
codes = vae.fit_transform(X)
print(f"trained the autoencoder on {len(X)} images in {time.perf_counter() - started:.1f} s")

# The codes carry the decoder's geometry, so nothing needs to be said about it here.
started = time.perf_counter()
kmeans = RiemannianKMeans(n_clusters=10, random_state=0).fit(codes)
print(f"clustered them by geodesic distance in {time.perf_counter() - started:.1f} s\n")

print_table(
    y,
    {
        "k-means on pixels": KMeans(n_clusters=10, random_state=0).fit_predict(X),
        "k-means on codes": KMeans(n_clusters=10, random_state=0).fit_predict(codes),
        "Riemannian k-means on codes": kmeans.labels_,
    },
)
plot_clusters(vae.metric_, codes, kmeans, sys.argv[1] if sys.argv[1:] else "digits_clusters.png")
