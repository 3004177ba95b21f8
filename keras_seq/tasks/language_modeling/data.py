"""Texts to learn a language from: files, folders of them, columns of tables."""

import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_seq.data.corpus import Corpus, Texts
from keras_seq.data.download import RemoteFile, locate
from keras_seq.data.movie_reviews import load_movie_reviews
from keras_seq.data.reading import FORMATS, read_column
from keras_seq.data.source import DataSet, DataSource
from keras_seq.errors import UserError
from keras_seq.files import LARGEST_FILE, open_file, read_utf8
from keras_seq.options import option

HELD_OUT_SHARE = 0.1
MIN_TEXTS_TO_SPLIT_BY_TEXT = 20  # With fewer, the end of each text is held out.
SUFFIXES = (".txt", ".md", ".rst", ".py")  # In a folder, these must be texts; others may be.
MOST_FILES = 200_000  # in a folder
HEAD = 65536  # bytes by which a file of another ending is told from a text
PROMPT_CHARACTERS = 60  # Length of the prompts that a generator is compared on.


@dataclass(frozen=True)
class TextSource(DataSource):
    """A data set of texts by its name, or the user's own.

    That is a text file; a folder of them, each a text of its own; or a `.csv`, `.tsv` or `.jsonl`
    file with a column of texts. A tenth of the texts is held out, selected by their hash; of fewer
    than 20 texts, the last tenth of each.
    """

    text_column: str = option("text", "column of the text", metavar="NAME", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the user's own table."""
        return (self.text_column,)

    def read(self) -> Texts:
        """Reads all texts in the user's own file or folder."""
        path = Path(self.name_or_path)
        if not path.exists():
            raise UserError(
                f"{self.name_or_path!r} is neither a data set nor a file or folder. Data sets: "
                f"{self.describe_data_sets()}."
            )
        if path.suffix.lower() in FORMATS and not path.is_dir():
            return Texts(read_column(path, self.text_column))
        if self.text_column != "text":
            raise UserError(
                f"{path} is not a table ({', '.join(FORMATS)}): it has no columns. Received: the "
                f"column {self.text_column!r}"
            )
        return Texts(_read_folder(path) if path.is_dir() else [read_utf8(path)])

    def split(self) -> Corpus:
        """Reads the user's own texts and holds a tenth out."""
        return _split(Path(self.name_or_path).name, self.read().texts)


def _read_folder(path: Path) -> list[str]:
    files, size = [], 0
    for count, file in enumerate(path.rglob("*")):
        if count == MOST_FILES:
            raise UserError(f"{path} has more than {MOST_FILES:,} files. Name a folder in it.")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts):
            files.append(file)
    texts = []
    for file in sorted(files):
        is_text = file.suffix.lower() in SUFFIXES
        with open_file(file) as opened:
            head = opened.read(HEAD)
        if not head or not (is_text or b"\0" not in head):
            continue
        size += file.stat().st_size
        if size > LARGEST_FILE:
            raise UserError(
                f"{path} has more than {LARGEST_FILE:,} bytes of text. Name a folder in it."
            )
        try:
            content = read_utf8(file)
        except UserError:
            if is_text and not _is_blank(file):
                raise
            continue
        texts.append(content)
    if not texts:
        raise UserError(f"{path} has no texts in UTF-8. It has {len(files)} files of other kinds.")
    return texts


def _is_blank(path: Path) -> bool:
    return not path.read_bytes().strip()


def _split(name: str, texts: list[str]) -> Corpus:
    texts = [text for text in texts if text.strip()]
    if len(texts) >= MIN_TEXTS_TO_SPLIT_BY_TEXT:
        train, held_out = Texts(texts).hold_out(round(len(texts) * HELD_OUT_SHARE))
        return Corpus(name=name, train=train, held_out=held_out)
    ends = [round(len(text) * (1 - HELD_OUT_SHARE)) for text in texts]
    train = Texts([text[:end] for text, end in zip(texts, ends, strict=True)])
    held_out = Texts([text[end:] for text, end in zip(texts, ends, strict=True)])
    if not any(train.texts) or not any(held_out.texts):
        length = sum(map(len, texts))
        raise UserError(
            f"{name} has {length} characters of text: too few to learn from and to hold out a "
            "tenth. Give more text."
        )
    return Corpus(name=name, train=train, held_out=held_out)


def select_pieces(texts: Sequence[str], count: int, size: int) -> list[str]:
    """Returns `count` pieces of at most `size` characters, spread evenly over all the texts."""
    starts = [(text, i) for text in texts for i in range(0, max(1, len(text) - size), max(1, size))]
    selected = [starts[i * len(starts) // count] for i in range(min(count, len(starts)))]
    return [text[i : i + size] for text, i in selected]


def select_held_out_prompts(corpus: Corpus, count: int) -> tuple[Sequence[str], str]:
    """Returns at most `count` prompts from the held-out texts, and what they are."""
    prompts = select_pieces(corpus.held_out.texts, count, PROMPT_CHARACTERS)
    return prompts, f"held-out prompts of {corpus.name}"


_SHAKESPEARE = RemoteFile(
    "tinyshakespeare/input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


def _load_tinyshakespeare(source: DataSource) -> Corpus:
    text = locate(_SHAKESPEARE, source.data_dir).read_text("utf-8")
    end = int(0.9 * len(text))
    return Corpus(name="tinyshakespeare", train=Texts([text[:end]]), held_out=Texts([text[end:]]))


def _load_python(source: DataSource) -> Corpus:
    """Loads the modules of this Python's standard library; they differ from version to version."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = [file.read_text("utf-8") for file in files if not file.name.startswith("_")]
    return _split("python", texts)


def _load_movie_reviews(source: DataSource) -> Corpus:
    corpus = load_movie_reviews(source)
    train, held_out = Texts(corpus.train.texts), Texts(corpus.held_out.texts)
    return Corpus(name=corpus.name, train=train, held_out=held_out)


TextSource.data_sets = {
    "python": DataSet("the source of Python's standard library, on every machine", _load_python),
    "tinyshakespeare": DataSet(
        "1.1 million characters of Shakespeare's plays, the last tenth held out",
        _load_tinyshakespeare,
    ),
    "movie_reviews": DataSet("20,000 film reviews, without labels, and 5,000", _load_movie_reviews),
}
