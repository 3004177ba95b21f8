"""Any Keras model as an `Exportable`: its call is a signature."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
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
    draw_inputs,
    infer_dtypes,
    make_tensor_spec,
)
from keras_seq.data.datasets import is_dataset
from keras_seq.errors import UserError
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
        sample: Inputs for a model that does not know their shapes and dtypes itself: arrays by
            their names, a tuple of arrays in the order of the inputs, one array, or a
            `tf.data.Dataset`, whose first batch counts.
        stream: Rows of a call of `stream`; None for no such signature.

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
    ) -> None:
        self.model = model
        self.sample = _name_sample(model, sample)
        self.call, self.inputs = _declare_inputs(model, self.sample)
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

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns `count` rows of random inputs.

        Ids are in the vocabulary of every embedding, some rows are padded where the model masks
        padding, and other numbers are normally distributed.
        """
        arrays = draw_inputs(self.inputs, self._first_trace[1], count, seed, sizes)
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
            return self._trace({}), observed

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


def _name_sample(model: keras.Model, sample: Any) -> dict[str, np.ndarray]:
    """Returns the arrays of a sample by the names of the model's inputs.

    Raises:
        UserError: If there are more arrays than inputs.
    """
    if sample is None:
        return {}
    if is_dataset(sample):
        sample = next(iter(sample.as_numpy_iterator()))
        sample = sample[0] if isinstance(sample, tuple) else sample  # without labels
    if isinstance(sample, Mapping):
        return {name: np.asarray(array) for name, array in sample.items()}
    if isinstance(model, (keras.Sequential, states.FUNCTIONAL)):
        names = [tensor.name for tensor in _declare_inputs(model, {})[1]]
    else:
        names = list(_call_defaults(model))
    arrays = [*sample] if isinstance(sample, (list, tuple)) and len(names) > 1 else [sample]
    if len(arrays) > len(names):
        raise UserError(
            f"The model {model.name!r} takes {', '.join(names)}. The sample has {len(arrays)} "
            "arrays. Give them by name."
        )
    return {name: np.asarray(array) for name, array in zip(names, arrays, strict=False)}


def _declare_inputs(
    model: keras.Model, sample: Mapping[str, np.ndarray]
) -> tuple[Callable[[dict[str, Tensor]], Any], tuple[TensorSpec, ...]]:
    """Returns a function that calls a model with its inputs by name, and these inputs."""
    if isinstance(model, (keras.Sequential, states.FUNCTIONAL)):
        if not model.built:
            raise UserError(
                f"The model {model.name!r} is not built. Call it once, or begin it with "
                "keras.Input(…)."
            )
        structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        tensors_in = tree.flatten(structure)
        # Keras numbers the input of a Sequential model anew; the name of its layer stays.
        names = name_layers([leaf._keras_history.operation for leaf in tensors_in])
        leaves = [
            (name, leaf.dtype, leaf.shape) for name, leaf in zip(names, tensors_in, strict=True)
        ]
        paths = [path for path, _ in tree.flatten_with_path(structure)]
        if paths and all(path and isinstance(path[-1], str) for path in paths):
            leaves = [(path[-1], *leaf[1:]) for path, leaf in zip(paths, leaves, strict=True)]
        tensors = _make_specs(leaves)

        def call(inputs: dict[str, Tensor]) -> Any:
            flat = [inputs[tensor.name] for tensor in tensors]
            return model(tree.pack_sequence_as(structure, flat), training=False)

        return call, tensors
    return _declare_inputs_by_call(model, sample)


def _call_defaults(model: keras.Model) -> dict[str, Any]:
    """Returns the arguments of a model's `call` that are inputs, with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(model.call).parameters.items()
        if name not in ("training", "mask")
    }


def _declare_inputs_by_call(
    model: keras.Model, sample: Mapping[str, np.ndarray]
) -> tuple[Callable[[dict[str, Tensor]], Any], tuple[TensorSpec, ...]]:
    """Does so for a subclassed model, from what it was built with or from the user's sample."""
    defaults = _call_defaults(model)
    parameters = list(defaults)
    shapes: dict[str, Any] = dict(model.get_build_config() or {})
    shapes = shapes.get("shapes_dict", shapes)
    if len(shapes) == 1:
        shapes = {parameters[0]: next(iter(shapes.values()))}
    else:
        shapes = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    as_dictionary = any(isinstance(shape, dict) for shape in shapes.values())
    if as_dictionary:
        shapes = dict(next(iter(shapes.values())))
    if sample:
        as_dictionary = as_dictionary or not set(sample) <= set(parameters)
        shapes = {
            name: shapes.get(name) or (None, *array.shape[1:]) for name, array in sample.items()
        }
    # Of several arguments Keras may have noted the first alone.
    required = [name for name in parameters if inspect.Parameter.empty is defaults[name]]
    if not shapes or not (as_dictionary or set(required) <= set(shapes)):
        raise UserError(
            f"The inputs of the model {model.name!r} ({', '.join(required)}) are not all known: "
            f"{', '.join(shapes) or 'none'}. A subclassed model must have been called once before "
            "it is saved; else give inputs: --sample FILE.npz"
        )
    dtypes = {
        name: "string" if array.dtype.kind in "OSU" else array.dtype.name
        for name, array in sample.items()
    }
    tensors = _make_specs(
        [(name, dtypes.get(name), (None, *shape[1:])) for name, shape in shapes.items()]
    )
    keys = dict(zip((tensor.name for tensor in tensors), shapes, strict=True))

    def call(inputs: dict[str, Tensor]) -> Any:
        values = {keys[name]: value for name, value in inputs.items()}
        return model(values, training=False) if as_dictionary else model(**values, training=False)

    if not dtypes:
        with explain_failure(model):
            tensors = infer_dtypes(call, tensors)
    return call, tensors


def _make_specs(leaves: Sequence[tuple[str, str | None, Sequence[int | None]]]) -> tuple:
    """Returns the inputs as `TensorSpec`s, with names for the sizes that Keras leaves open."""
    names = make_unique([name for name, _, _ in leaves], [])
    open_axes = [
        (name, axis)
        for name, (_, dtype, shape) in zip(names, leaves, strict=True)
        for axis, size in enumerate(shape)
        if axis and size is None
    ]

    def size(name: str, axis: int, declared: int | None) -> int | str:
        if declared is not None:
            return int(declared)
        if axis == 0:
            return "B"
        if len(open_axes) == 1:
            return "T"
        alone = [owner for owner, _ in open_axes].count(name) == 1
        return f"T_{name}" if alone else f"T{axis}_{name}"

    return tuple(
        TensorSpec(
            name, dtype or "float32", tuple(size(name, axis, n) for axis, n in enumerate(shape))
        )
        for name, (_, dtype, shape) in zip(names, leaves, strict=True)
    )


def _describe(tensors: Iterable[TensorSpec]) -> str:
    """Returns names, dtypes and shapes in one line."""
    return ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in tensors)
