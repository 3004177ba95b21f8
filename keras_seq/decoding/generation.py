"""Generation: token after token through a step function, with its state."""

from typing import Any

from keras import ops

from keras_seq.decoding.repetition import Repetition, apply_repetition_penalty
from keras_seq.decoding.sampling import count_candidates, draw_token, likeliest_token
from keras_seq.lookup import take
from keras_seq.typing import State, Step, Tensor


def generate(
    step: Step,
    logits: Tensor,
    state: State,
    uniforms: Tensor,
    max_new_tokens: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    end: int,
    repetition: Repetition | None = None,
) -> tuple[Tensor, Tensor]:
    """Continues each row until the token `end`, or until it has `max_new_tokens`.

    Args:
        step: `step(token, state) -> (logits, state)`: takes one token of each row, `(B,)` int32,
            and returns the logits `(B, V)` of the next one.
        logits: `(B, V)` after the prompt.
        state: The state after the prompt.
        uniforms: `(B, N)` float32 in [0, 1), one for each token.
        max_new_tokens: `()` int32, at most N.
        temperature: See `next_token`.
        top_k: See `next_token`.
        top_p: See `next_token`.
        end: The token that ends a row; it is not returned.
        repetition: A penalty on the tokens before, the new ones included; None for no penalty.

    Returns:
        `(token_ids, length)`: `(B, N)` int32, padded with 0, and `(B,)` int32.
    """
    select = _TokenSelection(temperature, top_k, top_p, end, repetition)
    token = select(ops.ones_like(logits[:, 0], dtype="int32"), logits, uniforms[:, 0])
    ids, _, _ = _run_loop(step, token, state, uniforms, max_new_tokens, select, 1)
    # No token is 0: a 0 was not reached.
    return ids, ops.sum(ops.cast(ids > 0, "int32"), axis=1)


def continue_generation(
    step: Step,
    token: Tensor,
    state: State,
    uniforms: Tensor,
    max_new_tokens: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    end: int,
    remaining: Tensor | None = None,
    repetition: Repetition | None = None,
) -> tuple[Tensor, Tensor, State]:
    """Continues a paused generation: its parts, one after another, are the whole.

    Args:
        step: As for `generate`.
        token: `(B,)` int32, the last token selected, which `state` does not include yet; 0 in a
            row that has ended.
        state: The state before it.
        uniforms: `(B, N)` float32 in [0, 1), one for each new token.
        max_new_tokens: As for `generate`.
        temperature: See `next_token`.
        top_k: See `next_token`.
        top_p: See `next_token`.
        end: As for `generate`.
        remaining: `(B,)` int32, the largest number of tokens of each row; None for any number.
        repetition: As for `generate`; its `previous` includes `token`.

    Returns:
        `(token_ids, token, state)`: `(B, N)` int32, padded with 0, and what the next part
        continues from. While other rows continue, a row that has ended, or has no positions left,
        is stepped with the token 0.
    """
    select = _TokenSelection(temperature, top_k, top_p, end, repetition)
    return _run_loop(step, token, state, uniforms, max_new_tokens, select, 0, remaining)


class _TokenSelection:
    """Selects the token after `last` in each row; 0 where the row ends, or has ended.

    What does not change is computed here, before the loop, not in each of its turns.
    """

    def __init__(
        self,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        end: int,
        repetition: Repetition | None,
    ) -> None:
        self._is_drawn = ops.greater(temperature, 0)
        self._numbers = temperature, count_candidates(top_k), top_p
        self._end = end
        self._repetition = repetition
        if repetition is not None:
            self._is_penalized = ops.not_equal(repetition.penalty, 1)

    def __call__(
        self, last: Tensor, logits: Tensor, uniform: Tensor, ids: Tensor | None = None
    ) -> Tensor:
        """Takes the new tokens so far as `ids`, `(B, N)`; None where there are none."""
        logits = ops.cast(logits, "float32")
        if self._repetition is not None:
            logits = self._penalize(logits, ids)
        token = ops.cond(
            self._is_drawn,
            lambda: draw_token(logits, uniform, *self._numbers),
            lambda: likeliest_token(logits),
        )
        ends = ops.logical_or(ops.equal(token, self._end), ops.equal(last, 0))
        return ops.where(ends, 0, token)

    def _penalize(self, logits: Tensor, ids: Tensor | None) -> Tensor:
        rule = self._repetition

        def penalize() -> Tensor:
            previous = rule.previous if ids is None else rule.extend(ids)
            return apply_repetition_penalty(logits, previous, rule.penalty)

        # A branch of its own: TFLite prepares all branches inside of one each time it is entered.
        return ops.cond(self._is_penalized, penalize, lambda: logits)


def _run_loop(
    step: Step,
    token: Tensor,
    state: State,
    uniforms: Tensor,
    max_new_tokens: Tensor,
    select: _TokenSelection,
    start: int,
    remaining: Tensor | None = None,
) -> tuple[Tensor, Tensor, State]:
    """As `continue_generation`, from place `start` on; `token` stands before it."""
    names = sorted(state)
    count = ops.shape(uniforms)[1]
    limit = ops.minimum(max_new_tokens, count)
    positions = ops.expand_dims(ops.arange(count, dtype="int32"), axis=0)

    def limit_rows(i: Tensor, token: Tensor, other: Tensor | int) -> Tensor:
        return token if remaining is None else ops.where(remaining > i, token, other)

    def should_continue(i: Tensor, token: Tensor, *_: Any) -> Tensor:
        return ops.logical_and(i < limit, ops.max(limit_rows(i, token, 0)) > 0)

    def turn(i: Tensor, token: Tensor, ids: Tensor, *values: Tensor) -> tuple:
        last = limit_rows(i, token, 0)
        logits, state = step(last, dict(zip(names, values, strict=True)))
        selected = select(last, logits, take(uniforms, i, axis=1), ids)
        ids = insert(ids, i, selected)
        return (i + 1, limit_rows(i, selected, token), ids, *(state[name] for name in names))

    def insert(ids: Tensor, i: Tensor | int, token: Tensor) -> Tensor:
        return ops.where(ops.equal(positions, i), ops.expand_dims(token, axis=1), ids)

    ids = insert(ops.zeros_like(ops.cast(uniforms, "int32")), start - 1, token)
    first = ops.full((), start, dtype="int32")
    values = (state[name] for name in names)
    _, token, ids, *values = ops.while_loop(should_continue, turn, (first, token, ids, *values))
    return ids, token, dict(zip(names, values, strict=True))
