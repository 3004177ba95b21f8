"""Generating text: what a token costs in each runtime, beside peers, and as texts grow longer.

    python -m benchmarks.generation              both tables (pip install -e ".[bench]")
    python -m benchmarks.generation --speed      tokens a second, one thread, one row
    python -m benchmarks.generation --growth     time and memory for 64 to 4,096 tokens

A Transformer of 4 layers, 4 heads, width 128; an LSTM and an RNN of 2 × 256; 260 tokens; weights as
they are initialised, which cost what trained ones do. A row never ends early. Every measurement is
taken in a process of its own; contenders take turns, and medians are reported.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

V, PROMPT, NEW, END = 260, 16, 100, 3
WIDTH, LAYERS, HEADS, UNITS, STACKED = 128, 4, 4, 256, 2
BACKBONES = ("transformer", "lstm", "rnn")
FORMATS = ("tflite", "onnx", "saved_model")
GROWTH = (64, 256, 1024, 4096)
ROUNDS, CALLS = 3, 7
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--speed", action="store_true", help="only the first table")
    parser.add_argument("--growth", action="store_true", help="only the second table")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        contender, backbone, new, folder = arguments.worker
        print(json.dumps(_measured(contender, backbone, int(new), Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.growth:
            _speed(Path(folder))
        if not arguments.speed:
            _growth(Path(folder))
    return 0


def _speed(folder: Path) -> None:
    from keras_seq.console import print_table

    rows = []
    for backbone in BACKBONES:
        _run("write", backbone, NEW, folder)
        contenders = [*FORMATS, "keras", "torch", "torch_compiled"]
        contenders += ["transformers"] if backbone == "transformer" else []
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name in contenders:
                found[name].append(_run(name, backbone, NEW, folder)["seconds"])
        seconds = {name: statistics.median(values) for name, values in found.items()}
        rows += [
            (
                backbone,
                name,
                f"{1000 * value:.1f}",
                f"{NEW / value:,.0f}",
                f"{seconds['torch'] / value:.2f}",
            )
            for name, value in seconds.items()
        ]
    columns = ("backbone", "runtime", f"ms for {NEW} tokens", "tokens a second", "× PyTorch eager")
    print_table(columns, rows, "Greedy, one row, one thread")


def _growth(folder: Path) -> None:
    from keras_seq.console import print_table

    rows = []
    for backbone in BACKBONES:
        for new in GROWTH:
            _run("write", backbone, new, folder)
        for name in ("tflite", "onnx"):
            found = [_run(name, backbone, new, folder) for new in GROWTH]
            seconds = [values["seconds"] for values in found]
            slope, _ = np.polyfit(np.log(GROWTH), np.log(seconds), 1)
            rows.append(
                (
                    backbone,
                    name,
                    *(f"{1000 * value:.1f}" for value in seconds),
                    f"{slope:.2f}",
                    *(f"{values['megabytes']:.1f}" for values in found),
                )
            )
    columns = (
        "backbone",
        "runtime",
        *(f"ms, N = {new:,}" for new in GROWTH),
        "exponent",
        *(f"MB, N = {new:,}" for new in GROWTH),
    )
    title = "Time of N tokens, t ~ N^exponent; memory that the calls add to the process"
    print_table(columns, rows, title)


def _run(contender: str, backbone: str, new: int, folder: Path) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.generation"]
    command += ["--worker", contender, backbone, str(new), str(folder)]
    process = subprocess.run(
        command,
        env={**os.environ, **ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"{contender}, {backbone}: {process.stderr[-2000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def _measured(contender: str, backbone: str, new: int, folder: Path) -> dict[str, float]:
    path = folder / f"{backbone}-{new}"
    if contender == "write":
        _write(backbone, new, path)
        return {}
    makers: dict[str, Callable[[], Callable[[], int]]] = {
        **{name: lambda name=name: _runtime(name, new, path) for name in FORMATS},
        "keras": lambda: _keras(backbone, new),
        "torch": lambda: _torch(backbone, new, False),
        "torch_compiled": lambda: _torch(backbone, new, True),
        "transformers": lambda: _transformers(new),
    }
    call = makers[contender]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for number in range(CALLS + 2):  # The first two warm up.
        start = time.perf_counter()
        count = call()
        times.append(time.perf_counter() - start)
        if count != new:
            raise RuntimeError(f"{count} tokens, not {new}")
        if number > 2 and sum(times) > 20:
            break
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": statistics.median(times[2:]), "megabytes": grown / 1024}


def _model(backbone: str, new: int) -> Any:
    import keras

    from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
    from keras_seq.models import TextGenerator
    from keras_seq.text import ByteTokenizer

    keras.utils.set_random_seed(0)
    length = PROMPT + new
    if backbone == "transformer":
        made: Any = TransformerBackbone(
            WIDTH, LAYERS, HEADS, max_length=length, positions="rotary", causal=True
        )
    else:
        made = RecurrentBackbone(UNITS, backbone, STACKED)
    model = TextGenerator(made, ByteTokenizer(), length)
    bias = np.zeros(V, "float32")
    bias[END] = -1e4
    model.head.bias.assign(bias)
    return model


def _write(backbone: str, new: int, path: Path) -> None:
    """The signature `generate` in each format; parity is the business of the tests."""
    from export import formats

    signatures = _model(backbone, new).signatures({"T": PROMPT, "N": new})
    generate = next(signature for signature in signatures if signature.name == "generate")
    path.mkdir()
    for name in FORMATS:
        module = formats.module(name)
        sizes = {"B": 1, "T": PROMPT, "N": new} if module.STATIC else {}
        module.write([generate], path, sizes)


def _runtime(name: str, new: int, path: Path) -> Callable[[], int]:
    from export import formats

    run = formats.module(name).Runner(path, 1)
    inputs = {
        "token_ids": np.full((1, PROMPT), 50, "int32"),
        "length": np.array([PROMPT], "int32"),
        "max_new_tokens": np.array(new, "int32"),
        "temperature": np.array(0, "float32"),
        "top_k": np.array(0, "int32"),
        "top_p": np.array(1, "float32"),
        "repetition_penalty": np.array(1, "float32"),
        "uniforms": np.zeros((1, new), "float32"),
    }
    return lambda: int(run("generate", inputs)["length"][0])


def _keras(backbone: str, new: int) -> Callable[[], int]:
    model = _model(backbone, new)
    prompt = bytes([46]) * PROMPT

    def call() -> int:
        model.generate([prompt], new, temperature=0.0)
        return new  # It gives a text; no token of it can have been the end.

    return call


def _torch(backbone: str, new: int, is_compiled: bool) -> Callable[[], int]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if backbone == "transformer":
        model = _torch_transformer(PROMPT + new).eval()
    else:
        model = _torch_recurrent(backbone).eval()
    step = torch.compile(model.step) if is_compiled else model.step

    @torch.no_grad()
    def call() -> int:
        state = model.begin()
        logits, state = model.read(torch.full((1, PROMPT), 50), state)
        count = 0
        for position in range(PROMPT, PROMPT + new):
            token = logits.argmax(dim=-1)
            count += 1
            if count < new:
                logits, state = step(token, torch.tensor([position]), state)
        return count

    return call


def _torch_recurrent(kind: str) -> Any:
    """An LSTM or RNN of the same shape, one step a call."""
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, UNITS)
            layer = {"lstm": nn.LSTM, "rnn": nn.RNN}[kind]
            self.layers = layer(UNITS, UNITS, STACKED, batch_first=True)
            self.head = nn.Linear(UNITS, V)

        def begin(self) -> Any:
            return None

        def read(self, token_ids: Any, state: Any) -> tuple[Any, Any]:
            hidden, state = self.layers(self.embedding(token_ids), state)
            return self.head(hidden[:, -1]), state

        def step(self, token: Any, position: Any, state: Any) -> tuple[Any, Any]:
            return self.read(token[:, None], state)

    return Model()


def _torch_transformer(length: int) -> Any:
    """A Transformer of the same shape, with a cache of static size."""
    import torch
    from torch import nn

    size = WIDTH // HEADS

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any, positions: Any, cache: Any, turn: Any, mask: Any) -> Any:
            rows, count, _ = x.shape
            parts = self.qkv(self.norm_1(x)).view(rows, count, 3, HEADS, size)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            query, key = turned(query, turn), turned(key, turn)
            cache[0].index_copy_(2, positions, key)
            cache[1].index_copy_(2, positions, value)
            heads = nn.functional.scaled_dot_product_attention(query, *cache, attn_mask=mask)
            x = x + self.out(heads.transpose(1, 2).reshape(rows, count, WIDTH))
            return x + self.down(torch.relu(self.up(self.norm_2(x))))

    def turned(x: Any, turn: Any) -> Any:
        first, second = x.chunk(2, dim=-1)
        return x * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, WIDTH)
            self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, V)
            rates = 10000 ** (-torch.arange(0, size, 2) / size)
            angle = torch.arange(length)[:, None] * torch.cat([rates, rates])
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())

        def begin(self) -> Any:
            shape = (1, HEADS, length, size)
            return [(torch.zeros(shape), torch.zeros(shape)) for _ in self.blocks]

        def read(self, token_ids: Any, state: Any) -> tuple[Any, Any]:
            return self._run(token_ids, torch.arange(token_ids.shape[1]), state)

        def step(self, token: Any, position: Any, state: Any) -> tuple[Any, Any]:
            return self._run(token[:, None], position, state)

        def _run(self, token_ids: Any, positions: Any, state: Any) -> tuple[Any, Any]:
            x = self.embedding(token_ids)
            turn = self.cos[positions], self.sin[positions]
            mask = torch.arange(length)[None, :] <= positions[:, None]
            for block, cache in zip(self.blocks, state, strict=True):
                x = block(x, positions, cache, turn, mask)
            return self.head(self.norm(x[:, -1])), state

    return Model()


def _transformers(new: int) -> Callable[[], int]:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)
    config = GPT2Config(
        vocab_size=V,
        n_positions=PROMPT + new,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        bos_token_id=2,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    prompt = torch.full((1, PROMPT), 50)

    def call() -> int:
        found = model.generate(prompt, max_new_tokens=new, do_sample=False, use_cache=True)
        return found.shape[1] - PROMPT

    return call


if __name__ == "__main__":
    raise SystemExit(main())
