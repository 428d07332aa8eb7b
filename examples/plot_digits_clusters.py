"""
Clusters of handwritten digits
==============================

k-means on pixels, k-means on the codes of a variational autoencoder, and k-means with geodesic
distances on the same codes. Uses the digits that come with scikit-learn; nothing is downloaded.
The picture is written to ``digits_clusters.png`` or the path given as argument.
"""

import sys

from clustering_report import compare
from sklearn.datasets import load_digits

from skriem import VAETransformer

X, y = load_digits(return_X_y=True)
compare(X, y, VAETransformer(random_state=0), (sys.argv[1:] or ["digits_clusters.png"])[0])
