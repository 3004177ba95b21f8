"""Runs the ONNX files of a bundle with onnxruntime."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "onnx"
REQUIRES = "onnxruntime"
INSTALL = 'pip install "keras-seq[onnx]"'


def output_name(name: str, inputs: Collection[str]) -> str:
    """What the output `name` of a signature is called in the file.

    An ONNX graph has one value of a name: an output that is called as an input gets another.
    """
    return f"{name}_out" if name in inputs else name


class Runner:
    """The signatures of `onnx/*.onnx`, each opened at its first call."""

    def __init__(self, folder: Path, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._open = lambda path: onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._folder = folder / FOLDER
        self._sessions: dict[str, Any] = {}

    def open(self, signature: str) -> Any:
        """The session of a signature."""
        if signature not in self._sessions:
            self._sessions[signature] = self._open(self._folder / f"{signature}.onnx")
        return self._sessions[signature]

    def __call__(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = self.open(signature)
        names = [output.name for output in session.get_outputs()]
        # tf2onnx leaves out an input that the model does not use.
        used = {tensor.name: inputs[tensor.name] for tensor in session.get_inputs()}
        renamed = {output_name(name, inputs): name for name in inputs}
        values = zip(names, session.run(names, used), strict=True)
        return {renamed.get(name, name): value for name, value in values}
