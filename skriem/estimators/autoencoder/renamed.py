"""Parameters that a VAETransformer had before it took parts."""

from functools import wraps

# What to write for each.
NOW = {
    "hidden_layer_sizes": "network=(64, 32)",
    "activation": "network=Perceptron(activation=...)",
    "residual": "network=Perceptron(residual=...)",
    "skip": "network=Perceptron(skip=...)",
    "image_shape": "network=Convolutional(image_shape, n_channels)",
    "encoder": "network=Modules(encoder=...)",
    "decoder": "network=Modules(decoder=...)",
    "precision": "noise='rbf', 'mlp' or 'constant'",
    "n_centers": "noise=RBFNoise(n_centers=...)",
    "bandwidth": "noise=RBFNoise(bandwidth=...)",
    "contrast": "noise=RBFNoise(contrast=...)",
    "n_decoders": "noise=DecoderEnsemble(n_decoders)",
    "n_neighbors": "neighbors=15",
    "attraction": "neighbors=Neighbors(attraction=...)",
}


def knows_old_names(init):
    """An ``__init__`` that says what a parameter of old is called now."""

    @wraps(init)
    def wrapped(self, *args, **kwargs):
        check_names(kwargs)
        init(self, *args, **kwargs)

    return wrapped


def check_names(names):
    """Raise TypeError for parameters of old."""
    for name in names:
        if name in NOW:
            raise TypeError(f"VAETransformer has no parameter {name!r} any more: {NOW[name]}.")
