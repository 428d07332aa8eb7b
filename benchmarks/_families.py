"""Families of clustering problems on which k-means is right, or about as right as anything.

Every member is a function of one seed: see :data:`FAMILIES`.
"""

import numpy as np


def rotation(n_features, rng):
    """A rotation or reflection, uniformly distributed."""
    q, r = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    return q * np.sign(np.diag(r))


def blobs(centers, rng, sizes=100, spreads=1.0, turned=False):
    """Normal clusters around the rows of `centers`."""
    centers = np.asarray(centers, dtype=float)
    y = np.repeat(np.arange(len(centers)), sizes)
    spreads = np.broadcast_to(spreads, len(centers))[y, None]
    X = centers[y] + spreads * rng.normal(size=(len(y), centers.shape[1]))
    return (X @ rotation(X.shape[1], rng) if turned else X), y


def row(n_features, places, rng, **options):
    """Blobs along the first axis."""
    centers = np.zeros((len(places), n_features))
    centers[:, 0] = places
    return blobs(centers, rng, **options)


def grid(n_features, side, step, rng, **options):
    """Blobs on a square grid in the first two axes."""
    centers = np.zeros((side**2, n_features))
    centers[:, :2] = step * np.stack(np.meshgrid(*[np.arange(side)] * 2), axis=-1).reshape(-1, 2)
    return blobs(centers, rng, **options)


def shell(n_features, n_clusters, radius, rng, **options):
    """Blobs in random directions, at least 6 apart where there is room."""
    centers = []
    for _ in range(100 * n_clusters):
        center = rng.normal(size=n_features)
        center *= radius / np.linalg.norm(center)
        if all(np.linalg.norm(center - other) > 6 for other in centers):
            centers.append(center)
        if len(centers) == n_clusters:
            break
    return blobs(centers, rng, **options)


def with_units(problem, rng, orders=3.0):
    """Features in units that differ by up to so many orders of magnitude."""
    X, y = problem
    return X * 10.0 ** rng.uniform(0.0, orders, X.shape[1]), y


def with_noise(problem, rng, share):
    """Uniform points in the box of the data besides; their label is -1."""
    X, y = problem
    n = int(share * len(X))
    low, high = X.min(0), X.max(0)
    noise = rng.uniform(low, high, size=(n, X.shape[1]))
    return np.concatenate([X, noise]), np.concatenate([y, np.full(n, -1)])


def with_outliers(problem, rng, n):
    """A few points very far away; their label is -1."""
    X, y = problem
    far = X.mean(0) + 30.0 * X.std() * rng.normal(size=(n, X.shape[1]))
    return np.concatenate([X, far]), np.concatenate([y, np.full(n, -1)])


def with_idle(problem, rng, n):
    """Features that tell nothing besides."""
    X, y = problem
    return np.column_stack([X, rng.normal(size=(len(X), n))]), y


def table(n_numbers, levels, n_clusters, n_samples, rng, scaled, ordinal=False, apart=8.0):
    """Numbers that tell the clusters apart and columns of categories that do not.

    Categories are one-hot, or the numbers of their levels where they are ordinal; `scaled`
    divides every column by its standard deviation.
    """
    directions = rng.normal(size=(n_clusters, n_numbers))
    centers = apart * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    numbers, y = blobs(centers, rng, sizes=n_samples // n_clusters)
    columns = [numbers]
    for n_levels in levels:
        values = rng.choice(n_levels, len(y), p=rng.dirichlet(np.full(n_levels, 5.0)))
        columns.append(values[:, None] if ordinal else np.eye(n_levels)[values])
    X = np.column_stack(columns).astype(float)
    return (X / np.maximum(X.std(0), 1e-12) if scaled else X), y


FAMILIES = {
    **{
        f"row of {len(places)} in {d}{', turned' if turned else ''}": (
            lambda rng, d=d, places=places, turned=turned: row(d, places, rng, turned=turned)
        )
        for d in (2, 3, 6, 10, 30, 50)
        for places in ((0, 10, 20), (0, 7, 20, 27))
        for turned in (False, True)
    },
    **{
        f"grid of {side**2} in {d}": lambda rng, d=d, side=side: grid(d, side, 7.0, rng)
        for d in (2, 3, 8, 20)
        for side in (2, 3, 6)
    },
    **{
        f"shell of {k} in {d}": lambda rng, d=d, k=k: shell(d, k, 8.0, rng, turned=True)
        for d in (3, 5, 10, 25, 50)
        for k in (3, 8, 20)
    },
    "40 clusters in 4": lambda rng: shell(4, 40, 14.0, rng, sizes=60),
    "40 clusters on a grid": lambda rng: grid(2, 6, 9.0, rng, sizes=30),
    **{
        f"units, row in {d}": lambda rng, d=d: with_units(row(d, (0, 10, 20), rng), rng)
        for d in (2, 5, 20)
    },
    **{
        f"units, shell in {d}": lambda rng, d=d: with_units(shell(d, 4, 10.0, rng), rng)
        for d in (3, 8, 30)
    },
    "units, few in 4": lambda rng: with_units(shell(4, 3, 10.0, rng, sizes=15), rng),
    "units, many in 2": lambda rng: with_units(grid(2, 2, 8.0, rng, sizes=1000), rng),
    **{
        f"one-hot, {n} x {p} and {levels}, {'scaled' if scaled else 'as it is'}": (
            lambda rng, n=n, p=p, k=k, levels=levels, scaled=scaled: table(
                p, levels, k, n, rng, scaled
            )
        )
        for n, p, k, levels in (
            (600, 3, 3, (4,)),
            (1000, 6, 4, (2, 5)),
            (5000, 8, 5, (3, 4, 5)),
            (3000, 12, 6, (2, 2, 6)),
        )
        for scaled in (False, True)
    },
    **{
        f"ordinal, {p} and {levels}, {'scaled' if scaled else 'as it is'}": (
            lambda rng, p=p, levels=levels, scaled=scaled: table(
                p, levels, 4, 1000, rng, scaled, ordinal=True
            )
        )
        for p, levels in ((4, (5,)), (6, (3, 5, 7)))
        for scaled in (False, True)
    },
    **{
        f"{share:.0%} noise, {name}": (
            lambda rng, share=share, make=make: with_noise(make(rng), rng, share)
        )
        for share in (0.05, 0.2)
        for name, make in {
            "row in 2": lambda rng: row(2, (0, 8, 16), rng),
            "grid in 2": lambda rng: grid(2, 3, 9.0, rng),
            "shell in 5": lambda rng: shell(5, 5, 10.0, rng),
            "many in 2": lambda rng: grid(2, 2, 9.0, rng, sizes=1500),
        }.items()
    },
    "outliers, 2 in 2": lambda rng: with_outliers(row(2, (0, 9), rng), rng, 2),
    "outliers, 10 in 5": lambda rng: with_outliers(shell(5, 4, 9.0, rng), rng, 10),
    "idle features, 10": lambda rng: with_idle(grid(2, 2, 9.0, rng), rng, 10),
    "idle features, 30": lambda rng: with_idle(shell(5, 3, 10.0, rng), rng, 30),
    "sizes 1 to 10": lambda rng: shell(3, 4, 10.0, rng, sizes=[30, 60, 150, 300]),
    "sizes 1 to 20, in 8": lambda rng: shell(8, 3, 10.0, rng, sizes=[25, 100, 500]),
    "one small": lambda rng: row(2, (0, 9, 18), rng, sizes=[300, 300, 15]),
    "spreads 1 to 3": lambda rng: row(2, (0, 12, 30), rng, spreads=[1.0, 2.0, 3.0]),
    "spreads 1 to 3, in 8": lambda rng: shell(8, 3, 14.0, rng, spreads=[1.0, 2.0, 3.0]),
    **{
        f"touching, {gap} apart in {d}": lambda rng, gap=gap, d=d: row(
            d, (0, gap, 2 * gap), rng, turned=True
        )
        for gap in (3.0, 4.0, 5.0)
        for d in (2, 8)
    },
    **{
        f"{n} samples in {d}": lambda rng, n=n, d=d: row(d, (0, 20, 40), rng, sizes=n // 3)
        for n in (12, 18, 30)
        for d in (2, 5, 30)
    },
    "20,000 samples in 2": lambda rng: grid(2, 3, 8.0, rng, sizes=2200),
    "20,000 samples in 20": lambda rng: shell(20, 5, 9.0, rng, sizes=4000),
    "5,000 samples in 50": lambda rng: shell(50, 5, 10.0, rng, sizes=1000),
    "uniform square": lambda rng: (
        (X := rng.uniform(size=(1000, 2))),
        (X[:, 0] > 0.5).astype(int) + 2 * (X[:, 1] > 0.5),
    ),
}
