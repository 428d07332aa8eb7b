"""
An autoencoder elsewhere
========================

Encoder and decoder come as torch modules: to optimise through, to build upon, to serve.
"""

# %%
# ``decoder_module()`` maps codes to images as ``inverse_transform`` does, and torch has its
# gradients. Here only the upper half of a digit is known, and its code is looked for by descent.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from skriem import VAETransformer

X, y = load_digits(return_X_y=True)
train, test = X[:1500], X[1500:]
vae = VAETransformer(8, likelihood="poisson", noise="constant", max_iter=40, random_state=0).fit(
    train
)
encoder, decoder = vae.encoder_module(), vae.decoder_module()
with torch.no_grad():
    codes = encoder(torch.as_tensor(test)).numpy()
print(f"largest difference to transform: {np.abs(codes - vae.transform(test)).max():.1e}")

upper = torch.as_tensor(test[:8, :32])
code = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True)
steps = torch.optim.Adam([code], lr=0.05)
for _ in range(300):
    steps.zero_grad()
    misfit = (decoder(code)[:, :32] - upper).square().sum()
    (misfit + code.square().sum()).backward()
    steps.step()
found = decoder(code).detach().numpy()

figure, axes = plt.subplots(3, 8, figsize=(8.0, 3.4), layout="constrained")
known = np.concatenate([test[:8, :32], np.full((8, 32), np.nan)], axis=1)
for row, (name, images) in zip(axes, [("known", known), ("found", found), ("true", test)]):
    row[0].set_ylabel(name)
    for ax, image in zip(row, images):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0.0, vmax=16.0)
        ax.set(xticks=[], yticks=[])
plt.show()

# %%
# With ``pip install skriem[onnx]`` the same are files that runtimes of ONNX read, on machines
# without torch::
#
#     vae.to_onnx("encoder.onnx")
#     vae.to_onnx("decoder.onnx", "decoder")
