"""Training on a GPU, ours beside PyTorch, in the same run.

    python -m benchmarks.gpu                    the whole table
    python -m benchmarks.gpu lstm               some rows
    python -m benchmarks.gpu --backend tensorflow
    python -m benchmarks.gpu --small            small shapes, on any machine: does it run?

Needs PyTorch with CUDA, and JAX (or TensorFlow) with CUDA. Contenders live in processes of their
own and take their turns one after the other. Reported are medians of a step, the most memory held,
and the model FLOP utilisation: the operations of the model's matrix products, forward and backward
(those of attention counted for the half that a causal mask leaves), over what the GPU's tensor
cores can do in bfloat16 (`--peak`, in TFLOP/s; an H100 SXM's by default).
"""

import argparse
import dataclasses
import math
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

ROUNDS = 10
STEPS = 4  # a round
WARM_UP = 5
PEAK = 989.0  # TFLOP/s


@dataclass(frozen=True)
class Row:
    """A model of the table: a language model over `vocabulary` tokens.

    Attributes:
        kind: "rnn", "lstm" or "transformer".
        precision: "float32" (its matrix products as TF32) or "mixed_bfloat16".
    """

    kind: str
    precision: str
    batch: int
    length: int
    vocabulary: int
    width: int
    layers: int
    heads: int = 1

    @property
    def tokens(self) -> int:
        """Of a step."""
        return self.batch * self.length

    @property
    def flops(self) -> float:
        """Of the matrix products of a step, forward and backward."""
        if self.kind == "transformer":
            block = 12 * self.width**2 + self.length * self.width
        else:
            block = {"rnn": 1, "lstm": 4}[self.kind] * 2 * self.width**2
        return 3 * 2 * self.tokens * (self.layers * block + self.width * self.vocabulary)


ROWS = {
    "lstm": Row("lstm", "float32", 64, 256, 8000, 1024, 2),
    "rnn": Row("rnn", "float32", 64, 256, 8000, 1024, 2),
    "transformer": Row("transformer", "mixed_bfloat16", 16, 1024, 50304, 768, 12, 12),
}


def small(row: Row) -> Row:
    """The same model in a size for any machine."""
    return dataclasses.replace(
        row, batch=4, length=32, vocabulary=100, width=64, layers=2, heads=min(row.heads, 4)
    )


def arrays(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and the next ones."""
    ids = np.random.default_rng(0).integers(1, row.vocabulary, (row.batch, row.length + 1))
    return ids[:, :-1].astype("int32"), ids[:, 1:].astype("int32")


def keras_step(row: Row) -> Callable[[], float]:
    """A compiled training step of ours; it returns the loss."""
    import keras

    from keras_seq import layers
    from keras_seq.backbones import TransformerBackbone
    from keras_seq.embeddings import TokenEmbedding
    from keras_seq.training import CrossEntropy

    keras.config.set_dtype_policy(row.precision)
    ids = keras.Input((row.length,), dtype="int32")
    if row.kind == "transformer":
        hidden = TransformerBackbone(
            row.width, row.layers, row.heads, max_length=row.length, causal=True
        )(TokenEmbedding(row.vocabulary, row.width)(ids))
    else:
        layer = {"rnn": layers.RNN, "lstm": layers.LSTM}[row.kind]
        hidden = keras.layers.Embedding(row.vocabulary, row.width)(ids)
        for _ in range(row.layers):
            hidden = layer(row.width, return_sequences=True)(hidden)
    logits = keras.layers.Dense(row.vocabulary)(hidden)
    model = keras.Model(ids, keras.layers.Activation("linear", dtype="float32")(logits))
    model.compile("adamw", CrossEntropy(from_logits=True), jit_compile=True)
    x, y = arrays(row)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        iterator = iter(tf.data.Dataset.from_tensors((x, y)).repeat().prefetch(2))
        model.make_train_function()
        return lambda: float(model.train_function(iterator)["loss"])
    return lambda: float(model.train_on_batch(x, y))


def keras_memory() -> int:
    """The most bytes of the GPU held so far."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else 0
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)


def torch_step(row: Row) -> Callable[[], float]:
    """A compiled training step of PyTorch, with its fused attention."""
    import torch
    from torch import nn

    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(row.width) for _ in range(2)])
            self.qkv = nn.Linear(row.width, 3 * row.width)
            self.output = nn.Linear(row.width, row.width)
            self.feed_forward = nn.Sequential(
                nn.Linear(row.width, 4 * row.width), nn.ReLU(), nn.Linear(4 * row.width, row.width)
            )

        def forward(self, x: Any) -> Any:  # (B, T, D)
            q, k, v = (
                part.unflatten(-1, (row.heads, -1)).transpose(1, 2)  # (B, nh, T, hs)
                for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1)
            )
            heads = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(heads.transpose(1, 2).flatten(2))
            return x + self.feed_forward(self.norms[1](x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(row.vocabulary, row.width)
            self.positions = nn.Parameter(torch.zeros(row.length, row.width))
            self.blocks = nn.Sequential(*(Block() for _ in range(row.layers)))
            self.norm = nn.LayerNorm(row.width)
            self.head = nn.Linear(row.width, row.vocabulary)

        def forward(self, ids: Any) -> Any:
            return self.head(self.norm(self.blocks(self.embedding(ids) + self.positions)))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            cell = {"rnn": nn.RNN, "lstm": nn.LSTM}[row.kind]
            self.embedding = nn.Embedding(row.vocabulary, row.width)
            self.cells = cell(row.width, row.width, row.layers, batch_first=True)
            self.head = nn.Linear(row.width, row.vocabulary)

        def forward(self, ids: Any) -> Any:
            return self.head(self.cells(self.embedding(ids))[0])

    model = (Transformer if row.kind == "transformer" else Recurrent)().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    half = row.precision == "mixed_bfloat16"
    x, y = (torch.from_numpy(array).long().to(device) for array in arrays(row))

    def loss() -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            logits = model(x)
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten())

    # torch.compile leaves cuDNN's recurrence as it is.
    loss = torch.compile(loss) if row.kind == "transformer" and device == "cuda" else loss

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def torch_memory() -> int:
    """The most bytes of the GPU held so far."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


CONTENDERS = {"ours": (keras_step, keras_memory), "PyTorch": (torch_step, torch_memory)}


def work(contender: str, backend: str, row: Row, pipe: Connection) -> None:
    """In a process of its own: a time, in seconds, for each "step" it receives."""
    # JAX would take most of the memory for itself, and so leave none to the other.
    os.environ.update(
        KERAS_BACKEND=backend, XLA_PYTHON_CLIENT_PREALLOCATE="false", TF_CPP_MIN_LOG_LEVEL="3",
        TF_FORCE_GPU_ALLOW_GROWTH="true",
    )  # fmt: skip
    make, memory = CONTENDERS[contender]
    step = make(row)
    losses = [step() for _ in range(WARM_UP)]
    if not math.isfinite(losses[-1]) or losses[-1] >= losses[0]:
        raise RuntimeError(f"{contender} does not learn: its losses were {losses}")
    pipe.send("ready")
    while pipe.recv() == "step":
        begun = time.perf_counter()
        step()
        pipe.send(time.perf_counter() - begun)
    pipe.send(memory())


def measure(row: Row, backend: str) -> dict[str, tuple[float, int]]:
    """Median seconds of a step and bytes of memory, of each contender."""
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name in CONTENDERS:
        pipes[name], other = context.Pipe()
        context.Process(target=work, args=(name, backend, row, other), daemon=True).start()
        other.close()
        pipes[name].recv()
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, pipe in pipes.items():
            for _ in range(STEPS):
                pipe.send("step")
                times[name].append(pipe.recv())
    found = {}
    for name, pipe in pipes.items():
        pipe.send("end")
        found[name] = statistics.median(times[name]), pipe.recv()
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--backend", choices=("jax", "tensorflow"), default="jax")
    parser.add_argument("--peak", type=float, default=PEAK, metavar="TFLOPS", help="of the GPU")
    parser.add_argument("--small", action="store_true", help="small shapes")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    import torch

    if not torch.cuda.is_available() and not arguments.small:
        parser.error("PyTorch sees no GPU. See whether it runs at all with --small.")
    columns = ["model", "tokens/s ours", "PyTorch", "ratio", "GB ours", "PyTorch"]
    columns += ["utilisation ours", "PyTorch"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for name in arguments.rows or ROWS:
        row = small(ROWS[name]) if arguments.small else ROWS[name]
        print(f"measuring {name}", file=sys.stderr, flush=True)
        found = measure(row, arguments.backend)
        seconds = [found[contender][0] for contender in CONTENDERS]
        cells = [f"{row.tokens / s:,.0f}" for s in seconds]
        cells.append(f"{seconds[1] / seconds[0]:.2f}")
        cells += [f"{found[contender][1] / 1e9:.1f}" for contender in CONTENDERS]
        cells += [f"{row.flops / s / (arguments.peak * 1e12):.1%}" for s in seconds]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if not arguments.small:
        print(f"\n{torch.cuda.get_device_name()}; a ratio above 1 is faster than PyTorch.")


if __name__ == "__main__":
    main()
