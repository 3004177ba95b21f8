"""A training step of ours beside stock Keras and PyTorch, in the same run.

    python -m benchmarks.training                the whole table (pip install -e ".[bench]")
    python -m benchmarks.training lstm rnn       some rows
    python -m benchmarks.training --input        how long a batch takes to prepare

Each contender lives in a process of its own; they take their steps in turn, so that all meet the
same noise. Reported are medians. A ratio below 1 is faster than the peer. The share of the peak is
of the largest rate of a matrix product (2,048 × 2,048) measured in this run, by any contender.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from keras_seq.tasks import load_corpus

ROUNDS = 25
STEPS = 2  # a round
WARM_UP = 4
THREADS = 2

# embedding 8,000 × 128, 256 units, softmax over 10 classes of the last state
BATCH, LENGTH, VOCABULARY, EMBEDDING, UNITS, CLASSES = 64, 64, 8000, 128, 256, 10
# a block: 256 wide, 4 heads, 1,024 in the feed-forward network
BLOCK_BATCH, BLOCK_LENGTH, WIDTH, HEADS, INTERMEDIATE = 32, 128, 256, 4, 1024


@dataclass(frozen=True)
class Row:
    """A model of the table.

    Attributes:
        name: As printed.
        kind: "rnn", "lstm", "encoder" or "decoder".
        dropout: Of a block.
    """

    name: str
    kind: str
    dropout: float = 0.0

    @property
    def gigaflops(self) -> float:
        """Of the matrix products of a step, forward and backward, in 10⁹."""
        if self.kind in ("rnn", "lstm"):
            gates = {"rnn": 1, "lstm": 4}[self.kind]
            return 3 * 2 * BATCH * LENGTH * gates * UNITS * (EMBEDDING + UNITS) / 1e9
        attentions = {"encoder": 1, "decoder": 2}[self.kind]
        tokens = BLOCK_BATCH * BLOCK_LENGTH
        projections = attentions * 4 * WIDTH * WIDTH + 2 * WIDTH * INTERMEDIATE
        scores = attentions * 2 * BLOCK_LENGTH * WIDTH
        return 3 * 2 * tokens * (projections + scores) / 1e9


ROWS = {
    row.name: row
    for row in (
        Row("lstm", "lstm"),
        Row("rnn", "rnn"),
        Row("encoder", "encoder", 0.1),
        Row("decoder", "decoder", 0.1),
        Row("encoder-no-dropout", "encoder"),
        Row("decoder-no-dropout", "decoder"),
    )
}


def arrays(row: Row) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs and targets."""
    generator = np.random.default_rng(0)
    if row.kind in ("rnn", "lstm"):
        ids = generator.integers(1, VOCABULARY, (BATCH, LENGTH)).astype("int32")
        return [ids], generator.integers(0, CLASSES, BATCH).astype("int32")
    shape = (BLOCK_BATCH, BLOCK_LENGTH, WIDTH)
    count = 2 if row.kind == "decoder" else 1
    inputs = [generator.normal(size=shape).astype("float32") for _ in range(count)]
    return inputs, generator.normal(size=shape).astype("float32")


def keras_step(row: Row, ours: bool) -> Callable[[], float]:
    """A compiled training step of Keras, on whichever backend; it returns the loss."""
    import keras

    from keras_seq import layers

    inputs, targets = arrays(row)
    tensors = [keras.Input(x.shape[1:], dtype=x.dtype) for x in inputs]
    if row.kind in ("rnn", "lstm"):
        room: Any = layers if ours else keras.layers
        name = {"lstm": "LSTM", "rnn": "RNN" if ours else "SimpleRNN"}[row.kind]
        hidden = keras.layers.Embedding(VOCABULARY, EMBEDDING)(tensors[0])
        output = keras.layers.Dense(CLASSES)(getattr(room, name)(UNITS)(hidden))
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        if ours:
            block = {"encoder": layers.TransformerEncoder, "decoder": layers.TransformerDecoder}
            output = block[row.kind](HEADS, INTERMEDIATE, dropout=row.dropout)(*tensors)
        else:
            output = stock_block(keras, tensors, row.dropout)
        loss = "mse"
    model = keras.Model(tensors, output)
    model.compile("adam", loss, jit_compile=True)
    x = inputs if len(inputs) > 1 else inputs[0]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensors((tuple(inputs) if len(inputs) > 1 else x, targets))
        iterator = iter(data.repeat())
        model.make_train_function()
        return lambda: float(model.train_function(iterator)["loss"])
    return lambda: float(model.train_on_batch(x, targets))


def stock_block(keras: Any, tensors: list[Any], dropout: float) -> Any:
    """A pre-norm block of stock layers; with two inputs, a decoder block."""

    def residual(x: Any, branch: Callable[[Any], Any]) -> Any:
        normed = keras.layers.LayerNormalization(epsilon=1e-5)(x)
        return x + keras.layers.Dropout(dropout)(branch(normed))

    def attention() -> Any:
        return keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=dropout)

    x = tensors[0]
    causal = len(tensors) > 1
    x = residual(x, lambda y: attention()(y, y, use_causal_mask=causal))
    if causal:
        x = residual(x, lambda y: attention()(y, tensors[1]))
    dense = keras.layers.Dense
    return residual(x, lambda y: dense(WIDTH)(dense(INTERMEDIATE, "relu")(y)))


def torch_step(row: Row) -> Callable[[], float]:
    """A training step of PyTorch as its users write it."""
    import torch

    torch.set_num_threads(THREADS)
    inputs, targets = arrays(row)
    tensors = [torch.from_numpy(x) for x in inputs]
    target = torch.from_numpy(targets)
    if row.kind in ("rnn", "lstm"):
        cell = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}[row.kind]
        embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING)
        recurrent = cell(EMBEDDING, UNITS, batch_first=True)
        head = torch.nn.Linear(UNITS, CLASSES)
        parts = torch.nn.ModuleList([embedding, recurrent, head])
        target = target.long()

        def loss() -> Any:
            hidden = recurrent(embedding(tensors[0]))[0][:, -1]
            return torch.nn.functional.cross_entropy(head(hidden), target)

    else:
        names = {
            "encoder": torch.nn.TransformerEncoderLayer,
            "decoder": torch.nn.TransformerDecoderLayer,
        }
        parts = names[row.kind](
            WIDTH, HEADS, INTERMEDIATE, row.dropout, batch_first=True, norm_first=True
        )
        options: dict[str, Any] = {}
        if row.kind == "decoder":
            mask = torch.nn.Transformer.generate_square_subsequent_mask(BLOCK_LENGTH)
            options = {"tgt_mask": mask, "tgt_is_causal": True}

        def loss() -> Any:
            return torch.nn.functional.mse_loss(parts(*tensors, **options), target)

    optimizer = torch.optim.Adam(parts.parameters())

    def step() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def peak(library: str) -> Callable[[], Any]:
    """A matrix product of 2,048 × 2,048."""
    if library == "torch":
        import torch

        torch.set_num_threads(THREADS)
        a = torch.rand(2048, 2048)
        return lambda: (a @ a)[0, 0].item()
    import keras

    b = keras.ops.convert_to_tensor(np.random.rand(2048, 2048).astype("float32"))
    return lambda: float(keras.ops.matmul(b, b)[0, 0])


CONTENDERS = {
    "ours": ({"KERAS_BACKEND": "tensorflow"}, lambda row: keras_step(row, ours=True)),
    "ours on JAX": ({"KERAS_BACKEND": "jax"}, lambda row: keras_step(row, ours=True)),
    "Keras": ({"KERAS_BACKEND": "tensorflow"}, lambda row: keras_step(row, ours=False)),
    "PyTorch": ({}, torch_step),
}


def work(contender: str, row: Row, pipe: Connection) -> None:
    """In a process of its own: a time, in seconds, for each "step" and each "peak" it receives."""
    environment, make = CONTENDERS[contender]
    os.environ.update(environment, TF_CPP_MIN_LOG_LEVEL="3")
    calls = {"step": make(row), "peak": peak("torch" if contender == "PyTorch" else "keras")}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    pipe.send("ready")
    while (name := pipe.recv()) in calls:
        begun = time.perf_counter()
        calls[name]()
        pipe.send(time.perf_counter() - begun)


def measure(row: Row) -> dict[str, Any]:
    """Median seconds of a step of each contender, and the peak in 10⁹ operations a second."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in CONTENDERS:
        pipes[name], other = context.Pipe()
        processes.append(context.Process(target=work, args=(name, row, other), daemon=True))
        processes[-1].start()
        pipes[name].recv()

    def timed(name: str, what: str) -> float:
        pipes[name].send(what)
        return pipes[name].recv()

    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    fastest = float("inf")
    for _ in range(ROUNDS):
        for name in CONTENDERS:
            times[name] += [timed(name, "step") for _ in range(STEPS)]
            fastest = min(fastest, timed(name, "peak"))
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send("end")
        process.join()
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"medians": medians, "peak": 2 * 2048**3 / fastest / 1e9}


def print_steps(names: list[str]) -> None:
    """The table of steps."""
    found = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        found[name] = measure(ROWS[name])
    highest = max(result["peak"] for result in found.values())
    columns = [*(f"{name} ms" for name in CONTENDERS), "× Keras", "× PyTorch", "of the peak"]
    print(f"| step | {' | '.join(columns)} |")
    print(f"|{'---|' * (len(columns) + 1)}")
    for name, result in found.items():
        medians = result["medians"]
        cells = [f"{medians[contender] * 1e3:.1f}" for contender in CONTENDERS]
        cells += [f"{medians['ours'] / medians[peer]:.2f}" for peer in ("Keras", "PyTorch")]
        cells.append(f"{ROWS[name].gigaflops / medians['ours'] / highest:.0%}")
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nPeak of a matrix product: {highest:.0f} GFLOP/s on {THREADS} threads.")


def print_input() -> None:
    """What share of a training step its batch takes to prepare."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    from keras_seq.data.batches import TextBatches
    from keras_seq.data.feed import feed
    from keras_seq.data.tokens import tokenize_cached
    from keras_seq.tasks.classify.data import all_classes
    from keras_seq.tasks.classify.settings import BACKBONES
    from keras_seq.tasks.classify.training import build_classifier
    from keras_seq.text import SentencePieceTokenizer

    corpus = load_corpus("classify", "movie_reviews")
    texts = corpus.train.texts
    tokenizer = SentencePieceTokenizer.train(texts)
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        tokens = tokenize_cached(tokenizer, texts)
        times.append(time.perf_counter() - begun)
    first, cached = times
    print(f"{len(texts):,} reviews tokenised in {first:.1f} s, from the cache in {cached:.2f} s.\n")
    print("| backbone | step ms | preparing its batch ms | share |\n|---|---|---|---|")
    for backbone in ("rnn", "lstm", "transformer"):
        settings = BACKBONES[backbone]
        model = build_classifier(settings, tokenizer, all_classes(corpus))
        targets = model.preprocess(None, corpus.train.labels)[1]
        batches = TextBatches(tokens, targets, settings.batch_size, settings.max_length, 0)
        prepared = []
        for step in range(len(batches)):
            begun = time.perf_counter()
            batches[step]
            prepared.append(time.perf_counter() - begun)
        model.compile(settings.optimizer(100), keras.losses.SparseCategoricalCrossentropy())
        stream = iter(feed(batches))
        model.make_train_function()
        steps = []
        for _ in range(80):
            begun = time.perf_counter()
            float(model.train_function(stream)["loss"])
            steps.append(time.perf_counter() - begun)
        # The first steps compile a shape each.
        step, batch = statistics.median(steps[20:]), statistics.median(prepared)
        print(f"| {backbone} | {step * 1e3:.1f} | {batch * 1e3:.2f} | {batch / step:.1%} |")


def main() -> None:
    """Prints what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--input", action="store_true", help="measure the input pipeline")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if arguments.input:
        print_input()
    else:
        print_steps(arguments.rows or list(ROWS))


if __name__ == "__main__":
    main()
