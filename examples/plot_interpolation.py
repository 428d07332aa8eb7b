"""
From one image to another
=========================

Between two codes a straight line crosses places that no image was ever encoded to, and what is
decoded there is a blur of several. A geodesic stays where the decoder is sure. In equal steps
along it, what is seen changes by equal amounts.
"""

# %%
# An autoencoder of the digits that come with scikit-learn, with two latent coordinates.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skriem import VAETransformer
from skriem.inspection import GeodesicDisplay, LatentSpaceDisplay

X, y = load_digits(return_X_y=True)
vae = VAETransformer(random_state=0).fit(X)
codes = vae.transform(X)

# %%
# What is decoded on the way from the topmost code to the rightmost, along both. The lengths are
# those of the decoder's metric, in units of the data.

a, b = codes[:, 1].argmax(), codes[:, 0].argmax()
GeodesicDisplay.from_estimator(vae, X[a], X[b], n_frames=9, image_shape=(8, 8))

# %%
# The same two ways among the codes. Dark is where the decoder is unsure: the straight line (dashed)
# runs into it, the geodesic goes round.

display = LatentSpaceDisplay.from_estimator(vae, codes, y, background="noise", n_geodesics=0)
curve = vae.metric_.geodesic(codes[[a]], codes[[b]]).curve(np.linspace(0.0, 1.0, 100))[0]
for way, style in ((np.asarray(codes[[a, b]]), "--"), (curve, "-")):
    display.ax_.plot(*way.T, style, color="black", linewidth=2.5)
plt.show()
