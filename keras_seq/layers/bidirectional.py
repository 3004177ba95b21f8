"""A recurrent layer that reads in both directions."""

from typing import Any

import keras
from keras import ops

from keras_seq.layers.recurrent import Recurrent
from keras_seq.typing import Tensor

MERGE = {
    "concat": lambda forward, backward: ops.concatenate([forward, backward], axis=-1),
    "sum": ops.add,
    "mul": ops.multiply,
    "ave": lambda forward, backward: (forward + backward) / 2,
}


@keras.saving.register_keras_serializable("keras_seq")
class Bidirectional(keras.layers.Layer):
    """Reads a sequence forwards and backwards (Schuster & Paliwal 1997) and merges the outputs.

    Weights are laid out as those of `keras.layers.Bidirectional`. With `return_sequences` of the
    wrapped layer, outputs of masked steps are zeros, as there.

    Args:
        layer: A `keras_seq.layers.RNN` or `LSTM`; both directions have its settings.
        merge_mode: "concat", "sum", "mul" or "ave".
    """

    def __init__(self, layer: Recurrent, merge_mode: str = "concat", **kwargs: Any) -> None:
        if not isinstance(layer, Recurrent):
            raise ValueError(
                "Bidirectional wraps a recurrent layer of keras_seq.layers (RNN, LSTM). "
                f"Received: {layer!r}"
            )
        if merge_mode not in MERGE:
            raise ValueError(f"merge_mode is one of {sorted(MERGE)}. Received: {merge_mode!r}")
        if layer.return_state:
            raise ValueError(
                "Bidirectional returns one tensor: the wrapped layer's return_state must be False. "
                "For the states call `forward_layer.scan` and `backward_layer.scan`."
            )
        if layer.go_backwards:
            raise ValueError(
                "Bidirectional reads both ways by itself: the wrapped layer's go_backwards must be "
                "False. Received: True"
            )
        super().__init__(**kwargs)
        config = layer.get_config()
        name = config.pop("name").removeprefix("forward_")
        self.forward_layer = type(layer).from_config({**config, "name": f"forward_{name}"})
        self.backward_layer = type(layer).from_config({**config, "name": f"backward_{name}"})
        self.merge_mode = merge_mode
        self.return_sequences = layer.return_sequences
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.forward_layer.build(input_shape)
        self.backward_layer.build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """Maps `(B, T, D)` to `(B, T, units * 2)`, `(B, units * 2)` without `return_sequences`;
        `units` wide unless merged by "concat".
        """
        merged = []
        for layer, reverse in ((self.forward_layer, False), (self.backward_layer, True)):
            outputs, state = layer.scan(
                inputs,
                layer.kept_state(inputs.shape[0]),
                mask,
                reverse=reverse,
                sequence=self.return_sequences,
                training=training,
            )
            layer.keep_state(state)
            merged.append(outputs if self.return_sequences else state[0])
        output = MERGE[self.merge_mode](*merged)
        if mask is None or not self.return_sequences:
            return output
        mask = ops.expand_dims(ops.cast(mask, "bool"), axis=2)
        return ops.where(mask, output, ops.zeros_like(output))

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        *shape, units = self.forward_layer.compute_output_shape(input_shape)
        return (*shape, units * 2 if self.merge_mode == "concat" else units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.forward_layer),
            "merge_mode": self.merge_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Bidirectional":
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)
