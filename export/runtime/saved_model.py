"""Runs the SavedModel of a bundle with TensorFlow alone."""

from pathlib import Path

import numpy as np

FOLDER = "saved_model"
REQUIRES = "tensorflow"
INSTALL = "pip install tensorflow"


class Runner:
    """The signatures of `saved_model/`. TensorFlow takes its threads from the whole process."""

    def __init__(self, folder: Path, threads: int | None) -> None:
        import tensorflow as tf

        # Named so that the object that owns the weights lives as long as its functions.
        self._model = tf.saved_model.load(str(folder / FOLDER))

    def open(self, signature: str) -> None:
        """All of them are open."""

    def __call__(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        import tensorflow as tf

        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = self._model.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}
