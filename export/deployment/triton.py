"""A model repository for NVIDIA's Triton Inference Server, which runs the files with onnxruntime.

    FOLDER/
      BUNDLE.SIGNATURE/
        config.pbtxt
        1/model.onnx  1/weights.bin

Clients of Triton send a text as the graph reads it: uint8 `[B, L]` and its length in bytes; and a
single number, such as a temperature, as a tensor `[1]`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export import bundle as bundles
from export import runtime
from export.formats.onnx import FOLDER, WEIGHTS, Runner, output_name
from keras_seq.errors import UserError
from keras_seq.signature import SignatureSpec, TensorSpec

TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32", "uint8": "TYPE_UINT8"}
ANY = -1  # a size that each request chooses


def write(bundle: Path, folder: Path, name: str, max_batch: int, max_delay_us: int) -> list[str]:
    """Writes the repository and returns the names of its models.

    Args:
        bundle: Bundle with ONNX files.
        folder: Folder to write into.
        name: Name of the bundle.
        max_batch: Largest number of rows that Triton runs together.
        max_delay_us: Microseconds that it waits for more rows.

    Raises:
        UserError: If the bundle is damaged or has no ONNX files.
    """
    from google.protobuf import text_format

    loaded = runtime.load(bundle, "onnx")
    files = bundles.require_variant(bundle, loaded.manifest, "onnx", loaded.precision)["files"]
    runner = Runner(bundle, None, files=files)
    models = []
    for spec in loaded.signatures.values():
        session = runner.session(spec.name)
        shapes = {t.name: _read_shape(t) for t in (*session.get_inputs(), *session.get_outputs())}
        config = configuration(spec, f"{name}.{spec.name}", shapes, max_batch, max_delay_us)
        model = folder / config.name
        (model / "1").mkdir(parents=True)
        (model / "config.pbtxt").write_text(text_format.MessageToString(config), "utf-8")
        copies = {f"{FOLDER}/{spec.name}.onnx": "model.onnx", f"{FOLDER}/{WEIGHTS}": WEIGHTS}
        for file in copies.keys() & set(files):
            bundles.copy_listed(bundle, loaded.manifest, file, model / "1" / copies[file])
        models.append(config.name)
    return models


def _read_shape(tensor: Any) -> list[int]:
    """Returns the shape of a tensor of an ONNX file; -1 is any size."""
    return [size if isinstance(size, int) else ANY for size in tensor.shape]


def configuration(
    spec: SignatureSpec,
    name: str,
    shapes: Mapping[str, Sequence[int]],
    max_batch: int,
    max_delay_us: int,
) -> Any:
    """Returns Triton's `ModelConfig` of a signature.

    Triton runs requests with equal other dimensions together where the batch is the first dimension
    of every input and output; else one by one.

    Args:
        spec: The signature.
        name: Name of the model.
        shapes: Shapes in the ONNX file by the names there, -1 for any size: Triton compares them.
            An input that the model does not use is not in the file.
        max_batch: Largest number of rows that Triton runs together.
        max_delay_us: Microseconds that it waits for more rows.
    """
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    config = ModelConfig(name=name, backend="onnxruntime")
    inputs = {t.name: t for t in spec.inputs if t.name in shapes}
    names = [tensor.name for tensor in spec.inputs]
    outputs = {output_name(tensor.name, names): tensor for tensor in spec.outputs}
    batched = all(
        tensor.shape[:1] == ("B",) and [*shapes[name][:1]] == [ANY]
        for name, tensor in (*inputs.items(), *outputs.items())
    )
    if batched:
        config.max_batch_size = max_batch
        config.dynamic_batching.max_queue_delay_microseconds = max_delay_us
    for entries, tensors in ((config.input, inputs), (config.output, outputs)):
        for key, tensor in tensors.items():
            _describe(entries.add(), tensor, key, shapes[key], batched)
    return config


def _describe(
    entry: Any, tensor: TensorSpec, name: str, shape: Sequence[int], batched: bool
) -> None:
    from tritonclient.grpc import model_config_pb2

    if tensor.dtype not in TYPES:
        raise UserError(f"{tensor.name} is {tensor.dtype}. Triton serves {', '.join(TYPES)} here.")
    entry.name = name
    entry.data_type = model_config_pb2.DataType.Value(TYPES[tensor.dtype])
    sizes = shape[1:] if batched else shape
    # Triton requires one dimension. It removes it from each row if it is told so, and from a number
    # by itself: there it refuses to be told.
    entry.dims.extend(sizes or [1])
    if batched and not sizes:
        entry.reshape.SetInParent()
