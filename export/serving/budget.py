"""How much memory all requests together may use."""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Iterator

from export.serving.errors import BusyError, SizeError

# Of this size and below, a request may use the last quarter of the budget, too: large requests
# never keep small ones from being answered.
SMALL_BYTES = 65_536
TIDY_BYTES = 32_000_000  # freed and not given back
TIDY_SECONDS = 5.0
MEASURE_SECONDS = 0.05
STATM = "/proc/self/statm"  # of Linux: pages of this process


class Budget:
    """Counts the bytes that requests hold, and refuses what would be too many.

    Args:
        limit: Bytes for all requests together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._at_rest = self._measured = measure_memory()
        self._measured_at = 0.0

    def reserve(self, size: int, what: str) -> "Reservation":
        """Returns a reservation of `size` bytes.

        Args:
            size: Number of bytes.
            what: What needs them, as the error names it, such as "The answer".

        Raises:
            SizeError: If it is more than there will ever be.
            BusyError: If others hold too much now.
        """
        reservation = Reservation(self)
        reservation.grow(size, what)
        return reservation

    @contextlib.contextmanager
    def hold(self, size: int, what: str) -> Iterator["Reservation"]:
        """Reserves bytes for the `with` block; see `reserve`."""
        reservation = self.reserve(size, what)
        try:
            yield reservation
        finally:
            reservation.release()

    def rest(self) -> None:
        """Notes that only the models are in memory now: requests count from here."""
        self._at_rest = measure_memory()

    async def tidy(self) -> None:
        """Gives memory back to the system as it is freed, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            if measure_memory() - self._at_rest - self.used > TIDY_BYTES:
                await asyncio.to_thread(release_memory)

    def take(self, size: int, held: int, what: str) -> None:
        """Counts `size` bytes more for a request that holds `held`; see `reserve`."""
        whole = held + size
        largest = self.limit - self.limit // 4
        if whole > largest:
            raise SizeError(
                f"{what} would need {whole / 1e6:,.0f} MB, and a request may use "
                f"{largest / 1e6:,.0f} MB (--max-memory). Ask for less at once."
            )
        allowed = self.limit if whole <= SMALL_BYTES else largest
        if self.used + size > allowed or (size > SMALL_BYTES and self._has_grown_by(size)):
            raise BusyError(
                f"{what} needs {size / 1e6:,.1f} MB, and other requests hold "
                f"{self.used / 1e6:,.0f} of {self.limit / 1e6:,.0f} MB (--max-memory). Ask again "
                "later."
            )
        self.used += size

    def _has_grown_by(self, size: int) -> bool:
        """Returns whether the process itself would exceed the limit, whatever was counted."""
        now = time.monotonic()
        if now - self._measured_at > MEASURE_SECONDS:
            self._measured, self._measured_at = measure_memory(), now
        return self._measured - self._at_rest + size > self.limit


class Reservation:
    """Bytes that a request holds.

    Args:
        budget: Budget that counts them.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int, what: str) -> None:
        """Reserves more bytes; see `Budget.reserve`."""
        self._budget.take(size, self.size, what)
        self.size += size

    def shrink_to(self, size: int) -> None:
        """Gives back what is more than `size` bytes."""
        less = max(self.size - size, 0)
        self._budget.used -= less
        self.size -= less

    def release(self) -> None:
        """Gives all bytes back."""
        self.shrink_to(0)


def measure_memory() -> int:
    """Returns the bytes that this process has in memory; 0 where the system does not tell."""
    try:
        with open(STATM, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def release_memory() -> None:
    """Gives memory that was freed back to the system, where the C library can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


# Settings of malloc. Threads share few heaps, since each keeps what was freed in it; and a large
# block is always one of its own, which goes back to the system when it is freed.
M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1
HEAPS = 2
LARGE_BLOCK_BYTES = 262_144


def configure_malloc() -> None:
    """Lets the C library, where it can, give back what is freed."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, HEAPS)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK_BYTES)
