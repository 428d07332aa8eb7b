"""Made groups in ten dimensions, told apart by autoencoders with mixture priors."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from skriem import MixturePrior, VAETransformer

# By name: how groups are made, dimensions of codes, and components.
SETS = {
    "six": ({"k": 6}, 3, 10),
    "eight, unlike sizes": ({"k": 8, "unequal": True}, 3, 12),
    "three, bent": ({"k": 3, "bent": True}, 2, 10),
    "nine, bent": ({"k": 9, "bent": True}, 3, 10),
    "ten, unlike sizes, bent": ({"k": 10, "unequal": True, "bent": True}, 3, 10),
    "six, heavy tails": ({"k": 6, "tails": True}, 3, 10),
}


def made_groups(seed, k, n=1000, p=10, d=3, unequal=False, tails=False, bent=False):
    """Rows and groups: long in some directions, of `d` dimensions but for noise."""
    rng = np.random.RandomState(seed)
    shares = 0.8 * rng.dirichlet(np.full(k, 1.0 if unequal else 1000.0)) + 0.2 / k
    y = rng.choice(k, n, p=shares)
    # Not used: with it the sets are those that the figures are of.
    rng.randn(k, d)
    for _ in range(300):
        centers = 4.0 * rng.randn(k, d)
        apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1) + 1e9 * np.eye(k)
        if apart.min() > 3.6:
            break
    shapes = 0.35 * rng.randn(k, d, d) + np.eye(d)
    noise = rng.randn(n, d)
    if tails:
        noise = noise / np.sqrt(rng.chisquare(3, n) / 3.0)[:, None]
    z = centers[y] + np.einsum("nij,nj->ni", shapes[y], noise)
    first, last = rng.randn(d, 20), rng.randn(20, p)
    X = np.tanh(z @ first / 8.0) @ last if bent else z @ rng.randn(d, p)
    return X + 0.1 * X.std() * rng.randn(n, p), y


def print_groups(seeds):
    for name, (how, d, n_components) in SETS.items():
        for component in ("normal", "student_t"):
            indices, losses = [], []
            for seed in seeds:
                X, y = made_groups(seed, **how)
                prior = MixturePrior(n_components, component=component)
                vae = VAETransformer(
                    d,
                    prior=prior,
                    noise="constant",
                    max_iter=100,
                    n_iter_no_change=300,
                    random_state=seed,
                ).fit(X)
                indices.append(adjusted_rand_score(y, vae.predict(X)))
                losses.append(vae.loss_curve_[-1])
            told = " ".join(f"{x:.3f}" for x in indices)
            print(
                f"| {name}, {component} | {told} | {np.mean(indices):.3f} | "
                f"{np.mean(losses):.3f} |",
                flush=True,
            )
