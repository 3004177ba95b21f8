"""Any Keras model as an `Exportable`: its call is a signature."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from export.keras_layers import states, text
from export.keras_layers.failures import explain_failure
from export.keras_layers.names import make_unique, name_layers
from export.keras_layers.random_inputs import (
    Observed,
    Range,
    draw_inputs,
    make_tensor_spec,
)
from export.model_inputs import declare_inputs
from keras_seq.errors import UserError, describe
from keras_seq.signature import Signature, TensorSpec
from keras_seq.typing import Arrays, Tensor

# Steps that a stream is compared on where the model leaves their number open.
STREAM_STEPS = 7


class KerasModel:
    """A Functional, Sequential or subclassed `keras.Model` as a `keras_seq.signature.Exportable`.

    Its signature is `predict`. With `stream` it also has `stream`, one step of the model with the
    states of recurrent layers as inputs `state_LAYER_h`, `state_LAYER_c` and outputs
    `next_state_LAYER_h` …; the states of a stateful layer are so in `predict`, too. Inputs and
    outputs have the model's names, without the numbers that Keras gives to layers.

    A dimension that the model leaves open is "B" for the batch and "T" for the one other; where
    there are several, "T", the axis and the input's name. A string input `NAME` becomes the UTF-8
    bytes of the text, `NAME [B, L]`, and their number, `NAME_length [B]`.

    Args:
        model: A built model.
        sample: Inputs for a model that does not know their shapes and dtypes itself; see
            `declare_inputs`.
        stream: Rows of a call of `stream`; None for no such signature.
        open_length: Leave the length of sequences open where a subclassed model knows only one.

    Attributes:
        call: Takes the model's inputs by name, as the model itself takes them.
        inputs: Their names, dtypes and shapes.

    Raises:
        UserError: If the inputs of the model are not known, or it cannot be traced.
    """

    task = "keras"
    labels: Sequence[str] = ()
    tokenizer = None

    def __init__(
        self,
        model: keras.Model,
        sample: Any = None,
        stream: int | None = None,
        open_length: bool = False,
    ) -> None:
        if not isinstance(model, keras.Model):
            load = " Load it first: keras_seq.load(path)." if isinstance(model, (str, Path)) else ""
            load = " Give its model: run.model." if hasattr(model, "model_path") else load
            raise UserError(f"model is a keras.Model. Received: {describe(model)}.{load}")
        self.model = model
        declared = declare_inputs(model, sample, open_length)
        self.call, self.inputs, self.sample = declared.call, declared.tensors, declared.sample
        self._optional = declared.optional
        self._states = states.stateful_states(model)
        self._streaming = None if stream is None else states.make_streaming(model, stream)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the longest text in bytes where an input is one; other sizes are left open."""
        return text.limits(self.inputs, sizes.get("L"))

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns `predict`, the call of the model in inference, and `stream`, one step of it."""
        signatures = [
            Signature(
                "predict",
                (*self._tensors, *(state.as_input for state in self._states)),
                (*self._outputs, *(state.as_output for state in self._states)),
                self._predict,
            )
        ]
        if self._streaming is not None:
            signatures.append(self._stream_signature)
        return tuple(signatures)

    def signature_inputs(self, texts: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns the inputs of `predict` for `texts`, if a text is all that the model takes."""
        if len(self.inputs) != 1 or self.inputs[0].dtype != "string":
            raise UserError(
                f"The model {self.model.name!r} takes {_describe(self.inputs)}, not a text. "
                "Compare on arrays: --sample FILE.npz"
            )
        (tensor,) = self.inputs
        array = np.array(texts, object).reshape(-1, *tensor.shape[1:])
        return self.sample_inputs({tensor.name: array}, sizes)

    def sample_inputs(
        self, sample: Mapping[str, np.ndarray], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """Returns the inputs of each signature for a user's arrays.

        Strings become bytes, open dimensions are cut to `sizes`, states are random.

        Raises:
            UserError: If names, dtypes or shapes are not the model's.
        """
        names = [tensor.name for tensor in self.inputs]
        if sorted(sample) != sorted(names):
            raise UserError(
                f"The model {self.model.name!r} takes {_describe(self.inputs)}. The sample has: "
                f"{', '.join(sample) or 'nothing'}"
            )
        if len({len(array) for array in sample.values()}) > 1:
            rows = ", ".join(f"{name} {len(array)}" for name, array in sample.items())
            raise UserError(
                f"The arrays of a sample have the same number of rows. Received: {rows}"
            )
        for tensor in self.inputs:
            shape = sample[tensor.name].shape
            if len(shape) != len(tensor.shape) or any(
                isinstance(size, int) and size != received and axis
                for axis, (size, received) in enumerate(zip(tensor.shape, shape, strict=True))
            ):
                raise UserError(
                    f"{tensor.name} has the shape {list(tensor.shape)}. The sample's is "
                    f"{list(shape)}"
                )
        cut = {
            t.name: sample[t.name][
                tuple(slice(sizes.get(n) if n != "B" else None) for n in t.shape)
            ]
            for t in self.inputs
        }
        count = len(next(iter(cut.values())))
        random = self.random_inputs(count, 0, sizes)
        return random | {"predict": random["predict"] | text.encode_inputs(self.inputs, cut, sizes)}

    def random_inputs(
        self,
        count: int,
        seed: int,
        sizes: Mapping[str, int],
        ranges: Mapping[str, Range] | None = None,
    ) -> dict[str, Arrays]:
        """Returns `count` rows of random inputs.

        Ids are in the vocabulary of every embedding, some rows are padded where the model masks
        padding, and other numbers are in the range of their input, that of the sample by default,
        or normally distributed without one.
        """
        ranges = ranges or _find_ranges(self.sample)
        arrays = draw_inputs(self.inputs, self._first_trace[1], count, seed, sizes, ranges)
        rows = text.encode_inputs(self.inputs, arrays, sizes)
        generator = np.random.default_rng(seed + 1)

        def random_states(layer_states: Sequence[states.LayerState]) -> Arrays:
            return {
                state.name: generator.uniform(-1, 1, (count, *state.variable.shape[1:])).astype(
                    "float32"
                )
                for state in layer_states
            }

        arrays = {"predict": rows | random_states(self._states)}
        if self._streaming is not None:
            step = {name: array[:, :1] if array.ndim > 1 else array for name, array in rows.items()}
            arrays["stream"] = step | random_states(self._streaming.states)
        return arrays

    def describe(self) -> dict[str, Any]:
        """Returns class, name and size, for the manifest of a bundle."""
        return {
            "backbone": type(self.model).__name__,
            "name": self.model.name,
            "parameters": int(self.model.count_params()),
        }

    @cached_property
    def _tensors(self) -> tuple[TensorSpec, ...]:
        """The inputs of `predict`."""
        return text.split_texts(self.inputs)

    def _predict(self, **arguments: Tensor) -> dict[str, Tensor]:
        return self._run(self._states, arguments)

    def _run(
        self, layer_states: Sequence[states.LayerState], arguments: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Returns outputs, and states after the call, by name."""
        inputs = text.make_strings(self.inputs, arguments)
        outputs, after = states.call_with_states(lambda: self.call(inputs), layer_states, arguments)
        named = zip(self._output_names(outputs), tree.flatten(outputs), strict=True)
        return dict(named) | after

    @cached_property
    def _stream_signature(self) -> Signature:
        """`stream`: the model called on one step, with the states of its recurrent layers."""
        streaming = self._streaming
        batch = streaming.states[0].variable.shape[0]

        def stream(**arguments: Tensor) -> dict[str, Tensor]:
            with streaming.carry_state():
                return self._run(streaming.states, arguments)

        inputs = tuple(
            replace(t, shape=(batch, *((1,) if len(t.shape) > 1 else ()), *t.shape[2:]))
            for t in self._tensors
        )
        last = self._compare_with_sequence(stream, batch)
        outputs = tuple(
            TensorSpec(name, keras.backend.standardize_dtype(value.dtype), tuple(value.shape))
            for name, value in last.items()
        )
        state_inputs = tuple(state.as_input for state in streaming.states)
        return Signature("stream", (*inputs, *state_inputs), outputs, stream)

    def _compare_with_sequence(self, stream: Callable[..., Any], batch: int) -> dict[str, Tensor]:
        """Compares `stream`, step by step, with the whole sequence; returns its last outputs.

        Raises:
            UserError: If they differ.
        """
        lengths = [t.shape[1] for t in self._tensors if len(t.shape) > 1]
        steps = max((n for n in lengths if isinstance(n, int)), default=STREAM_STEPS)
        sizes = {n: steps for t in self._tensors for n in t.shape if isinstance(n, str)}
        # The first random row has no padding.
        row = draw_inputs(self.inputs, self._first_trace[1], 1, 0, sizes)
        rows = {
            name: keras.ops.convert_to_tensor(np.repeat(array, batch, axis=0))
            for name, array in row.items()
        }
        zeros = {s.name: keras.ops.zeros(s.variable.shape) for s in self._states}
        whole = self._run(self._states, rows | zeros)
        whole = {name: value for name, value in whole.items() if not name.startswith("next_state_")}
        after = {s.name: keras.ops.zeros(s.variable.shape) for s in self._streaming.states}
        for step in range(steps):
            x = {k: v[:, step : step + 1] if len(v.shape) > 1 else v for k, v in rows.items()}
            outputs = stream(**x, **after)
            after = {s.name: outputs[s.as_output.name] for s in self._streaming.states}
            for name, expected in whole.items():
                if (
                    len(expected.shape) > 1
                    and tuple(outputs[name].shape[:2]) == (batch, 1)
                    and (expected.shape[1] == steps)
                ):
                    expected = expected[:, step : step + 1]
                elif step < steps - 1:
                    continue
                gap = float(keras.ops.max(keras.ops.abs(outputs[name] - expected)))
                if not gap <= 1e-4 * max(1.0, float(keras.ops.max(keras.ops.abs(expected)))):
                    raise UserError(
                        f"The model {self.model.name!r} cannot be streamed: after {step + 1} steps "
                        f"one by one its output {name!r} differs by {gap:.2g} from the output for "
                        "the whole sequence. A layer looks along time and is not recurrent, or "
                        "begins with a state other than zeros."
                    )
        return outputs

    def _output_names(self, outputs: Any) -> list[str]:
        layers = []
        if isinstance(self.model, keras.Sequential):
            layers = [self.model.layers[-1]]
        elif isinstance(self.model, states.FUNCTIONAL):
            layers = [tensor._keras_history.operation for tensor in self.model.outputs]
        names = name_layers(layers)
        paths = [path for path, _ in tree.flatten_with_path(outputs)]
        if any(isinstance(part, str) for path in paths for part in path):
            names = ["_".join(str(part) for part in path) for path in paths]
        elif len(names) != len(paths):
            names = ["output"] if len(paths) == 1 else [f"output_{i}" for i in range(len(paths))]
        return make_unique(names, [tensor.name for tensor in self._tensors])

    def _trace(self, sizes: Mapping[str, int]) -> Any:
        """Traces `predict` with stock layers and the dimensions in `sizes` fixed."""
        specs = (*self._tensors, *(state.as_input for state in self._states))
        names = [tensor.name for tensor in specs]

        def call(*tensors: Tensor) -> dict[str, Tensor]:
            return self._predict(**dict(zip(names, tensors, strict=True)))

        return tf.function(call, autograph=False).get_concrete_function(
            *(make_tensor_spec(tensor.bind(sizes)) for tensor in specs)
        )

    @cached_property
    def _first_trace(self) -> tuple[Any, Observed]:
        """`predict` traced with open sizes, and what its layers do with the inputs."""
        observed = Observed.from_names([tensor.name for tensor in self._tensors])
        with observed.watch_layers(), explain_failure(self.model):
            traced = self._trace({})
        self._require_whole(traced)
        return traced, observed

    def _require_whole(self, traced: Any) -> None:
        """Refuses a model that was called with an optional input, and would be exported without.

        Keras notes the shape of the first argument alone. The weights tell that there were more.
        """
        read = {id(variable) for variable in traced.graph.variables}
        idle = [w.path for w in self.model.weights if id(w.value) not in read]
        if self._optional and idle:
            names = [tensor.name for tensor in self.inputs]
            raise UserError(
                f"The model {self.model.name!r} reads {len(idle)} of its weights, such as "
                f"{idle[0]}, only where it is given {' or '.join(self._optional)}, too. Give all "
                f"inputs, not {', '.join(names)} alone: --sample FILE.npz"
            )

    @cached_property
    def _outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs of `predict`, as tracing shows them."""
        outputs = self._first_trace[0].structured_outputs
        for name, tensor in outputs.items():
            if not isinstance(tensor, (tf.Tensor, tf.TensorSpec)) or tensor.shape.rank is None:
                raise UserError(
                    f"The output {name!r} of the model {self.model.name!r} is {tensor!r}: only "
                    "dense tensors of a known rank can be exported."
                )
            if tensor.shape.rank == 0 or tensor.shape[0] not in (None, self._fixed_rows):
                raise UserError(
                    f"The output {name!r} of the model {self.model.name!r} has the shape "
                    f"{tensor.shape.as_list()}, one answer for a whole batch: an exported model "
                    "answers each row. Leave it out, or give it an axis of the batch first."
                )
            if tensor.dtype == tf.string:
                raise UserError(
                    f"The output {name!r} of the model {self.model.name!r} is strings, which no "
                    "runtime but TensorFlow has. Return ids, and look them up afterwards."
                )
        sizes = self._size_names({name: t.shape.as_list() for name, t in outputs.items()})
        return tuple(
            TensorSpec(name, tensor.dtype.name, tuple(sizes[name]))
            for name, tensor in outputs.items()
            if name not in {state.as_output.name for state in self._states}
        )

    @property
    def _fixed_rows(self) -> int | None:
        """The rows of a call where the model has fixed them."""
        size = self._tensors[0].shape[0]
        return size if isinstance(size, int) else None

    def _size_names(self, shapes: dict[str, list[int | None]]) -> dict[str, list[int | str]]:
        """Names open sizes of outputs, after the size of an input where they follow one.

        Two traces with other sizes show which one.
        """
        names = sorted({n for t in self._tensors for n in t.shape if isinstance(n, str)})
        probes = [
            {n: 5 + turn if n == "B" else 48 + 16 * (2 * i + turn) for i, n in enumerate(names)}
            for turn in range(2)
        ]
        traced: list[dict[str, Any]] = []
        if any(None in shape[1:] for shape in shapes.values()):
            try:
                traced = [self._trace(sizes).structured_outputs for sizes in probes]
            except Exception:  # The model does not take these lengths: its names stay its own.
                traced = []

        def name_size(name: str, axis: int, size: int | None) -> int | str:
            if size is not None:
                return size
            if traced:
                observed = [outputs[name].shape[axis] for outputs in traced]
                for n in names:
                    if observed == [sizes[n] for sizes in probes]:
                        return n
                if observed[0] == observed[1] and observed[0] is not None:
                    return observed[0]
            return "B" if axis == 0 else f"{name}_{axis}"

        return {
            name: [name_size(name, axis, size) for axis, size in enumerate(shape)]
            for name, shape in shapes.items()
        }


def _find_ranges(sample: Mapping[str, np.ndarray]) -> dict[str, Range]:
    """Returns the least and the largest value of each array of numbers."""
    return {
        name: (float(array.min()), float(array.max()))
        for name, array in sample.items()
        if array.dtype.kind in "iuf" and array.size
    }


def _describe(tensors: Iterable[TensorSpec]) -> str:
    """Returns names, dtypes and shapes in one line."""
    return ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in tensors)
