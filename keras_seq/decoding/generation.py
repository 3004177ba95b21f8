"""A whole generation: token after token through a step function, the state carried along."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_seq.decoding.sampling import next_token

Tensor = Any
State = dict[str, Tensor]
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
    names = sorted(state)
    most = ops.minimum(max_new_tokens, ops.shape(uniforms)[1])
    places = ops.expand_dims(ops.arange(ops.shape(uniforms)[1], dtype="int32"), axis=0)

    def choose(i: Tensor, logits: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        uniform = ops.take(uniforms, i, axis=1)
        token = next_token(logits, uniform, temperature, top_k, top_p)
        ended = ops.maximum(ended, ops.cast(ops.equal(token, end), "int32"))
        return ops.where(ended > 0, 0, token), ended

    def proceed(i: Tensor, token: Tensor, ended: Tensor, *_: Any) -> Tensor:
        return ops.logical_and(i < most, ops.min(ended) < 1)

    def turn(i: Tensor, token: Tensor, ended: Tensor, ids: Tensor, *values: Tensor) -> tuple:
        logits, state = step(token, dict(zip(names, values, strict=True)))
        token, ended = choose(i, logits, ended)
        ids = ops.where(ops.equal(places, i), ops.expand_dims(token, axis=1), ids)
        return (i + 1, token, ended, ids, *(state[name] for name in names))

    zeros = ops.zeros_like(ops.cast(uniforms, "int32"))
    token, ended = choose(ops.zeros((), "int32"), logits, zeros[:, 0])
    ids = ops.where(ops.equal(places, 0), ops.expand_dims(token, axis=1), zeros)
    values = (state[name] for name in names)
    _, _, _, ids, *_ = ops.while_loop(
        proceed, turn, (ops.ones((), "int32"), token, ended, ids, *values)
    )
    # No token is 0: what is 0 has not been reached.
    return ids, ops.sum(ops.cast(ids > 0, "int32"), axis=1)
