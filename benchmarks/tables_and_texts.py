"""Clusters of tables with categories and gaps, and of texts, as they are, beside what one prepares.

python benchmarks/tables_and_texts.py

Tables are made; texts are the docstrings of installed packages, to be told apart by where they are
from. Of the peers k-prototypes needs the package kmodes. Means of three seeds.
"""

import argparse
import importlib
import inspect
import re
import resource
import time
import warnings

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes, load_wine, make_moons
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler

from skriem import RiemannianKMeans, VAETransformer

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


def counted(seed, n=600):
    """Groups told by counts, flags and names, and one number."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, size=n)
    rates, shares = rng.gamma(1.0, 4.0, size=(3, 4)), rng.uniform(0.05, 0.95, size=(3, 3))
    X = pd.DataFrame(
        {f"n{j}": rng.poisson(rates[y, j] * rng.gamma(3.0, 1 / 3, n)) for j in range(4)}
    )
    X = X.assign(**{f"f{j}": rng.random(n) < shares[y, j] for j in range(3)})
    said = np.where(rng.random(n) < 0.7, y, rng.integers(0, 3, n))
    return X.assign(c=np.array(list("abc"))[said], x=y + rng.normal(size=n)), y


def shipped(load, seed):
    """A table that scikit-learn ships, every other column cut into three or four names."""
    frame = load(as_frame=True).frame
    y = frame.pop("target")
    for j, name in enumerate(frame.columns[::2]):
        frame[name] = pd.cut(frame[name], 3 + j % 2, labels=list("abcd")[: 3 + j % 2]).astype(str)
    return frame, (y.to_numpy() if y.nunique() < 10 else None)


MIXED = {
    "four groups": lambda seed: table(seed),
    "categories tell more": lambda seed: table(seed, apart=1.0, purity=0.85),
    "half moons and two names": lambda seed: table(seed, moons=True, n_names=1, n_noise=1),
    "eight columns say nothing": lambda seed: table(seed, n_noise=4),
    "counts, flags, names": counted,
    "wine, half cut": lambda seed: shipped(load_wine, seed),
    "diabetes, half cut": lambda seed: shipped(load_diabetes, seed),
}


class ByHand:
    """A gaussian autoencoder of scaled columns beside one-hot ones."""

    def __init__(self, seed):
        self.vae = VAETransformer(random_state=seed)

    def _prepared(self, X):
        parts = [(X[self.numbers].astype(float) - self.mean) / self.std]
        for name, levels in self.levels.items():
            one_hot = pd.DataFrame({f"{name}={v}": (X[name] == v) * 1.0 for v in levels})
            parts.append(one_hot.mask(X[name].isna()))
        return pd.concat(parts, axis=1).to_numpy(dtype=float)

    def fit(self, X):
        self.numbers = [c for c in X if X[c].dropna().map(np.isreal).all()]
        known = X[self.numbers].astype(float)
        self.mean, self.std = known.mean(), known.std(ddof=0)
        self.levels = {c: sorted(X[c].dropna().unique()) for c in X if c not in self.numbers}
        self.vae.fit(self._prepared(X))
        return self

    def transform(self, X):
        return self.vae.transform(self._prepared(X))

    def impute(self, X):
        filled = self.vae.impute(self._prepared(X))
        k = len(self.numbers)
        found = {c: filled[:, j] * self.std[c] + self.mean[c] for j, c in enumerate(self.numbers)}
        for name, levels in self.levels.items():
            found[name] = np.array(levels, dtype=object)[filled[:, k : k + len(levels)].argmax(1)]
            k += len(levels)
        return pd.DataFrame(found)[list(X)]


class Typical:
    """Means and the most frequent names."""

    def __init__(self, seed):
        pass

    def fit(self, X):
        numbers = [c for c in X if X[c].dropna().map(np.isreal).all()]
        self.fill = {c: X[c].astype(float).mean() for c in numbers} | {
            c: X[c].mode()[0] for c in X if c not in numbers
        }
        return self

    def impute(self, X):
        return pd.DataFrame({c: [self.fill[c]] * len(X) for c in X})


def errors(X, filled, gone):
    """Root mean square of errors of numbers in standard deviations, and share of wrong names."""
    squares, wrong = [], []
    for name in X:
        at = gone[name].to_numpy()
        true, found = X[name].to_numpy()[at], filled[name].to_numpy()[at]
        if X[name].map(np.isreal).all():
            squares.append(np.square((found.astype(float) - true) / X[name].astype(float).std()))
        else:
            wrong.append(found != true)
    return np.sqrt(np.concatenate(squares).mean()), np.concatenate(wrong).mean()


def autoencoders(seeds):
    """What fills in gaps, and clusters of codes, of likelihoods for each column and otherwise."""
    makers = [lambda seed: VAETransformer(likelihood="auto", random_state=seed), ByHand, Typical]
    print("gaps filled in: error of numbers and share of wrong names; adjusted Rand index of codes")
    print(f"{'':36}", 'likelihood="auto" | one-hot and scaled | typical')
    for name, make in MIXED.items():
        for share in (0.1, 0.3):
            found = []
            for seed in range(seeds):
                X, y = make(seed)
                gone = np.random.default_rng(seed).random(X.shape) < share
                gone = pd.DataFrame(gone, columns=X.columns)
                Y, row = X.mask(gone), []
                for maker in makers:
                    model = maker(seed).fit(Y)
                    row += errors(X, model.impute(Y), gone)
                    if maker is not Typical:
                        row.append(np.nan if y is None else clustered(model.transform(Y), y, seed))
                found.append(row)
            said = [f"{value:.3f}" for value in np.mean(found, axis=0)]
            parts = " ".join(said[:3]), " ".join(said[3:6]), " ".join(said[6:])
            print(f"{name:28} {share:.0%} gaps |", " | ".join(parts), flush=True)


def clustered(codes, y, seed):
    """Adjusted Rand index of a Gaussian mixture of codes, the same for all."""
    k = len(np.unique(y))
    labels = GaussianMixture(k, n_init=5, random_state=seed).fit_predict(np.asarray(codes))
    return adjusted_rand_score(y, labels)


def gigabytes():
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def large(n=20_000, share=0.001):
    """Memory of a pass over a sparse matrix that would take 3.2 GB as an array, and of codes."""
    rng = np.random.default_rng(0)
    places = rng.integers(n, size=(2, int(share * n**2)))
    X = csr_matrix((1.0 + rng.poisson(1.0, size=places.shape[1]), places), shape=(n, n))
    print(f"{n} x {n}, {share:.1%} entries; peak before: {gigabytes():.2f} GB")
    for task in ("fit", "transform"):
        start = time.perf_counter()
        if task == "fit":
            vae = VAETransformer(likelihood="poisson", max_iter=1, random_state=0).fit(X)
        else:
            vae.transform(X)
        print(f"{task}: {time.perf_counter() - start:.0f} s, peak {gigabytes():.2f} GB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--skip-prototypes", action="store_true")
    parser.add_argument("--autoencoders", action="store_true", help="of these alone")
    parser.add_argument("--large", action="store_true", help="memory of a large sparse matrix")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.large:
        large()
        return
    if options.autoencoders:
        autoencoders(N_SEEDS)
        return
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
