"""What a Keras model takes: its inputs by name, and how it is called with them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from export.keras_layers import states
from export.keras_layers.failures import explain_failure
from export.keras_layers.names import make_unique, name_layers
from export.keras_layers.random_inputs import infer_dtypes
from keras_seq.data.datasets import is_dataset
from keras_seq.errors import UserError, describe
from keras_seq.signature import TensorSpec
from keras_seq.typing import Tensor

OPTIONS = ("training", "mask")  # arguments of `call` that are no inputs


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of a model.

    Attributes:
        tensors: Their names, dtypes and shapes.
        call: Takes them by name, and calls the model in inference as it is written to be called.
        sample: The user's arrays by name; empty without any.
        optional: Arguments of `call` with a default that are left out.
    """

    tensors: tuple[TensorSpec, ...]
    call: Callable[[dict[str, Tensor]], Any]
    sample: dict[str, np.ndarray]
    optional: tuple[str, ...] = ()


def declare_inputs(
    model: keras.Model, sample: Any = None, open_length: bool = False
) -> ModelInputs:
    """Returns the inputs of a model.

    Args:
        model: A built model. A subclassed one knows the shapes that it was called with.
        sample: Inputs for a model that does not know them: one array, a dictionary by the names of
            the inputs or the arguments of `call`, a tuple in their order, arrays nested as the
            model takes them, or a `tf.data.Dataset`, whose first batch counts.
        open_length: Leave the length of sequences open where a subclassed model has been called
            with one length.

    Raises:
        UserError: If the inputs are not known, or the sample is not of these.
    """
    sample = _read_sample(sample)
    if isinstance(model, (keras.Sequential, states.FUNCTIONAL)):
        return _declare_by_graph(model, sample)
    return _declare_by_call(model, sample, open_length)


def _read_sample(sample: Any) -> Any:
    """Returns a sample as arrays, nested as they were given; None without one.

    Raises:
        UserError: If it has no rows.
    """
    if sample is None:
        return None
    if is_dataset(sample):
        sample = next(iter(sample.as_numpy_iterator()))
        sample = sample[0] if isinstance(sample, tuple) else sample  # without labels
    arrays = _read_arrays(sample)
    leaves = tree.flatten(arrays)
    if not leaves or any(array.ndim == 0 or len(array) == 0 for array in leaves):
        raise UserError(
            "sample is rows of the model's inputs: an array, a tuple or a dictionary of arrays, or "
            f"a tf.data.Dataset. Received: {describe(sample)}"
        )
    return arrays


def _read_arrays(value: Any) -> Any:
    """Returns arrays nested as `value` is. Lists of numbers or texts are arrays."""
    if isinstance(value, Mapping):
        return {name: _read_arrays(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)) and any(_is_nested(part) for part in value):
        return type(value)(map(_read_arrays, value))
    return np.asarray(value)


def _is_nested(part: Any) -> bool:
    if isinstance(part, (list, tuple)):
        return any(map(_is_nested, part))
    return isinstance(part, Mapping) or len(getattr(part, "shape", ())) > 0


def _declare_by_graph(model: keras.Model, sample: Any) -> ModelInputs:
    """Returns the inputs of a Functional or Sequential model, which its graph has."""
    if not model.built:
        raise UserError(
            f"The model {model.name!r} is not built. Call it once, or begin it with keras.Input(…)."
        )
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    tensors_in = tree.flatten(structure)
    # Keras numbers the input of a Sequential model anew; the name of its layer stays.
    names = name_layers([leaf._keras_history.operation for leaf in tensors_in])
    paths = [path for path, _ in tree.flatten_with_path(structure)]
    if paths and all(path and isinstance(path[-1], str) for path in paths):
        names = [path[-1] for path in paths]
    tensors = _make_specs(
        [(name, leaf.dtype, leaf.shape) for name, leaf in zip(names, tensors_in, strict=True)]
    )
    names = [tensor.name for tensor in tensors]

    def call(inputs: dict[str, Tensor]) -> Any:
        flat = [inputs[name] for name in names]
        return model(tree.pack_sequence_as(structure, flat), training=False)

    return ModelInputs(tensors, call, _name_leaves(model, sample, names))


def _name_leaves(model: keras.Model, sample: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of a sample by the names of the inputs."""
    if sample is None:
        return {}
    if isinstance(sample, Mapping) and not any(map(tree.is_nested, sample.values())):
        return dict(sample)
    arrays = tree.flatten(sample)
    if len(arrays) > len(names):
        raise UserError(
            f"The model {model.name!r} takes {', '.join(names)}. The sample has {len(arrays)} "
            "arrays. Give them by name."
        )
    return dict(zip(names, arrays, strict=False))


@dataclass(frozen=True)
class _Leaf:
    """One input of a subclassed model: a shape that Keras noted, or an array of the user."""

    shape: tuple[int | None, ...]
    array: np.ndarray | None = None


def _declare_by_call(model: keras.Model, sample: Any, open_length: bool) -> ModelInputs:
    """Returns the inputs of a subclassed model, from what it was called with or from the sample."""
    parameters = _call_parameters(model)
    built = _built_shapes(model, list(parameters))
    arguments = built if sample is None else _merge(_arrange(sample, built, parameters), built)
    several = [n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
    required = {n for n, p in parameters.items() if p.default is p.empty} - {*several}
    unknown = UserError(
        f"The inputs of the model {model.name!r} ({', '.join(parameters)}) are not all known: "
        f"{', '.join(arguments) or 'none'}. A subclassed model must have been called once "
        "before it is saved; else give inputs: --sample FILE.npz"
    )
    # Of several arguments Keras may have noted the first alone.
    if not arguments or not required <= arguments.keys():
        raise unknown
    optional = tuple(name for name in parameters if name not in {*required, *arguments})
    leaves = tree.flatten(arguments)
    names = _name_paths(arguments)
    declared = [(None, *leaf.shape[1:]) for leaf in leaves]
    dtypes = [None if leaf.array is None else _name_dtype(leaf.array) for leaf in leaves]
    tensors = _make_specs([*zip(names, dtypes, declared, strict=True)])
    names = [tensor.name for tensor in tensors]

    def call(inputs: dict[str, Tensor]) -> Any:
        values = tree.pack_sequence_as(arguments, [inputs[name] for name in names])
        args = [part for name in several for part in values.pop(name, ())]
        if args:  # What stands before them has no name either.
            args = [*values.values(), *args]
            values = {}
        return model(*args, **values, training=False)

    if None in dtypes:
        try:
            with explain_failure(model):
                tensors = infer_dtypes(call, tensors)
        except UserError as error:
            raise (unknown if optional else error) from error.__cause__
    if open_length:
        tensors = _make_specs([(t.name, t.dtype, _open_length(t)) for t in tensors])
    arrays = {
        n: leaf.array for n, leaf in zip(names, leaves, strict=True) if leaf.array is not None
    }
    return ModelInputs(tensors, call, arrays, optional)


def _call_parameters(model: keras.Model) -> dict[str, inspect.Parameter]:
    """Returns the arguments of a model's `call` that are inputs.

    Raises:
        UserError: If the model has no `call` of its own.
    """
    if type(model).call is keras.Model.call:
        raise UserError(
            f"The model {model.name!r} ({type(model).__name__}) has no call(): write one that "
            "computes its outputs, or build it from layers as keras.Sequential or keras.Model("
            "inputs, outputs)."
        )
    return {
        name: parameter
        for name, parameter in inspect.signature(model.call).parameters.items()
        if name not in OPTIONS and parameter.kind is not parameter.VAR_KEYWORD
    }


def _built_shapes(model: keras.Model, parameters: Sequence[str]) -> dict[str, Any]:
    """Returns the shapes, nested as the inputs, by argument: those of a model's first call."""
    shapes: dict[str, Any] = dict(model.get_build_config() or {})
    shapes = shapes.get("shapes_dict", shapes)
    if len(shapes) == 1 and parameters:
        shapes = {parameters[0]: next(iter(shapes.values()))}
    shapes = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    return {name: _read_shapes(s) for name, s in shapes.items() if name in parameters and s}


def _read_shapes(value: Any) -> Any:
    """Returns shapes, nested in any way, as `_Leaf`s."""
    if isinstance(value, Mapping):
        return {name: _read_shapes(part) for name, part in value.items()}
    if all(size is None or isinstance(size, int) for size in value):
        return _Leaf(tuple(value))
    return tuple(map(_read_shapes, value))


def _arrange(
    sample: Any, built: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the arrays of a sample by argument, nested as the model takes them."""
    names = list(parameters)
    leaves = tree.map_structure(lambda array: _Leaf(array.shape, array), sample)
    if isinstance(sample, Mapping):
        if set(leaves) <= set(names):
            return dict(leaves)
        inputs = _name_paths(built) if built else []
        if set(leaves) == set(inputs):
            return tree.pack_sequence_as(dict(built), [leaves[name] for name in inputs])
        return {names[0]: leaves}
    takes_one = isinstance(built.get(names[0], _Leaf(())), _Leaf)
    if isinstance(leaves, (list, tuple)) and len(leaves) == 1 and takes_one:
        (leaves,) = leaves
    several = parameters[names[0]].kind is inspect.Parameter.VAR_POSITIONAL
    if isinstance(leaves, (list, tuple)) and len(names) > 1:
        if len(leaves) > len(names):
            raise UserError(
                f"The model takes {', '.join(names)}. The sample has {len(leaves)} arrays. Give "
                "them by name."
            )
        return dict(zip(names, leaves, strict=False))
    return {names[0]: (leaves,) if several and isinstance(leaves, _Leaf) else leaves}


def _merge(sample: dict[str, Any], built: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the sample's arrays; a size is open where Keras noted another one, or an open one."""
    flat, known = tree.flatten(sample), tree.flatten({n: built[n] for n in sample if n in built})
    if [len(leaf.shape) for leaf in flat] != [len(leaf.shape) for leaf in known]:
        return sample
    merged = [
        _Leaf(tuple(a if a == b else None for a, b in zip(x.shape, y.shape, strict=True)), x.array)
        for x, y in zip(flat, known, strict=True)
    ]
    return tree.pack_sequence_as(sample, merged)


def _name_paths(arguments: Mapping[str, Any]) -> list[str]:
    """Names inputs after the argument, and a list's after their places in it; those in a
    dictionary have its keys.
    """
    names = []
    for path, _ in tree.flatten_with_path(dict(arguments)):
        inside = path[1:] if len(path) > 1 and isinstance(path[1], str) else path
        names.append("_".join(map(str, inside)))
    return names


def _name_dtype(array: np.ndarray) -> str:
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def _open_length(tensor: TensorSpec) -> tuple[int | None, ...]:
    """Returns the shape of an input with an open length, if it is a sequence."""
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    is_ids = len(shape) == 2 and np.dtype(tensor.dtype).kind in "iu"
    return (shape[0], None, *shape[2:]) if len(shape) > 2 or is_ids else tuple(shape)


def _make_specs(
    leaves: Sequence[tuple[str, str | None, Sequence[int | None]]],
) -> tuple[TensorSpec, ...]:
    """Returns the inputs as `TensorSpec`s, with names for the sizes that Keras leaves open."""
    names = make_unique([name for name, _, _ in leaves], [])
    open_axes = [
        (name, axis)
        for name, (_, _, shape) in zip(names, leaves, strict=True)
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
