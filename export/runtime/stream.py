"""A signature that takes one step at a time, with its state kept between calls."""

from typing import Any

import numpy as np

from keras_seq.typing import Arrays

STREAM = "stream"


class Stream:
    """Steps through a bundle's `stream` signature, one a call.

    ```python
    stream = export.load("bundle").open_stream()
    for frame in microphone:                    # (B, 1, D)
        outputs = stream(audio=frame)
    ```
    """

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        self._spec = loaded.signatures[STREAM]
        self.reset()

    def reset(self) -> None:
        """Begins a new sequence: states of zeros."""
        returned = {tensor.name for tensor in self._spec.outputs}
        self._states = {
            tensor.name: np.zeros(tensor.shape, tensor.dtype)
            for tensor in self._spec.inputs
            if f"next_{tensor.name}" in returned
        }

    def __call__(self, **inputs: Any) -> Arrays:
        """Takes the inputs of a step and returns its outputs by name, both without the states."""
        outputs = self._loaded.run(STREAM, **inputs, **self._states)
        self._states = {name: outputs.pop(f"next_{name}") for name in self._states}
        return outputs
