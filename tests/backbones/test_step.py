import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq.backbones import RecurrentBackbone, TransformerBackbone
from keras_seq.embeddings import TokenEmbedding, token_mask
from keras_seq.layers.lowering import Lowering, use_lowering
from tests.token_models import TokenBackbone

T = 8
TOKEN_IDS = np.random.default_rng(0).integers(1, 30, (3, T)).astype("int32")
TOKEN_IDS[1, 5:] = TOKEN_IDS[2, 1:] = 0


def recurrent(*arguments, dim=None, **options):
    return TokenBackbone(RecurrentBackbone(*arguments, **options), 30, dim)


def transformer(*arguments, **options):
    return TokenBackbone(TransformerBackbone(*arguments, max_length=T, **options), 30)


BACKBONES = {
    "rnn": lambda: recurrent(6, "rnn"),
    "rnn of 2 layers": lambda: recurrent(6, "rnn", num_layers=2, dim=4),
    "lstm": lambda: recurrent(6, "lstm"),
    "lstm of 2 layers": lambda: recurrent(6, "lstm", num_layers=2, dim=4),
    "transformer": lambda: transformer(8, 2, 2, causal=True),
    "sinusoidal": lambda: transformer(8, 1, 2, causal=True, positions="sinusoidal"),
    "rotary": lambda: transformer(8, 2, 2, causal=True, positions="rotary"),
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


@pytest.mark.parametrize("make", BACKBONES.values(), ids=BACKBONES)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("max_length", [T, None], ids=["", "growing"])
def test_prefilling_is_stepping(make, compiled, max_length):
    """Prompts of different lengths, whatever stands after them, and the steps that follow."""
    backbone, length = make(), np.array([5, 3, 1], "int32")
    backbone(TOKEN_IDS)
    prompts = TOKEN_IDS[:, :6].copy()
    prompts[np.arange(6) >= length[:, None]] = 29
    prefill = lambda ids, length: backbone.prefill(ids, length, max_length)  # noqa: E731
    if compiled:
        shapes = [tf.TensorSpec((None, None), "int32"), tf.TensorSpec((None,), "int32")]
        prefill = tf.function(prefill, input_signature=shapes)
    hidden, state = prefill(prompts, length)
    following = np.array([[7, 8, 9]] * 3, "int32")
    for row in range(3):
        expected_state = backbone.initial_state(1, T)
        for t in range(length[row]):
            expected, expected_state = backbone.step(prompts[row : row + 1, t], expected_state)
        np.testing.assert_allclose(hidden[row], expected[0], atol=1e-5)
        own = {name: value[row : row + 1] for name, value in state.items()}
        for t in range(3):
            ours, own = backbone.step(following[row : row + 1, t], own)
            expected, expected_state = backbone.step(following[row : row + 1, t], expected_state)
            np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_padding_leaves_a_recurrent_state_alone(cell):
    backbone = recurrent(6, cell)
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
        (recurrent(6, bidirectional=True), "bidirectional=False"),
        (transformer(8), "causal=True"),
    ):
        backbone(TOKEN_IDS)
        for call in (
            lambda b=backbone: b.initial_state(3, T),
            lambda b=backbone: b.step(TOKEN_IDS[:, 0], {}),
            lambda b=backbone: b.prefill(TOKEN_IDS, np.ones(3, "int32"), T),
        ):
            with pytest.raises(ValueError, match=word):
                call()


def test_errors_say_what_was_received():
    for make, word in (
        (lambda: RecurrentBackbone(6, cell="gru"), "'gru'"),
        (lambda: RecurrentBackbone(7, bidirectional=True), "hidden_dim=7"),
        (lambda: TransformerBackbone(9, num_heads=4), "hidden_dim=9"),
        (lambda: TransformerBackbone(8, positions="alibi"), "'alibi'"),
        (lambda: TransformerBackbone(8)(np.ones((1, 2, 6), "float32")), "own width, 8.*6"),
        (lambda: BACKBONES["transformer"]().initial_state(1, T + 1), "9"),
    ):
        with pytest.raises(ValueError, match=word):
            make()


NAMES = {
    "rnn": {"layer_0_h": (3, 6)},
    "rnn of 2 layers": {"layer_0_h": (3, 6), "layer_1_h": (3, 6)},
    "lstm": {"layer_0_h": (3, 6), "layer_0_c": (3, 6)},
    "lstm of 2 layers": {f"layer_{i}_{name}": (3, 6) for i in range(2) for name in "hc"},
    "transformer": {"position": (3,)}
    | {f"layer_{i}_{name}": (3, 2, T, 4) for i in range(2) for name in ("key", "value")},
    "rotary": {"position": (3,)}
    | {f"layer_{i}_{name}": (3, 2, T, 4) for i in range(2) for name in ("key", "value")},
    "sinusoidal": {"position": (3,), "layer_0_key": (3, 2, T, 4), "layer_0_value": (3, 2, T, 4)},
}


def drawn(name):
    """A backbone whose weights are all drawn, biases and scales too."""
    backbone = BACKBONES[name]()
    backbone(TOKEN_IDS)
    generator = np.random.default_rng(1)
    for weight in backbone.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) / 2)
    return backbone


@pytest.mark.parametrize("name", BACKBONES)
def test_stepping_is_reading_with_drawn_weights_in_one_graph(name):
    """The step as it is exported: one graph for every position, the state in and out."""
    backbone = drawn(name)
    whole = np.asarray(backbone(TOKEN_IDS))
    state = backbone.initial_state(3, T)
    dtypes = {key: value.dtype for key, value in state.items()}
    step = tf.function(backbone.step, autograph=False)
    for t in range(T):
        assert {key: tuple(value.shape) for key, value in state.items()} == NAMES[name]
        assert {key: value.dtype for key, value in state.items()} == dtypes
        hidden, state = step(TOKEN_IDS[:, t], state)
        assert tuple(hidden.shape) == (3, backbone.hidden_dim)
        valid = TOKEN_IDS[:, t] != 0
        np.testing.assert_allclose(np.asarray(hidden)[valid], whole[valid, t], atol=1e-5)
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", ["transformer", "sinusoidal", "rotary"])
def test_a_state_that_grows(name):
    """From nothing, a step at a time, and with as few operators as there can be."""
    backbone = drawn(name)
    whole = np.asarray(backbone(TOKEN_IDS))
    state = backbone.initial_state(3, None)
    for t in range(T):
        assert state["layer_0_key"].shape == (3, 2, t, 4)
        assert state["mask"].shape == (3, 1, 1, t)
        with use_lowering(Lowering(fuse_projections=True)):
            fused, _ = backbone.step(TOKEN_IDS[:, t], state)
        hidden, state = backbone.step(TOKEN_IDS[:, t], state)
        valid = TOKEN_IDS[:, t] != 0
        np.testing.assert_allclose(np.asarray(hidden)[valid], whole[valid, t], atol=1e-5)
        np.testing.assert_allclose(fused, hidden, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_rows_do_not_meet(name):
    """A row's hidden vectors are those it has alone: the batch axis of the state comes first."""
    backbone = drawn(name)
    state = backbone.initial_state(3, T)
    for t in range(3):
        _, state = backbone.step(TOKEN_IDS[:, t], state)
    alone = {key: value[1:2] for key, value in state.items()}
    together, _ = backbone.step(np.array([4, 5, 6], "int32"), state)
    found, _ = backbone.step(np.array([5], "int32"), alone)
    np.testing.assert_allclose(found[0], together[1], atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_what_follows_the_padding_starts_changes_nothing(name):
    backbone = drawn(name)
    found, expected = np.asarray(backbone(TOKEN_IDS))[1, :5], backbone(TOKEN_IDS[1:2, :5])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_shorter_cache_gives_the_same():
    backbone = drawn("transformer")
    whole = np.asarray(backbone(TOKEN_IDS))
    state = backbone.initial_state(3, 4)
    assert tuple(state["layer_1_key"].shape) == (3, 2, 4, 4)
    for t in range(4):
        hidden, state = backbone.step(TOKEN_IDS[:, t], state)
        valid = TOKEN_IDS[:, t] != 0
        np.testing.assert_allclose(np.asarray(hidden)[valid], whole[valid, t], atol=1e-5)
    assert np.asarray(state["position"]).tolist() == [4, 4, 4]


@pytest.mark.parametrize("name", BACKBONES)
def test_saved_and_loaded(name, tmp_path):
    backbone = drawn(name)
    ids = keras.Input((None,), dtype="int32")
    vectors = backbone.embedding(ids)
    model = keras.Model(ids, backbone.backbone(vectors, mask=token_mask(ids)))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(TOKEN_IDS), model(TOKEN_IDS))
    (embedding,) = (layer for layer in loaded.layers if isinstance(layer, TokenEmbedding))
    again = loaded.layers[-1]
    assert again.get_config() == backbone.get_config()
    hidden, _ = again.step(embedding(TOKEN_IDS[:, 0]), again.initial_state(3, T))
    np.testing.assert_allclose(hidden, model(TOKEN_IDS)[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_output_shape(name):
    backbone = BACKBONES[name]()
    shape = (*TOKEN_IDS.shape, backbone.hidden_dim)
    assert backbone.compute_output_shape(shape) == tuple(backbone(TOKEN_IDS).shape)


@pytest.mark.parametrize("kind", [RecurrentBackbone, TransformerBackbone])
def test_dropout_is_for_training(kind):
    backbone = TokenBackbone(kind(8, dropout=0.5), 30)
    plain = np.asarray(backbone(TOKEN_IDS))
    assert np.abs(plain - backbone(TOKEN_IDS, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, backbone(TOKEN_IDS))


@pytest.mark.parametrize("kind", [RecurrentBackbone, TransformerBackbone])
@pytest.mark.parametrize(
    ("name", "received"),
    [("hidden_dim", 0), ("hidden_dim", None), ("num_layers", 0), ("num_layers", -1)],
)  # fmt: skip
def test_bad_numbers_are_named(kind, name, received):
    with pytest.raises(ValueError, match=f"{name}.*{received}"):
        kind(**{"hidden_dim": 8, name: received})


@pytest.mark.parametrize(("name", "received"), [("num_heads", 0), ("max_length", -7)])
def test_bad_numbers_of_a_transformer_are_named(name, received):
    with pytest.raises(ValueError, match=f"{name}.*{received}"):
        TransformerBackbone(8, **{name: received})


def test_a_sequence_longer_than_the_positions_is_named():
    with pytest.raises(ValueError, match=rf"{T} positions.*{T + 3}"):
        BACKBONES["transformer"]()(np.ones((1, T + 3), "int32"))
