"""Pairs of texts, a source and its translation."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_seq.data.corpus import LabelledTexts


@dataclass(frozen=True)
class Pairs:
    """Texts and their translations, in the same order."""

    sources: list[str]
    targets: list[str]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.targets):
            raise ValueError(f"{len(self.sources)} sources and {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, indices: Sequence[int]) -> "Pairs":
        """The pairs at `indices`."""
        return Pairs([self.sources[i] for i in indices], [self.targets[i] for i in indices])

    def at_most(self, count: int) -> "Pairs":
        """`count` of the pairs, or a few more: `LabelledTexts.at_most`, by the source."""
        chosen = LabelledTexts(self.sources, self.targets).at_most(count)
        return Pairs(chosen.texts, chosen.labels)

    def hold_out(self, count: int) -> tuple["Pairs", "Pairs"]:
        """Splits off `count` pairs, or a few more: `(rest, held_out)`.

        They are chosen as by `LabelledTexts.hold_out`: by the hash of the source, and all pairs
        with the same source stay on one side.

        Raises:
            UserError: If nothing would be left on one side.
        """
        rest, held_out = LabelledTexts(self.sources, self.targets).hold_out(count)
        return Pairs(rest.texts, rest.labels), Pairs(held_out.texts, held_out.labels)


@dataclass(frozen=True)
class PairCorpus:
    """A data set for translation.

    Attributes:
        name: Of the data set or the file or files.
        train: To learn from.
        validation: To choose by, while and after training.
        held_out: Never seen in training, nor chosen by; results are reported on it.
        source: The language or the column that is translated from; "" where unknown.
        target: The one that is translated into; "" where unknown.
        dropped: How many pairs were left out because a side of them is empty.
    """

    name: str
    train: Pairs
    validation: Pairs
    held_out: Pairs
    source: str
    target: str
    dropped: int = 0
