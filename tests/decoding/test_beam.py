"""Beam search against every continuation there is, and against a search in plain Python."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_seq.decoding import beam_search, generate

V, END, N = 6, 3, 4
G = np.random.default_rng(3)
TABLES = G.normal(size=(2, V, V, V)).astype("float32") * 1.5  # by the row and the last two tokens
TABLES[..., :3] = -1e9


def step(token, state):
    """A model of the last two tokens: logits by row, state and token."""
    rows = tf.gather_nd(TABLES, tf.stack([state["row"], state["last"], token], axis=1))
    return rows, {"row": state["row"], "last": token}


def begun():
    rows = np.arange(2, dtype="int32")
    return TABLES[rows, 0, 0], {"row": rows, "last": np.zeros(2, "int32")}


def log_p(row, tokens):
    last, token, total = 0, 0, 0.0
    for following in tokens:
        logits = TABLES[row, last, token].astype("float64")
        total += logits[following] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        last, token = token, following
    return total


def penalty(count, alpha):
    return ((5 + count) / 6) ** alpha


def search(beams, alpha, most=N, least=0):
    logits, state = begun()
    run = tf.function(
        lambda: beam_search(
            step, logits, state, beams, N, np.int32(most), np.int32(least), np.float32(alpha), END
        )
    )
    return [x.numpy() for x in run()]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("most", "least"), [(N, 0), (N, 2), (2, 0)])
def test_wide_enough_it_finds_the_best_of_all(alpha, most, least):
    ids, length, scores, ended = search(60, alpha, most, least)
    words = range(END + 1, V)
    for row in range(2):
        every = [
            (log_p(row, [*tokens, END]) / penalty(count + 1, alpha), list(tokens))
            for count in range(least, most)
            for tokens in itertools.product(words, repeat=count)
        ]
        every.sort(reverse=True)
        best = min(5, len(every))
        for rank in range(best):
            score, tokens = every[rank]
            assert ids[row, rank, : length[row, rank]].tolist() == tokens
            assert scores[row, rank] == pytest.approx(score, abs=1e-5)
            assert ended[row, rank]


def plain(row, beams, alpha):
    """The same search, written from its description, with lists."""
    alive, done = [(0.0, [])], []
    for i in range(N):
        candidates = sorted(
            ((log_p(row, [*t, w]), [*t, w]) for _, t in alive for w in range(END, V)), reverse=True
        )[: 2 * beams]
        ended = [(p, t) for p, t in candidates[:beams] if t[-1] == END]
        done += [(p / penalty(i + 1, alpha), t[:-1]) for p, t in ended]
        done = sorted(done, reverse=True)[:beams]
        alive = [(p, t) for p, t in candidates if t[-1] != END][:beams]
        if len(done) == beams:
            break
    return done


@pytest.mark.parametrize("beams", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.8])
def test_narrow_it_searches_as_described(beams, alpha):
    ids, length, scores, ended = search(beams, alpha)
    for row in range(2):
        for rank, (score, tokens) in enumerate(plain(row, beams, alpha)):
            assert ended[row, rank]
            assert ids[row, rank, : length[row, rank]].tolist() == tokens
            assert scores[row, rank] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(alpha):
    ids, length, _, ended = search(1, alpha)
    logits, state = begun()
    numbers = np.float32(0), np.int32(0), np.float32(1)
    uniforms = np.zeros((2, N), "float32")
    found, count = generate(step, logits, state, uniforms, np.int32(N), *numbers, END)
    np.testing.assert_array_equal(ids[:, 0], found)
    np.testing.assert_array_equal(length[:, 0], count)
    np.testing.assert_array_equal(ended[:, 0], np.asarray(count) < N)


def test_what_does_not_end_is_cut():
    ids, length, scores, ended = search(2, 0.0, most=2, least=2)
    assert not ended.any()
    assert (length == 2).all()
    for row in range(2):
        assert scores[row, 0] == pytest.approx(log_p(row, ids[row, 0, :2]), abs=1e-5)
        assert scores[row, 0] >= scores[row, 1]
