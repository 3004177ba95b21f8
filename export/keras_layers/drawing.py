"""Random inputs that a Keras model takes, from what its layers say while it is traced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from export.keras_layers.provenance import origin
from export.keras_layers.replacing import replaced
from keras_seq.signature import TensorSpec
from keras_seq.typing import Tensor

WORDS = ("the", "a", "film", "was", "Good,", "BAD!", "x", "über", "好看", "it's")


@dataclass
class Reading:
    """What layers do with an input.

    Attributes:
        ids: How many ids the smallest embedding or encoding of it knows; None if there is none.
        padding: The value of masked steps; None if none are masked.
    """

    ids: int | None = None
    padding: float | None = None


@dataclass
class Observed:
    """What tracing a model told: how inputs are read, by name, and words that its layers know."""

    readings: dict[str, Reading] = field(default_factory=dict)
    words: list[str] = field(default_factory=lambda: list(WORDS))


def observed(trace: Callable[[], Any], names: Sequence[str]) -> Observed:
    """Traces a model and notes what its layers do with the inputs called `names`."""
    found = Observed({name: Reading() for name in names})

    def watching(layer: type, note: Callable[[Any, Reading], None]) -> tuple[type, str, Any]:
        stock = layer.__dict__["call"]

        def call(self: Any, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            source = origin(inputs)
            # A placeholder has the name of its argument.
            reading = found.readings.get(getattr(getattr(source, "op", None), "name", ""))
            if reading is not None:
                note(self, reading)
            return stock(self, inputs, *args, **kwargs)

        return layer, "call", call

    def embedding(layer: Any, reading: Reading) -> None:
        reading.ids = min(layer.input_dim, reading.ids or layer.input_dim)
        if layer.mask_zero:
            reading.padding = 0

    def encoding(layer: Any, reading: Reading) -> None:
        reading.ids = min(layer.num_tokens, reading.ids or layer.num_tokens)

    def masking(layer: Any, reading: Reading) -> None:
        reading.padding = float(layer.mask_value)

    def noting_words(layer: type) -> tuple[type, str, Any]:
        stock = layer.__dict__["call"]

        def call(self: Any, *args: Any, **kwargs: Any) -> Tensor:
            with tf.init_scope():
                found.words += [str(word) for word in self.get_vocabulary()]
            return stock(self, *args, **kwargs)

        return layer, "call", call

    with replaced(
        [
            watching(keras.layers.Embedding, embedding),
            watching(keras.layers.CategoryEncoding, encoding),
            watching(keras.layers.Masking, masking),
            noting_words(keras.layers.TextVectorization),
            noting_words(keras.layers.StringLookup.__mro__[1]),
        ]
    ):
        trace()
    return found


def with_dtypes(
    call: Callable[[dict[str, Tensor]], Any], tensors: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """int32 for the inputs that an embedding reads, where a model knows no dtypes."""

    def trace() -> None:
        def run(**inputs: Tensor) -> Any:
            return call(inputs)

        tf.function(run, autograph=False).get_concrete_function(
            **{
                t.name: tf.TensorSpec(
                    [n if isinstance(n, int) else None for n in t.shape], t.dtype, t.name
                )
                for t in tensors
            }
        )

    readings = observed(trace, [tensor.name for tensor in tensors]).readings
    return tuple(
        replace(t, dtype="int32") if readings[t.name].ids is not None else t for t in tensors
    )


def drawn(
    inputs: Sequence[TensorSpec],
    known: Observed,
    count: int,
    seed: int,
    sizes: Mapping[str, int],
) -> dict[str, np.ndarray]:
    """`count` rows for each input, open dimensions as long as `sizes` says."""
    generator = np.random.default_rng(seed)
    found = {}
    for tensor in inputs:
        shape = [count, *(sizes.get(n, n) for n in tensor.shape[1:])]
        if tensor.dtype == "string":
            # One word alone for each other row: lookups of whole texts know no others.
            texts = [
                " ".join(generator.choice(known.words, 1 if i % 2 else generator.integers(0, 30)))
                for i in range(int(np.prod(shape)))
            ]
            found[tensor.name] = np.array(texts, object).reshape(shape)
            continue
        reading = known.readings.get(tensor.name, Reading())
        if tensor.dtype == "bool":
            array = generator.random(shape) < 0.5
        elif np.dtype(tensor.dtype).kind in "iu":
            low = 1 if reading.padding == 0 and (reading.ids or 0) > 1 else 0
            array = generator.integers(low, reading.ids or 2, shape)
        else:
            array = generator.normal(size=shape)
        if reading.padding is not None and len(shape) > 1:
            # Lengths from all steps to one.
            lengths = np.linspace(shape[1], 1, count).round()
            array[np.arange(shape[1]) >= lengths[:, None]] = reading.padding
        found[tensor.name] = array.astype(tensor.dtype)
    return found
