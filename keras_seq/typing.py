"""The types that signatures name most often: plain aliases, no heavy import."""

from collections.abc import Callable
from typing import Any

Tensor = Any  # a tensor of the Keras backend, or what converts to one
Arrays = dict[str, Any]  # NumPy arrays by the names of a signature's inputs or outputs
Shapes = dict[str, list[int | None]]  # shapes by name; None is an open size
State = dict[str, Tensor]  # a step function's state: named tensors, batch first
Step = Callable[[Tensor, State], tuple[Tensor, State]]  # token and state to logits and new state
