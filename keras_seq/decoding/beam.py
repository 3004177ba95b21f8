"""Beam search: the likeliest whole continuations, several at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_seq.decoding.generation import State, Step

Tensor = Any

NEVER = -1e9
NO_CHANCE = NEVER / 2  # The score of what is not there is lower.


@dataclass(frozen=True)
class Hypothesis:
    """A text that a search found.

    Attributes:
        text: Without what it follows.
        score: See `beam_search`; higher is better.
        ended: Whether the model ended it. False where the most tokens allowed cut it.
    """

    text: str
    score: float
    ended: bool


def beam_search(
    step: Step,
    logits: Tensor,
    state: State,
    beams: int,
    size: int,
    max_new_tokens: Tensor,
    min_new_tokens: Tensor,
    length_penalty: Tensor,
    end: int,
    no_repeat: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The `beams` best continuations of each row that were found.

    A continuation of n tokens, its end included, has the score (Wu et al. 2016, equation 14)

        log P / ((5 + n) / 6)^α

    At each step of the 2 K best continuations those that end, and are among the K best, are kept,
    and the K best that do not end go on; a row is over once K have ended. With one beam it is the
    greedy choice.

    Args:
        step: `step(token, state) -> (logits, state)` on rows `(B · K,)`.
        logits: `(B, V)` after the prompt.
        state: After the prompt, of B rows.
        beams: K.
        size: N, the tokens of a continuation at most.
        max_new_tokens: `()` int32, N at most: what has not ended there is cut.
        min_new_tokens: `()` int32: no continuation has fewer tokens, its end not counted.
        length_penalty: α, `()` float32; 0 prefers short ones.
        end: Ends a continuation; it is not part of what is returned.
        no_repeat: No so many tokens, one after another, stand twice in a continuation; 0 for any.

    Returns:
        `(token_ids, length, scores, ended)`, the best first: `(B, K, N)` int32, padded with 0;
        `(B, K)` int32; `(B, K)` float32; and `(B, K)` int32, 0 where a continuation was cut. Where
        there are fewer than K continuations the score of the others is below `NO_CHANCE`.
    """
    names = sorted(state)
    vocabulary = logits.shape[-1]
    rows = ops.shape(logits)[0]
    places = np.arange(size, dtype="int32")
    # From the first step on every row has K beams; all but one of them have no chance at first.
    first = np.where(np.arange(beams) == 0, 0.0, NEVER).astype("float32")
    zeros = ops.zeros_like(ops.cast(logits[:, :1], "float32"))  # (B, 1)
    alive = zeros + first  # (B, K): log P
    nothing = ops.cast(ops.expand_dims(zeros, axis=2), "int32")
    nothing = nothing + np.zeros((1, beams, size), "int32")  # (B, K, N)
    done = zeros + np.full(beams, NEVER, "float32")
    base = ops.expand_dims(ops.arange(rows, dtype="int32") * beams, axis=1)  # (B, 1)

    def repeated(x: Tensor) -> Tensor:
        return ops.repeat(x, beams, axis=0)

    def penalty(count: Tensor) -> Tensor:
        return ops.power((5.0 + ops.cast(count, "float32")) / 6.0, length_penalty)

    def chosen(x: Tensor, which: Tensor) -> Tensor:
        """`(B, J, N)` and places `(B, K)` among J, to `(B, K, N)`."""
        return ops.take_along_axis(x, ops.expand_dims(which, axis=2), axis=1)

    def proceed(
        i: Tensor, ids: Tensor, alive: Tensor, done_ids: Tensor, done: Tensor, *_: Any
    ) -> Tensor:
        return ops.logical_and(i < max_new_tokens, ops.min(done) < NO_CHANCE)

    def turn(
        i: Tensor,
        ids: Tensor,
        alive: Tensor,
        done_ids: Tensor,
        done: Tensor,
        logits: Tensor,
        *values: Tensor,
    ) -> tuple:
        log_p = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        is_end = np.arange(vocabulary) == end
        early = ops.cast(i < min_new_tokens, "float32") * NEVER
        log_p = log_p + is_end.astype("float32") * early
        total = ops.reshape(log_p, (-1, beams, vocabulary)) + ops.expand_dims(alive, axis=2)
        if no_repeat:
            total = total + NEVER * _repeats(ids, i, no_repeat, vocabulary)
        # Twice as many as go on: half of them may end here.
        best, which = ops.top_k(ops.reshape(total, (-1, beams * vocabulary)), 2 * beams)
        which = ops.cast(which, "int32")
        parent = which // vocabulary
        token = which - parent * vocabulary
        ended = ops.equal(token, end)
        is_here = np.reshape(places, (1, 1, -1)) == i
        written = ops.where(is_here, ops.expand_dims(token, axis=2), chosen(ids, parent))
        without_end = ops.where(is_here, 0, written)

        is_best = np.arange(2 * beams) < beams
        open_ = ops.expand_dims(ops.min(done, axis=1) < NO_CHANCE, axis=1)  # (B, 1)
        counts = ops.logical_and(ops.logical_and(ended, is_best), open_)
        scores = ops.where(counts, best / penalty(i + 1), NEVER)
        scores = ops.concatenate([done, scores], axis=1)
        done, kept = ops.top_k(scores, beams)
        everything = ops.concatenate([done_ids, without_end], axis=1)
        done_ids = chosen(everything, ops.cast(kept, "int32"))

        alive, going = ops.top_k(ops.where(ended, NEVER, best), beams)
        going = ops.cast(going, "int32")
        ids = chosen(written, going)
        source = ops.reshape(base + ops.take_along_axis(parent, going, axis=1), (-1,))
        token = ops.reshape(ops.take_along_axis(token, going, axis=1), (-1,))
        gathered = {
            name: ops.take(value, source, axis=0) for name, value in zip(names, values, strict=True)
        }
        logits, state = step(token, gathered)
        return (i + 1, ids, alive, done_ids, done, logits, *(state[name] for name in names))

    count, ids, alive, done_ids, done, *_ = ops.while_loop(
        proceed,
        turn,
        (
            ops.zeros((), "int32"),
            nothing,
            alive,
            nothing,
            done,
            repeated(logits),
            *(repeated(state[name]) for name in names),
        ),
    )
    # What has not ended stands behind what has.
    cut = alive / penalty(count)
    _, which = ops.top_k(ops.concatenate([done, cut + NO_CHANCE], axis=1), beams)
    which = ops.cast(which, "int32")
    found = chosen(ops.concatenate([done_ids, ids], axis=1), which)
    scores = ops.take_along_axis(ops.concatenate([done, cut], axis=1), which, axis=1)
    length = ops.sum(ops.cast(found > 0, "int32"), axis=2)
    return found, length, scores, ops.cast(which < beams, "int32")


def _repeats(ids: Tensor, count: Tensor, n: int, vocabulary: int) -> Tensor:
    """Which tokens would end an n-gram that is there already: `(B, K, N)` ids, of which the first
    `count` are tokens, to `(B, K, V)`, 1 for these and 0 for others.
    """
    size = ids.shape[2]
    windows = size - n + 1
    # The last n - 1 tokens are compared with those of every window that has ended.
    last = ops.maximum(count - n + 1, 0) + np.arange(n - 1, dtype="int32")
    same = np.reshape(np.arange(windows, dtype="int32"), (1, 1, -1)) + n <= count
    for place in range(n - 1):
        token = ops.take(ids, last[place : place + 1], axis=2)  # (B, K, 1)
        same = ops.logical_and(same, ops.equal(ids[:, :, place : place + windows], token))
    following = ops.one_hot(ids[:, :, n - 1 :], vocabulary)  # (B, K, windows, V)
    return ops.max(following * ops.expand_dims(ops.cast(same, "float32"), axis=3), axis=2)
