"""Types in planted tables of counts, by what is made of the counts before.

python benchmarks/counts.py [--seeds 0 1 10 11] [--families few plain] [--ways residuals]

Tables are like those of genes in cells: negative binomials of unequal totals, types of unequal
size, some of them rare, which a few of the genes tell apart. Families differ in how deep they are,
how many genes tell nothing, whether types come in lineages or pass into each other, and whether
programs that all types have vary besides. Every way is followed by RiemannianKMeans with its
defaults:

logarithms        of shares of an equal total, which is what it makes of counts itself
residuals         Pearson residuals (Lause, Berens and Kobak, Genome Biology 2021), dispersion 1/100
residuals of a tenth   the same with dispersion 1/10
residuals of a third   the same, cut at a third of the square root of the number of rows
chi-square        residuals without dispersion, not cut
even residuals    shares of an equal total by the deviation that counts of their mean have
even, of a tenth  the same with dispersion 1/10
"""

import argparse
import warnings

import numpy as np
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans

FAMILIES = {
    "few": {"n": 200, "n_types": 5},
    "plain": {},
    "lineages": {"n_lineages": 3, "subtypes": 0.55},
    "shallow": {"depth": 300.0},
    "uninformative": {"n_genes": 2000, "marked": 0.04, "fold": 1.2},
    "gradients": {"between": 0.35, "n_lineages": 4, "subtypes": 0.8},
    "program": {"program": 0.6, "n_lineages": 3, "subtypes": 0.7},
}


def table(
    seed,
    n=700,
    n_genes=800,
    n_types=8,
    depth=900.0,
    marked=0.06,
    fold=0.9,
    n_lineages=0,
    subtypes=1.0,
    program=0.0,
    between=0.0,
    evenness=1.5,
    shape=3.0,
):
    """Counts, (n, genes seen in three rows at least), and types."""
    rng = np.random.default_rng(seed)
    share = np.maximum(rng.dirichlet(np.full(n_types, evenness)), 0.015)
    y = rng.choice(n_types, n, p=share / share.sum())
    usual = rng.normal(-1.0, 1.4, n_genes)

    def marks(m, size):
        told = rng.random((m, n_genes)) < marked
        return np.where(told, rng.normal(0.3 * size, size, (m, n_genes)), 0.0)

    if n_lineages:
        line = np.r_[np.arange(n_lineages), rng.integers(0, n_lineages, n_types - n_lineages)]
        of_types = marks(n_lineages, fold * 1.3)[line] + marks(n_types, fold * subtypes)
    else:
        of_types = marks(n_types, fold)
    logs = of_types[y]
    if between:
        others = np.array([rng.choice(np.flatnonzero(line == line[kind])) for kind in y])
        way = np.where(rng.random(n) < between, rng.uniform(0.0, 0.5, n), 0.0)[:, None]
        logs = (1.0 - way) * logs + way * of_types[others]
    if program:
        runs = rng.normal(size=(n, 2))
        in_it = rng.random((2, n_genes)) < 0.15
        logs = logs + program * runs @ np.where(in_it, rng.normal(size=(2, n_genes)), 0.0)
    rates = np.exp(usual + logs)
    looked = depth * rng.lognormal(0.0, 0.45, (n, 1))
    mean = looked * rates / rates.sum(1, keepdims=True)
    X = rng.poisson(mean * rng.gamma(shape, 1.0 / shape, mean.shape)).astype(float)
    return X[:, (X > 0.0).sum(0) >= 3], y


def residuals(X, dispersion=0.01, furthest=1.0):
    mean = X.sum(1, keepdims=True) * X.sum(0) / X.sum()
    found = (X - mean) / np.sqrt(mean + dispersion * mean**2)
    most = furthest * np.sqrt(len(X))
    return np.clip(found, -most, most)


def even_residuals(X, dispersion=0.01, furthest=25.0):
    total = np.exp(np.log(X.sum(1)).mean())
    mean = total * X.sum(0) / X.sum()
    shares = X * (total / X.sum(1, keepdims=True))
    return np.minimum(shares / np.sqrt(mean + dispersion * mean**2), furthest)


WAYS = {
    "logarithms": lambda X: X,
    "residuals": residuals,
    "residuals of a tenth": lambda X: residuals(X, 0.1),
    "residuals of a third": lambda X: residuals(X, furthest=1 / 3),
    "chi-square": lambda X: residuals(X, 0.0, np.inf),
    "even residuals": even_residuals,
    "even, of a tenth": lambda X: even_residuals(X, 0.1),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 10, 11])
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{'':16}" + "".join(f"{way:>22}" for way in options.ways))
    found = []
    for name in options.families:
        rows = []
        for seed in options.seeds:
            X, y = table(seed, **FAMILIES[name])
            k = len(np.unique(y))
            models = (RiemannianKMeans(k, random_state=0).fit(WAYS[w](X)) for w in options.ways)
            rows.append([adjusted_rand_score(y, model.labels_) for model in models])
        found.append(np.mean(rows, axis=0))
        print(f"{name:16}" + "".join(f"{value:22.3f}" for value in found[-1]), flush=True)
    print(f"{'mean':16}" + "".join(f"{value:22.3f}" for value in np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
