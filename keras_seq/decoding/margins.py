"""How near a random number was to selecting another token, in NumPy and double precision."""

import numpy as np


def sampling_margins(
    logits: np.ndarray, uniforms: np.ndarray, temperature: float, top_k: int, top_p: float
) -> np.ndarray:
    """Returns the smallest change of a probability that may change the token of `next_token`.

    Two engines round differently, so the same number may select another token in one of them next
    to a boundary of the distribution: where the sum of probabilities passes `uniform`, or where a
    token is just among the likeliest ones.

    Args:
        logits: `(…, V)`.
        uniforms: `(…)`.
        temperature: As for `next_token`; with 0 nothing is sampled, and the margin is infinite.
        top_k: As for `next_token`.
        top_p: As for `next_token`.

    Returns:
        `(…)` float64.
    """
    if temperature == 0:
        return np.full(uniforms.shape, np.inf)
    scaled = logits.astype("float64") / temperature
    p = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    ranked = -np.sort(-p, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked
    rank = np.arange(p.shape[-1])
    is_candidate = (before < top_p) & ((rank < top_k) | (top_k == 0)) | (rank == 0)
    lowest = np.where(is_candidate, ranked, 2).min(axis=-1, keepdims=True)
    reached = np.cumsum(np.where(p >= lowest, p, 0), axis=-1)
    margins = np.abs(reached / reached[..., -1:] - uniforms[..., None]).min(axis=-1)
    if top_p < 1:
        margins = np.minimum(margins, np.abs(before[..., 1:] - top_p).min(axis=-1))
    if 0 < top_k < p.shape[-1]:
        margins = np.minimum(margins, ranked[..., top_k - 1] - ranked[..., top_k])
    return margins
