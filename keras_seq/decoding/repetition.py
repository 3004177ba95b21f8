"""The repetition penalty: earlier tokens become less likely."""

from keras import ops

from keras_seq.decoding.generation import Step
from keras_seq.typing import State, Tensor


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
    """Returns `(B, V)` int32, 1 for the ids in each row of `(B, T)`, padding included."""
    return ops.max(ops.one_hot(token_ids, vocabulary_size, dtype="int32"), axis=1)
