"""What a beam search finds, as texts. Plain data: imports nothing heavy."""

from dataclasses import dataclass


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
