"""Runs the TFLite file of a bundle with LiteRT's interpreter."""

from pathlib import Path

import numpy as np

FOLDER = "tflite"
REQUIRES = "ai_edge_litert"
INSTALL = 'pip install "keras-seq[tflite]"'


class Runner:
    """The signatures of `tflite/model.tflite`."""

    def __init__(self, folder: Path, threads: int | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(folder / FOLDER / "model.tflite"), num_threads=threads)

    def open(self, signature: str) -> None:
        """All of them are open."""

    def __call__(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runner = self._interpreter.get_signature_runner(signature)
        # The converter leaves out an input that the model does not use.
        return runner(**{name: inputs[name] for name in runner.get_input_details()})
