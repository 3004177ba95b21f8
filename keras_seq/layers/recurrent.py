"""The base of RNN and LSTM: a cell as a Keras layer, with dropout and masks."""

from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive, require_share
from keras_seq.layers.backpropagation import run_differentiable
from keras_seq.layers.cells import CellState, WeightedCell
from keras_seq.layers.cudnn import run_cudnn
from keras_seq.layers.dropout import dropout
from keras_seq.layers.recurrence import mask_outputs, run_recurrence
from keras_seq.typing import Tensor


class Recurrent(keras.layers.Layer):
    """Base of the recurrent layers; a subclass names its cell.

    Its arguments are those of `RNN`.
    """

    cell_class: type[WeightedCell]
    gates = 1
    state_names: tuple[str, ...] = ("h",)

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        require_positive(units=units)
        require_share(dropout=dropout, recurrent_dropout=recurrent_dropout)
        super().__init__(**kwargs)
        self.units = units
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.states: list[keras.Variable] | None = None
        self.zero_output_for_mask = zero_output_for_mask
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = self.gates * self.units
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})
        self.kernel = self.add_weight(
            shape=(input_shape[-1], width), name="kernel", initializer=self.kernel_initializer
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(width,), name="bias", initializer=self._initial_bias)
        if self.stateful:
            # Past Keras's tracking: states are variables, but no weights, as in stock layers.
            object.__setattr__(self, "states", self._make_states(input_shape[0]))

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, *(self.states or ())]

    def _make_states(self, batch_size: int | None) -> list[keras.Variable]:
        if batch_size is None:
            raise ValueError(
                f"{type(self).__name__}(stateful=True) keeps a state for each row of the batch, so "
                "the batch size must be known: give the model "
                "keras.Input(batch_shape=(rows, steps, width))."
            )
        return [
            keras.Variable(
                "zeros",
                shape=(batch_size, self.units),
                dtype=self.variable_dtype,
                trainable=False,
                name=name,
            )
            for name in self.state_names
        ]

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        return self.bias_initializer(shape, dtype=dtype)

    def cell(self, recurrent_dropout: Tensor | None = None) -> WeightedCell:
        """Returns the layer's step with its weights."""
        return self.cell_class(
            self.kernel, self.recurrent_kernel, self.bias, recurrent_dropout=recurrent_dropout
        )

    def initial_state(self, batch_size: int | Tensor) -> CellState:
        """Returns zeros, one tensor `(B, units)` for each of `state_names`."""
        zeros = ops.zeros((batch_size, self.units), dtype=self.compute_dtype)
        return (zeros,) * len(self.state_names)

    def get_initial_state(self, batch_size: int | Tensor) -> list[Tensor]:
        """Returns `initial_state` as a list, as stock Keras layers do."""
        return list(self.initial_state(batch_size))

    def kept_state(self, batch_size: int | None) -> CellState | None:
        """Returns the state that a `stateful` layer kept after its last call, else None.

        Args:
            batch_size: Rows of the coming call, None where unknown.

        Raises:
            ValueError: If the layer keeps states of another number of rows.
        """
        if not self.stateful:
            return None
        rows = self.states[0].shape[0]
        if batch_size not in (None, rows):
            raise ValueError(
                f"The layer {self.name!r} is stateful and keeps a state for each of {rows} rows: "
                f"every call takes {rows} rows, batch_size={rows} in fit and predict. "
                f"Received: {batch_size} rows"
            )
        return tuple(ops.cast(state, self.compute_dtype) for state in self.states)

    def keep_state(self, state: CellState) -> None:
        """Keeps a state for the next call if the layer is `stateful`."""
        if self.stateful:
            for variable, value in zip(self.states, state, strict=True):
                variable.assign(value)

    def reset_state(self) -> None:
        """Sets the state that a `stateful` layer keeps to zeros."""
        for variable in self.states or ():
            variable.assign(ops.zeros_like(variable.value))

    def reset_states(self) -> None:
        """Does what `reset_state` does; the name before Keras 3."""
        self.reset_state()

    def step(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Computes one time step.

        Args:
            inputs: `(B, D)`.
            state: State as from `initial_state` or an earlier step.

        Returns:
            `(output, state)`; the output is `(B, units)`.
        """
        cell = self.cell()
        state = cell.advance(cell.project(inputs), state)
        return state[0], state

    def scan(
        self,
        inputs: Tensor,
        state: CellState | None = None,
        mask: Tensor | None = None,
        *,
        reverse: bool = False,
        sequence: bool = True,
        training: bool = False,
    ) -> tuple[Tensor | None, CellState]:
        """Computes all time steps, with the state in and out.

        Args:
            inputs: `(B, T, D)`.
            state: State as from `initial_state`, which is the default.
            mask: `(B, T)` boolean; where it is False the state stays as it is.
            reverse: Read from the end. Outputs keep the order of `inputs`.
            sequence: Compute the output of every step.
            training: Apply dropout.

        Returns:
            `(outputs, state)`: `(B, T, units)`, or None without `sequence`; and the last state.
        """
        batch_size = ops.shape(inputs)[0]
        if training and self.dropout:
            inputs = inputs * self._make_dropout_mask(
                (batch_size, 1, inputs.shape[-1]), self.dropout
            )
        recurrent_dropout = None
        if training and self.recurrent_dropout:
            recurrent_dropout = self._make_dropout_mask(
                (batch_size, self.units), self.recurrent_dropout
            )
        cell = self.cell(recurrent_dropout)
        state = self.initial_state(batch_size) if state is None else tuple(state)
        if not training:
            return run_recurrence(cell, inputs, state, mask, reverse=reverse, sequence=sequence)
        return run_cudnn(cell, inputs, state, mask, reverse=reverse, sequence=sequence) or (
            run_differentiable(cell, inputs, state, mask, reverse=reverse, sequence=sequence)
        )

    def _make_dropout_mask(self, shape: tuple, rate: float) -> Tensor:
        ones = ops.ones(shape, dtype=self.compute_dtype)
        return dropout(ones, rate, self.seed_generator)

    def call(
        self,
        inputs: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool = False,
    ) -> Any:
        """Runs the layer as stock Keras recurrent layers run.

        Args:
            inputs: `(B, T, D)`.
            initial_state: Tensors `(B, units)`, one for each of `state_names`; by default zeros,
                or what a `stateful` layer kept.
            mask: `(B, T)` boolean.
            training: Apply dropout.

        Returns:
            `(B, T, units)` with `return_sequences`, else `(B, units)`; with `return_state` a tuple
            of that and the last state's tensors.
        """
        if initial_state is not None and not isinstance(initial_state, (list, tuple)):
            initial_state = (initial_state,)
        if initial_state is not None and len(initial_state) != len(self.state_names):
            raise ValueError(
                f"{type(self).__name__} has the state {self.state_names}: initial_state takes "
                f"{len(self.state_names)} tensors. Received: {len(initial_state)}"
            )
        if initial_state is None:
            initial_state = self.kept_state(inputs.shape[0])
        outputs, state = self.scan(
            inputs,
            initial_state,
            mask,
            reverse=self.go_backwards,
            sequence=self.return_sequences,
            training=training,
        )
        self.keep_state(state)
        outputs = state[0] if outputs is None else outputs
        if self.zero_output_for_mask or initial_state is not None:
            outputs = mask_outputs(
                outputs,
                mask,
                zeros="masked" if self.zero_output_for_mask else "before",
                reverse=self.go_backwards,
                sequence=self.return_sequences,
            )
        if self.return_sequences and self.go_backwards:
            outputs = ops.flip(outputs, axis=1)
        return (outputs, *state) if self.return_state else outputs

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output_mask = mask if self.return_sequences else None
        if self.return_state:
            return [output_mask] + [None] * len(self.state_names)
        return output_mask

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...], initial_state_shape: Any = None
    ) -> Any:
        batch_size, steps = inputs_shape[:2]
        state = (batch_size, self.units)
        output = (batch_size, steps, self.units) if self.return_sequences else state
        return (output, *[state] * len(self.state_names)) if self.return_state else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "zero_output_for_mask": self.zero_output_for_mask,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }
