"""Examples to learn from and to report on, and the one way in which some are held out."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from keras_seq.errors import UserError

WHOLE_NUMBER = re.compile(r"-?\d{1,40}")


@dataclass(frozen=True, repr=False)
class Examples:
    """Base: columns of equal length, one a field; the first decides what is held out together."""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self._columns().items()}
        if len(set(lengths.values())) > 1:
            counts = " and ".join(f"{length} {name}" for name, length in lengths.items())
            raise ValueError(f"Columns differ in length: {counts}")

    def _columns(self) -> dict[str, list[str]]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} examples: {', '.join(self._columns())})"

    def __len__(self) -> int:
        return len(next(iter(self._columns().values())))

    def take(self, indices: Sequence[int]) -> Self:
        """Returns the examples at `indices`."""
        columns = self._columns().values()
        return type(self)(*([column[i] for i in indices] for column in columns))

    def at_most(self, count: int) -> Self:
        """Returns `count` of the examples, or a few more, selected as by `hold_out`.

        All are returned where there are no more. A smaller selection is part of a larger one.
        """
        return self if count >= len(self) else self.hold_out(count)[1]

    def hold_out(self, count: int) -> tuple[Self, Self]:
        """Splits off `count` examples: `(rest, held_out)`.

        Examples are selected by the SHA-1 of their first column, so the split is the same on every
        machine, whatever the order of the file, and equal texts stay on one side: where the last
        texts selected are equal to others, a few more than `count` are held out.

        Raises:
            UserError: If nothing would be left on one side.
        """
        texts = next(iter(self._columns().values()))
        keys = [hashlib.sha1(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        order = sorted(range(len(self)), key=lambda i: keys[i])
        while 0 < count < len(order) and keys[order[count]] == keys[order[count - 1]]:
            count += 1
        if not 0 < count < len(order):
            raise UserError(
                f"Of {len(self)} examples ({len(set(keys))} different texts) {count} cannot be "
                "held out. Give more examples."
            )
        selected = set(order[:count])
        rest = [i for i in range(len(self)) if i not in selected]
        return self.take(rest), self.take(sorted(selected))


@dataclass(frozen=True, repr=False)
class Texts(Examples):
    """Texts without labels."""

    texts: list[str]


@dataclass(frozen=True, repr=False)
class LabelledTexts(Examples):
    """Texts and their labels, in the same order."""

    texts: list[str]
    labels: list[str]

    def classes(self) -> tuple[str, ...]:
        """Returns the labels that occur, sorted; as numbers where all are whole numbers."""
        labels = set(self.labels)
        if all(WHOLE_NUMBER.fullmatch(label) for label in labels):
            return tuple(sorted(labels, key=lambda label: (int(label), label)))
        return tuple(sorted(labels))


@dataclass(frozen=True, repr=False)
class Pairs(Examples):
    """Texts and their translations, in the same order."""

    sources: list[str]
    targets: list[str]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A data set: what a model learns from and what its results are reported on.

    Attributes:
        name: Name of the data set, the file or the folder.
        train: Examples to learn from.
        held_out: Examples that are never seen in training, nor selected by; results are reported
            on them.
        validation: Examples that select the best epoch; None where training splits them off.
        details: What else a task needs to know of its data, such as the languages, by name.
    """

    name: str
    train: Any
    held_out: Any
    validation: Any = None
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
