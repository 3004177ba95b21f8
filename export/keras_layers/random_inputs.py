"""Random inputs for a Keras model, from what its layers do with them while it is traced."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from export.keras_layers.patching import LOOKUP, Rule, patch_attributes
from export.keras_layers.provenance import find_origin
from export.keras_layers.text import find_bytes, name_texts
from export.keras_layers.vocabulary import get_vocabulary
from keras_seq.signature import TensorSpec
from keras_seq.typing import Tensor

Range = tuple[float, float]  # the least and the largest value

WORDS = ("the", "a", "film", "was", "Good,", "BAD!", "x", "über", "好看", "it's")


@dataclass
class InputUse:
    """What layers do with an input.

    Attributes:
        vocabulary_size: Ids that the smallest embedding or encoding of it knows; None if there is
            none.
        padding: Value of masked steps; None if none are masked.
        terms: Values to choose from: those that a lookup knows, and others unless they are an
            error to it.
    """

    vocabulary_size: int | None = None
    padding: float | None = None
    terms: list[Any] | None = None

    def limit_ids(self, vocabulary_size: int) -> None:
        self.vocabulary_size = min(vocabulary_size, self.vocabulary_size or vocabulary_size)


@dataclass
class Observed:
    """What tracing a model shows: how each input is used, and words that its layers know."""

    uses: dict[str, InputUse]
    words: list[str] = field(default_factory=lambda: list(WORDS))

    @classmethod
    def from_names(cls, names: Sequence[str]) -> "Observed":
        """Returns the record of the inputs called `names`, nothing observed yet."""
        return cls({name: InputUse() for name in names})

    @contextlib.contextmanager
    def watch_layers(self) -> Iterator[None]:
        """Notes what the layers of any model that is traced inside the `with` block do."""

        def watch(layer: type, note: Callable[[Any, InputUse], None]) -> Rule:
            stock = layer.__dict__["call"]

            def call(layer: Any, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
                # A placeholder has the name of its argument, and a string comes of its bytes.
                source, _ = find_bytes(inputs) or (find_origin(inputs), None)
                name = getattr(getattr(source, "op", None), "name", "")
                note(layer, self.uses.get(name, InputUse()))
                return stock(layer, inputs, *args, **kwargs)

            return layer, "call", call

        def note_embedding(layer: Any, use: InputUse) -> None:
            use.limit_ids(layer.input_dim)
            if layer.mask_zero:
                use.padding = 0

        def note_encoding(layer: Any, use: InputUse) -> None:
            use.limit_ids(layer.num_tokens)

        def note_masking(layer: Any, use: InputUse) -> None:
            use.padding = float(layer.mask_value)

        def note_words(layer: Any, use: InputUse) -> None:
            # The table behind a TextVectorization has no public name.
            lookup = getattr(layer, "_lookup_layer", layer)
            terms = get_vocabulary(lookup).terms
            self.words += [str(term) for term in terms]
            if lookup.num_oov_indices == 0 and not lookup.invert:
                use.terms = [term for term in use.terms or terms if term in set(terms)]
            elif lookup.vocabulary_dtype != "string" and not lookup.invert and not use.terms:
                use.terms = [*terms, 0, 1]

        with patch_attributes(
            [
                watch(keras.layers.Embedding, note_embedding),
                watch(keras.layers.CategoryEncoding, note_encoding),
                watch(keras.layers.Masking, note_masking),
                watch(keras.layers.TextVectorization, note_words),
                watch(LOOKUP, note_words),
            ]
        ):
            yield


def make_tensor_spec(tensor: TensorSpec) -> tf.TensorSpec:
    """Returns a tensor for TensorFlow, its named dimensions open."""
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    return tf.TensorSpec(shape, tensor.dtype, tensor.name)


def infer_dtypes(
    call: Callable[[dict[str, Tensor]], Any], tensors: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """Makes inputs that an embedding reads int32, where a model knows no dtypes."""

    def run(**inputs: Tensor) -> Any:
        return call(inputs)

    observed = Observed.from_names([tensor.name for tensor in tensors])
    with observed.watch_layers():
        specs = {tensor.name: make_tensor_spec(tensor) for tensor in tensors}
        tf.function(run, autograph=False).get_concrete_function(**specs)
    return tuple(
        replace(t, dtype="int32") if observed.uses[t.name].vocabulary_size is not None else t
        for t in tensors
    )


def draw_inputs(
    inputs: Sequence[TensorSpec],
    observed: Observed,
    count: int,
    seed: int,
    sizes: Mapping[str, int],
    ranges: Mapping[str, Range] | None = None,
) -> dict[str, np.ndarray]:
    """Returns `count` random rows for each input, with open dimensions of the sizes `sizes`.

    Numbers that are no ids are in the range of their input, or normally distributed without one.
    """
    generator = np.random.default_rng(seed)
    arrays, texts = {}, name_texts(inputs)
    words = np.array(observed.words)
    for tensor in inputs:
        shape = [count, *(sizes.get(n, n) for n in tensor.shape[1:])]
        name = tensor.name if tensor.name not in texts else texts[tensor.name][0].name
        use = observed.uses.get(name, InputUse())
        if use.terms:
            array = generator.choice(use.terms, shape)
            arrays[tensor.name] = array.astype(object if tensor.dtype == "string" else tensor.dtype)
            continue
        if tensor.dtype == "string":
            # Every other row is a single word: lookups of whole texts know no others.
            rows = [
                " ".join(generator.choice(words, 1 if i % 2 else generator.integers(0, 30)))
                for i in range(int(np.prod(shape)))
            ]
            arrays[tensor.name] = np.array(rows, object).reshape(shape)
            continue
        values = (ranges or {}).get(tensor.name)
        if tensor.dtype == "bool":
            array = generator.random(shape) < 0.5
        elif np.dtype(tensor.dtype).kind in "iu" or use.vocabulary_size is not None:
            # `keras.Input` declares ids float32 unless it is told otherwise.
            low = 1 if use.padding == 0 and (use.vocabulary_size or 0) > 1 else 0
            high = use.vocabulary_size or 2
            if values is not None and use.vocabulary_size is None:
                low, high = int(values[0]), int(values[1]) + 1
            array = generator.integers(low, high, shape)
        elif values is not None:
            array = generator.uniform(*values, shape)
        else:
            array = generator.normal(size=shape)
        if use.padding is not None and len(shape) > 1:
            # Lengths from all steps to one.
            lengths = np.linspace(shape[1], 1, count).round()
            array[np.arange(shape[1]) >= lengths[:, None]] = use.padding
        arrays[tensor.name] = array.astype(tensor.dtype)
    return arrays
