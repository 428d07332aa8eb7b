"""Clusters of tables with categories and gaps, and of texts, as they are, beside what one prepares.

python benchmarks/tables_and_texts.py

Tables are made; texts are the docstrings of installed packages, to be told apart by where they are
from. Of the peers k-prototypes needs the package kmodes. Means of three seeds.
"""

import argparse
import importlib
import inspect
import re
import warnings

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_moons
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler

from skriem import RiemannianKMeans

N_SEEDS = 3
TABLES = {
    "four groups": {},
    "categories tell more": {"apart": 1.0, "purity": 0.85},
    "categories alone tell": {"apart": 0.2, "purity": 0.9, "n_names": 6},
    "a fifth is missing": {"gaps": 0.2},
    "groups of unequal size": {"evenness": 1.5},
    "half moons and two names": {"moons": True, "n_names": 1, "purity": 0.8, "n_noise": 1},
    "eight columns say nothing": {"n_noise": 4},
}
TEXTS = {
    "library": ["datetime", "decimal", "socket", "asyncio", "os", "unittest"],
    "SciPy": [f"scipy.{m}" for m in ("stats", "signal", "linalg", "optimize", "spatial", "fft")],
    "scikit-learn": [
        f"sklearn.{m}" for m in ("cluster", "linear_model", "metrics", "datasets", "ensemble")
    ],
    "packages": ["numpy", "pandas", "torch", "matplotlib.axes", "scipy.stats", "sklearn.metrics"],
}
SHORTEST = 200


def table(
    seed,
    n=600,
    k=4,
    apart=2.0,
    purity=0.7,
    n_names=4,
    n_noise=2,
    gaps=0.0,
    evenness=8.0,
    moons=False,
):
    """A table of numbers in units far from each other and of names, and its groups."""
    rng = np.random.default_rng(seed)
    columns, y = {}, rng.choice(k, size=n, p=rng.dirichlet(np.full(k, evenness)))
    if moons:
        X, y = make_moons(n, noise=0.08, random_state=seed)
        k, columns = 2, {"a": 100.0 * X[:, 0], "b": X[:, 1]}
    n_numbers = 0 if moons else 4
    centers = apart * rng.normal(size=(k, n_numbers))
    for j in range(n_numbers):
        columns[f"n{j}"] = (centers[y, j] + rng.normal(size=n)) * 10.0 ** rng.uniform(-2, 3)
    for j in range(0 if moons else n_noise):
        columns[f"e{j}"] = rng.normal(size=n) * 10.0 ** rng.uniform(-2, 3)
    for j in range(n_names + n_noise):
        levels = rng.integers(2, 6)
        usual, random = rng.integers(0, levels, size=k), rng.integers(0, levels, size=n)
        told = (rng.random(n) < purity) & (j < n_names)
        columns[f"c{j}"] = np.array(list("abcdef"))[np.where(told, usual[y], random)]
    X = pd.DataFrame(columns)
    return (X.mask(rng.random(X.shape) < gaps) if gaps else X), y


def by_hand(X, k, seed):
    """KMeans on scaled columns beside one-hot ones."""
    of_numbers = make_pipeline(SimpleImputer(), StandardScaler())
    of_names = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    columns = make_column_transformer(
        (of_numbers, make_column_selector(dtype_include=np.number)),
        (of_names, make_column_selector(dtype_exclude=np.number)),
        sparse_threshold=0.0,
    )
    return KMeans(k, n_init=10, random_state=seed).fit_predict(columns.fit_transform(X))


def prototypes(X, k, seed):
    """k-prototypes on the same, scaled and filled in alike."""
    from kmodes.kprototypes import KPrototypes

    numeric = X.select_dtypes("number").columns
    X = X.fillna(X[numeric].mean()).fillna(X.mode().iloc[0])
    X[numeric] = StandardScaler().fit_transform(X[numeric])
    names = [place for place, name in enumerate(X) if name not in numeric]
    model = KPrototypes(k, n_init=3, random_state=seed)
    return model.fit_predict(X.to_numpy(), categorical=names)


def texts(names):
    """Docstrings of what modules offer, without the modules' names, and where they are from."""
    spoken = re.compile(r">>>.*|\b(" + "|".join({n.partition(".")[0] for n in names}) + r")\b")
    found = {}
    for k, name in enumerate(names):
        module = importlib.import_module(name)
        for attribute in dir(module):
            documented = getattr(module, attribute, None)
            text = None if inspect.ismodule(documented) else inspect.getdoc(documented)
            if text and len(text) >= SHORTEST:
                found.setdefault(text, (spoken.sub(" ", text), k))
    documents, y = zip(*found.values())
    return documents, np.array(y)


def semantic(X, k, seed):
    """KMeans after latent semantic analysis."""
    lsa = make_pipeline(TruncatedSVD(100, random_state=seed), Normalizer())
    return KMeans(k, n_init=10, random_state=seed).fit_predict(lsa.fit_transform(X))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--skip-prototypes", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rivals = [by_hand] + ([] if options.skip_prototypes else [prototypes])
    print("adjusted Rand index of tables:", "RiemannianKMeans", *(r.__name__ for r in rivals))
    for name, settings in TABLES.items():
        scores = []
        for seed in range(N_SEEDS):
            X, y = table(seed, **settings)
            k = len(np.unique(y))
            labels = [RiemannianKMeans(k, random_state=seed).fit_predict(X)]
            labels += [rival(X, k, seed) for rival in rivals]
            scores.append([adjusted_rand_score(y, found) for found in labels])
        print(f"{name:26}", *(f"{score:.3f}" for score in np.mean(scores, axis=0)), flush=True)
    print("of texts: RiemannianKMeans, KMeans after latent semantic analysis, KMeans")
    for name, modules in TEXTS.items():
        documents, y = texts(modules)
        k = len(modules)
        for words in (
            TfidfVectorizer(stop_words="english", min_df=2, sublinear_tf=True),
            CountVectorizer(stop_words="english", min_df=2),
        ):
            X, scores = words.fit_transform(documents), []
            for seed in range(N_SEEDS):
                labels = [
                    RiemannianKMeans(k, random_state=seed).fit_predict(X),
                    semantic(X, k, seed),
                    KMeans(k, n_init=10, random_state=seed).fit_predict(X),
                ]
                scores.append([adjusted_rand_score(y, found) for found in labels])
            title = f"{name}, {type(words).__name__[:5]}, {X.shape[0]} of {X.shape[1]} words"
            print(f"{title:40}", *(f"{score:.3f}" for score in np.mean(scores, axis=0)), flush=True)


if __name__ == "__main__":
    main()
