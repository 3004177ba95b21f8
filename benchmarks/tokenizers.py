"""One tokenizer in every engine: do the ids agree, and how fast is each?

    python -m benchmarks.tokenizers                       100,000 strings
    python -m benchmarks.tokenizers --strings 1000000     the full figure
    python -m benchmarks.tokenizers tflite onnxruntime    some engines
    python -m benchmarks.tokenizers --latency             256 bytes at a time, one thread

A vocabulary of 8,000 pieces is learnt from film reviews and from every text below KERAS_SEQ_DATA.
The strings are: every line of those texts, once, cut to 256 bytes; the same with random changes;
strings of what tokenizers trip over; random Unicode; and a tenth of them bytes that are not UTF-8,
which only our own engines take. What `SentencePieceTokenizer.encode` answers, which is what models
are trained on, is compared with each engine's ids. Engines live in processes of their own.
"""

import argparse
import functools
import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.tasks import load_corpus

LONGEST = 256  # bytes
SHARD = 10_000  # strings
TABLE = 8000  # pieces
BATCH = 64

FRAGMENTS = [
    "<s>", "</s>", "<unk>", "<pad>", "<0x41>", "<0x", "0A>", "<", ">", " ", "  ", "\0", "\n",
    "\r\n", "\t", "\v\x1f\x7f\x85", "\u00a0", "\u2003", "\u2028", "\u200d", "\u200b", "\ufeff",
    "\ufffd", "\uffff", "e\u0301", "\u00e9", "\u0301", "\u0915\u094d\u0937", "\u1112\u1161\u11ab",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f", "\U0001f44d\U0001f3fd",
    "\u0645\u0631\u062d\u0628\u0627", "\u202e", "\u05e9\u05dc\u05d5\u05dd", "\u4e2d\u6587",
    "\u7535\u5f71", "\uff21\uff22", "\u3000", "\ufb01", "\U0010ffff", "\u2581", "\u2585", "the",
    " the", "ing", "movie", " wonderful", "I", "'s", ".", "...", "<br />", "a", "A1", "_",
]  # fmt: skip

Ids = list[list[int]]
Engine = Callable[[list[bytes]], Ids]


def corpora(folder: str | None) -> Iterator[str]:
    """Every line of every text below `folder`, and every film review."""
    for path in sorted(Path(folder).rglob("*")) if folder else ():
        if path.suffix in (".txt", ".tsv"):
            yield from path.read_text("utf-8").splitlines()
        elif path.suffix == ".gz":
            yield from gzip.decompress(path.read_bytes()).decode().splitlines()
    corpus = load_corpus("classify", "movie_reviews")
    for text in corpus.train.texts + corpus.held_out.texts:
        yield from text.splitlines()


def strings(lines: list[str], count: int) -> Iterator[bytes]:
    """`count` strings, at most `LONGEST` bytes each."""
    from keras_seq.text.utf8 import truncate

    generator = random.Random(0)
    for i in range(count):
        line = lines[i] if i < len(lines) else generator.choice(lines)
        kind = i % 10 if i >= len(lines) or i % 5 == 4 else 0
        if kind in (1, 2, 3, 4):  # A line with a piece moved, doubled, or foreign to it.
            at, other = generator.randrange(len(line) + 1), generator.choice(FRAGMENTS)
            line = line[at:] + other + line[: at // 2]
        elif kind in (5, 6):
            line = "".join(generator.choices(FRAGMENTS, k=generator.randint(1, 40)))
        elif kind in (7, 8):
            scripts = generator.choice([(32, 127), (32, 0x600), (32, 0xD800), (0xE000, 0x10FFFF)])
            size = generator.randint(0, 80)
            line = "".join(chr(generator.randrange(*scripts)) for _ in range(size))
        text = truncate(line.encode(), LONGEST)
        if kind == 9:
            changed = bytearray(text)
            for _ in range(generator.randint(1, 8)):
                at = generator.randrange(len(changed) + 1)
                changed[at : at + generator.randint(0, 2)] = generator.randbytes(1)
            text = bytes(changed[:LONGEST])
        yield text


# ---- engines: made of the serialised model, they give the ids of texts --------------------------


def ours(model: bytes) -> Engine:
    """What models are trained on."""
    from keras_seq.text import SentencePieceTokenizer

    return SentencePieceTokenizer(model).encode


def sentencepiece_library(model: bytes) -> Engine:
    """The SentencePiece library."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(model)
    return lambda texts: processor.EncodeAsIds([text.decode() for text in texts])


def tensorflow_text(model: bytes) -> Engine:
    """tensorflow-text, which tokenises in tf.data."""
    import tensorflow as tf
    import tensorflow_text as text

    engine = text.SentencepieceTokenizer(model, out_type=tf.int32)
    return lambda texts: engine.tokenize(texts).to_list()


def hugging_face(model: bytes) -> Engine:
    """Hugging Face's tokenizers on our tokenizer.json."""
    from tokenizers import Tokenizer

    from keras_seq.text import SentencePieceTokenizer

    engine = Tokenizer.from_str(SentencePieceTokenizer(model).to_json())
    return lambda texts: [found.ids for found in engine.encode_batch([t.decode() for t in texts])]


def javascript() -> Path | None:
    """Hugging Face's library for JavaScript, where the web tests' packages are installed."""
    packages = Path(__file__).parents[1] / "tests" / "web" / "node_modules"
    module = packages / "@huggingface" / "tokenizers" / "dist" / "tokenizers.mjs"
    return module if module.is_file() and shutil.which("node") else None


def hugging_face_javascript(model: bytes) -> Engine:
    """The same in Node."""
    from keras_seq.text import SentencePieceTokenizer

    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        file.write(SentencePieceTokenizer(model).to_json())
    script = str(Path(__file__).with_name("tokenize.mjs"))
    process = subprocess.Popen(
        ["node", script, str(javascript()), file.name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def encode(texts: list[bytes]) -> Ids:
        process.stdin.write(json.dumps([text.decode() for text in texts]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    return encode


def signature(model: bytes, most: int) -> Any:
    """The tensor program as a signature."""
    from keras_seq.signature import Signature, TensorSpec
    from keras_seq.text import SentencePieceTokenizer

    tokenizer = SentencePieceTokenizer(model)
    return Signature(
        "tokenize",
        (TensorSpec("text", "uint8", ("B", "L")), TensorSpec("length", "int32", ("B",))),
        (TensorSpec("token_ids", "int32", ("B", "T")),),
        lambda text, length: {"token_ids": tokenizer.token_ids(text, length, most)},
    )


def in_batches(run: Callable[[Any, Any], Any], batch: int, width: int | None) -> Engine:
    """Texts in batches of the size and width that `run(text, length)` takes."""
    from keras_seq.text.utf8 import pack_texts

    def encode(texts: list[bytes]) -> Ids:
        found: Ids = []
        for start in range(0, len(texts), batch):
            part = texts[start : start + batch]
            rows, lengths = pack_texts(part + [b""] * (batch - len(part) if width else 0))
            if width:
                rows = np.pad(rows, [(0, 0), (0, width - rows.shape[1])])
            ids = np.asarray(run(rows, lengths))[: len(part)]
            found += [row[row != 0].tolist() for row in ids]
        return found

    return encode


def graph_tensorflow(model: bytes, batch: int = BATCH) -> Engine:
    """The tensor program in TensorFlow, shapes open."""
    from export.formats.trace import trace

    traced = trace(signature(model, LONGEST), {})

    def run(text: Any, length: Any) -> Any:
        import tensorflow as tf

        return traced(tf.constant(text), tf.constant(length))["token_ids"]

    return in_batches(run, batch, None)


def graph_tflite(model: bytes, batch: int = BATCH) -> Engine:
    """The tensor program in LiteRT, shapes fixed."""
    from export.formats import tflite

    folder = Path(tempfile.mkdtemp())
    tflite.write([signature(model, LONGEST)], folder, {"B": batch, "L": LONGEST})
    runner = tflite.Runner(folder, threads=1)

    def run(text: Any, length: Any) -> Any:
        return runner("tokenize", {"text": text, "length": length})["token_ids"]

    return in_batches(run, batch, LONGEST)


def graph_onnxruntime(model: bytes, batch: int = BATCH) -> Engine:
    """The tensor program in onnxruntime, shapes open."""
    from export.formats import onnx

    folder = Path(tempfile.mkdtemp())
    onnx.write([signature(model, LONGEST)], folder, {})
    runner = onnx.Runner(folder, threads=1)

    def run(text: Any, length: Any) -> Any:
        return runner("tokenize", {"text": text, "length": length})["token_ids"]

    return in_batches(run, batch, None)


@dataclass(frozen=True)
class Contender:
    """An engine of the table.

    Attributes:
        make: Makes it of the model.
        any_bytes: Whether it takes bytes that are not UTF-8.
    """

    make: Callable[[bytes], Engine]
    any_bytes: bool = False


REFERENCE = "SentencePieceTokenizer"
CONTENDERS = {
    REFERENCE: Contender(ours, True),
    "sentencepiece": Contender(sentencepiece_library),
    "tensorflow-text": Contender(tensorflow_text),
    "tokenizers": Contender(hugging_face),
    "tokenizers.js": Contender(hugging_face_javascript),
    "tensorflow": Contender(graph_tensorflow, True),
    "tflite": Contender(graph_tflite, True),
    "onnxruntime": Contender(graph_onnxruntime, True),
}


@dataclass
class Found:
    """What an engine made of the strings.

    Attributes:
        strings: Tried.
        mismatches: With other ids than `SentencePieceTokenizer` gives.
        seconds: Of the engine's own work.
        examples: Some mismatches: text, ids, ids expected.
    """

    strings: int
    mismatches: int
    seconds: float
    examples: list[tuple[bytes, list[int], list[int]]]


def is_utf8(text: bytes) -> bool:
    """Whether `text` is a text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def work(name: str, model: bytes, lines: list[str], count: int) -> Found:
    """Runs an engine over the strings."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    contender = CONTENDERS[name]
    engine, reference = contender.make(model), ours(model)
    engine([b"to warm up"])
    found = Found(0, 0, 0.0, [])
    stream = strings(lines, count)
    while shard := list(itertools.islice(stream, SHARD)):
        if not contender.any_bytes:
            shard = [text for text in shard if is_utf8(text)]
        expected = reference(shard)
        begun = time.perf_counter()
        ids = engine(shard)
        found.seconds += time.perf_counter() - begun
        found.strings += len(shard)
        for text, row, wanted in zip(shard, ids, expected, strict=True):
            if row != wanted:
                found.mismatches += 1
                found.examples += [(text, row, wanted)] if len(found.examples) < 5 else []
    return found


def trained(lines: list[str]) -> bytes:
    """A vocabulary of all the lines."""
    from keras_seq.text import SentencePieceTokenizer

    return SentencePieceTokenizer.train(lines, TABLE).model


def prepared(count: int, folder: str | None) -> tuple[bytes, list[str]]:
    """A vocabulary, and the lines that `count` strings are made of."""
    lines = list(dict.fromkeys(corpora(folder)))
    model = trained(lines)
    if count < len(lines):
        lines = random.Random(1).sample(lines, count // 2)
    return model, lines


def compared(names: list[str], count: int, folder: str | None) -> Iterator[tuple[str, Found]]:
    """What each of the engines made of `count` strings."""
    model, lines = prepared(count, folder)
    context = multiprocessing.get_context("spawn")
    for name in names:
        with context.Pool(1) as pool:
            yield name, pool.apply(functools.partial(work, name, model, lines, count))


def print_latency(folder: str | None) -> None:
    """Time of one text of 256 bytes, and the size of the tables."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from keras_seq.text import SentencePieceTokenizer

    lines = list(dict.fromkeys(corpora(folder)))
    model = trained(lines)
    generator = random.Random(2)
    long = [line.encode() for line in lines if len(line.encode()) >= LONGEST]
    texts = [line[:LONGEST] for line in generator.sample(long, 200)]
    print(f"Tables of {TABLE:,} pieces: {SentencePieceTokenizer(model).table_bytes:,} bytes.\n")
    # No place in them can be cut, if a piece holds the character twice.
    worst = [bytes([byte]) * LONGEST for byte in b" .-=*aeo"]
    print("| engine | lines: median ms | one character: slowest |\n|---|---|---|")
    for name, make in (("tflite", graph_tflite), ("onnxruntime", graph_onnxruntime)):
        engine = make(model, 1)
        medians = []
        for text in [*texts, *worst]:
            times = []
            for _ in range(9):
                begun = time.perf_counter()
                engine([text])
                times.append(time.perf_counter() - begun)
            medians.append(statistics.median(times) * 1e3)
        typical, slowest = statistics.median(medians[: len(texts)]), max(medians[len(texts) :])
        print(f"| {name} | {typical:.2f} | {slowest:.2f} |", flush=True)


def main() -> None:
    """Prints what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokenizers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(CONTENDERS)}")
    parser.add_argument("--strings", type=int, default=100_000, metavar="N")
    parser.add_argument("--latency", action="store_true", help="measure one text at a time")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.engines if name not in CONTENDERS]
    if unknown:
        parser.error(f"there is no engine {unknown[0]!r}; there are {', '.join(CONTENDERS)}")
    folder = os.environ.get("KERAS_SEQ_DATA")
    if arguments.latency:
        print_latency(folder)
        return
    names = arguments.engines or list(CONTENDERS)
    if javascript() is None and "tokenizers.js" in names:
        print("tokenizers.js needs Node and: npm --prefix tests/web ci", file=sys.stderr)
        names.remove("tokenizers.js")
    print("| engine | strings | mismatches | strings a second |\n|---|---|---|---|", flush=True)
    examples = {}
    for name, found in compared(names, arguments.strings, folder):
        rate = found.strings / found.seconds
        differ = "reference" if name == REFERENCE else f"{found.mismatches:,}"
        print(f"| {name} | {found.strings:,} | {differ} | {rate:,.0f} |", flush=True)
        examples[name] = found.examples
    for name, rows in examples.items():
        for text, ids, expected in rows:
            print(f"\n{name}: {text!r}\n  {ids}\n  {expected}")


if __name__ == "__main__":
    main()
