"""Converts traced signatures with tf2onnx and writes them."""

import contextlib
import copy
import functools
import logging
import os
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import tf2onnx
from onnx import TensorProto, TensorShapeProto
from onnx.external_data_helper import set_external_data
from tf2onnx.onnx_opset import controlflow
from tf2onnx.optimizer.optimizer_base import GraphOptimizerBase

from export.formats.onnx import WEIGHTS, output_name
from export.formats.onnx.graph import simplify
from export.formats.onnx.handlers import HANDLERS
from export.formats.onnx.rules import make_lowering
from export.formats.onnx.writes import refuse_unordered_writes
from export.formats.refusals import find_names, refuse
from export.formats.trace import trace
from keras_seq.messages import hide_messages
from keras_seq.signature import Signature

SHARED_BYTES = 1024  # Smaller tensors stay in each file.
ALIGNMENT = 64
OPSET = 18
CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


def write_files(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/NAME.onnx` for each signature; see `export.formats.onnx.write`."""
    folder.mkdir(parents=True)
    models = {}
    for signature in signatures:
        traced = trace(signature, sizes, make_lowering())
        refuse_unordered_writes(traced)
        errors = ErrorLog()
        try:
            with hide_messages("tensorflow", "tf2onnx", keep_on_error=False), errors.listen():
                model = _convert(traced, signature)
            if errors.nodes:
                raise ValueError(f"tf2onnx does not know {errors.nodes}")
            simplify(model)
            _name_dimensions(model, signature.bind(sizes))
            onnx.checker.check_model(model, full_check=True)
        except MemoryError:
            raise
        except Exception as error:
            names = errors.nodes or find_names(str(error), [traced])
            raise refuse("ONNX", [traced], errors.operators, names) from error
        models[signature.name] = model
    _share_weights(list(models.values()), folder / WEIGHTS)
    for name, model in models.items():
        onnx.save(model, str(folder / f"{name}.onnx"))


class ErrorLog(logging.Handler):
    """What tf2onnx says of nodes that it cannot convert; it raises no error for most of them.

    Attributes:
        nodes: Names of the nodes.
        operators: TensorFlow's names of their operators, where the log has them.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.nodes: set[str] = set()
        self.operators: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if unknown := re.match(r"Tensorflow op \[(\S+): (\w+)\] is not supported", message):
            self.nodes.add(unknown[1])
            self.operators.add(unknown[2])
        elif failed := re.match(r"Failed to convert node '([^']+)'", message):
            self.nodes.add(failed[1])

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """Reads what tf2onnx logs inside the `with` block."""
        logger = logging.getLogger("tf2onnx")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)


def _share_weights(models: list[Any], path: Path) -> None:
    """Moves tensors that several models have out of them, to `path`."""
    tensors: dict[bytes, list[Any]] = {}
    for model in models:
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) >= SHARED_BYTES:
                tensors.setdefault(tensor.raw_data, []).append(tensor)
    shared = {content: copies for content, copies in tensors.items() if len(copies) > 1}
    if not shared:
        return
    with path.open("wb") as file:
        for content, copies in shared.items():
            file.write(bytes(-file.tell() % ALIGNMENT))
            for tensor in copies:
                set_external_data(tensor, path.name, file.tell(), len(content))
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
            file.write(content)


def _convert(traced: Any, signature: Signature) -> Any:
    """Returns a traced function as an ONNX model with the signature's names."""
    # `tf2onnx.convert.from_function` would make an input of every constant that a layer holds.
    inputs = {
        tensor.name: placeholder.name
        for tensor, placeholder in zip(signature.inputs, traced.inputs, strict=False)
    }
    outputs = dict(zip(sorted(traced.structured_outputs), traced.outputs, strict=True))
    outputs = {output_name(name, inputs): tensor.name for name, tensor in outputs.items()}
    # As if the model were large: else tf2onnx builds a function from the frozen graph first.
    graph = tf2onnx.tf_loader.from_function(traced, [], [], large_model=True)
    convert = functools.partial(
        tf2onnx.convert.from_graph_def,
        tf2onnx.tf_loader.fix_freezing_errors_part2(graph),
        name=signature.name,
        input_names=list(inputs.values()),
        output_names=list(outputs.values()),
        tensors_to_rename={tensor: name for name, tensor in (inputs | outputs).items()},
        opset=OPSET,
        custom_op_handlers=HANDLERS,
    )
    try:
        with _skip_graph_copies(), _shallow_body_copies():
            model, _ = convert()
    except Exception:
        model, _ = convert()  # Without the pass that failed, or with the error.
    _complete_loops(model.graph)
    return model


@contextlib.contextmanager
def _skip_graph_copies() -> Iterator[None]:
    """Disables the copy of the graph that tf2onnx makes before every pass, in case it fails, and
    the cleaning after passes that changed nothing: half of its time. There is no option for it.
    """
    before, optimize = os.environ.get(CATCH_ERRORS), GraphOptimizerBase.optimize
    os.environ[CATCH_ERRORS] = "FALSE"
    GraphOptimizerBase.optimize = _optimize
    try:
        yield
    finally:
        GraphOptimizerBase.optimize = optimize
        os.environ.pop(CATCH_ERRORS)
        if before is not None:
            os.environ[CATCH_ERRORS] = before


def _optimize(self: Any, graph: Any, iteration: int) -> Any:
    """Runs a pass of tf2onnx; removes unused nodes only if it has changed something."""
    self.opt_iteration = iteration
    graph = self._optimize(graph)
    if self.graph_been_opt:
        graph.delete_unused_nodes(graph.outputs)
    return graph


@contextlib.contextmanager
def _shallow_body_copies() -> Iterator[None]:
    """Makes tf2onnx copy the body of a loop without the graph around it, which the body refers to:
    a fifth of its time.
    """

    def deepcopy(graph: Any) -> Any:
        return copy.deepcopy(graph, {id(graph.parent_graph): graph.parent_graph})

    before, controlflow.copy = controlflow.copy, types.SimpleNamespace(deepcopy=deepcopy)
    try:
        yield
    finally:
        controlflow.copy = before


def _complete_loops(graph: Any) -> None:
    """Declares the count and the condition of every `Loop` as scalars.

    onnxruntime needs that, and tf2onnx leaves it out where TensorFlow has lost a body's shapes.
    """
    for node in graph.node:
        for attribute in node.attribute:
            if not attribute.HasField("g"):
                continue
            if node.op_type == "Loop":
                for value in attribute.g.input[:2]:
                    value.type.tensor_type.shape.CopyFrom(TensorShapeProto())
            _complete_loops(attribute.g)


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
