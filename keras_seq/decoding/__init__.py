"""From a step function to tokens: greedy, sampling and beam search, written once.

Importing the package imports no Keras: `Sampling` and `Hypothesis` are plain data.
"""

from keras_seq._lazy import lazy_names

_HOMES = {
    "LEAST_PENALTY": "settings",
    "LEAST_TOP_P": "settings",
    "NO_CHANCE": "hypothesis",
    "Hypothesis": "hypothesis",
    "Repetition": "repetition",
    "Sampling": "settings",
    "Stopping": "generation",
    "beam_search": "beam",
    "generate": "generation",
    "sampling_margins": "margins",
    "next_token": "sampling",
    "apply_repetition_penalty": "repetition",
    "with_repetition_penalty": "repetition",
    "continue_generation": "generation",
    "mark_previous_tokens": "repetition",
}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazy_names(
    __name__, {name: f"keras_seq.decoding.{home}" for name, home in _HOMES.items()}
)
