"""Tokens that were there before, made less likely."""

from keras import ops

from keras_seq.decoding.generation import Step
from keras_seq.typing import State, Tensor


def penalised(step: Step, penalty: Tensor) -> Step:
    """A step whose logits are lower for tokens seen before (Keskar et al. 2019, CTRL).

        logit / penalty   where the logit of a token seen is positive, logit · penalty elsewhere

    Args:
        step: `step(token, state) -> (logits, state)`.
        penalty: `()` float32; 1 changes nothing.

    Returns:
        A step whose state has `seen`, too, as from `tokens_seen`.
    """

    def penalised_step(token: Tensor, state: State) -> tuple[Tensor, State]:
        rest = {name: value for name, value in state.items() if name != "seen"}
        logits, rest = step(token, rest)
        new = ops.one_hot(token, logits.shape[-1], dtype="int32")
        seen = ops.maximum(state["seen"], new)
        return penalise(logits, seen, penalty), {**rest, "seen": seen}

    return penalised_step


def penalise(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Logits `(B, V)`, lower where `seen`, `(B, V)` int32, is 1."""
    lower = ops.where(logits > 0, logits / penalty, logits * penalty)
    return ops.where(seen > 0, lower, logits)


def tokens_seen(token_ids: Tensor, vocabulary_size: int) -> Tensor:
    """`(B, V)` int32, 1 for the ids of each row of `(B, T)`; padding counts as one of them."""
    return ops.max(ops.one_hot(token_ids, vocabulary_size, dtype="int32"), axis=1)
