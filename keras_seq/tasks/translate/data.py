"""Pairs of a text and its translation: public data sets by name, and the user's own files."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from keras_seq.data.corpus import Corpus, Pairs
from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.reading import FORMATS, read_columns
from keras_seq.data.source import DataSet, DataSource
from keras_seq.errors import UserError
from keras_seq.files import LONGEST_ROW, name_kind, read_utf8, require_file
from keras_seq.options import option
from keras_seq.tasks.translate.dates import make_dates

HELD_OUT_SHARE = 0.05  # for validation, and as much again for the results


@dataclass(frozen=True)
class PairSource(DataSource):
    """A data set of pairs by its name, or the user's own.

    That is a `.csv`, `.tsv` or `.jsonl` file with a pair in each row, or two text files with a
    comma between, "corpus.en,corpus.de", with a pair in the same line of both. A twentieth is held
    out for validation and as much again for the results, selected by the hash of the source, after
    pairs with an empty side were dropped.

    `source` and `target` are languages of a data set, or columns of a table. For two text files
    called corpus.en and corpus.de they say which is which; for others, whose first is the source,
    they are only names.
    """

    source: str = option("", "language or column to translate from", metavar="NAME", kw_only=True)
    target: str = option("", "language or column to translate into", metavar="NAME", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source and self.source == self.target:
            raise UserError(f"Source and target are both {self.source!r}. Name two different ones.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the user's own table."""
        return self.source or "source", self.target or "target"

    def read(self) -> Pairs:
        """Reads all pairs that the user has, without those with an empty side."""
        pairs, name, _, _ = self._read_files()
        return _drop_incomplete(name, pairs)

    def split(self) -> Corpus:
        """Reads the user's pairs and holds a twentieth out, twice."""
        pairs, name, source, target = self._read_files()
        complete = _drop_incomplete(name, pairs)
        count = max(1, round(len(complete) * HELD_OUT_SHARE))
        rest, held_out = complete.hold_out(count)
        train, validation = rest.hold_out(count)
        dropped = len(pairs) - len(complete)
        return _corpus(name, train, validation, held_out, source, target, dropped)

    def for_model(self, model: Any) -> Self:
        """Returns this source in the direction of `model`.

        Raises:
            UserError: If it is in the other direction.
        """
        if model.source != model.target and (
            self.source == model.target or self.target == model.source
        ):
            raise UserError(
                f"The model translates from {model.source} to {model.target}. Received: --source "
                f"{self.source!r} --target {self.target!r}"
            )
        source, target = self.source or model.source, self.target or model.target
        return replace(self, source=source, target=target)

    def resolve(self) -> Self:
        """Returns this source with absolute paths."""
        paths = self.name_or_path.split(",")
        if self.data_set or not all(Path(path).exists() for path in paths):
            return self
        absolute = ",".join(str(Path(path).absolute()) for path in paths)
        return replace(self, name_or_path=absolute)

    def _read_files(self) -> tuple[Pairs, str, str, str]:
        """Returns the user's pairs, their name, source and target."""
        path, source, target = Path(self.name_or_path), self.source, self.target
        if path.suffix.lower() in FORMATS and path.exists():
            source, target = self.columns
            columns = read_columns(path, (source, target), ("--source", "--target"))
            return Pairs(*columns), path.name, source, target
        first, second = _find_two_files(self.name_or_path)
        if first.samefile(second):
            raise UserError(f"{first} is given twice: give the two sides of the pairs.")
        # Files named by languages, corpus.en and corpus.de, say which is which.
        languages = first.suffix[1:], second.suffix[1:]
        for language in {source, target} - {"", *languages}:
            if language.lower() in (name.lower() for name in languages):
                raise UserError(
                    f"{self.name_or_path}: the languages are {' and '.join(languages)}. Received: "
                    f"{language!r}"
                )
        if languages[0] != languages[1] and {source, target} - {""} <= set(languages):
            source, target = _select_languages(self.name_or_path, languages, source, target)
            if source == languages[1]:
                first, second = second, first
        name = f"{first.name},{second.name}"
        return _read_aligned(first, second), name, source, target


def select_held_out_sources(corpus: Corpus, count: int) -> tuple[Sequence[str], str]:
    """Returns at most `count` held-out sources, and what they are."""
    return corpus.held_out.sources[:count], f"held-out sources of {corpus.name}"


def _corpus(
    name: str,
    train: Pairs,
    validation: Pairs,
    held_out: Pairs,
    source: str,
    target: str,
    dropped: int = 0,
) -> Corpus:
    details = {"source": source, "target": target, "dropped": dropped}
    return Corpus(name=name, train=train, validation=validation, held_out=held_out, details=details)


def _find_two_files(paths: str) -> tuple[Path, Path]:
    """Returns the files in "A,B", split at a comma that leaves a file on either side."""
    parts = paths.split(",")
    for i in range(1, len(parts)):
        first, second = Path(",".join(parts[:i])), Path(",".join(parts[i:]))
        if first.is_file() and second.is_file():
            return first, second
    for path in parts:
        require_file(path, name_kind(path))
    known = PairSource.describe_data_sets()
    missing = "".join(f" There is no file {p!r}." for p in parts if not Path(p).is_file())
    raise UserError(
        f"{paths!r} is neither a data set, nor a .csv, .tsv or .jsonl file, nor two text files "
        f"with a comma between, such as corpus.en,corpus.de.{missing} Data sets: {known}."
    )


def _read_aligned(first: Path, second: Path) -> Pairs:
    lines = {path: _split_lines(read_utf8(path)) for path in (first, second)}
    for path, texts in lines.items():
        for number, text in enumerate(texts, 1):
            if len(text) > LONGEST_ROW:
                raise UserError(
                    f"{path}, line {number}: the line has more than {LONGEST_ROW:,} characters. "
                    "Cut it into several, as the line of the other file."
                )
    shorter, longer = sorted((first, second), key=lambda path: len(lines[path]))
    if len(lines[shorter]) < len(lines[longer]):
        raise UserError(
            f"{first} has {len(lines[first])} lines and {second} has {len(lines[second])}: line "
            f"{len(lines[shorter]) + 1} of {longer} has no partner. Line n of one file must be the "
            "translation of line n of the other."
        )
    return Pairs(lines[first], lines[second])


def _split_lines(text: str) -> list[str]:
    # Not splitlines(): U+2028 and its like are part of a sentence.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _drop_incomplete(name: str, pairs: Pairs) -> Pairs:
    sides = zip(pairs.sources, pairs.targets, strict=True)
    complete = [i for i, (a, b) in enumerate(sides) if a.strip() and b.strip()]
    if not complete:
        raise UserError(
            f"{name}: none of its {len(pairs)} pairs has a text on both sides. Give pairs of a "
            "text and its translation."
        )
    return pairs.take(complete)


def _select_languages(name: str, known: Sequence[str], source: str, target: str) -> tuple[str, str]:
    """Returns source and target; an empty one becomes the first known language but the other."""
    for language in (source, target):
        if language and language not in known:
            raise UserError(f"{name} has no {language!r}. It has: {', '.join(known)}.")
    source = source or next(language for language in known if language != target)
    return source, target or next(language for language in known if language != source)


def _read_gzip(file: RemoteFile, data_dir: str | Path | None) -> list[str]:
    return _split_lines(gzip.decompress(locate(file, data_dir).read_bytes()).decode("utf-8"))


_MULTI30K_LANGUAGES = ("en", "de", "fr")
_MULTI30K_SPLITS = ("train", "val", "test_2016_flickr")
_MULTI30K = {
    "train.en": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.fr": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "val.en": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.fr": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "test_2016_flickr.en": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.fr": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
}


def _load_multi30k(data: PairSource) -> Corpus:
    source, target = _select_languages("multi30k", _MULTI30K_LANGUAGES, data.source, data.target)

    def read(split: str, language: str) -> list[str]:
        name = f"{split}.{language}"
        url = f"https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/{name}.gz"
        return _read_gzip(RemoteFile(f"multi30k/{name}.gz", url, _MULTI30K[name]), data.data_dir)

    splits = [Pairs(read(split, source), read(split, target)) for split in _MULTI30K_SPLITS]
    return _corpus("multi30k", *splits, source, target)


# No public address has these very splits.
_TATOEBA_TRAIN = RemoteFile(
    "tatoeba/eng-cmn.train.tsv.gz",
    "",
    "710cfc565b52d30bde468b3f40f67cf66c6dffb46a0718b530b17163bc70a3f1",
)
_TATOEBA_VAL = RemoteFile(
    "tatoeba/eng-cmn.val.tsv.gz",
    "",
    "3b6ffd15033ed1a367e65e441f30227fb78bf06a8f106f63a25abc5033e05148",
)


def _load_tatoeba(data: PairSource) -> Corpus:
    source, target = _select_languages("tatoeba", ("en", "zh"), data.source, data.target)

    def read(file: RemoteFile) -> Pairs:
        lines = _read_gzip(file, data.data_dir)
        english, chinese = zip(*(line.split("\t") for line in lines), strict=True)
        return Pairs(list(english), list(chinese))

    # By the English side in either direction, as the files are split: no English sentence is in two
    # splits. Some Chinese ones are, with other translations.
    splits = [*read(_TATOEBA_TRAIN).hold_out(1_000), read(_TATOEBA_VAL)]
    if source == "zh":
        splits = [Pairs(split.targets, split.sources) for split in splits]
    return _corpus("tatoeba", *splits, source, target)


def _load_dates(data: PairSource) -> Corpus:
    if data.source == "iso" or data.target == "text":
        raise UserError('dates is from "text" to "iso" only. Leave out source and target.')
    source, target = _select_languages("dates", ("text", "iso"), data.source, data.target)
    pairs = make_dates(26_500, seed=0)
    splits = (range(25_000), range(25_000, 25_500), range(25_500, 26_500))
    return _corpus("dates", *map(pairs.take, splits), source, target)


PairSource.data_sets = {
    "multi30k": DataSet(
        "29,000 captions of pictures in en, de and fr, 1,014 to validate and 1,000 held out",
        _load_multi30k,
        "CC BY-NC-SA 4.0",
    ),
    "tatoeba": DataSet(
        "18,055 sentences in en and zh, 1,000 to validate and 1,005 held out",
        _load_tatoeba,
        "CC BY 2.0 FR",
    ),
    "dates": DataSet(
        "25,000 dates in words of many languages, as ISO 8601 writes them; 500 to validate and "
        "1,000 held out; made on this machine",
        _load_dates,
    ),
}
