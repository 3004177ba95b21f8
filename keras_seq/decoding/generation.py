"""Generation: token after token through a step function, with its state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_seq.decoding.repetition import Repetition, apply_repetition_penalty
from keras_seq.decoding.sampling import count_candidates, draw_token, likeliest_token
from keras_seq.lookup import take
from keras_seq.typing import State, Step, Tensor

STOP_TURNS = 8  # Tokens between two checks of a `Stopping`.


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
    stopping: "Stopping | None" = None,
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
        stopping: Ends rows early; None for no such rule.

    Returns:
        `(token_ids, length)`: `(B, N)` int32, padded with 0, and `(B,)` int32.
    """
    select = _TokenSelection(temperature, top_k, top_p, end, repetition, stopping)
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


@dataclass(frozen=True)
class Stopping:
    """A rule that ends a row by what has been written; checked now and then, since that takes time.

    Attributes:
        is_active: `()` boolean, whether there is anything to check.
        window: How many of the last tokens `is_stopped` needs, beside the new ones.
        is_stopped: Maps the last tokens of each row, `(B, n)` int32, to `(B,)` boolean.
    """

    is_active: Tensor
    window: int | Tensor
    is_stopped: Callable[[Tensor], Tensor]

    def check(self, ids: Tensor) -> Tensor:
        """Returns whether rows with the tokens `(B, N)` are to end, `(B,)` boolean."""
        written = ops.max(ops.sum(ops.cast(ids > 0, "int32"), axis=1))
        most = ops.shape(ids)[1]
        size: Any = self.window + STOP_TURNS
        is_known = isinstance(size, int) and isinstance(most, int)
        size = min(size, most) if is_known else ops.minimum(size, most)
        start = ops.clip(written - size, 0, most - size)
        return ops.cond(
            ops.equal(written % STOP_TURNS, 0),
            lambda: self.is_stopped(take(ids, start + ops.arange(size, dtype="int32"), axis=1)),
            lambda: ops.zeros_like(ids[:, 0], dtype="bool"),
        )


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
        stopping: Stopping | None = None,
    ) -> None:
        self._is_drawn = ops.greater(temperature, 0)
        self._numbers = temperature, count_candidates(top_k), top_p
        self._end = end
        self._repetition, self._stopping = repetition, stopping
        self._is_adjusted = None
        if repetition is not None:
            self._is_adjusted = ops.not_equal(repetition.penalty, 1)
        if stopping is not None:
            others = False if self._is_adjusted is None else self._is_adjusted
            self._is_adjusted = ops.logical_or(stopping.is_active, others)

    def __call__(
        self, last: Tensor, logits: Tensor, uniform: Tensor, ids: Tensor | None = None
    ) -> Tensor:
        """Takes the new tokens so far as `ids`, `(B, N)`; None where there are none."""
        logits = ops.cast(logits, "float32")
        if self._is_adjusted is not None:
            # A branch of its own: TFLite prepares all branches inside of one when it is entered.
            logits = ops.cond(self._is_adjusted, lambda: self._adjust(logits, ids), lambda: logits)
        token = ops.cond(
            self._is_drawn,
            lambda: draw_token(logits, uniform, *self._numbers),
            lambda: likeliest_token(logits),
        )
        ends = ops.logical_or(ops.equal(token, self._end), ops.equal(last, 0))
        return ops.where(ends, 0, token)

    def _adjust(self, logits: Tensor, ids: Tensor | None) -> Tensor:
        rule = self._repetition
        if rule is not None:
            previous = rule.previous if ids is None else rule.extend(ids)
            logits = apply_repetition_penalty(logits, previous, rule.penalty)
        if self._stopping is None or ids is None:
            return logits
        ends = np.where(np.arange(logits.shape[-1]) == self._end, 0, -1e38).astype("float32")
        return ops.where(self._stopping.check(ids)[:, None], ends[None, :], logits)


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
