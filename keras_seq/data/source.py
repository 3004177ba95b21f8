"""Where a task's data comes from: a public data set by name, or the user's own files."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from keras_seq.data.corpus import Corpus
from keras_seq.options import Options, option


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes:
        description: One line for help texts and error messages.
        load: Takes the `DataSource` that names the data set; returns its `Corpus`.
        licence: The licence, which holds for what is made of the data; "" where none is stated.
    """

    description: str
    load: Callable[[Any], Corpus]
    licence: str = ""


@dataclass(frozen=True)
class DataSource(Options):
    """Base: names data and loads it. A task has its own subclass, whose fields are options."""

    name_or_path: str = option(
        "", "a public data set, or your own file", flag="--data", metavar="NAME_OR_FILE"
    )
    data_dir: str | None = option(
        None, "folder of the public data sets; else KERAS_SEQ_DATA", metavar="FOLDER", kw_only=True
    )

    data_sets: ClassVar[Mapping[str, DataSet]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the user's own table."""
        raise NotImplementedError

    @property
    def data_set(self) -> DataSet | None:
        """The public data set; None for the user's own files."""
        return self.data_sets.get(self.name_or_path)

    def load(self) -> Corpus:
        """Loads a public data set, or the user's own data with a part of it held out.

        Raises:
            UserError: If there is no such data, or it can't be used.
        """
        return self.data_set.load(self) if self.data_set else self.split()

    def load_held_out(self) -> tuple[Any, str]:
        """Loads examples to report on and their name: held-out ones, or all of the user's own."""
        if self.data_set:
            corpus = self.load()
            return corpus.held_out, corpus.name
        return self.read(), self.name_or_path

    def read(self) -> Any:
        """Reads all examples in the user's own files."""
        raise NotImplementedError

    def split(self) -> Corpus:
        """Reads the user's own files and holds a part of the examples out."""
        raise NotImplementedError

    def for_model(self, model: Any) -> Self:
        """Returns this source with what `model` says of its data, such as its languages.

        Raises:
            UserError: If the two contradict each other.
        """
        return self

    def resolve(self) -> Self:
        """Returns this source with absolute paths, to be loaded again from another folder."""
        path = Path(self.name_or_path)
        if self.data_set or not path.exists():
            return self
        return dataclasses.replace(self, name_or_path=str(path.absolute()))

    def provenance(self) -> dict[str, str]:
        """Returns the name of the "data" and its "licence", if one is known."""
        licence = self.data_set.licence if self.data_set else ""
        provenance = {"data": Path(self.name_or_path).name}
        return provenance | ({"licence": licence} if licence else {})

    @classmethod
    def describe_data_sets(cls, separator: str = "; ") -> str:
        """Returns the public data sets with a line about each."""
        return separator.join(f"{name}: {d.description}" for name, d in cls.data_sets.items())
