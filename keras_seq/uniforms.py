"""The numbers that a caller draws, which make a generation a pure function. Imports NumPy only."""

import numpy as np

LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))


def random_uniforms(rows: int, count: int, seed: int | None) -> np.ndarray:
    """Random numbers in [0, 1), `(rows, count)` float32.

    Those of a row depend on the seed and the row alone: not on how many rows there are, and fewer
    numbers are the first of more.

    Args:
        rows: Rows.
        count: Numbers of each.
        seed: 0 or more; None for others each time.
    """
    if seed is None:
        return np.random.default_rng().random((rows, count), dtype="float32")
    numbers = [np.random.default_rng((seed, row)).random(count, "float32") for row in range(rows)]
    return np.array(numbers, "float32").reshape(rows, count)
