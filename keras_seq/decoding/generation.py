"""A whole generation: token after token through a step function, the state carried along."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_seq.decoding.sampling import next_token
from keras_seq.lookup import take
from keras_seq.typing import State, Tensor

Step = Callable[[Tensor, State], tuple[Tensor, State]]


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
) -> tuple[Tensor, Tensor]:
    """Continues each row until it gives the token `end`, or has `max_new_tokens`.

    Args:
        step: `step(token, state) -> (logits, state)`: one token of each row, `(B,)` int32, and
            the logits `(B, V)` of what follows it.
        logits: `(B, V)` after the prompt.
        state: After the prompt.
        uniforms: `(B, N)` float32 in [0, 1), one for each token.
        max_new_tokens: `()` int32, N at most.
        temperature: See `next_token`, as for
        top_k: and
        top_p: .
        end: Ends a row; it is not part of what is returned.

    Returns:
        `(token_ids, length)`: `(B, N)` int32, padded with 0, and `(B,)` int32.
    """
    choice = _Choice(temperature, top_k, top_p, end)
    token = choice(ops.ones_like(logits[:, 0], dtype="int32"), logits, uniforms[:, 0])
    ids, _, _ = _continued(step, token, state, uniforms, max_new_tokens, choice, 1)
    # No token is 0: what is 0 has not been reached.
    return ids, ops.sum(ops.cast(ids > 0, "int32"), axis=1)


def proceed(
    step: Step,
    token: Tensor,
    state: State,
    uniforms: Tensor,
    max_new_tokens: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    end: int,
    room: Tensor | None = None,
) -> tuple[Tensor, Tensor, State]:
    """Goes on where a generation paused: parts of it, one after another, are the whole.

    Args:
        step: As for `generate`.
        token: `(B,)` int32, the last one chosen, which the state does not know of; 0 in a row that
            has ended.
        state: Before it.
        uniforms: `(B, N)` float32 in [0, 1), one for each token to come.
        max_new_tokens: As for `generate`, as for
        temperature: ,
        top_k: ,
        top_p: and
        end: .
        room: `(B,)` int32: a row gets so many at most; None where any number has place.

    Returns:
        `(token_ids, token, state)`: `(B, N)` int32, padded with 0, and what to go on from. While
        other rows go on, one that has ended, or has no room, is stepped with the token 0.
    """
    choice = _Choice(temperature, top_k, top_p, end)
    return _continued(step, token, state, uniforms, max_new_tokens, choice, 0, room)


@dataclass(frozen=True)
class _Choice:
    """The token after `last` of each row: 0 where the row ends, or has ended."""

    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    end: int

    def __call__(self, last: Tensor, logits: Tensor, uniform: Tensor) -> Tensor:
        token = next_token(logits, uniform, self.temperature, self.top_k, self.top_p)
        ends = ops.logical_or(ops.equal(token, self.end), ops.equal(last, 0))
        return ops.where(ends, 0, token)


def _continued(
    step: Step,
    token: Tensor,
    state: State,
    uniforms: Tensor,
    max_new_tokens: Tensor,
    choice: _Choice,
    start: int,
    room: Tensor | None = None,
) -> tuple[Tensor, Tensor, State]:
    """As `proceed`, from place `start` on; `token` stands before it."""
    names = sorted(state)
    count = ops.shape(uniforms)[1]
    most = ops.minimum(max_new_tokens, count)
    places = ops.expand_dims(ops.arange(count, dtype="int32"), axis=0)

    def with_room(i: Tensor, token: Tensor, other: Tensor | int) -> Tensor:
        return token if room is None else ops.where(room > i, token, other)

    def is_going_on(i: Tensor, token: Tensor, *_: Any) -> Tensor:
        return ops.logical_and(i < most, ops.max(with_room(i, token, 0)) > 0)

    def turn(i: Tensor, token: Tensor, ids: Tensor, *values: Tensor) -> tuple:
        last = with_room(i, token, 0)
        logits, state = step(last, dict(zip(names, values, strict=True)))
        chosen = choice(last, logits, take(uniforms, i, axis=1))
        ids = written(ids, i, chosen)
        return (i + 1, with_room(i, chosen, token), ids, *(state[name] for name in names))

    def written(ids: Tensor, i: Tensor | int, token: Tensor) -> Tensor:
        return ops.where(ops.equal(places, i), ops.expand_dims(token, axis=1), ids)

    ids = written(ops.zeros_like(ops.cast(uniforms, "int32")), start - 1, token)
    first = ops.full((), start, dtype="int32")
    values = (state[name] for name in names)
    _, token, ids, *values = ops.while_loop(is_going_on, turn, (first, token, ids, *values))
    return ids, token, dict(zip(names, values, strict=True))
