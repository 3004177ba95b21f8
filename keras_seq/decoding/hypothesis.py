"""What a beam search finds, as texts. Plain data: imports nothing heavy."""

from dataclasses import dataclass

NEVER = -1e9
NO_CHANCE = NEVER / 2  # The score of a missing hypothesis is lower.


@dataclass(frozen=True)
class Hypothesis:
    """A text that a beam search found.

    Attributes:
        text: The text.
        score: Its log-probability, divided by the length penalty.
        ended: Whether the model ended it; False where the largest number of tokens cut it.
    """

    text: str
    score: float
    ended: bool
