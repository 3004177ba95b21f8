"""Keeps freed memory with the process, for the next training step."""

import ctypes
import sys

# What glibc's malloc.h calls them.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Makes glibc keep the memory of large arrays that are freed, for the whole process.

    glibc takes an array of more than 32 MB, such as the logits of a batch, from the kernel and
    returns it when it is freed; the kernel then clears every page again in the next step. The
    command line calls this before training; a notebook may, too. It does nothing outside Linux.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none.
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)
