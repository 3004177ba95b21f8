"""What a step frees stays with the process."""

import ctypes
import sys

# What glibc's malloc.h calls them.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Large arrays that are freed serve the next step of training on a CPU, with glibc.

    glibc takes an array of more than 32 MB, such as the logits of a batch, from the kernel and
    gives it back as soon as it is freed; the kernel then clears every page of it in the next step,
    too. For the whole process, to its end: the command line's trainings do so, a notebook may.
    Elsewhere than in Linux it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none.
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)
