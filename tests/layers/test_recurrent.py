"""RNN and LSTM against their equations in NumPy and against the stock layers of Keras."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seq import layers

BATCH, STEPS, WIDTH, UNITS = 4, 7, 3, 5
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(BATCH, STEPS, WIDTH)).astype("float32")
STOCK = {layers.RNN: keras.layers.SimpleRNN, layers.LSTM: keras.layers.LSTM}

MASKS = {
    "none": None,
    "padded": [[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6, [0] * 7],
    "padded in front": [[0] * 2 + [1] * 5, [1] * 7, [0] * 6 + [1], [0] * 7],
    "holes": [[1, 0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0], [1] * 7],
}


def as_mask(rows):
    return None if rows is None else np.array(rows, bool)


def built(kind, **options):
    """Our layer and the stock one with the same drawn weights, biases too."""
    ours, stock = kind(UNITS, **options), STOCK[kind](UNITS, **options)
    ours.build((None, None, WIDTH))
    stock.build((None, None, WIDTH))
    stock.set_weights([GENERATOR.normal(size=w.shape) for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    return ours, stock


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def equations(layer, x, h, c):
    """The equations of the docstrings, a row and a step at a time."""
    kernel, recurrent, bias = (w.astype("float64") for w in layer.get_weights())
    outputs = np.zeros((*x.shape[:2], UNITS))
    for row in range(len(x)):
        h_t, c_t = h[row].astype("float64"), c[row].astype("float64")
        for t in range(x.shape[1]):
            z = x[row, t] @ kernel + h_t @ recurrent + bias
            if isinstance(layer, layers.RNN):
                h_t = np.tanh(z)
            else:
                i, f, g, o = np.split(z, 4)
                c_t = sigmoid(f) * c_t + sigmoid(i) * np.tanh(g)
                h_t = sigmoid(o) * np.tanh(c_t)
            outputs[row, t] = h_t
    return outputs


def states(kind):
    return [GENERATOR.normal(size=(BATCH, UNITS)).astype("float32") for _ in kind.state_names]


@pytest.mark.parametrize("kind", STOCK)
def test_equations(kind):
    layer, _ = built(kind, return_sequences=True)
    initial = states(kind)
    expected = equations(layer, X, initial[0], initial[-1])
    np.testing.assert_allclose(layer(X, initial_state=initial), expected, atol=1e-5)


def combine(name):
    """All combinations of masks, `sequences`, `backwards` and `name`; every other one is slow.

    The quick ones still have each pair of values of two options.
    """
    options = itertools.product(enumerate(MASKS), *[(True, False)] * 3)
    combinations = [
        pytest.param(
            *(MASKS[mask], sequences, backwards, value),
            id=f"{mask}-sequences={sequences}-backwards={backwards}-{name}={value}",
            marks=pytest.mark.slow if (sequences ^ backwards ^ value) == i % 2 else (),
        )
        for (i, mask), sequences, backwards, value in options
    ]
    return pytest.mark.parametrize(("mask", "sequences", "backwards", name), combinations)


@pytest.mark.parametrize("kind", STOCK)
@combine("given")
def test_values_and_gradients_of_the_stock_layer(kind, mask, sequences, backwards, given):
    ours, stock = built(kind, return_sequences=sequences, return_state=True, go_backwards=backwards)
    initial = [tf.constant(s) for s in states(kind)] if given else None
    x = tf.constant(X)
    found = []
    for layer in (ours, stock):
        with tf.GradientTape() as tape:
            watched = [x, *(initial or [])]
            tape.watch(watched)
            outputs = layer(x, initial_state=initial, mask=as_mask(mask))
            weights = [tf.cast(tf.range(tf.size(o)), tf.float32) % 7 - 3 for o in outputs]
            loss = sum(
                tf.reduce_sum(tf.reshape(o, [-1]) * w)
                for o, w in zip(outputs, weights, strict=True)
            )
        variables = [v.value for v in layer.trainable_variables]
        found.append([*outputs, *tape.gradient(loss, [*watched, *variables])])
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5, err_msg=str(i))


@pytest.mark.parametrize("kind", STOCK)
def test_zero_output_for_mask_and_no_bias(kind):
    ours, stock = built(kind, return_sequences=True, zero_output_for_mask=True, use_bias=False)
    assert len(ours.weights) == 2
    mask = as_mask(MASKS["holes"])
    np.testing.assert_allclose(ours(X, mask=mask), stock(X, mask=mask), atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
def test_steps_make_the_sequence(kind):
    layer, _ = built(kind)
    outputs, last = layer.scan(X)
    state = layer.initial_state(BATCH)
    for t in range(STEPS):
        output, state = layer.step(X[:, t], state)
        np.testing.assert_allclose(output, outputs[:, t], atol=1e-6)
    for a, b in zip(state, last, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("kind", STOCK)
def test_xla_computes_the_same(kind):
    layer, _ = built(kind, return_sequences=True)
    mask = as_mask(MASKS["holes"])
    compiled = tf.function(lambda x, mask: layer(x, mask=mask), jit_compile=True)
    np.testing.assert_allclose(compiled(X, mask), layer(X, mask=mask), atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
def test_dropout_drops_the_same_inputs_at_every_step(kind):
    """With a kernel of one and no recurrence, a dropped input shows at each step."""
    layer = kind(UNITS, return_sequences=True, dropout=0.5, seed=1)
    layer.build((None, None, UNITS))
    kernel, recurrent, bias = layer.get_weights()
    kernel = np.tile(np.eye(UNITS), layer.gates)
    layer.set_weights([kernel, 0 * recurrent, 0 * bias])
    x = np.ones((30, STEPS, UNITS), "float32")
    dropped = np.asarray(layer(x, training=True)) == 0
    assert 0.3 < dropped.mean() < 0.7
    assert (dropped == dropped[:, :1]).all()
    assert (np.asarray(layer(x)) != 0).all()


@pytest.mark.parametrize("kind", STOCK)
def test_recurrent_dropout_is_for_training(kind):
    layer = kind(UNITS, recurrent_dropout=0.5, seed=1)
    plain = layer(X)
    assert np.abs(plain - layer(X, training=True)).max() > 1e-3
    np.testing.assert_array_equal(plain, layer(X))


@pytest.mark.parametrize("kind", STOCK)
def test_saved_and_loaded(kind, tmp_path):
    inputs = keras.Input((None, WIDTH))
    hidden = kind(UNITS, return_sequences=True, dropout=0.1, name="a")(inputs)
    outputs = kind(UNITS, go_backwards=True, use_bias=False, name="b")(hidden)
    assert outputs.shape == (None, UNITS)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert loaded.get_layer("a").get_config() == model.get_layer("a").get_config()


def test_masks_pass_through_a_model():
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, WIDTH, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.LSTM(4)(layers.RNN(4, return_sequences=True)(hidden)))
    ids = np.array([[3, 4, 5]])
    np.testing.assert_allclose(model(ids), model(np.pad(ids, ((0, 0), (0, 4)))), atol=1e-6)


@pytest.mark.parametrize("kind", STOCK)
def test_errors_say_what_was_received(kind):
    with pytest.raises(ValueError, match="0"):
        kind(0)
    with pytest.raises(ValueError, match=r"recurrent_dropout.*1\.5"):
        kind(3, recurrent_dropout=1.5)
    with pytest.raises(ValueError, match="3"):
        kind(UNITS)(X, initial_state=[np.zeros((BATCH, UNITS))] * 3)


def masked_equations(layer, x, mask, initial, backwards, sequences, zeros):
    """What a masked layer returns, `[output, *state]`, a row and a step at a time.

    Steps that do not count leave the state alone. Their output is the one before, zeros with
    `zero_output_for_mask` or where no step has counted yet.
    """
    weights = [w.astype("float64") for w in layer.get_weights()]
    kernel, recurrent, bias = weights if layer.use_bias else (*weights, 0)
    outputs = np.zeros((*x.shape[:2], UNITS))
    last = np.zeros((len(layer.state_names), len(x), UNITS))
    for row in range(len(x)):
        state = [part[row].astype("float64") for part in initial]
        output = np.zeros(UNITS)
        for turn in range(STEPS):
            t = STEPS - 1 - turn if backwards else turn
            if mask is None or mask[row, t]:
                z = x[row, t] @ kernel + state[0] @ recurrent + bias
                if isinstance(layer, layers.RNN):
                    state = [np.tanh(z)]
                else:
                    i, f, g, o = np.split(z, 4)
                    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
                    state = [sigmoid(o) * np.tanh(c), c]
                output = state[0]
            elif zeros:
                output = np.zeros(UNITS)
            outputs[row, turn] = output
        last[:, row] = state
    return [outputs if sequences else outputs[:, -1], *last]


def assert_equal(found, expected, tolerance=1e-5):
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance, err_msg=f"output {i}")


@pytest.mark.parametrize("kind", STOCK)
@combine("zeros")
def test_every_setting_in_numpy_and_stock(kind, mask, sequences, backwards, zeros):
    for given, bias in ((False, True), (True, False)):
        ours, stock = built(
            kind, return_sequences=sequences, return_state=True, go_backwards=backwards,
            zero_output_for_mask=zeros, use_bias=bias,
        )  # fmt: skip
        initial = states(kind) if given else [np.zeros((BATCH, UNITS))] * len(kind.state_names)
        rows = as_mask(mask)
        options = {"initial_state": initial if given else None, "mask": rows}
        found = ours(X, **options)
        expected = masked_equations(ours, X, rows, initial, backwards, sequences, zeros)
        assert_equal(found, expected)
        assert_equal(found, stock(X, **options))


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("sequences", [True, False])
def test_without_the_state_there_is_one_output(kind, sequences):
    ours, stock = built(kind, return_sequences=sequences)
    mask = as_mask(MASKS["padded"])
    found = ours(X, mask=mask)
    assert tuple(found.shape) == ((BATCH, STEPS, UNITS) if sequences else (BATCH, UNITS))
    np.testing.assert_allclose(found, stock(X, mask=mask), atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("options", [{}, {"zero_output_for_mask": True, "use_bias": False}])
def test_gradients_of_the_last_output(kind, mask, options):
    """Of inputs, given state and weights, where nothing but the last step is in the loss."""
    ours, stock = built(kind, **options)
    watched = [tf.constant(X), *map(tf.constant, states(kind))]
    target = GENERATOR.normal(size=(BATCH, UNITS))
    found = []
    for layer in (ours, stock):
        with tf.GradientTape() as tape:
            tape.watch(watched)
            output = layer(watched[0], initial_state=watched[1:], mask=as_mask(mask))
            loss = tf.reduce_mean((output - target) ** 2)
        variables = [v.value for v in layer.trainable_variables]
        found.append(tape.gradient(loss, [*watched, *variables]))
        assert len(variables) == (2 if options else 3)
    assert_equal(*found)
    assert np.abs(found[0][0]).max() > 1e-4


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("backwards", [True, False])
def test_steps_from_a_given_state(kind, backwards):
    layer, _ = built(kind)
    state = tuple(map(tf.constant, states(kind)))
    outputs, last = layer.scan(X, state, reverse=backwards)
    nothing, same = layer.scan(X, state, reverse=backwards, sequence=False)
    assert nothing is None
    assert_equal(same, last)
    for t in reversed(range(STEPS)) if backwards else range(STEPS):
        output, state = layer.step(X[:, t], state)
        np.testing.assert_allclose(output, outputs[:, t], atol=1e-5)
    assert_equal(state, last)


@pytest.mark.parametrize("kind", STOCK)
def test_scan_goes_on_where_it_stopped(kind):
    layer, _ = built(kind)
    mask = as_mask(MASKS["holes"])
    whole, last = layer.scan(X, mask=mask)
    first, state = layer.scan(X[:, :3], mask=mask[:, :3])
    second, state = layer.scan(X[:, 3:], state, mask[:, 3:])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    assert_equal(state, last)


def recurrent_only(kind, **options):
    """A layer of identity weights: h_t depends on its own h_{t-1} alone."""
    layer = kind(UNITS, return_sequences=True, **options)
    layer.build((None, None, UNITS))
    eye, none, ones = np.eye(UNITS), np.zeros((UNITS, UNITS)), np.ones(UNITS)
    if kind is layers.RNN:
        layer.set_weights([eye, eye, 0 * ones])
    else:  # input and output gates open, forget gate shut: h = tanh(tanh(x + h))
        kernel = np.concatenate([none, none, eye, none], axis=1)
        layer.set_weights([kernel, kernel, np.concatenate([k * ones for k in (40, -40, 0, 40)])])
    return layer


@pytest.mark.parametrize("kind", STOCK)
def test_recurrent_dropout_drops_the_same_units_at_every_step(kind):
    layer = recurrent_only(kind, recurrent_dropout=0.5, seed=1)
    activate = np.tanh if kind is layers.RNN else lambda x: np.tanh(np.tanh(x))
    x = np.full((30, STEPS, UNITS), 0.1, "float32")
    found = np.asarray(layer(x, training=True))
    np.testing.assert_allclose(found[:, 0], activate(0.1), atol=1e-6)
    dropped = np.isclose(found[:, 1], activate(0.1), atol=1e-6)
    assert 0.3 < dropped.mean() < 0.7
    assert (dropped != dropped[:1]).any()  # rows differ
    h = np.zeros_like(dropped, float)
    for t in range(STEPS):  # what is kept is doubled
        h = activate(0.1 + np.where(dropped, 0, 2 * h))
        np.testing.assert_allclose(found[:, t], h, atol=1e-5)


@pytest.mark.parametrize("kind", STOCK)
def test_dropout_keeps_the_scale_and_draws_anew(kind):
    layer = recurrent_only(kind, dropout=0.75, seed=1)
    x = np.full((40, 1, UNITS), 0.1, "float32")
    activate = np.tanh if kind is layers.RNN else lambda x: np.tanh(np.tanh(x))
    first, second = (np.asarray(layer(x, training=True)) for _ in range(2))
    for found in (first, second):
        kept = found != 0
        assert 0.1 < kept.mean() < 0.4
        np.testing.assert_allclose(found[kept], activate(0.4), atol=1e-6)
    assert ((first != 0) != (second != 0)).any()


@pytest.mark.parametrize("kind", STOCK)
def test_neither_dropout_acts_at_inference(kind):
    dropping, plain = kind(UNITS, dropout=0.6, recurrent_dropout=0.6), kind(UNITS)
    plain(X)
    dropping.build(X.shape)
    dropping.set_weights(plain.get_weights())
    np.testing.assert_array_equal(dropping(X), plain(X))
    np.testing.assert_array_equal(dropping(X, training=False), plain(X))


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.25, 1, 1.5])
def test_a_bad_rate_is_named(kind, name, rate):
    with pytest.raises(ValueError, match=rf"^{name} .*{rate}$"):
        kind(UNITS, **{name: rate})


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_initial_state_of_the_wrong_length(kind, wrong):
    count = len(kind.state_names) + wrong
    with pytest.raises(ValueError, match=rf"takes {count - wrong} tensors.*Received: {count}"):
        kind(UNITS)(X, initial_state=[tf.zeros((BATCH, UNITS))] * count)


def test_a_state_of_one_tensor_needs_no_list():
    ours, stock = built(layers.RNN)
    (state,) = states(layers.RNN)
    expected = ours(X, initial_state=[state])
    np.testing.assert_allclose(ours(X, initial_state=state), expected, atol=1e-6)
    np.testing.assert_allclose(expected, stock(X, initial_state=[state]), atol=1e-5)
    with pytest.raises(ValueError, match=r"takes 2 tensors.*Received: 1"):
        layers.LSTM(UNITS)(X, initial_state=tf.constant(state))


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("state", [True, False])
def test_output_shapes(kind, sequences, state):
    ours, stock = built(kind, return_sequences=sequences, return_state=state)
    for shape in (X.shape, (None, None, WIDTH), (2, None, WIDTH)):
        found = ours.compute_output_shape(shape)
        assert found == (tuple(stock.compute_output_shape(shape)) if state else
                         stock.compute_output_shape(shape))  # fmt: skip
    outputs = ours(X)
    shapes = tuple(tuple(o.shape) for o in outputs) if state else tuple(outputs.shape)
    assert ours.compute_output_shape(X.shape) == shapes


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("backwards", [True, False])
def test_xla_and_lengths_known_at_run_time(kind, mask, backwards):
    layer, _ = built(kind, return_sequences=True, return_state=True, go_backwards=backwards)
    initial, rows = states(kind), as_mask(MASKS[mask])

    def call(x, *initial):
        return layer(x, initial_state=initial, mask=rows)

    expected = call(X, *initial)
    spec = [tf.TensorSpec([None, None, WIDTH]), *[tf.TensorSpec([None, UNITS])] * len(initial)]
    for run in (
        tf.function(call, jit_compile=True),
        tf.function(call, input_signature=spec),
    ):
        assert_equal(run(X, *initial), expected)


@pytest.mark.parametrize("kind", STOCK)
def test_xla_gradients(kind):
    layer, stock = built(kind)
    x = tf.constant(X)

    def gradients(layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(x) - 1) ** 2)
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    assert_equal(tf.function(lambda: gradients(layer), jit_compile=True)(), gradients(stock))


@pytest.mark.parametrize("kind", STOCK)
def test_every_option_is_saved(kind, tmp_path):
    options = {
        "return_sequences": True, "return_state": True, "go_backwards": True,
        "zero_output_for_mask": True, "dropout": 0.25, "recurrent_dropout": 0.5, "use_bias": False,
        "seed": 3, "stateful": False,
    }  # fmt: skip
    if kind is layers.LSTM:
        options["unit_forget_bias"] = False
    layer = kind(UNITS, name="a", kernel_initializer="ones", recurrent_initializer="he_normal",
                 bias_initializer="ones", **options)  # fmt: skip
    inputs = keras.Input((None, WIDTH))
    initial = [keras.Input((UNITS,)) for _ in kind.state_names]
    model = keras.Model([inputs, *initial], layer(inputs, initial_state=initial))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    given = [X, *states(kind)]
    for a, b in zip(loaded(given), model(given), strict=True):
        np.testing.assert_array_equal(a, b)
    config = loaded.get_layer("a").get_config()
    assert config == layer.get_config()
    assert {name: config[name] for name in options} == options
    for name, value in (("kernel", "Ones"), ("recurrent", "HeNormal"), ("bias", "Ones")):
        assert config[f"{name}_initializer"]["class_name"] == value


def test_biases_at_the_start():
    def start(layer):
        layer.build((None, None, WIDTH))
        return layer.get_weights()[2]

    n = UNITS
    np.testing.assert_array_equal(start(layers.RNN(n)), np.zeros(n))
    np.testing.assert_array_equal(start(layers.LSTM(n)), np.repeat([0, 1, 0, 0], n))
    np.testing.assert_array_equal(start(layers.LSTM(n, unit_forget_bias=False)), np.zeros(4 * n))


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_stateful_layer_goes_on_where_it_ended(kind, sequences, mask):
    options = {"return_sequences": sequences, "stateful": True}
    ours, stock = kind(UNITS, **options), STOCK[kind](UNITS, **options)
    stock(X)
    ours(X)
    ours.set_weights(stock.get_weights())  # a state is no weight
    for _ in range(2):
        ours.reset_states()
        stock.reset_states()
        for _ in range(3):
            assert_equal(ours(X, mask=as_mask(mask)), stock(X, mask=as_mask(mask)))
        assert_equal([v.numpy() for v in ours.states], [v.numpy() for v in stock.states])


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("stateful", [False, True])
def test_inside_the_bidirectional_layer_of_keras(kind, merge_mode, stateful, tmp_path):
    def wrap(layer):
        options = {"return_sequences": True, "stateful": stateful}
        inputs = keras.Input(batch_shape=(len(X), *X.shape[1:]))
        wrapped = keras.layers.Bidirectional(layer(UNITS, **options), merge_mode=merge_mode)
        return keras.Model(inputs, wrapped(inputs))

    ours, stock = wrap(kind), wrap(STOCK[kind])
    ours.set_weights(stock.get_weights())
    ours.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for _ in range(2):
        expected = stock(X)
        assert_equal(ours(X), expected)
        assert_equal(loaded(X), expected)
    if stateful:
        ours.layers[1].reset_states()
        stock.layers[1].reset_states()
        assert_equal(ours(X), stock(X))


def test_a_stateful_layer_trains_and_predicts_batch_by_batch():
    model = keras.Sequential(
        [keras.Input(batch_shape=(len(X), *X.shape[1:])), layers.LSTM(UNITS, stateful=True)]
    )
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((len(X), UNITS)), batch_size=len(X), shuffle=False, verbose=0)
    model.layers[0].reset_state()
    parts = [model.predict(X[:, t : t + 2], batch_size=len(X), verbose=0) for t in (0, 2)]
    model.layers[0].reset_state()
    np.testing.assert_allclose(model(X[:, :4]), parts[-1], atol=1e-6)


def test_a_stateful_layer_says_what_it_needs():
    with pytest.raises(ValueError, match="batch_shape"):
        keras.Sequential([keras.Input((STEPS, WIDTH)), layers.RNN(3, stateful=True)])
    layer = layers.RNN(3, stateful=True, name="memory")
    layer(X)
    with pytest.raises(ValueError, match=f"memory.*{len(X)} rows.*Received: 1 rows"):
        layer(X[:1])
