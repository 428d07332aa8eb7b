"""Training and geodesics on a GPU beside the processor of the same machine.

python benchmarks/accelerator.py

Images are made: rows of 784 smooth values between 0 and 1. Every time is the better of two after
one call that warms up; the first geodesics on a metric, which make its table, are not in it.
"""

import argparse
import time

import numpy as np
import torch

from skriem import VAETransformer


def images(n, rng):
    """Smooth made-up images as rows, (n, 784): three blots of ink each."""
    at = rng.uniform(4, 24, size=(n, 3, 2))
    axis = np.arange(28)
    along, across = (np.exp(-((axis - at[..., k, None]) ** 2) / 8) for k in range(2))
    return np.minimum(np.einsum("nbi,nbj->nij", along, across), 1.0).reshape(n, 784)


def best(call):
    """Seconds of the faster of two calls, after one that warms up."""
    call()
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def train(X, device, passes):
    """Images per second of training."""
    model = VAETransformer(2, network=(512, 256), max_iter=passes, device=device, random_state=0)
    return len(X) * passes / best(lambda: model.fit(X))


def solve(metric, codes, device, dtype, n_pairs):
    """Geodesics per second."""
    rng = np.random.default_rng(1)
    pairs = torch.as_tensor(np.asarray(codes)[rng.integers(len(codes), size=(2, n_pairs))])
    a, b = pairs.to(device, dtype)
    return n_pairs / best(lambda: metric.distance(a, b).cpu())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 20_000])
    options = parser.parse_args()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if "cuda" in devices:
        print(torch.cuda.get_device_name(), f"and {torch.get_num_threads()} threads", flush=True)
    X = images(options.images, np.random.default_rng(0)).astype(np.float32)
    for device in devices:
        rate = train(X, device, options.passes)
        print(f"training on {device}: {rate:,.0f} images per second", flush=True)
    for n_dims in (2, 8):
        model = VAETransformer(n_dims, max_iter=options.passes, random_state=0).fit(X[:2000])
        codes = model.transform(X[:2000])
        for n_pairs in options.pairs:
            for device in devices:
                for dtype in (torch.float64, torch.float32):
                    rate = solve(model.metric_, codes, device, dtype, n_pairs)
                    what = f"{n_pairs:,} geodesics, d = {n_dims}, {dtype}, {device}"
                    print(f"{what}: {rate:,.0f} per second", flush=True)


if __name__ == "__main__":
    main()
