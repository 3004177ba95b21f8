"""A signature that takes one step at a time, with its state kept between calls."""

from dataclasses import replace
from typing import Any

import numpy as np

from export.runtime.inputs import find_states, name_inputs, require_inputs
from keras_seq.signature import TensorSpec
from keras_seq.typing import Arrays

STREAM = "stream"


class Stream:
    """Steps through a bundle's `stream` signature, one a call.

    ```python
    stream = export.load("bundle").open_stream()
    for frame in microphone:                    # (D,): the features of one step
        outputs = stream(frame)
    ```
    """

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        self._spec = loaded.signatures[STREAM]
        self.reset()
        inputs = tuple(t for t in self._spec.inputs if t.name not in self._states)
        self._step = replace(self._spec, inputs=inputs)

    def __repr__(self) -> str:
        return f"Stream({self._loaded!r}, states: {', '.join(self._states)})"

    def reset(self) -> None:
        """Begins a new sequence: states of zeros."""
        self._states = {
            tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in find_states(self._spec)
        }

    def __call__(self, *values: Any, **inputs: Any) -> Arrays:
        """Takes the inputs of a step and returns its outputs by name, both without the states.

        Args:
            *values: Inputs without their names, in the order of the signature.
            **inputs: Inputs by name. Each is `(B, 1, …)` as in the signature; or without the step,
                `(B, …)`; or where the batch is 1, without both: a vector, or a number.
        """
        inputs = name_inputs(self._step, values, inputs)
        require_inputs(self._step, inputs)
        tensors = {tensor.name: tensor for tensor in self._spec.inputs}
        steps = {
            name: _add_axes(value, tensors[name]) if name in tensors else value
            for name, value in inputs.items()
        }
        outputs = self._loaded.run(STREAM, **steps, **self._states)
        self._states = {name: outputs.pop(f"next_{name}") for name in self._states}
        return outputs


def _add_axes(value: Any, tensor: TensorSpec) -> Any:
    """Returns an input of a step with the axes of batch and step that the caller left out."""
    array = np.asarray(value)
    missing = len(tensor.shape) - array.ndim
    if missing == 1 and array.ndim and tensor.shape[1:2] == (1,):
        return array[:, None]
    return array[(None,) * missing] if missing > 0 and tensor.shape[0] == 1 else array
