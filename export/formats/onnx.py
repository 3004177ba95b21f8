"""ONNX through tf2onnx: one file a signature, a recurrence as one `RNN`, `LSTM` or `GRU` node.

What stands in them more than once, their weights, stands once in `weights.bin` beside them.
"""

import contextlib
import copy
import functools
import json
import logging
import os
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from export.formats.onnx_graph import simplify
from export.runtime.onnx import output_name
from keras_seq.errors import UserError
from keras_seq.signature import Signature
from keras_seq.typing import Tensor

FOLDER = "onnx"
WEIGHTS = "weights.bin"
SHARED_BYTES = 1024  # Smaller tensors stay in each file.
ALIGNMENT = 64
STATIC = False
STRINGS = False
OPSET = 18
CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/onnx/NAME.onnx` for each signature, with the dimensions in `sizes` fixed.

    Where two of them have a tensor in common, `folder/onnx/weights.bin` holds it.

    Raises:
        UserError: If tf2onnx cannot convert the model.
    """
    import onnx

    from export.formats.trace import function, specs
    from keras_seq.layers.cache import growing, writing
    from keras_seq.layers.fusing import fusing
    from keras_seq.layers.recurrence import lowering

    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    (folder / FOLDER).mkdir(parents=True)
    models = {}
    for signature in signatures:
        try:
            with lowering(_mark), writing(_Scatter()), growing(), fusing():
                traced = function(signature).get_concrete_function(*specs(signature, sizes))
            model = _converted(traced, signature)
            simplify(model)
            _name_dimensions(model, signature.bind(sizes))
            onnx.checker.check_model(model, full_check=True)
        except (
            ValueError,
            RuntimeError,
            onnx.checker.ValidationError,
            onnx.shape_inference.InferenceError,
        ) as error:
            raise UserError(
                f"The signature {signature.name} does not convert to ONNX: {error}"
            ) from error
        models[signature.name] = model
    _share_weights(list(models.values()), folder / FOLDER / WEIGHTS)
    for name, model in models.items():
        onnx.save(model, str(folder / FOLDER / f"{name}.onnx"))


def _share_weights(models: list[Any], path: Path) -> None:
    """Moves what stands in the models more than once out of them, to `path`."""
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data

    tensors: dict[bytes, list[Any]] = {}
    for model in models:
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) >= SHARED_BYTES:
                tensors.setdefault(tensor.raw_data, []).append(tensor)
    shared = {content: found for content, found in tensors.items() if len(found) > 1}
    if not shared:
        return
    with path.open("wb") as file:
        for content, found in shared.items():
            file.write(bytes(-file.tell() % ALIGNMENT))
            for tensor in found:
                set_external_data(tensor, path.name, file.tell(), len(content))
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
            file.write(content)


def operators(folder: Path) -> Counter[str]:
    """How often each operator stands in the files, bodies of loops included."""
    import onnx

    def count(graph: Any) -> None:
        for node in graph.node:
            found[node.op_type] += 1
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    count(attribute.g)

    found: Counter[str] = Counter()
    for path in sorted((folder / FOLDER).glob("*.onnx")):
        count(onnx.load(str(path)).graph)
    return found


def _converted(traced: Any, signature: Signature) -> Any:
    """A traced function as an ONNX model with the signature's names."""
    import tf2onnx

    # `tf2onnx.convert.from_function` would make an input of every constant that a layer holds.
    inputs = {
        tensor.name: given.name
        for tensor, given in zip(signature.inputs, traced.inputs, strict=False)
    }
    outputs = {
        output_name(name, inputs): tensor.name for name, tensor in _named_outputs(traced).items()
    }
    # As of a large model: else a function is built of the frozen graph, only to be taken apart.
    graph = tf2onnx.tf_loader.from_function(traced, [], [], large_model=True)
    convert = functools.partial(
        tf2onnx.convert.from_graph_def,
        tf2onnx.tf_loader.fix_freezing_errors_part2(graph),
        name=signature.name,
        input_names=list(inputs.values()),
        output_names=list(outputs.values()),
        tensors_to_rename={found: name for name, found in (inputs | outputs).items()},
        opset=OPSET,
        custom_op_handlers={
            "PyFunc": (_to_node, []),
            "Erfc": (_to_erf, []),
            "SelectV2": (_to_where, []),
            "Less": (_to_comparison, []),
            "Greater": (_to_comparison, []),
            "XlaDynamicUpdateSlice": (_to_concat, []),
        },
    )
    try:
        with _passes_in_place(), _bodies_copied_alone():
            model, _ = convert()
    except Exception:
        model, _ = convert()  # Without the pass that failed, or with the error.
    _complete_loops(model.graph)
    return model


@contextlib.contextmanager
def _passes_in_place() -> Iterator[None]:
    """tf2onnx copies a graph before each pass over it, lest one fail, and tidies it after each,
    even one that has changed nothing: half of its time.
    """
    from tf2onnx.optimizer.optimizer_base import GraphOptimizerBase

    before, tidying = os.environ.get(CATCH_ERRORS), GraphOptimizerBase.optimize
    os.environ[CATCH_ERRORS] = "FALSE"
    GraphOptimizerBase.optimize = _optimize
    try:
        yield
    finally:
        GraphOptimizerBase.optimize = tidying
        os.environ.pop(CATCH_ERRORS)
        if before is not None:
            os.environ[CATCH_ERRORS] = before


def _optimize(self: Any, graph: Any, iteration: int) -> Any:
    """A pass of tf2onnx; what is not needed goes where it has changed something, and at the end."""
    self.opt_iteration = iteration
    graph = self._optimize(graph)
    if self.graph_been_opt:
        graph.delete_unused_nodes(graph.outputs)
    return graph


@contextlib.contextmanager
def _bodies_copied_alone() -> Iterator[None]:
    """tf2onnx copies the body of each loop that it converts, and with it, through the reference to
    what it stands in, all of the graph: a fifth of its time.
    """
    from tf2onnx.onnx_opset import controlflow

    def deepcopy(graph: Any) -> Any:
        return copy.deepcopy(graph, {id(graph.parent_graph): graph.parent_graph})

    before, controlflow.copy = controlflow.copy, types.SimpleNamespace(deepcopy=deepcopy)
    try:
        yield
    finally:
        controlflow.copy = before


def _complete_loops(graph: Any) -> None:
    """Says of every `Loop` that its count and its condition are scalars.

    onnxruntime wants to know, and tf2onnx may not, once TensorFlow has lost a body's shapes.
    """
    from onnx import TensorShapeProto

    for node in graph.node:
        for attribute in node.attribute:
            if not attribute.HasField("g"):
                continue
            if node.op_type == "Loop":
                for value in attribute.g.input[:2]:
                    value.type.tensor_type.shape.CopyFrom(TensorShapeProto())
            _complete_loops(attribute.g)


def _named_outputs(traced: Any) -> dict[str, Any]:
    """The outputs of a traced function by the names it returned them with."""
    return dict(zip(sorted(traced.structured_outputs), traced.outputs, strict=True))


def _name_dimensions(model: Any, signature: Signature) -> None:
    """Gives open dimensions the signature's names, where tf2onnx has "unk__7"."""
    inputs = [tensor.name for tensor in signature.inputs]
    for values, tensors in (
        (model.graph.input, signature.inputs),
        (model.graph.output, signature.outputs),
    ):
        shapes = {tensor.name: tensor.shape for tensor in tensors}
        if tensors is signature.outputs:
            shapes = {output_name(name, inputs): shape for name, shape in shapes.items()}
        for value in values:
            dimensions = value.type.tensor_type.shape.dim
            for dimension, size in zip(dimensions, shapes[value.name], strict=True):
                if isinstance(size, str):
                    dimension.dim_param = size
                else:
                    dimension.dim_value = size


# A recurrence is lowered in two moves. While the signature is traced, `_mark` puts one PyFunc in
# the place of the loop: an operator that TensorFlow's optimisers leave alone, and that is never
# run. While tf2onnx converts the graph, `_to_node` puts the ONNX node in the place of the PyFunc.

# The order of the gates here (Keras's: i, f, g, o and z, r, g) in ONNX's order.
GATES = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2)}

# Name, alpha and beta of the activations that both sides know.
ACTIVATIONS = {
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "relu": ("Relu", 0.0, 0.0),
    "linear": ("Affine", 1.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
}


def _mark(
    cell: Any,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
    sequence: bool = True,
) -> tuple[Tensor | None, tuple[Tensor, ...]]:
    """`keras_seq.layers.recurrence.recurrence` as one node of the graph."""
    import tensorflow as tf

    from keras_seq.layers.recurrence import loop

    attributes = _attributes(cell, reverse)
    if attributes is None:
        return loop(cell, inputs, state, mask, reverse=reverse, sequence=sequence)
    order = GATES[attributes["operator"]]

    lengths = None
    if mask is not None:
        # The node stops at a length; so the steps that count are brought to the front.
        mask = tf.cast(mask, tf.bool)
        time = tf.range(tf.shape(mask)[1])[None, :]
        rank = tf.where(mask, -time, -time - tf.shape(mask)[1])
        inputs = tf.gather(inputs, tf.math.top_k(rank, tf.shape(mask)[1])[1], batch_dims=1)
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)

    def gates(weights: Tensor) -> Tensor:
        """`(…, gates * units)` to `(1, gates * units, …)` in the order of ONNX."""
        parts = tf.split(tf.convert_to_tensor(weights), len(order), axis=-1)
        return tf.transpose(tf.concat([parts[i] for i in order], axis=-1))[None]

    zeros = tf.zeros([cell.recurrent_kernel.shape[-1]])
    biases = (cell.bias, getattr(cell, "recurrent_bias", None))
    given = {
        "X": tf.transpose(inputs, (1, 0, 2)),
        "W": gates(cell.kernel),
        "R": gates(cell.recurrent_kernel),
        "B": tf.concat([gates(zeros if bias is None else bias) for bias in biases], axis=-1),
        "sequence_lens": lengths,
    }
    for name, tensor in zip(("initial_h", "initial_c"), state, strict=False):
        given[name] = None if _is_zeros(tensor) else tensor[None]
    present = [name for name, tensor in given.items() if tensor is not None]
    outputs, *state_out = tf.raw_ops.PyFunc(
        input=[given[name] for name in present],
        token=json.dumps({**attributes, "inputs": [n if n in present else "" for n in given]}),
        Tout=[tf.float32] * (1 + len(state)),
    )
    state_out = tuple(
        tf.squeeze(tf.ensure_shape(after, (1, None, cell.units)), 0) for after in state_out
    )
    if lengths is not None:
        # onnxruntime gives zeros, not the state it was given, for a row of no steps.
        empty = (lengths == 0)[:, None]
        state_out = tuple(
            tf.where(empty, before, after) for before, after in zip(state, state_out, strict=True)
        )
    if not sequence:
        return None, state_out
    outputs = tf.ensure_shape(outputs, (inputs.shape[1], 1, None, cell.units))  # (T, 1, B, units)
    outputs = tf.transpose(tf.squeeze(outputs, 1), (1, 0, 2))
    if mask is None:
        return outputs, state_out
    # Back to their places; a masked step repeats the one read before it, at first the state.
    before = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
    if reverse:
        before = lengths[:, None] - before + tf.cast(mask, tf.int32)
        index = lengths[:, None] - before
    else:
        index = before - 1
    last = tf.shape(mask)[1] - 1
    outputs = tf.gather(outputs, tf.clip_by_value(index, 0, last), batch_dims=1)
    return tf.where((before > 0)[:, :, None], outputs, state[0][:, None, :]), state_out


def _is_zeros(tensor: Tensor) -> bool:
    """Whether a state is surely zeros, as the node's own is where it is given none."""
    import tensorflow as tf

    if getattr(tensor, "op", None) is not None and tensor.op.type == "Fill":
        tensor = tensor.op.inputs[1]
    value = tf.get_static_value(tensor)
    return value is not None and not value.any()


def _attributes(cell: Any, reverse: bool) -> dict[str, Any] | None:
    """The node for `cell` and its attributes; None where ONNX has no node that computes it."""
    from keras_seq.layers.cells import GRUCell, LSTMCell, RNNCell

    operators = {
        RNNCell: ("RNN", "activation"),
        LSTMCell: ("LSTM", "recurrent_activation", "activation", "activation"),
        GRUCell: ("GRU", "recurrent_activation", "activation"),
    }
    if type(cell) not in operators:
        return None
    operator, *roles = operators[type(cell)]
    names = [getattr(cell, role).__name__ for role in roles]
    if not ACTIVATIONS.keys() >= set(names):
        return None
    kinds, alpha, beta = zip(*(ACTIVATIONS[name] for name in names), strict=True)
    attributes = {
        "operator": operator,
        "hidden_size": int(cell.units),
        "direction": "reverse" if reverse else "forward",
        "activations": kinds,
    }
    if any(alpha):
        attributes |= {"activation_alpha": alpha, "activation_beta": beta}
    if operator == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    return attributes


def _to_node(context: Any, node: Any, name: str, _: Any) -> Any:
    """tf2onnx handler: the PyFunc of `_mark` to the ONNX node it stands for."""
    token = node.get_attr_value("token")
    attributes = json.loads(token)
    operator = attributes.pop("operator")
    given = iter(node.input)
    inputs = [next(given) if name else "" for name in attributes.pop("inputs")]
    shapes = [context.get_shape(output) for output in node.output]
    dtypes = [context.get_dtype(output) for output in node.output]
    context.remove_node(name)
    return context.make_node(
        operator,
        inputs,
        attr=attributes,
        outputs=node.output,
        shapes=shapes,
        dtypes=dtypes,
        name=name,
    )


def _to_erf(context: Any, node: Any, name: str, _: Any) -> None:
    """tf2onnx handler: erfc(x) = 1 - erf(x), for Keras's gelu, which tf2onnx does not know."""
    import numpy as np

    shapes, dtypes = [context.get_shape(node.output[0])], [context.get_dtype(node.output[0])]
    context.remove_node(name)
    erf = context.make_node("Erf", list(node.input))
    one = context.make_const(f"{name}/one", np.ones((), "float32"))
    context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=node.output,
        name=name,
        shapes=shapes,
        dtypes=dtypes,
    )


def _to_concat(context: Any, node: Any, name: str, _: Any) -> None:
    """tf2onnx handler: what stands before a slice, the slice, and what stands after it.

    For the updates of `keras.ops.slice_update` that replace part of one axis, and all of others.
    """
    import numpy as np
    from onnx import TensorProto

    whole, update, start = node.input
    # The axis along which the slice moves: on any other it begins at a constant, and is whole.
    begins = node.inputs[2].inputs if node.inputs[2].type == "Concat" else [node.inputs[2]]
    moving = [axis for axis, begin in enumerate(begins) if not _is_constant(begin)]
    if len(moving) != 1:
        raise ValueError(f"{name} does not update a part of one axis that moves: {moving}")
    axis = moving[0]
    shapes, dtypes = [context.get_shape(node.output[0])], [context.get_dtype(node.output[0])]
    context.remove_node(name)

    def constant(label: str, value: int) -> str:
        return context.make_const(f"{name}/{label}", np.array([value], "int64")).output[0]

    def made(operator: str, *inputs: str, **attributes: Any) -> str:
        return context.make_node(operator, list(inputs), attr=attributes).output[0]

    axes = constant("axis", axis)
    first = made("Gather", made("Cast", start, to=TensorProto.INT64), axes)
    last = made("Add", first, made("Gather", made("Shape", update), axes))
    before = made("Slice", whole, constant("zero", 0), first, axes)
    after = made("Slice", whole, last, constant("end", np.iinfo("int64").max), axes)
    context.make_node(
        "Concat",
        [before, update, after],
        attr={"axis": axis},
        outputs=node.output,
        name=name,
        shapes=shapes,
        dtypes=dtypes,
    )


class _Scatter:
    """The rule for caches: `ScatterND`, which is seven times as fast as a choice by `Where`."""

    def __init__(self) -> None:
        self._position: Tensor = None
        self._indices: Tensor = None

    def __call__(self, cache: Tensor, new: Tensor, place: Any) -> Tensor:
        import tensorflow as tf

        if place.position is not self._position:  # All layers of a step have the same.
            self._position = place.position
            self._indices = self._of(place.position, cache.shape[1])
        return tf.tensor_scatter_nd_update(cache, self._indices, new)

    @staticmethod
    def _of(position: Tensor, heads: int) -> Tensor:
        """`(B, nh, 1, 3)` int64, as ONNX has indices: row, head and position of each vector."""
        import numpy as np
        import tensorflow as tf

        row = tf.range(tf.shape(position, tf.int64)[0])[:, None, None, None]
        head = np.arange(heads)[None, :, None, None]
        # Only the last term changes from step to step.
        first = row * np.array([1, 0, 0]) + head * np.array([0, 1, 0])
        return first + tf.cast(position, tf.int64) * np.array([0, 0, 1])


def _to_where(context: Any, node: Any, name: str, _: Any) -> None:
    """tf2onnx handler: one operator; its own is six, and makes a NaN of infinity."""
    inputs, outputs = node.input[:], node.output[:]
    shapes, dtypes = [context.get_shape(outputs[0])], [context.get_dtype(outputs[0])]
    context.remove_node(name)
    context.make_node("Where", inputs, outputs=outputs, name=name, shapes=shapes, dtypes=dtypes)


def _to_comparison(context: Any, node: Any, name: str, _: Any) -> None:
    """tf2onnx handler: TensorFlow's operator is ONNX's. Its own makes floats of integers, which are
    all the same from 2^24 on.
    """
    from onnx import TensorProto

    for given in node.input:
        if context.get_dtype(given) in (TensorProto.INT32, TensorProto.INT64):
            # Where it is a size, tf2onnx has made another integer of it than it says here.
            context.insert_new_node_on_input(node, "Cast", given, to=TensorProto.INT64)


def _is_constant(node: Any) -> bool:
    """Whether what a node gives, but for its shape and dtype, is known already."""
    while node.type in ("Unsqueeze", "Cast", "Identity", "Reshape"):
        node = node.inputs[0]
    return node.is_const()
