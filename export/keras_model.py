"""Any Keras model as something to export: its call as a signature."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from keras.src.models import Functional

from export.keras_layers import drawing, states, text
from keras_seq.errors import UserError
from keras_seq.signature import Signature, TensorSpec
from keras_seq.typing import Arrays, Tensor

# Steps to compare a stream on where the model leaves their number open.
STREAM_STEPS = 7


class KerasModel:
    """A Functional, Sequential or subclassed `keras.Model`, as `keras_seq.signature.Exportable`.

    Its signature is `predict`, and with `stream` also `stream`, one step of it with the states of
    recurrent layers as inputs `state_LAYER_0` … and outputs `next_state_LAYER_0` …; a stateful
    layer's states are so in `predict`, too. Inputs and outputs have the model's own names.

    A dimension that the model leaves open is "B" for the batch and "T" for the one other; where
    there are several, "T", the axis and the input's name. A string input `NAME` is the UTF-8 bytes
    of the text, `NAME [B, L]`, and their count, `NAME_length [B]`.

    Args:
        model: A built model.
        sample: Arrays by the names of the inputs, for a model that does not know their shapes and
            dtypes itself.
        stream: Rows of a call of `stream`; None for no such signature.

    Attributes:
        call: Takes the model's inputs by name, as the model itself takes them.
        inputs: Their names, dtypes and shapes.

    Raises:
        UserError: If the inputs of the model cannot be told, or it cannot be traced.
    """

    task = "keras"
    labels: Sequence[str] = ()
    tokenizer = None

    def __init__(
        self,
        model: keras.Model,
        sample: Mapping[str, np.ndarray] | None = None,
        stream: int | None = None,
    ) -> None:
        self.model = model
        self.call, self.inputs = _declared(model, sample or {})
        self._states = states.carried(model)
        self._streamed = None if stream is None else states.streamed(model, stream)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The longest text, in bytes, where an input is one; other sizes are left open."""
        return text.limits(self.inputs, sizes.get("L"))

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """`predict`: the call of the model in inference; `stream`: one step of it."""
        made = [
            Signature(
                "predict",
                (*self._tensors, *(state.given for state in self._states)),
                (*self._outputs, *(state.returned for state in self._states)),
                self._predict,
            )
        ]
        if self._streamed is not None:
            made.append(self._stream_signature)
        return tuple(made)

    def signature_inputs(self, texts: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """The inputs of `predict` for `texts`, where a text is all that the model takes."""
        if len(self.inputs) != 1 or self.inputs[0].dtype != "string":
            raise UserError(
                f"The model {self.model.name!r} takes {_listed(self.inputs)}, not a text. Compare "
                "on arrays: --sample FILE.npz"
            )
        (tensor,) = self.inputs
        array = np.array(texts, object).reshape(-1, *tensor.shape[1:])
        return self.sample_inputs({tensor.name: array}, sizes)

    def sample_inputs(
        self, sample: Mapping[str, np.ndarray], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """The inputs of each signature for a user's arrays: strings as bytes, open dimensions cut
        to `sizes`, states drawn.

        Raises:
            UserError: If names, dtypes or shapes are not the model's.
        """
        names = [tensor.name for tensor in self.inputs]
        if sorted(sample) != sorted(names):
            raise UserError(
                f"The model {self.model.name!r} takes {_listed(self.inputs)}. The sample has: "
                f"{', '.join(sample) or 'nothing'}"
            )
        if len({len(array) for array in sample.values()}) > 1:
            rows = ", ".join(f"{name} {len(array)}" for name, array in sample.items())
            raise UserError(f"The arrays of a sample have as many rows each. Received: {rows}")
        for tensor in self.inputs:
            shape = sample[tensor.name].shape
            if len(shape) != len(tensor.shape) or any(
                isinstance(size, int) and size != found and axis
                for axis, (size, found) in enumerate(zip(tensor.shape, shape, strict=True))
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
        drawn = self.random_inputs(count, 0, sizes)
        return drawn | {"predict": drawn["predict"] | text.encoded(self.inputs, cut, sizes)}

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """`count` rows of random inputs: ids that every embedding knows, some rows padded where
        the model masks padding, other numbers from the normal distribution.
        """
        rows = text.encoded(
            self.inputs, drawing.drawn(self.inputs, self._known, count, seed, sizes), sizes
        )
        generator = np.random.default_rng(seed + 1)

        def drawn_states(carried: Sequence[states.Carried]) -> Arrays:
            """As many rows of states as of inputs."""
            return {
                state.name: generator.uniform(-1, 1, (count, *state.variable.shape[1:])).astype(
                    "float32"
                )
                for state in carried
            }

        found = {"predict": rows | drawn_states(self._states)}
        if self._streamed is not None:
            step = {name: array[:, :1] if array.ndim > 1 else array for name, array in rows.items()}
            found["stream"] = step | drawn_states(self._streamed.states)
        return found

    @cached_property
    def _known(self) -> drawing.Observed:
        return drawing.observed(lambda: self._trace({}), [tensor.name for tensor in self._tensors])

    def describe(self) -> dict[str, Any]:
        """Class, name and size, for the manifest of a bundle."""
        return {
            "backbone": type(self.model).__name__,
            "name": self.model.name,
            "parameters": int(self.model.count_params()),
        }

    @cached_property
    def _tensors(self) -> tuple[TensorSpec, ...]:
        """What `predict` takes."""
        return text.as_bytes(self.inputs)

    def _predict(self, **arguments: Tensor) -> dict[str, Tensor]:
        return self._run(self._states, arguments)

    def _run(
        self, carried: Sequence[states.Carried], arguments: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Outputs, and states after the call, by name."""
        inputs = text.as_strings(self.inputs, arguments)
        outputs, after = states.call_with_states(lambda: self.call(inputs), carried, arguments)
        named = zip(self._output_names(outputs), tree.flatten(outputs), strict=True)
        return dict(named) | after

    @cached_property
    def _stream_signature(self) -> Signature:
        """`stream`: the model called on one step, its recurrent layers keeping their states."""
        streamed = self._streamed
        batch = streamed.states[0].variable.shape[0]

        def stream(**arguments: Tensor) -> dict[str, Tensor]:
            with streamed.keeping():
                return self._run(streamed.states, arguments)

        inputs = tuple(
            replace(t, shape=(batch, *((1,) if len(t.shape) > 1 else ()), *t.shape[2:]))
            for t in self._tensors
        )
        found = self._compared_with_whole(stream, batch)
        outputs = tuple(
            TensorSpec(name, keras.backend.standardize_dtype(value.dtype), tuple(value.shape))
            for name, value in found.items()
        )
        given = tuple(state.given for state in streamed.states)
        return Signature("stream", (*inputs, *given), outputs, stream)

    def _compared_with_whole(self, stream: Callable[..., Any], batch: int) -> dict[str, Tensor]:
        """What `stream` gives last, once its steps one by one gave what the whole sequence gives.

        Raises:
            UserError: If they did not.
        """
        lengths = [t.shape[1] for t in self._tensors if len(t.shape) > 1]
        steps = max((n for n in lengths if isinstance(n, int)), default=STREAM_STEPS)
        sizes = {n: steps for t in self._tensors for n in t.shape if isinstance(n, str)}
        # The first row drawn has no padding.
        row = drawing.drawn(self.inputs, self._known, 1, 0, sizes)
        rows = {
            name: keras.ops.convert_to_tensor(np.repeat(array, batch, axis=0))
            for name, array in row.items()
        }
        zeros = {s.name: keras.ops.zeros(s.variable.shape) for s in self._states}
        whole = self._run(self._states, rows | zeros)
        whole = {name: value for name, value in whole.items() if not name.startswith("next_state_")}
        after = {s.name: keras.ops.zeros(s.variable.shape) for s in self._streamed.states}
        for step in range(steps):
            x = {k: v[:, step : step + 1] if len(v.shape) > 1 else v for k, v in rows.items()}
            found = stream(**x, **after)
            after = {s.name: found[s.returned.name] for s in self._streamed.states}
            for name, expected in whole.items():
                if (
                    len(expected.shape) > 1
                    and tuple(found[name].shape[:2]) == (batch, 1)
                    and (expected.shape[1] == steps)
                ):
                    expected = expected[:, step : step + 1]
                elif step < steps - 1:
                    continue
                gap = float(keras.ops.max(keras.ops.abs(found[name] - expected)))
                if not gap <= 1e-4 * max(1.0, float(keras.ops.max(keras.ops.abs(expected)))):
                    raise UserError(
                        f"The model {self.model.name!r} cannot be streamed: after {step + 1} steps "
                        f"one by one its output {name!r} differs by {gap:.2g} from that for the "
                        "whole sequence. A layer of it looks along time and is not recurrent, or "
                        "begins with a state that is not zeros."
                    )
        return found

    def _output_names(self, outputs: Any) -> list[str]:
        # A Sequential model is a Functional one inside.
        functional = getattr(self.model, "_functional", None) or self.model
        names = list(getattr(functional, "output_names", ()))
        paths = [path for path, _ in tree.flatten_with_path(outputs)]
        if any(isinstance(part, str) for path in paths for part in path):
            names = ["_".join(str(part) for part in path) for path in paths]
        elif len(names) != len(paths):
            names = ["output"] if len(paths) == 1 else [f"output_{i}" for i in range(len(paths))]
        return _unique(names, [tensor.name for tensor in self._tensors])

    def _trace(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """The outputs with the dimensions in `sizes` fixed and the others open."""

        def call(**tensors: Tensor) -> dict[str, Tensor]:
            return self._predict(**tensors)

        given = (*self._tensors, *(state.given for state in self._states))
        specs = {
            tensor.name: tf.TensorSpec(
                [n if isinstance(n, int) else None for n in tensor.shape], tensor.dtype, tensor.name
            )
            for tensor in (tensor.bind(sizes) for tensor in given)
        }
        return tf.function(call, autograph=False).get_concrete_function(**specs).structured_outputs

    @cached_property
    def _outputs(self) -> tuple[TensorSpec, ...]:
        """What `predict` gives, learnt by tracing it."""
        try:
            found = self._trace({})
        except Exception as error:
            raise UserError(
                f"The model {self.model.name!r} cannot be traced: {str(error).strip()[:1500]}"
            ) from error
        for name, tensor in found.items():
            if not isinstance(tensor, (tf.Tensor, tf.TensorSpec)) or tensor.shape.rank is None:
                raise UserError(
                    f"The output {name!r} of the model {self.model.name!r} is {tensor!r}: only "
                    "dense tensors of a known rank can be exported."
                )
            if tensor.dtype == tf.string:
                raise UserError(
                    f"The output {name!r} of the model {self.model.name!r} is strings, which no "
                    "runtime but TensorFlow has. Give ids, and look them up afterwards."
                )
        sizes = self._size_names({name: t.shape.as_list() for name, t in found.items()})
        return tuple(
            TensorSpec(name, tensor.dtype.name, tuple(sizes[name]))
            for name, tensor in found.items()
            if name not in {state.returned.name for state in self._states}
        )

    def _size_names(self, shapes: dict[str, list[int | None]]) -> dict[str, list[int | str]]:
        """An open size of an output has the name of the input's size that it goes with, else one
        of its own.
        """
        names = sorted({n for t in self._tensors for n in t.shape if isinstance(n, str)})
        probes = [
            {n: 5 + turn if n == "B" else 48 + 16 * (2 * i + turn) for i, n in enumerate(names)}
            for turn in range(2)
        ]
        traced: list[dict[str, Any]] = []
        if any(None in shape[1:] for shape in shapes.values()):
            try:
                traced = [self._trace(sizes) for sizes in probes]
            except Exception:  # Lengths that this model does not take: its names stay its own.
                traced = []

        def named(name: str, axis: int, size: int | None) -> int | str:
            if size is not None:
                return size
            if traced:
                found = [outputs[name].shape[axis] for outputs in traced]
                for n in names:
                    if found == [sizes[n] for sizes in probes]:
                        return n
                if found[0] == found[1] and found[0] is not None:
                    return found[0]
            return "B" if axis == 0 else f"{name}_{axis}"

        return {
            name: [named(name, axis, size) for axis, size in enumerate(shape)]
            for name, shape in shapes.items()
        }


def _declared(
    model: keras.Model, sample: Mapping[str, np.ndarray]
) -> tuple[Callable[[dict[str, Tensor]], Any], tuple[TensorSpec, ...]]:
    """How to call a model with its inputs by name, and these inputs."""
    if isinstance(model, (keras.Sequential, Functional)):
        if not model.built:
            raise UserError(
                f"The model {model.name!r} is not built. Call it once, or begin it with "
                "keras.Input(…)."
            )
        structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        leaves = [
            # A Sequential model's input is called after a counter of Keras's; its layer is not.
            (leaf._keras_history.operation.name, leaf.dtype, leaf.shape)
            for leaf in tree.flatten(structure)
        ]
        paths = [path for path, _ in tree.flatten_with_path(structure)]
        if paths and all(path and isinstance(path[-1], str) for path in paths):
            leaves = [(path[-1], *leaf[1:]) for path, leaf in zip(paths, leaves, strict=True)]
        tensors = _tensors(leaves)

        def call(inputs: dict[str, Tensor]) -> Any:
            flat = [inputs[tensor.name] for tensor in tensors]
            return model(tree.pack_sequence_as(structure, flat), training=False)

        return call, tensors
    return _declared_by_call(model, sample)


def _declared_by_call(
    model: keras.Model, sample: Mapping[str, np.ndarray]
) -> tuple[Callable[[dict[str, Tensor]], Any], tuple[TensorSpec, ...]]:
    """The same for a subclassed model: what it was built with, or a sample of the user's."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(model.call).parameters.items()
        if name not in ("training", "mask")
    }
    parameters = list(defaults)
    shapes: dict[str, Any] = dict(getattr(model, "_build_shapes_dict", None) or {})
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
    # Of a call with several arguments Keras may note the first alone.
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
    tensors = _tensors(
        [(name, dtypes.get(name), (None, *shape[1:])) for name, shape in shapes.items()]
    )
    keys = dict(zip((tensor.name for tensor in tensors), shapes, strict=True))

    def call(inputs: dict[str, Tensor]) -> Any:
        values = {keys[name]: value for name, value in inputs.items()}
        return model(values, training=False) if as_dictionary else model(**values, training=False)

    if not dtypes:
        tensors = drawing.with_dtypes(call, tensors)
    return call, tensors


def _tensors(leaves: Sequence[tuple[str, str | None, Sequence[int | None]]]) -> tuple:
    """`TensorSpec`s of what Keras says of the inputs, with names for the sizes it leaves open."""
    names = _unique([name for name, _, _ in leaves], [])
    open_axes = [
        (name, axis)
        for name, (_, dtype, shape) in zip(names, leaves, strict=True)
        for axis, size in enumerate(shape)
        if axis and size is None
    ]

    def size(name: str, axis: int, given: int | None) -> int | str:
        if given is not None:
            return int(given)
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


def _unique(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Names that every format can spell, none of them twice."""
    seen, unique = set(taken), []
    for name in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
        plain = plain if plain[:1].isalpha() else f"x{plain}"
        found, number = plain, 1
        while found in seen:
            found, number = f"{plain}_{number}", number + 1
        seen.add(found)
        unique.append(found)
    return unique


def _listed(tensors: Iterable[TensorSpec]) -> str:
    """Names, dtypes and shapes in a line."""
    return ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in tensors)
