"""How tokens are sampled, as a user says it. Plain data: imports NumPy only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_seq.errors import UserError

LEAST_PENALTY, MOST = float(np.finfo("float32").tiny), float(np.finfo("float32").max)
LEAST_TOP_P = 1e-6


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is sampled, and what ends a text.

    Attributes:
        temperature: Divisor of the logits: 0 selects the likeliest token, 1 samples from the
            model's distribution.
        top_k: Sample from this many likeliest tokens; 0 for all.
        top_p: Sample from the likeliest tokens whose probabilities add up to this.
        repetition_penalty: Above 1, earlier tokens become less likely.
        stop: A text or texts that end the output; they are not part of it.
        seed: Random seed: the same seed gives the same text. None for another text each time.

    Raises:
        UserError: If a value is outside of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    stop: str | Sequence[str] | None = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.stop is None or isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,) if self.stop else ())
        self._require("temperature", "a number, 0 or more", _is_number(self.temperature, 0))
        self._require("top_k", "a whole number, 0 or more", _is_whole(self.top_k, 0))
        share = _is_number(self.top_p, LEAST_TOP_P) and self.top_p <= 1
        self._require("top_p", f"from {LEAST_TOP_P} to 1", share)
        penalty = self.repetition_penalty
        self._require("repetition_penalty", "a number above 0", _is_number(penalty, LEAST_PENALTY))
        texts = isinstance(self.stop, Iterable) and all(isinstance(s, str) for s in self.stop)
        self._require("stop", "a list of texts, none of them empty", texts and all(self.stop))
        is_seed = self.seed is None or _is_whole(self.seed, 0)
        self._require("seed", "a whole number, 0 or more, or None", is_seed)

    def _require(self, name: str, what: str, holds: bool) -> None:
        if not holds:
            raise UserError(f"{name} is {what}. Received: {getattr(self, name)!r}")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least


def _is_number(value: object, least: float) -> bool:
    """Whether `value` is one, not below `least` and not infinite, in float32."""
    return isinstance(value, (int, float, np.number)) and least <= value <= MOST
