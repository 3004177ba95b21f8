"""Texts without labels, to learn a language from: files, folders of them, columns of tables."""

import contextlib
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_seq.data.corpus import LabelledTexts
from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.reading import FORMATS, decoded, read_column
from keras_seq.errors import UserError
from keras_seq.tasks.classify.data import load

HELD_OUT_SHARE = 0.1
WHOLE = 20  # From so many texts on, whole ones are held out.
SUFFIXES = (".txt", ".md", ".rst", ".py")  # In a folder, these must be texts; others may be.


@dataclass(frozen=True)
class TextCorpus:
    """Texts to learn from, and texts to try what was learnt on.

    Attributes:
        name: Of the data set, the file or the folder.
        train: To learn from.
        held_out: Never seen in training; results are reported on them.
    """

    name: str
    train: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class TextSource:
    """A data set of the registry.

    Attributes:
        description: A line for `--help` and error messages.
        load: `load(data_dir) -> TextCorpus`.
    """

    description: str
    load: Callable[[str | Path | None], TextCorpus]


def load_texts(
    name_or_path: str, *, text_column: str = "text", data_dir: str | Path | None = None
) -> TextCorpus:
    """A data set by its name in `TEXT_SOURCES`, or what the user has.

    Args:
        name_or_path: A name; a text file; a folder of them, each a text of its own; or a `.csv`,
            `.tsv` or `.jsonl` file with a column of texts.
        text_column: Name of that column.
        data_dir: Where public data sets lie.

    Returns:
        Of fewer than 20 texts the last tenth of each is held out, else a tenth of the texts, chosen
        by their hash.

    Raises:
        UserError: If there is none of these, or no text in it, or it is not UTF-8.
    """
    if name_or_path in TEXT_SOURCES:
        return TEXT_SOURCES[name_or_path].load(data_dir)
    name = Path(name_or_path).name
    return TextCorpus(name, *_split(name, read_texts(name_or_path, text_column)))


def read_texts(path: str | Path, text_column: str = "text") -> list[str]:
    """All texts in a file or a folder, as `load_texts` reads them.

    Raises:
        UserError: If there are none.
    """
    path = Path(path)
    if not path.exists():
        known = "; ".join(f"{name}: {source.description}" for name, source in TEXT_SOURCES.items())
        raise UserError(
            f"{str(path)!r} is neither a data set nor a file or folder. Data sets: {known}."
        )
    if path.suffix.lower() in FORMATS and not path.is_dir():
        return read_column(path, text_column)
    if text_column != "text":
        raise UserError(
            f"{path} is no table ({', '.join(FORMATS)}): it has no columns. Received: the column "
            f"{text_column!r}"
        )
    if path.is_dir():
        return _folder(path)
    return [decoded(path)]


def _folder(path: Path) -> list[str]:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    files = [f for f in files if not any(p.startswith(".") for p in f.relative_to(path).parts)]
    texts = []
    for file in files:
        content = file.read_bytes()
        is_text = file.suffix.lower() in SUFFIXES
        with contextlib.suppress(UnicodeDecodeError):
            if content.strip() and (is_text or (b"\0" not in content and content.decode())):
                texts.append(decoded(file))
    if not texts:
        raise UserError(f"{path} has no texts in UTF-8. It has {len(files)} files of other kinds.")
    return texts


def _split(name: str, texts: list[str]) -> tuple[list[str], list[str]]:
    texts = [text for text in texts if text.strip()]
    if len(texts) >= WHOLE:
        examples = LabelledTexts(texts, [""] * len(texts))
        rest, held_out = examples.hold_out(round(len(texts) * HELD_OUT_SHARE))
        return rest.texts, held_out.texts
    ends = [round(len(text) * (1 - HELD_OUT_SHARE)) for text in texts]
    train = [text[:end] for text, end in zip(texts, ends, strict=True)]
    held_out = [text[end:] for text, end in zip(texts, ends, strict=True)]
    if not any(train) or not any(held_out):
        length = sum(map(len, texts))
        raise UserError(
            f"{name} has {length} characters of text: too few to learn from and to hold out a "
            "tenth. Give more text."
        )
    return train, held_out


def pieces(texts: Sequence[str], count: int, size: int) -> list[str]:
    """`count` pieces of `size` characters at most, spread evenly over all the texts."""
    places = [(text, i) for text in texts for i in range(0, max(1, len(text) - size), max(1, size))]
    chosen = [places[i * len(places) // count] for i in range(min(count, len(places)))]
    return [text[i : i + size] for text, i in chosen]


_SHAKESPEARE = RemoteFile(
    "tinyshakespeare/input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


def _tinyshakespeare(data_dir: str | Path | None) -> TextCorpus:
    text = locate(_SHAKESPEARE, data_dir).read_text("utf-8")
    end = int(0.9 * len(text))
    return TextCorpus("tinyshakespeare", [text[:end]], [text[end:]])


def _python(data_dir: str | Path | None) -> TextCorpus:
    """The modules of this Python's standard library; no two versions have the same."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = [file.read_text("utf-8") for file in files if not file.name.startswith("_")]
    return TextCorpus("python", *_split("python", texts))


def _movie_reviews(data_dir: str | Path | None) -> TextCorpus:
    corpus = load("movie_reviews", data_dir=data_dir)
    return TextCorpus(corpus.name, corpus.train.texts, corpus.held_out.texts)


TEXT_SOURCES = {
    "python": TextSource("the source of Python's standard library, on every machine", _python),
    "tinyshakespeare": TextSource(
        "1.1 million characters of Shakespeare's plays, the last tenth held out", _tinyshakespeare
    ),
    "movie_reviews": TextSource("20,000 film reviews, without labels, and 5,000", _movie_reviews),
}
