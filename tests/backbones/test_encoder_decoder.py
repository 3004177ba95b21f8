import keras
import numpy as np
import pytest

from keras_seq.backbones import RecurrentEncoderDecoder, TransformerEncoderDecoder
from tests.token_models import TokenEncoderDecoder

S, T, V, D = 7, 5, 20, 8
G = np.random.default_rng(0)
SOURCE = G.integers(1, V, (3, S)).astype("int32")
TARGET = G.integers(1, V, (3, T)).astype("int32")
SOURCE[1, 4:] = SOURCE[2, 1:] = TARGET[1, 3:] = 0

BACKBONES = {
    "rnn": lambda: RecurrentEncoderDecoder(D, "rnn", num_heads=2),
    "lstm": lambda: RecurrentEncoderDecoder(D, "lstm", num_layers=2, num_heads=2),
    "transformer": lambda: TransformerEncoderDecoder(D, 2, 2, max_length=8),
}


def of_tokens(name):
    return TokenEncoderDecoder(BACKBONES[name](), V)


@pytest.fixture(params=BACKBONES)
def model(request):
    made = of_tokens(request.param)
    made((SOURCE, TARGET))
    made.set_weights([G.normal(size=w.shape) / 2 for w in made.get_weights()])
    return made


@pytest.mark.parametrize("max_length", [T, None], ids=["", "growing"])
def test_stepping_is_reading(model, max_length):
    whole = np.asarray(model((SOURCE, TARGET)))
    memory = model.encode(SOURCE)
    state = model.initial_state(memory, max_length)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    for t in range(T):
        if max_length is None and "layer_0_key" in state:
            shapes |= {name: (3, 2, t, 4) for name in shapes if name.startswith("layer")}
            shapes["mask"] = (3, 1, 1, t)
        assert {name: tuple(value.shape) for name, value in state.items()} == shapes
        hidden, state = model.step(TARGET[:, t], state, memory)
        valid = TARGET[:, t] != 0
        np.testing.assert_allclose(np.asarray(hidden)[valid], whole[valid, t], atol=1e-5)


def test_several_rows_of_a_source(model):
    """The beams of a search: each goes its own way over the same memory."""
    beams = G.integers(1, V, (3, 4, T)).astype("int32")
    whole = [np.asarray(model((SOURCE, beams[:, k]))) for k in range(4)]
    memory = model.encode(SOURCE)
    state = {
        name: np.repeat(np.asarray(value), 4, axis=0)
        for name, value in model.initial_state(memory, T).items()
    }
    for t in range(T):
        hidden, state = model.step(beams[:, :, t].reshape(-1), state, memory, beams=4)
        found = np.asarray(hidden).reshape(3, 4, D)
        for k in range(4):
            np.testing.assert_allclose(found[:, k], whole[k][:, t], atol=1e-5)


def test_padding_of_the_source_is_not_read(model):
    whole = np.asarray(model((SOURCE, TARGET)))
    for row, length in enumerate((S, 4, 1)):
        alone = np.asarray(model((SOURCE[row : row + 1, :length], TARGET[row : row + 1])))
        np.testing.assert_allclose(whole[row], alone[0], atol=1e-5)


def test_a_target_sees_the_source_and_no_later_token(model):
    whole = np.asarray(model((SOURCE, TARGET)))
    later, other = TARGET.copy(), SOURCE.copy()
    later[:, 3:], other[:, 0] = 9, SOURCE[:, 0] % (V - 1) + 1
    np.testing.assert_allclose(model((SOURCE, later))[:, :3], whole[:, :3], atol=1e-6)
    assert (np.abs(np.asarray(model((other, TARGET))) - whole).max(axis=(1, 2)) > 1e-3).all()


def test_attention_is_what_decides(model):
    """Weights of 0 where the source is padding; all of it where only one token is read."""
    weights = np.asarray(model.cross_attention(TARGET, model.encode(SOURCE)))
    assert weights.shape == (3, T, S)
    np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)
    assert (weights[1, :, 4:] == 0).all()
    np.testing.assert_allclose(weights[2, :, 0], 1, rtol=1e-6)
    assert weights[0].std(axis=1).min() > 1e-3


def test_saved_and_loaded(model):
    again = type(model.backbone).from_config(model.get_config())
    again = TokenEncoderDecoder(again, V)
    again((SOURCE, TARGET))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again((SOURCE, TARGET)), model((SOURCE, TARGET)))
    assert model.compute_output_shape(((3, S, D), (3, T, D))) == (3, T, D)


def test_the_equations_of_a_recurrent_one():
    """One row in NumPy, without padding."""
    model = of_tokens("rnn")
    model((SOURCE, TARGET))
    model.set_weights([G.normal(size=w.shape) / 2 for w in model.get_weights()])

    def array(weight):
        return keras.ops.convert_to_numpy(weight).astype("float64")

    def run(layer, inputs, h):
        kernel, recurrent, bias = (
            array(w) for w in (layer.kernel, layer.recurrent_kernel, layer.bias)
        )
        states = []
        for x in inputs:
            h = np.tanh(x @ kernel + h @ recurrent + bias)
            states.append(h)
        return np.stack(states)

    def dense(layer, x):
        return np.tanh(x @ array(layer.kernel) + array(layer.bias))

    table = array(model.embedding.embeddings) * np.sqrt(D)
    source, target = table[SOURCE[0]], table[TARGET[0]]
    (both,) = model.encoder_layers
    zeros = np.zeros(D // 2)
    encoded = np.concatenate(
        [
            run(both.forward_layer, source, zeros),
            run(both.backward_layer, source[::-1], zeros)[::-1],
        ],
        axis=1,
    )
    first = dense(model.bridges[0], encoded.mean(axis=0))
    hidden = run(model.decoder_layers[0], target, first)
    layer = model.attention_layer
    context = array(layer.output_bias)
    weights = []
    for head in range(2):
        query, keys, values = (
            x @ array(kernel)[:, head] + array(bias)[head]
            for x, kernel, bias in (
                (hidden, layer.query_kernel, layer.query_bias),
                (encoded, layer.key_kernel, layer.key_bias),
                (encoded, layer.value_kernel, layer.value_bias),
            )
        )
        p = np.exp(query @ keys.T / np.sqrt(D // 2))
        weights.append(p / p.sum(axis=1, keepdims=True))
        context = context + weights[-1] @ values @ array(layer.output_kernel)[head]
    expected = dense(model.combine, np.concatenate([hidden, context], axis=1))
    np.testing.assert_allclose(model((SOURCE, TARGET))[0], expected, atol=1e-5)
    found = model.cross_attention(TARGET, model.encode(SOURCE))[0]
    np.testing.assert_allclose(found, np.mean(weights, axis=0), atol=1e-6)


def test_wrong_sizes():
    with pytest.raises(ValueError, match="hidden_dim=8, num_heads=3"):
        TransformerEncoderDecoder(8, num_heads=3)
    with pytest.raises(ValueError, match="hidden_dim=9"):
        RecurrentEncoderDecoder(9)
    with pytest.raises(ValueError, match="gru"):
        RecurrentEncoderDecoder(8, "gru")
    model = of_tokens("transformer")
    model((SOURCE, TARGET))
    with pytest.raises(ValueError, match="8 positions. Received: cache_length=9"):
        model.initial_state(model.encode(SOURCE), 9)
    with pytest.raises(ValueError, match="8 positions"):
        model((np.ones((1, 9), "int32"), TARGET[:1]))
