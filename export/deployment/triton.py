"""A model repository for NVIDIA's Triton Inference Server, which runs the files with onnxruntime.

    FOLDER/
      BUNDLE.SIGNATURE/
        config.pbtxt
        1/model.onnx  1/weights.bin

Clients of Triton send a text as the graph reads it: uint8 `[B, L]` and its length in bytes.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from export import runtime
from export.formats.onnx import FOLDER, WEIGHTS, Runner, output_name
from keras_seq.errors import UserError
from keras_seq.signature import SignatureSpec, TensorSpec

TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32", "uint8": "TYPE_UINT8"}


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
    runner = Runner(bundle, None)
    models = []
    for spec in loaded.signatures.values():
        # A file has no inputs that its model does not use.
        used = {tensor.name for tensor in runner.session(spec.name).get_inputs()}
        spec = replace(spec, inputs=tuple(t for t in spec.inputs if t.name in used))
        config = configuration(spec, f"{name}.{spec.name}", max_batch, max_delay_us)
        model = folder / config.name
        (model / "1").mkdir(parents=True)
        (model / "config.pbtxt").write_text(text_format.MessageToString(config), "utf-8")
        shutil.copyfile(bundle / FOLDER / f"{spec.name}.onnx", model / "1" / "model.onnx")
        if (bundle / FOLDER / WEIGHTS).exists():
            shutil.copyfile(bundle / FOLDER / WEIGHTS, model / "1" / WEIGHTS)
        models.append(config.name)
    return models


def configuration(spec: SignatureSpec, name: str, max_batch: int, max_delay_us: int) -> Any:
    """Returns Triton's `ModelConfig` of a signature.

    Triton runs requests with equal other dimensions together where the batch is the first dimension
    of every input and output; else one by one.
    """
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    tensors = (*spec.inputs, *spec.outputs)
    batched = all(tensor.shape[:1] == ("B",) for tensor in tensors)
    config = ModelConfig(name=name, backend="onnxruntime")
    if batched:
        config.max_batch_size = max_batch
        config.dynamic_batching.max_queue_delay_microseconds = max_delay_us
    for tensor in spec.inputs:
        _describe(config.input.add(), tensor, tensor.name, batched)
    names = {tensor.name for tensor in spec.inputs}
    for tensor in spec.outputs:
        _describe(config.output.add(), tensor, output_name(tensor.name, names), batched)
    return config


def _describe(entry: Any, tensor: TensorSpec, name: str, batched: bool) -> None:
    from tritonclient.grpc import model_config_pb2

    if tensor.dtype not in TYPES:
        raise UserError(f"{tensor.name} is {tensor.dtype}. Triton serves {', '.join(TYPES)} here.")
    entry.name = name
    entry.data_type = model_config_pb2.DataType.Value(TYPES[tensor.dtype])
    sizes = tensor.shape[1:] if batched else tensor.shape
    if not sizes:  # Triton requires one dimension, and removes it again.
        entry.reshape.SetInParent()
    entry.dims.extend([size if isinstance(size, int) else -1 for size in sizes] or [1])
