"""The repetition penalty: earlier tokens become less likely."""

from dataclasses import dataclass

from keras import ops

from keras_seq.typing import State, Step, Tensor


@dataclass(frozen=True)
class Repetition:
    """A repetition penalty, and the tokens that were there before the generation.

    Attributes:
        penalty: `()` float32; see `with_repetition_penalty`.
        previous: `(B, V)` int32, as `mark_previous_tokens` returns it.
    """

    penalty: Tensor
    previous: Tensor

    def extend(self, token_ids: Tensor) -> Tensor:
        """Returns `previous` with the new tokens `(B, N)` of each row."""
        marks = mark_previous_tokens(token_ids, self.previous.shape[-1])
        return ops.maximum(self.previous, marks)


def with_repetition_penalty(step: Step, penalty: Tensor) -> Step:
    """Returns a step whose logits are lower for earlier tokens (Keskar et al. 2019, CTRL).

        logit / penalty   where the logit of an earlier token is positive, logit · penalty elsewhere

    Args:
        step: `step(token, state) -> (logits, state)`.
        penalty: `()` float32; 1 changes nothing.

    Returns:
        A step whose state also has `previous_tokens`, as `mark_previous_tokens` returns it.
    """

    def penalized_step(token: Tensor, state: State) -> tuple[Tensor, State]:
        rest = {name: value for name, value in state.items() if name != "previous_tokens"}
        logits, rest = step(token, rest)
        new = ops.one_hot(token, logits.shape[-1], dtype="int32")
        previous = ops.maximum(state["previous_tokens"], new)
        return apply_repetition_penalty(logits, previous, penalty), {
            **rest,
            "previous_tokens": previous,
        }

    return penalized_step


def apply_repetition_penalty(logits: Tensor, previous: Tensor, penalty: Tensor) -> Tensor:
    """Returns logits `(B, V)` that are lower where `previous`, `(B, V)` int32, is 1."""
    lower = ops.where(logits > 0, logits / penalty, logits * penalty)
    return ops.where(previous > 0, lower, logits)


def mark_previous_tokens(token_ids: Tensor, vocabulary_size: int) -> Tensor:
    """Returns `(B, V)` int32, 1 for the ids in each row of `(B, T)`; 0 is padding."""
    rows = ops.shape(token_ids)[0]
    offset = ops.reshape(ops.arange(rows, dtype="int32"), (-1, 1)) * vocabulary_size
    index = ops.reshape(ops.cast(token_ids, "int32") + offset, (-1, 1))
    marks = ops.reshape(ops.cast(token_ids > 0, "int32"), (-1,))
    count = ops.scatter(index, marks, (rows * vocabulary_size,))
    return ops.minimum(ops.reshape(count, (-1, vocabulary_size)), 1)
