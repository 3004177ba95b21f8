"""Labelled texts, and how they are held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from keras_seq.errors import UserError


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their labels, in the same order."""

    texts: list[str]
    labels: list[str]

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise ValueError(f"{len(self.texts)} texts and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int]) -> "LabelledTexts":
        """The examples at `indices`."""
        return LabelledTexts([self.texts[i] for i in indices], [self.labels[i] for i in indices])

    def classes(self) -> tuple[str, ...]:
        """The labels that occur: sorted, as numbers where all are whole numbers."""
        found = set(self.labels)
        if all(label.lstrip("-").isdecimal() for label in found):
            return tuple(sorted(found, key=int))
        return tuple(sorted(found))

    def at_most(self, count: int) -> "LabelledTexts":
        """`count` of the examples, or a few more, chosen as by `hold_out`; all where no more are.

        The choice of a lower count is part of that of a higher one.
        """
        return self if count >= len(self) else self.hold_out(count)[1]

    def hold_out(self, count: int) -> tuple["LabelledTexts", "LabelledTexts"]:
        """Splits off `count` examples: `(rest, held_out)`.

        An example is chosen by the SHA-1 of its text, so the split is the same on every machine,
        whatever the order of the file, and equal texts stay on one side: where the last texts
        chosen are equal to others, those come along and a few more than `count` are held out.

        Raises:
            UserError: If nothing would be left on one side.
        """
        keys = [hashlib.sha1(text.encode("utf-8", "surrogatepass")).digest() for text in self.texts]
        order = sorted(range(len(self)), key=lambda i: keys[i])
        while 0 < count < len(order) and keys[order[count]] == keys[order[count - 1]]:
            count += 1
        if not 0 < count < len(order):
            raise UserError(
                f"Of {len(self)} examples ({len(set(keys))} different texts) {count} cannot be "
                "held out. Give more examples."
            )
        chosen = set(order[:count])
        rest = [i for i in range(len(self)) if i not in chosen]
        return self.take(rest), self.take(sorted(chosen))


@dataclass(frozen=True)
class Corpus:
    """A data set for classification.

    Attributes:
        name: Of the data set or the file.
        train: To learn from.
        held_out: Never seen in training; results are reported on it.
    """

    name: str
    train: LabelledTexts
    held_out: LabelledTexts

    def classes(self) -> tuple[str, ...]:
        """The labels of both, sorted as by `LabelledTexts.classes`."""
        labels = self.train.labels + self.held_out.labels
        return LabelledTexts(labels, labels).classes()
