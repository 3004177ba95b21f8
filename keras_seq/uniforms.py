"""Random numbers that a caller hands to a generation, which stays a pure function. Only NumPy."""

import numpy as np

LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))


def random_uniforms(rows: int, count: int, seed: int | None) -> np.ndarray:
    """Returns random numbers in [0, 1), `(rows, count)` float32.

    The numbers of a row depend only on the seed and the row, not on how many rows there are, and
    fewer numbers are the first of more.

    Args:
        rows: Number of rows.
        count: Numbers per row.
        seed: Random seed, 0 or more; None for other numbers each time.
    """
    if seed is None:
        return np.random.default_rng().random((rows, count), dtype="float32")
    numbers = [np.random.default_rng((seed, row)).random(count, "float32") for row in range(rows)]
    return np.array(numbers, "float32").reshape(rows, count)
