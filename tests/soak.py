"""Random calls from many threads on shared fitted estimators; every answer is compared.

Run as ``python tests/soak.py 600`` for ten minutes. Answers must be those of one thread to the last
bit, and torch's global generator must be where it was.
"""

import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from estimators import ESTIMATORS, METHODS, look, new, table

N_THREADS, N_TABLES = 8, 6


def soak(seconds, names=tuple(ESTIMATORS)):
    """Call for so many seconds; how many calls were made, and descriptions of what went wrong."""
    torch.set_num_threads(1)
    tables = [table(k, n=4 + k).astype((np.float64, np.float32)[k % 2]) for k in range(N_TABLES)]
    shared = {name: new(name).fit(table()) for name in names}
    expected = {(name, k): look(shared[name], X) for name in names for k, X in enumerate(tables)}
    before, end = torch.get_rng_state(), time.monotonic() + seconds

    def call(seed):
        rng, count, wrong = np.random.default_rng(seed), 0, []
        while time.monotonic() < end:
            name, k = names[rng.integers(len(names))], int(rng.integers(N_TABLES))
            method = METHODS[rng.integers(len(METHODS))]
            if method not in expected[name, k]:
                continue
            count += 1
            try:
                found = look(shared[name], tables[k], [method])[method]
                if not np.array_equal(found, expected[name, k][method]):
                    wrong.append(f"{name}, {method}, table {k}: another answer")
            except Exception as error:
                wrong.append(f"{name}, {method}, table {k}: {error!r}")
        return count, wrong

    with ThreadPoolExecutor(N_THREADS) as pool:
        found = list(pool.map(call, range(N_THREADS)))
    wrong = [line for _, lines in found for line in lines]
    if not torch.equal(before, torch.get_rng_state()):
        wrong.append("torch's global generator moved")
    return sum(count for count, _ in found), wrong


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    n_calls, wrong = soak(float(sys.argv[1]))
    print(f"{n_calls} calls from {N_THREADS} threads, {len(wrong)} wrong")
    print(*wrong[:20], sep="\n")
    sys.exit(bool(wrong))
