"""Beam search: the likeliest whole continuations, several at once."""

from typing import Any

import numpy as np
from keras import ops

from keras_seq.decoding.hypothesis import NEVER, NO_CHANCE
from keras_seq.lookup import take
from keras_seq.typing import State, Step, Tensor


def beam_search(
    step: Step,
    logits: Tensor,
    state: State,
    beams: int,
    size: int,
    max_new_tokens: Tensor,
    min_new_tokens: Tensor | None,
    length_penalty: Tensor,
    end: int,
    no_repeat: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Finds the `beams` best continuations of each row.

    A continuation of n tokens, its end included, has the score (Wu et al. 2016, equation 14)

        log P / ((5 + n) / 6)^α

    Each step looks at the 2 K best continuations: those that end, and are among the K best, are
    finished; the K best that do not end continue. A row is done once K have ended. With one beam
    the search is greedy.

    Args:
        step: `step(token, state) -> (logits, state)` on rows `(B · K,)`.
        logits: `(B, V)` after the prompt.
        state: The state after the prompt, of B rows.
        beams: K.
        size: N, the largest number of tokens of a continuation.
        max_new_tokens: `()` int32, at most N: a continuation that has not ended there is cut.
        min_new_tokens: `()` int32: no continuation has fewer tokens, its end not counted; None for
            any.
        length_penalty: α, `()` float32; 0 prefers short ones.
        end: Ends a continuation; it is not part of what is returned.
        no_repeat: Length of n-grams that may not occur twice in a continuation; 0 for none.

    Returns:
        `(token_ids, length, scores, ended)`, the best first: `(B, K, N)` int32, padded with 0;
        `(B, K)` int32; `(B, K)` float32; and `(B, K)` int32, 0 where a continuation was cut. Where
        there are fewer than K continuations the score of the others is below `NO_CHANCE`.
    """
    names = sorted(state)
    vocabulary = logits.shape[-1]
    rows = ops.shape(logits)[0]
    positions = np.arange(size, dtype="int32")
    zeros = ops.zeros_like(ops.cast(logits[:, :1], "float32"))  # (B, 1)
    # From the first step on every row has K beams; all but one of them have no chance at first.
    alive = zeros + np.where(np.arange(beams) == 0, 0.0, NEVER).astype("float32")  # (B, K): log P
    done = zeros + np.full(beams, NEVER, "float32")
    nothing = ops.cast(ops.reshape(zeros + np.zeros(beams, "float32"), (-1, 1)), "int32")
    nothing = nothing + np.zeros((1, size), "int32")  # (B · K, N)
    # Where the K, or twice as many, of each row begin in the rows of all.
    base = ops.expand_dims(ops.arange(rows, dtype="int32") * beams, axis=1)  # (B, 1)
    twice = base * 2

    def repeated(x: Tensor) -> Tensor:
        return x if beams == 1 else ops.repeat(x, beams, axis=0)

    def penalty(count: Tensor) -> Tensor:
        return ops.power((5.0 + ops.cast(count, "float32")) / 6.0, length_penalty)

    def both(x: Tensor, y: Tensor) -> Tensor:
        """`(B · K, N)` each, to `(B · 2 K, N)`: first the K of x, then those of y, for each row."""
        halves = (ops.reshape(z, (-1, beams, size)) for z in (x, y))
        return ops.reshape(ops.concatenate(list(halves), axis=1), (-1, size))

    def should_continue(
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
        if min_new_tokens is not None:
            early = ops.cast(i < min_new_tokens, "float32") * NEVER
            log_p = log_p + (np.arange(vocabulary) == end).astype("float32") * early
        if no_repeat:
            repeats = _repeats(ops.reshape(ids, (-1, beams, size)), i, no_repeat, vocabulary)
            log_p = log_p + NEVER * ops.reshape(repeats, (-1, vocabulary))
        total = log_p + ops.reshape(alive, (-1, 1))
        # Twice as many as go on: half of them may end here.
        best, which = ops.top_k(ops.reshape(total, (-1, beams * vocabulary)), 2 * beams)
        which = ops.cast(which, "int32")
        parent = which // vocabulary
        token = which - parent * vocabulary
        parent = base + parent  # (B, 2 K), of all B · K
        ended = ops.equal(token, end)

        open_ = ops.expand_dims(ops.min(done, axis=1) < NO_CHANCE, axis=1)  # (B, 1)
        # Sliced last: XLA sorts all of a row where it is asked for two slices of what is best.
        scores = ops.where(ops.logical_and(ended, open_), best / penalty(i + 1), NEVER)[:, :beams]
        done, selected = ops.top_k(ops.concatenate([done, scores], axis=1), beams)
        selected = ops.reshape(twice + ops.cast(selected, "int32"), (-1,))
        ending = take(ids, ops.reshape(parent[:, :beams], (-1,)))
        done_ids = take(both(done_ids, ending), selected)

        alive, going = ops.top_k(ops.where(ended, NEVER, best), beams)
        going = ops.reshape(twice + ops.cast(going, "int32"), (-1,))
        token = take(ops.reshape(token, (-1,)), going)  # (B · K,)
        source = take(ops.reshape(parent, (-1,)), going)
        if beams > 1:
            ids = take(ids, source)
            values = tuple(take(value, source) for value in values)
        ids = ops.where(ops.expand_dims(ops.equal(positions, i), 0), ops.expand_dims(token, 1), ids)
        logits, state = step(token, dict(zip(names, values, strict=True)))
        return (i + 1, ids, alive, done_ids, done, logits, *(state[name] for name in names))

    count, ids, alive, done_ids, done, *_ = ops.while_loop(
        should_continue,
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
    # Continuations that have not ended stand behind those that have.
    cut = alive / penalty(count)
    scores = ops.concatenate([done, cut], axis=1)
    _, which = ops.top_k(ops.concatenate([done, cut + NO_CHANCE], axis=1), beams)
    which = ops.cast(which, "int32")
    index = ops.reshape(twice + which, (-1,))
    best_ids = ops.reshape(take(both(done_ids, ids), index), (-1, beams, size))
    scores = ops.reshape(take(ops.reshape(scores, (-1,)), index), (-1, beams))
    length = ops.sum(ops.cast(best_ids > 0, "int32"), axis=2)
    return best_ids, length, scores, ops.cast(which < beams, "int32")


def _repeats(ids: Tensor, count: Tensor, n: int, vocabulary: int) -> Tensor:
    """Which tokens would end an n-gram that is there already: `(B, K, N)` ids, of which the first
    `count` are tokens, to `(B, K, V)`, 1 for these and 0 for others.
    """
    size = ids.shape[2]
    windows = size - n + 1
    # The last n - 1 tokens are compared with those of every window that has ended.
    last = ops.maximum(count - n + 1, 0) + np.arange(n - 1, dtype="int32")
    same = np.reshape(np.arange(windows, dtype="int32"), (1, 1, -1)) + n <= count
    for offset in range(n - 1):
        token = ops.take(ids, last[offset : offset + 1], axis=2)  # (B, K, 1)
        same = ops.logical_and(same, ops.equal(ids[:, :, offset : offset + windows], token))
    following = ops.one_hot(ids[:, :, n - 1 :], vocabulary)  # (B, K, windows, V)
    return ops.max(following * ops.expand_dims(ops.cast(same, "float32"), axis=3), axis=2)
