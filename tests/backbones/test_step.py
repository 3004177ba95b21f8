import numpy as np
import pytest

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone

T = 8
TOKEN_IDS = np.random.default_rng(0).integers(1, 30, (3, T)).astype("int32")
TOKEN_IDS[1, 5:] = TOKEN_IDS[2, 1:] = 0

BACKBONES = {
    "rnn": lambda: RecurrentBackbone(30, 6, "rnn"),
    "rnn of 2 layers": lambda: RecurrentBackbone(30, 6, "rnn", num_layers=2, embedding_dim=4),
    "lstm": lambda: RecurrentBackbone(30, 6, "lstm"),
    "lstm of 2 layers": lambda: RecurrentBackbone(30, 6, "lstm", num_layers=2, embedding_dim=4),
    "transformer": lambda: TransformerBackbone(30, 8, 2, 2, max_length=T, causal=True),
    "sinusoidal": lambda: TransformerBackbone(
        30, 8, 1, 2, max_length=T, causal=True, positions="sinusoidal"
    ),
}


@pytest.mark.parametrize("make", BACKBONES.values(), ids=BACKBONES)
def test_stepping_is_reading(make):
    backbone = make()
    whole = np.asarray(backbone(TOKEN_IDS))
    state = backbone.initial_state(3, T)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert all(shape[0] == 3 for shape in shapes.values())
    for t in range(T):
        hidden, state = backbone.step(TOKEN_IDS[:, t], state)
        assert {name: tuple(value.shape) for name, value in state.items()} == shapes
        valid = TOKEN_IDS[:, t] != 0
        np.testing.assert_allclose(np.asarray(hidden)[valid], whole[valid, t], atol=1e-5)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_padding_leaves_a_recurrent_state_alone(cell):
    backbone = RecurrentBackbone(30, 6, cell)
    backbone(TOKEN_IDS)
    _, state = backbone.step(TOKEN_IDS[:, 0], backbone.initial_state(3, T))
    _, after = backbone.step(np.zeros(3, "int32"), state)
    for name in state:
        np.testing.assert_array_equal(after[name], state[name])


def test_no_later_token_is_seen():
    changed = TOKEN_IDS.copy()
    changed[:, 4:] = 7
    for name, make in BACKBONES.items():
        backbone = make()
        a, b = np.asarray(backbone(TOKEN_IDS)), np.asarray(backbone(changed))
        np.testing.assert_allclose(a[:, :4], b[:, :4], atol=1e-6, err_msg=name)
        assert np.abs(a[0, 4:] - b[0, 4:]).max() > 1e-3


def test_what_reads_both_ways_has_no_step():
    for backbone, word in (
        (RecurrentBackbone(30, 6, bidirectional=True), "bidirectional=False"),
        (TransformerBackbone(30, 8, max_length=T), "causal=True"),
    ):
        backbone(TOKEN_IDS)
        for call in (
            lambda b=backbone: b.initial_state(3, T),
            lambda b=backbone: b.step(TOKEN_IDS[:, 0], {}),
        ):
            with pytest.raises(ValueError, match=word):
                call()


def test_errors_say_what_was_received():
    for make, word in (
        (lambda: RecurrentBackbone(0, 6), "vocabulary_size.*0"),
        (lambda: RecurrentBackbone(30, 6, cell="gru"), "'gru'"),
        (lambda: RecurrentBackbone(30, 7, bidirectional=True), "hidden_dim=7"),
        (lambda: TransformerBackbone(30, 9, num_heads=4), "hidden_dim=9"),
        (lambda: TransformerBackbone(30, 8, positions="rotary"), "'rotary'"),
        (lambda: BACKBONES["transformer"]().initial_state(1, T + 1), "9"),
    ):
        with pytest.raises(ValueError, match=word):
            make()
