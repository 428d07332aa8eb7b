"""
Clusters of handwritten digits
==============================

k-means in a curved latent space. A :class:`~skriem.VAETransformer` gives every image two
coordinates that carry the geometry of its decoder, and :class:`~skriem.RiemannianKMeans` measures
by that geometry. No label is used except to score the result.
"""

# %%
# The 1,797 images come with scikit-learn. Nothing has to be said about the geometry: the codes
# bring it along.

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skriem import RiemannianKMeans, VAETransformer
from skriem.inspection import LatentSpaceDisplay

X, y = load_digits(return_X_y=True)
codes = VAETransformer(random_state=0).fit_transform(X)
kmeans = RiemannianKMeans(n_clusters=10, random_state=0).fit(codes)

# %%
# Scores against the digits: the adjusted Rand index and the normalised mutual information, both
# 1 for the digits themselves.

straight = KMeans(n_clusters=10, random_state=0)
for name, labels in {
    "k-means on pixels": straight.fit_predict(X),
    "k-means on codes": straight.fit_predict(codes),
    "Riemannian k-means on codes": kmeans.labels_,
}.items():
    scores = adjusted_rand_score(y, labels), normalized_mutual_info_score(y, labels)
    print("{:28} adjusted Rand index {:.3f}, NMI {:.3f}".format(name, *scores))

# %%
# Codes in the colours of their clusters, with geodesics from the centres (stars) to some of them.
# The background is the magnification factor: dark where a small step changes the decoded image,
# or how sure the decoder is of it, a lot. Geodesics keep to light ground and go round what is
# dark.

display = LatentSpaceDisplay.from_estimator(kmeans, codes)
display.ax_.set_title("Riemannian k-means of handwritten digits")
display.figure_.set_size_inches(8.0, 5.6)
plt.show()
