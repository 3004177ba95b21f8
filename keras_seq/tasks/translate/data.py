"""Pairs of texts by name, and the user's own by path."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.pairs import PairCorpus, Pairs
from keras_seq.data.reading import FORMATS, decoded, read_columns
from keras_seq.errors import UserError
from keras_seq.tasks.translate.dates import dates

HELD_OUT_SHARE = 0.05  # For validation, and as much again for the results.


@dataclass(frozen=True)
class PairSource:
    """A data set of the registry.

    Attributes:
        description: A line for `--help` and error messages.
        load: `load(source, target, data_dir) -> PairCorpus`; a language of "" is any.
    """

    description: str
    load: Callable[[str, str, str | Path | None], PairCorpus]


def load_pairs(
    name_or_path: str,
    *,
    source: str = "",
    target: str = "",
    data_dir: str | Path | None = None,
) -> PairCorpus:
    """A data set by its name in `PAIR_SOURCES`, or what the user has.

    Args:
        name_or_path: A name; a `.csv`, `.tsv` or `.jsonl` file with a pair a row; or two text files
            with a comma between, "corpus.en,corpus.de", with a pair in the same line of both.
        source: What is translated from: a language of the data set, or a column, "source" where
            not given. Of two text files called corpus.en and corpus.de it says which one that is;
            of others, whose first is the source, it is only a name.
        target: What is translated into, likewise; the column is "target" where not given.
        data_dir: Where public data sets lie.

    Returns:
        Of what the user has a twentieth is held out for validation and as much again for the
        results, chosen by the hash of the source, after pairs with an empty side were dropped.

    Raises:
        UserError: If there is none of these, or no such language or column, or source and target
            are the same; if the two files have different numbers of lines; if a file is not
            UTF-8 or has too few pairs.
    """
    if source and source == target:
        raise UserError(f"Source and target are both {source!r}. Name two different ones.")
    if name_or_path in PAIR_SOURCES:
        return PAIR_SOURCES[name_or_path].load(source, target, data_dir)
    pairs, name, source, target = _read(name_or_path, source, target)
    return _own(name, pairs, source, target)


def read_pairs(path: str, *, source: str = "", target: str = "") -> Pairs:
    """All pairs of what the user has, but for those with an empty side; see `load_pairs`."""
    pairs, name, _, _ = _read(path, source, target)
    return _complete(name, pairs)


def _read(name_or_path: str, source: str, target: str) -> tuple[Pairs, str, str, str]:
    """What the user has: pairs, name, source, target."""
    path = Path(name_or_path)
    if path.suffix.lower() in FORMATS and path.is_file():
        source, target = source or "source", target or "target"
        columns = read_columns(path, (source, target), ("--source", "--target"))
        return Pairs(*columns), path.name, source, target
    one, other = _two_files(name_or_path)
    if one.samefile(other):
        raise UserError(f"{one} is given twice: give the two sides of the pairs.")
    # Where the files are called by languages, corpus.en and corpus.de, these say which is which.
    languages = one.suffix[1:], other.suffix[1:]
    for given in {source, target} - {"", *languages}:
        if given.lower() in (language.lower() for language in languages):
            raise UserError(
                f"{name_or_path}: the languages are {' and '.join(languages)}. Received: {given!r}"
            )
    if languages[0] != languages[1] and {source, target} - {""} <= set(languages):
        source, target = _chosen(name_or_path, languages, source, target)
        if source == languages[1]:
            one, other = other, one
    return _aligned(one, other), f"{one.name},{other.name}", source, target


def _two_files(paths: str) -> tuple[Path, Path]:
    """The files in "A,B", parted at a comma that leaves a file on either side."""
    parts = paths.split(",")
    for i in range(1, len(parts)):
        one, other = Path(",".join(parts[:i])), Path(",".join(parts[i:]))
        if one.is_file() and other.is_file():
            return one, other
    known = "; ".join(f"{name}: {source.description}" for name, source in PAIR_SOURCES.items())
    missing = "".join(f" There is no file {p!r}." for p in parts if not Path(p).is_file())
    raise UserError(
        f"{paths!r} is neither a data set, nor a .csv, .tsv or .jsonl file, nor two text files "
        f"with a comma between, such as corpus.en,corpus.de.{missing} Data sets: {known}."
    )


def _aligned(one: Path, other: Path) -> Pairs:
    lines = {path: _lines(decoded(path)) for path in (one, other)}
    shorter, longer = sorted((one, other), key=lambda path: len(lines[path]))
    if len(lines[shorter]) < len(lines[longer]):
        raise UserError(
            f"{one} has {len(lines[one])} lines and {other} has {len(lines[other])}: line "
            f"{len(lines[shorter]) + 1} of {longer} has no partner. Line n of one file must be the "
            "translation of line n of the other."
        )
    return Pairs(lines[one], lines[other])


def _lines(text: str) -> list[str]:
    # Not splitlines(): U+2028 and its like are part of a sentence.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _complete(name: str, pairs: Pairs) -> Pairs:
    sides = zip(pairs.sources, pairs.targets, strict=True)
    complete = [i for i, (one, other) in enumerate(sides) if one.strip() and other.strip()]
    if not complete:
        raise UserError(
            f"{name}: none of its {len(pairs)} pairs has a text on both sides. Give pairs of a "
            "text and its translation."
        )
    return pairs.take(complete)


def _own(name: str, pairs: Pairs, source: str, target: str) -> PairCorpus:
    kept = _complete(name, pairs)
    count = max(1, round(len(kept) * HELD_OUT_SHARE))
    rest, held_out = kept.hold_out(count)
    train, validation = rest.hold_out(count)
    dropped = len(pairs) - len(kept)
    return PairCorpus(name, train, validation, held_out, source, target, dropped)


def _chosen(name: str, known: Sequence[str], source: str, target: str) -> tuple[str, str]:
    """`source` and `target`; where one is "", the first of those known that is not the other."""
    for given in (source, target):
        if given and given not in known:
            raise UserError(f"{name} has no {given!r}. It has: {', '.join(known)}.")
    source = source or next(language for language in known if language != target)
    return source, target or next(language for language in known if language != source)


def _unzipped(file: RemoteFile, data_dir: str | Path | None) -> list[str]:
    return _lines(gzip.decompress(locate(file, data_dir).read_bytes()).decode("utf-8"))


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


def _multi30k(source: str, target: str, data_dir: str | Path | None) -> PairCorpus:
    source, target = _chosen("multi30k", _MULTI30K_LANGUAGES, source, target)

    def read(split: str, language: str) -> list[str]:
        name = f"{split}.{language}"
        url = f"https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/{name}.gz"
        return _unzipped(RemoteFile(f"multi30k/{name}.gz", url, _MULTI30K[name]), data_dir)

    splits = [Pairs(read(split, source), read(split, target)) for split in _MULTI30K_SPLITS]
    return PairCorpus("multi30k", *splits, source, target)


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


def _tatoeba(source: str, target: str, data_dir: str | Path | None) -> PairCorpus:
    source, target = _chosen("tatoeba", ("en", "zh"), source, target)

    def read(file: RemoteFile) -> Pairs:
        english, chinese = zip(
            *(line.split("\t") for line in _unzipped(file, data_dir)), strict=True
        )
        return Pairs(list(english), list(chinese))

    # By the English side in either direction, as the files are split: no English sentence is in two
    # splits. Some Chinese ones are, with other translations.
    splits = [*read(_TATOEBA_TRAIN).hold_out(1_000), read(_TATOEBA_VAL)]
    if source == "zh":
        splits = [Pairs(split.targets, split.sources) for split in splits]
    return PairCorpus("tatoeba", *splits, source, target)


def _dates(source: str, target: str, data_dir: str | Path | None) -> PairCorpus:
    if source == "iso" or target == "text":
        raise UserError('dates is from "text" to "iso" only. Leave out source and target.')
    source, target = _chosen("dates", ("text", "iso"), source, target)
    pairs = dates(26_500, seed=0)
    parts = (range(25_000), range(25_000, 25_500), range(25_500, 26_500))
    return PairCorpus("dates", *map(pairs.take, parts), source, target)


PAIR_SOURCES = {
    "multi30k": PairSource(
        "29,000 captions of pictures in en, de and fr, 1,014 to validate and 1,000 held out",
        _multi30k,
    ),
    "tatoeba": PairSource(
        "18,055 sentences in en and zh, 1,000 to validate and 1,005 held out", _tatoeba
    ),
    "dates": PairSource(
        "25,000 dates in words of many languages, as ISO 8601 writes them; 500 to validate and "
        "1,000 held out; made on this machine",
        _dates,
    ),
}
