"""TFLite: one file, several signatures, built-in operators only."""

import functools
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.formats import saved_model
from keras_seq.errors import UserError
from keras_seq.signature import Signature

FOLDER = "tflite"
FILE = "model.tflite"
STATIC = True  # A browser's LiteRT refuses shapes that change.
STRINGS = False


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/tflite/model.tflite`, with the dimensions in `sizes` fixed.

    Raises:
        UserError: If the model needs an operator outside the built-in set.
    """
    import tensorflow as tf

    from export.formats.tflite_scan import scan
    from keras_seq.layers.cache import writing
    from keras_seq.layers.recurrence import loop, lowering

    (folder / FOLDER).mkdir(parents=True)
    rule = functools.partial(loop, scan=scan)
    with tempfile.TemporaryDirectory() as traced:
        with lowering(rule), writing(_in_place):
            saved_model.write(signatures, Path(traced), sizes)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(Path(traced) / saved_model.FOLDER),
            signature_keys=[signature.name for signature in signatures],
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:
            raise UserError(_explained(str(error), Path(traced))) from error
    (folder / FOLDER / FILE).write_bytes(content)
    foreign = [
        name for name in operators(folder) if name.startswith(("FLEX", "CUSTOM", "VARIABLE"))
    ]
    if foreign:
        raise UserError(
            f"The TFLite file needs {', '.join(foreign)}, which no standard LiteRT runtime has. "
            "Build the model from layers whose operators TFLite has built in."
        )


def _in_place(cache: Any, new: Any, place: Any) -> Any:
    """The rule for caches: of a single row DYNAMIC_UPDATE_SLICE, which copies nothing."""
    from keras import ops

    from keras_seq.layers.cache import chosen

    if cache.shape[0] == 1:
        return ops.slice_update(cache, (0, 0, ops.reshape(place.position, ()), 0), new)
    return chosen(cache, new, place)


def _explained(message: str, traced: Path) -> str:
    """Which layer of a traced model has the operator that the converter refuses."""
    refused = set(re.findall(r"tf\.(\w+)' op is neither", message))
    # The name of a node is its layers' names, from the outermost, and its own.
    nodes = [node for node in saved_model.nodes(traced) if node.op in refused]
    found = {(" in ".join(reversed(node.name.split("/")[1:-1])), node.op) for node in nodes}
    if not found:
        return (
            "The model does not convert to TFLite with built-in operators only. The converter "
            f"says: {message.strip()[:2000]}"
        )
    named = ", ".join(f"the layer {layer} has {op}" for layer, op in sorted(found))
    return (
        f"The model does not convert to TFLite, which has no such operator built in: {named}. "
        "Build the layer from other operators, or export to the other formats only (--format)."
    )


def operators(folder: Path) -> Counter[str]:
    """How often each operator stands in the file; those that are not built in as "CUSTOM name",
    tensors kept between calls as "VARIABLE TENSOR".
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs((folder / FOLDER / FILE).read_bytes())
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    kinds = []
    for code in map(model.OperatorCodes, range(model.OperatorCodesLength())):
        custom = code.CustomCode()
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kinds.append(f"CUSTOM {custom.decode()}" if custom else names[builtin])
    found: Counter[str] = Counter()
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            found[kinds[operator.OpcodeIndex()]] += 1
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            if tensor.IsVariable():
                found["VARIABLE TENSOR"] += 1
    return found
