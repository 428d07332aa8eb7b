"""Refusing jobs that are larger than memory before they start."""

import os


def check_memory(n_bytes, what, advice):
    """Raise MemoryError if `n_bytes` are more than this machine has.

    Parameters
    ----------
    n_bytes : int
    what : str
        What needs them.
    advice : str
        What to do instead.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        # Systems that do not say how much they have.
        return
    if n_bytes > total:
        raise MemoryError(
            f"{what} would need {n_bytes / 2**30:.1f} GiB of memory; this machine has "
            f"{total / 2**30:.1f}. {advice}"
        )
