"""Exports random Keras models: stacks, branches, nested and shared layers, with and without masks.

    python -m benchmarks.random_models --count 100 --seed 0
    python -m benchmarks.random_models --count 1 --seed 37 --show       the layers of one model

Each model is exported to every format, and is right, refused or wrong as in `benchmarks.coverage`.
A seed always draws the same model.
"""

import argparse
import os
import random
import sys
import warnings
from collections import Counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

from benchmarks.coverage import REFUSED, RIGHT, WRONG, try_case  # noqa: E402
from benchmarks.coverage_layers import OF_CELLS  # noqa: E402

VOCABULARY = 11
MERGE_MODES = ("concat", "sum", "mul", "ave")
STEPS = (1, 5)  # layers of a chain, at least and at most


class ModelDrawer:
    """Draws a model with a `random.Random`, or what has its methods, such as hypothesis's."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def model(self) -> keras.Model:
        """Returns a Functional model; Keras may refuse to build one, with any error."""
        length = self._draw.choice([None, 6])
        inputs, x = self._begin(length)
        every = [inputs]
        x = self._chain(x)
        if self._flip(0.3):
            other, y = self._begin(length)
            every.append(other)
            x = self._join(x, self._chain(y))
        outputs = [x]
        if self._flip(0.6):
            activation = self._draw.choice(["softmax", "sigmoid", None])
            outputs = [layers.Dense(3, activation)(x)]
        if self._flip(0.2):
            outputs.append(x)
        return keras.Model(every if len(every) > 1 else inputs, outputs)

    def _flip(self, chance: float) -> bool:
        return self._draw.random() < chance

    def _begin(self, length: int | None) -> tuple[Any, Any]:
        """Returns an input and a sequence made of it, `(B, T, D)`, masked or not."""
        kind = self._draw.choice(["numbers", "masked", "ids", "masked ids"])
        if "ids" in kind:
            inputs = keras.Input((length,), dtype="int32")
            embed = layers.Embedding(VOCABULARY, self._width(), mask_zero=kind == "masked ids")
            return inputs, embed(inputs)
        inputs = keras.Input((length, self._draw.randint(2, 4)))
        return inputs, layers.Masking()(inputs) if kind == "masked" else inputs

    def _width(self) -> int:
        return self._draw.randint(2, 5)

    def _chain(self, x: Any) -> Any:
        for _ in range(self._draw.randint(*STEPS)):
            x = self._step(x)
        return x

    def _step(self, x: Any) -> Any:
        """Returns a tensor made of another one by a layer, or by a few."""
        if len(x.shape) == 2:
            steps = [self._dense, self._normalize, self._repeat, self._residual]
        else:
            steps = [
                *[self._recurrent] * 3,
                *[self._bidirectional] * 2,
                self._stacked_cells,
                self._encode_decode,
                self._dense,
                self._distributed,
                self._normalize,
                self._convolve,
                self._attend,
                self._pool,
                self._residual,
                self._branch,
                self._nested,
                self._shared,
                self._operation,
            ]
        return self._draw.choice(steps)(x)

    def _options(self, kind: type, x: Any) -> dict[str, Any]:
        """Returns arguments of a recurrent layer."""
        options: dict[str, Any] = {"units": self._width()}
        flags = ["go_backwards", "zero_output_for_mask"]
        if x.shape[1] is not None:
            flags.append("unroll")
        if kind is layers.GRU:
            options["reset_after"] = self._flip(0.5)
        for name in flags:
            if self._flip(0.25):
                options[name] = True
        for name in ("dropout", "recurrent_dropout"):
            if self._flip(0.25):
                options[name] = 0.2
        if self._flip(0.3):
            options["activation"] = self._draw.choice(OF_CELLS)
        if kind is not layers.SimpleRNN and self._flip(0.3):
            options["recurrent_activation"] = self._draw.choice(OF_CELLS)
        if self._flip(0.2):
            options["use_bias"] = False
        return options

    def _kind(self) -> Any:
        return self._draw.choice([layers.SimpleRNN, layers.LSTM, layers.GRU])

    def _recurrent(self, x: Any) -> Any:
        kind = self._kind()
        options = self._options(kind, x)
        sequences, state = self._flip(0.75), self._flip(0.25)
        made = kind(**options, return_sequences=sequences, return_state=state)(x)
        if not state:
            return made
        output, *states = made
        if not sequences:
            return layers.Concatenate()([output, *states])
        return output + layers.RepeatVector(1)(states[-1])

    def _bidirectional(self, x: Any) -> Any:
        kind = self._kind()
        options = self._options(kind, x)
        options.pop("go_backwards", None)
        inner = kind(**options, return_sequences=self._flip(0.75))
        return layers.Bidirectional(inner, merge_mode=self._draw.choice(MERGE_MODES))(x)

    def _stacked_cells(self, x: Any) -> Any:
        kinds = [layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell]
        cells = [self._draw.choice(kinds)(self._width()) for _ in range(2)]
        cell = cells if self._flip(0.7) else cells[0]
        return layers.RNN(cell, return_sequences=self._flip(0.75))(x)

    def _encode_decode(self, x: Any) -> Any:
        kind, units = self._kind(), self._width()
        _, *states = kind(units, return_state=True)(x)
        return kind(units, return_sequences=True)(x, initial_state=states)

    def _dense(self, x: Any) -> Any:
        return layers.Dense(self._width(), self._draw.choice(OF_CELLS))(x)

    def _distributed(self, x: Any) -> Any:
        return layers.TimeDistributed(layers.Dense(self._width(), "tanh"))(x)

    def _normalize(self, x: Any) -> Any:
        kinds = [layers.LayerNormalization, layers.BatchNormalization, layers.UnitNormalization]
        return self._draw.choice(kinds)()(x)

    def _convolve(self, x: Any) -> Any:
        options = {"padding": self._draw.choice(["same", "causal"]), "activation": "relu"}
        if self._flip(0.3):
            options["dilation_rate"] = 2
        return layers.Conv1D(self._width(), self._draw.randint(1, 3), **options)(x)

    def _attend(self, x: Any) -> Any:
        if self._flip(0.3):
            return layers.Attention(use_scale=self._flip(0.5))([x, x])
        heads = layers.MultiHeadAttention(2, self._draw.randint(1, 3))
        return heads(x, x, use_causal_mask=self._flip(0.5))

    def _pool(self, x: Any) -> Any:
        kinds = [layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D]
        return self._draw.choice(kinds)()(x)

    def _repeat(self, x: Any) -> Any:
        return layers.RepeatVector(self._draw.randint(1, 4))(x)

    def _residual(self, x: Any) -> Any:
        return x + layers.Dense(x.shape[-1], "tanh")(layers.Dropout(0.3)(x))

    def _branch(self, x: Any) -> Any:
        return self._join(self._step(x), self._step(x))

    def _join(self, x: Any, y: Any) -> Any:
        """Returns one tensor of two: of both sequences where both are, else of their ends."""
        if len(x.shape) == len(y.shape) == 3 and x.shape[1] == y.shape[1] and self._flip(0.7):
            return layers.Concatenate()([x, y])
        pooled = [
            layers.GlobalMaxPooling1D()(part) if len(part.shape) == 3 else part for part in (x, y)
        ]
        return layers.Concatenate()(pooled)

    def _nested(self, x: Any) -> Any:
        inputs = keras.Input(x.shape[1:])
        return keras.Model(inputs, self._step(inputs))(x)

    def _shared(self, x: Any) -> Any:
        layer = self._kind()(x.shape[-1], return_sequences=True)
        return layer(layer(x))

    def _operation(self, x: Any) -> Any:
        functions = [
            ops.tanh,
            lambda x: ops.flip(x, axis=1),
            lambda x: ops.cumsum(x, axis=1) / 4,
            lambda x: ops.where(x > 0, x, 0.1 * x),
            lambda x: x - ops.mean(x, axis=-1, keepdims=True),
            lambda x: ops.roll(x, 1, axis=1),
        ]
        return self._draw.choice(functions)(x)


def draw_model(seed: int) -> keras.Model:
    """Returns the model of a seed."""
    keras.backend.clear_session()  # names of layers begin anew
    keras.utils.set_random_seed(seed)
    return ModelDrawer(random.Random(seed)).model()


def main() -> int:
    """Prints what became of each model; returns 1 if one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_models", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="models (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one (default: 0)")
    parser.add_argument("--show", action="store_true", help="print the layers of each model")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        if arguments.show:
            draw_model(seed).summary(expand_nested=True)
        outcomes = try_case(lambda seed=seed: draw_model(seed), name=str(seed))
        if not outcomes:
            counts["no model of Keras"] += 1
            continue
        kinds = {outcome.kind for outcome in outcomes.values()}
        worst = next(kind for kind in (WRONG, REFUSED, RIGHT) if kind in kinds)
        counts[worst] += 1
        for format, outcome in outcomes.items():
            if outcome.kind != RIGHT:
                print(f"{outcome.kind:8} seed {seed}, {format}: {outcome.message}", flush=True)
    print(", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items())))
    return int(counts[WRONG] > 0)


if __name__ == "__main__":
    sys.exit(main())
