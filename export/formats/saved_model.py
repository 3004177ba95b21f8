"""SavedModel: named signatures that plain TensorFlow and TF Serving load."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_seq.signature import Signature

FOLDER = "saved_model"
STATIC = False
STRINGS = True


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/saved_model`, with the dimensions in `sizes` fixed, weights stored once."""
    import tensorflow as tf

    from export.formats.trace import function, specs

    module = tf.Module()
    functions = {
        signature.name: function(signature).get_concrete_function(*specs(signature, sizes))
        for signature in signatures
    }
    # The module must own what the functions read; Keras itself stays out of the file.
    read = {id(v): v for traced in functions.values() for v in traced.graph.variables}
    module.weights = list(read.values())
    try:
        tf.saved_model.save(module, str(folder / FOLDER), signatures=functions)
    except tf.errors.OpError as error:
        # TensorFlow has errors of its own for a full disk.
        raise OSError(f"The SavedModel cannot be written: {error.message}") from error


def operators(folder: Path) -> Counter[str]:
    """How often each operator stands in the written functions."""
    return Counter(node.op for node in nodes(folder))


def nodes(folder: Path) -> list[Any]:
    """The nodes of the written functions."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / FOLDER / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    return [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]
