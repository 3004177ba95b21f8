"""Reads data files and `.keras` files that were changed at random.

    python -m benchmarks.mutated_files --count 1000 --seed 0
    python -m benchmarks.mutated_files --count 1 --seed 37 --kinds config --show

Each is read and used, or refused with a UserError, within seconds; anything else is printed, with
the seed that makes it again, and the exit status is then 1.
"""

import argparse
import contextlib
import copy
import gzip
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_seq.errors import UserError
from keras_seq.files import LONGEST_ROW

READ, REFUSED, FAULT = "read", "refused", "FAULT"
SECONDS = 10.0  # for a file; more is a fault
DEEP = 100_000
CONFIG = "config.json"

ROWS = [("Warm and funny, too.", "good"), ('A "waste" of time', "bad"), ("好看，值得", "good")] * 4
# What a setting may become, in any place.
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    3,
    10**6,
    10**12,
    10**25,
    -(10**9),
    0.5,
    1.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "\0",
    "\ud800",
    "a" * 100_000,
    [],
    [[]],
    [None],
    ["a", "a"],
    ["a", 1],
    ["\x1b[31m", "b"],
    {},
    {"class_name": "Lambda", "config": {}, "module": "keras.layers"},
    {"class_name": "function", "config": "get_file", "module": "keras.utils"},
    {"class_name": "run", "config": {}, "module": "subprocess", "registered_name": "run"},
    {"class_name": "__lambda__", "config": {"value": "4wAA"}},
]


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes:
        kind: "read", "refused" or "FAULT".
        what: What was changed.
        message: The error.
    """

    kind: str
    what: str
    message: str = ""


def draw_data_file(draw: random.Random) -> tuple[str, str, bytes]:
    """Returns what was changed, the ending of a name, and the content of a file of texts.

    Args:
        draw: A `random.Random`, or what has its methods, such as hypothesis's.
    """
    suffix = draw.choice([".csv", ".tsv", ".jsonl", ".txt"])
    content = _write_rows(suffix)
    name = draw.choice([*CHANGES])
    if name in LARGE and draw.random() < 0.7:
        name = "bits"  # Writing 10 MB takes longer than all else.
    for _ in range(draw.randint(1, 2)):
        content = CHANGES[name](draw, content)
    return f"{suffix}: {name}", suffix, content


def _write_rows(suffix: str) -> bytes:
    if suffix == ".jsonl":
        lines = [json.dumps({"text": t, "label": x}, ensure_ascii=False) for t, x in ROWS]
    elif suffix == ".tsv":
        lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in ROWS)]
    elif suffix == ".csv":
        rows = [f'"{text.replace(chr(34), 2 * chr(34))}",{label}' for text, label in ROWS]
        lines = ["text,label", *rows]
    else:
        lines = [text for text, _ in ROWS]
    return ("\n".join(lines) + "\n").encode()


def _insert(*pieces: bytes) -> Callable[[random.Random, bytes], bytes]:
    """Returns a change that puts one of the pieces into a random place."""

    def change(draw: random.Random, content: bytes) -> bytes:
        place = draw.randint(0, len(content))
        return content[:place] + draw.choice(pieces) + content[place:]

    return change


def _append(*pieces: bytes) -> Callable[[random.Random, bytes], bytes]:
    """Returns a change that adds one of the pieces as a line."""
    return lambda draw, content: content + draw.choice(pieces) + b"\n"


def _flip(draw: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        if changed:
            changed[draw.randint(0, len(changed) - 1)] ^= 1 << draw.randint(0, 7)
    return bytes(changed)


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randint(0, len(content))]


def _recode(draw: random.Random, content: bytes) -> bytes:
    codes = ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "gb18030", "shift_jis"]
    return content.decode("utf-8", "replace").encode(draw.choice(codes), "replace")


def _pack(draw: random.Random, content: bytes) -> bytes:
    if draw.random() < 0.5:
        return gzip.compress(content + bytes(draw.choice([0, 10**7])))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", content)
    return buffer.getvalue()


def _row(text: str, label: str) -> bytes:
    return f'{{"text": {text}, "label": {label}}}'.encode()


CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "bits": _flip,
    "cut": _cut,
    "a byte": _insert(
        b"\0", b'"', b"\r", b"\n", b"\xff", b"\xef\xbb\xbf", b"\x1b", b"\\", b",", b"\t"
    ),
    "empty": lambda draw, content: draw.choice([b"", b"\n", b"\xef\xbb\xbf", b" \n \n"]),
    "another encoding": _recode,
    "packed": _pack,
    "deep JSON": _append(
        _row('"a"', "[" * DEEP), _row("[" * DEEP + "]" * DEEP, '"a"'), b'{"a":' * DEEP
    ),
    "deep value": _append(_row("[" * 900 + "]" * 900, '"a"')),
    "digits": _append(_row('"a"', "9" * 5000), _row("1" * 4000, '"a"'), b"a," + b"9" * 5000),
    "odd numbers": _append(_row("NaN", '"a"'), _row('"a"', "1e999"), _row("-Infinity", "true")),
    "surrogates": _append(_row('"a\\ud800"', '"a"'), _row('"a"', '"\\udfff"')),
    "controls": _append(_row('"a"', '"\\u001b[31m"'), _row('"\\u0000"', '"a"'), b"b,a\x1bc"),
    "a long row": lambda draw, content: content + b"x" * (LONGEST_ROW + 10) + b"\n",
    "a long field": lambda draw, content: (
        content + b'"' + (b"y" * 999 + b"\n") * (LONGEST_ROW // 1000 + 10)
    ),
    "many columns": lambda draw, content: (
        b"text," * draw.choice([2, 50_000]) + b"label\n" + content
    ),
    "other columns": lambda draw, content: content.replace(b"label", draw.choice([b"", b"text"])),
    "another shape": _append(b"[1, 2]", b"null", b'"text"', b"1", b"{}", _row("{}", "[]"), b",,,,"),
}

LARGE = ("a long row", "a long field")


def read_data_file(path: Path) -> None:
    """Reads a file of texts as every task does, and uses what is read."""
    from keras_seq.tasks import all_tasks

    errors = []
    for task in all_tasks():
        name = f"{path},{path}" if task.name == "translate" and path.suffix == ".txt" else str(path)
        options = {"source": "text", "target": "label"} if task.name == "translate" else {}
        try:
            corpus = task.data(name, **options).load()
            json.dumps([str(corpus), repr(corpus.held_out), *corpus.details])
            for column in corpus.held_out._columns().values():
                "".join(column).encode()
        except UserError as error:
            errors.append(error)
    if len(errors) == len(all_tasks()):
        raise errors[0]


def make_models(folder: Path) -> list[Path]:
    """Writes a small model of each kind, and returns their files."""
    from keras_seq import backbones, models
    from keras_seq.text import ByteTokenizer, SentencePieceTokenizer

    texts = [f"{text} {i}" for i, (text, _) in enumerate(ROWS * 20)]
    pieces = SentencePieceTokenizer.train(texts, 300)
    recurrent = backbones.RecurrentBackbone(8, "lstm", 2, bidirectional=True)
    causal = backbones.TransformerBackbone(8, 1, 2, max_length=12, positions="rotary", causal=True)
    pair = backbones.TransformerEncoderDecoder(8, 1, 2, 16, max_length=13)
    made = [
        models.TextClassifier(recurrent, pieces, ["bad", "good"], 12),
        models.TextGenerator(causal, ByteTokenizer(), 12),
        models.Translator(pair, ByteTokenizer(), 12, "en", "de"),
        models.Translator(
            backbones.RecurrentEncoderDecoder(8, "rnn", 1, 2), pieces, 12, "en", "de"
        ),
    ]
    paths = [folder / f"model-{i}.keras" for i in range(len(made))]
    for model, path in zip(made, paths, strict=True):
        model.save(path)
    return paths


def draw_config(draw: random.Random, model: Path) -> tuple[str, bytes]:
    """Returns what was changed, and a `.keras` file whose configuration differs in a place or two.

    Args:
        draw: As for `draw_data_file`.
        model: The file to change.
    """
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members[CONFIG])
    told = [_change_value(draw, config) for _ in range(draw.choice([1, 1, 2]))]
    members[CONFIG] = json.dumps(config).encode()
    if draw.random() < 0.03:
        told, members[CONFIG] = ["deep"], members[CONFIG][:-1] + b',"a":' + b"[" * DEEP
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return f"{model.name}: {', '.join(told)}", buffer.getvalue()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path of every value in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from _places(inner, (*path, key))


def _change_value(draw: random.Random, config: Any) -> str:
    path = draw.choice([*_places(config)])
    holder = config
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    how = draw.choice(["value", "value", "value", "number", "delete", "other"])
    if how == "delete":
        del holder[key]
        return f"without {path}"
    if how == "number" and isinstance(holder[key], int):
        holder[key] = holder[key] * draw.choice([-1, 2, 10**6]) + draw.choice([-1, 0, 1])
    elif how == "other":  # what is in another place
        other: Any = config
        for part in draw.choice([*_places(config)]):
            other = other[part]
        holder[key] = copy.deepcopy(other)
    else:
        holder[key] = copy.deepcopy(draw.choice(VALUES))
    return f"{path} = {str(holder[key])[:60]!r}"


def use_model(path: Path) -> None:
    """Loads a file as `keras-seq predict` does, and calls the model once."""
    import numpy as np

    from keras_seq.tasks.loading import find_model
    from keras_seq.tasks.registry import find_task

    model, _ = find_model(path)
    find_task(model, path)
    rows = model.tokenizer.encode(["good 1"])
    model.tokenizer.decode(rows)
    ids = np.array(rows, "int32")[:, : model.max_length]
    outputs = np.asarray(model((ids, ids) if model.task == "translate" else ids))
    if not np.isfinite(outputs).all():
        raise ArithmeticError("the outputs are not finite")
    json.dumps(model.describe())
    "".join([*model.labels, getattr(model, "source", ""), getattr(model, "target", "")]).encode()


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Inside, a TimeoutError is raised after so many seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_file(what: str, content: bytes, path: Path, use: Callable[[Path], None]) -> Outcome:
    """Returns what comes of a file with a content."""
    path.write_bytes(content)
    try:
        with _deadline(SECONDS):
            use(path)
    except UserError as error:
        message = str(error)
        if not message or len(message) > 2000 or "Traceback" in message:
            return Outcome(FAULT, what, f"no sentence: {message[:300]}")
        return Outcome(REFUSED, what, message)
    except Exception as error:
        return Outcome(FAULT, what, f"{type(error).__name__}: {str(error)[:300]}")
    return Outcome(READ, what)


def try_one(kind: str, draw: random.Random, folder: Path, models: Sequence[Path]) -> Outcome:
    """Returns what comes of a file that is drawn.

    Args:
        kind: "data" or "config".
        draw: As for `draw_data_file`.
        folder: A folder for it.
        models: What `make_models` returned.
    """
    if kind == "data":
        what, suffix, content = draw_data_file(draw)
        return try_file(what, content, folder / f"mutated{suffix}", read_data_file)
    what, content = draw_config(draw, draw.choice([*models]))
    return try_file(what, content, folder / "mutated.keras", use_model)


def run_mutations(
    count: int, seed: int = 0, kinds: Sequence[str] = ("data", "config")
) -> Iterator[tuple[int, str, Outcome]]:
    """Yields the seed, the kind and the outcome of each of `count` files of each kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = make_models(folder) if "config" in kinds else []
        for number in range(seed, seed + count):
            for kind in kinds:
                yield number, kind, try_one(kind, random.Random(number), folder, models)


def find_faults(count: int, seed: int = 0, kinds: Sequence[str] = ("data", "config")) -> list[str]:
    """Returns a line for each file that was neither read nor refused with a UserError."""
    return [
        f"{kind} {number}: {outcome.what}: {outcome.message}"
        for number, kind, outcome in run_mutations(count, seed, kinds)
        if outcome.kind == FAULT
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what came of the files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutated_files")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="files of each kind")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first one's")
    parser.add_argument(
        "--kinds", nargs="+", choices=("data", "config"), default=["data", "config"]
    )
    parser.add_argument("--show", action="store_true", help="print each outcome")
    parsed = parser.parse_args(arguments)
    counts: Counter[tuple[str, str]] = Counter()
    begun = time.monotonic()
    for number, kind, outcome in run_mutations(parsed.count, parsed.seed, parsed.kinds):
        counts[kind, outcome.kind] += 1
        if parsed.show or outcome.kind == FAULT:
            print(f"{kind} {number}: {outcome.kind}: {outcome.what}: {outcome.message}", flush=True)
    for (kind, outcome), n in sorted(counts.items()):
        print(f"{kind}: {n} {outcome}")
    print(f"{time.monotonic() - begun:.0f} s")
    return int(any(outcome == FAULT for _, outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
