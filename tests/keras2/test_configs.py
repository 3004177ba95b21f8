"""Files as versions of Keras from 2.0 on wrote them, made of today's by changing their configuration."""

import json

import h5py
import pytest
import tensorflow as tf
import tf_keras

from keras_seq.errors import UserError
from keras_seq.keras2.configs import find_code, modernize
from tests.keras2.models import LAYERS as L
from tests.keras2.models import fill, ids, largest_difference, load, noise


def rewrite(path, change, version="2.0.8", backend="tensorflow"):
    """Changes the configuration in an `.h5` file, and the version it names."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config) or config)
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"], group.attrs["backend"] = version, backend


def each_layer(config):
    yield from config["config"]["layers"]


def test_a_sequential_model_was_the_list_of_its_layers(tmp_path):
    model = fill(
        tf_keras.Sequential(
            [
                L.Embedding(20, 4, input_length=6, mask_zero=True),
                L.GRU(
                    3, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True
                ),
                L.LSTM(3, recurrent_activation="hard_sigmoid"),
                L.Dense(2),
            ]
        )
    )
    inputs = ids(4, 6)
    model(inputs)
    model.save(tmp_path / "model.h5")

    def change(config):
        layers = [layer for layer in each_layer(config) if layer["class_name"] != "InputLayer"]
        layers[0]["config"]["batch_input_shape"] = [None, 6]
        for layer in layers:
            settings = layer["config"]
            for key in ("reset_after", "time_major", "dtype", "build_config"):
                settings.pop(key, None)
            if layer["class_name"] in ("GRU", "LSTM"):
                settings |= {"implementation": 0, "unroll": False}
            settings["kernel_initializer"] = {
                "class_name": "VarianceScaling",
                "config": {
                    "scale": 1.0,
                    "mode": "fan_avg",
                    "distribution": "uniform",
                    "seed": None,
                },
            }
        layers[0]["config"].pop("kernel_initializer")
        return {"class_name": "Sequential", "config": layers}

    rewrite(tmp_path / "model.h5", change)
    new, said = load(tmp_path / "model.h5")
    assert "Keras 2.0.8" in said[0]
    assert largest_difference(model, new, inputs) <= 1e-6


def test_functional_models_were_of_the_class_model(tmp_path):
    x = L.Input((5, 3))
    states = L.LSTM(4, return_state=True, recurrent_activation="hard_sigmoid")(x)[1:]
    y = L.LSTM(4, return_sequences=True)(x, initial_state=states)
    model = fill(tf_keras.Model(x, L.TimeDistributed(L.Dense(2))(y)))
    model.save(tmp_path / "model.h5")
    rewrite(tmp_path / "model.h5", lambda config: config.update(class_name="Model"), "2.2.4-tf")
    new, _ = load(tmp_path / "model.h5")
    assert largest_difference(model, new, noise(2, 5, 3)) <= 1e-6


def test_a_gru_without_a_choice_resets_before():
    layers = [{"class_name": "GRU", "config": {"units": 3}}]
    assert modernize({"class_name": "Sequential", "config": layers})["config"]["layers"][0][
        "config"
    ] == {
        "units": 3,
        "reset_after": False,
    }


def test_cudnn_layers_compute_the_same_elsewhere(tmp_path):
    from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    x, y = L.Input((6, 3)), L.Input((6, 3))
    fast = L.Bidirectional(CuDNNGRU(3))(CuDNNLSTM(4, return_sequences=True)(x))
    fill(tf_keras.Model(x, L.Dense(2)(fast))).save(tmp_path / "fast.h5")
    # Keras 2's own layers, which read such weights: cuDNN itself needs a GPU.
    plain = L.Bidirectional(L.GRU(3))(L.LSTM(4, return_sequences=True)(y))
    plain = tf_keras.Model(y, L.Dense(2)(plain))
    plain.load_weights(tmp_path / "fast.h5")
    new, _ = load(tmp_path / "fast.h5")
    assert largest_difference(plain, new, noise(2, 6, 3)) <= 1e-6


def test_attention_was_causal_by_its_configuration(tmp_path):
    x = L.Input((5, 3))
    model = fill(tf_keras.Model(x, L.Attention(use_scale=True)([x, x], use_causal_mask=True)))
    tf_keras.Model(x, L.Attention(use_scale=True, name="attention")([x, x])).save(
        tmp_path / "model.h5"
    )
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file["model_weights/attention/attention/scale:0"][()] = model.weights[0].numpy()
    rewrite(tmp_path / "model.h5", lambda c: c["config"]["layers"][1]["config"].update(causal=True))
    new, _ = load(tmp_path / "model.h5")
    assert largest_difference(model, new, noise(2, 5, 3)) <= 1e-6


def test_theano_walked_kernels_from_the_end(tmp_path):
    model = fill(tf_keras.Sequential([L.Input((6, 3)), L.Conv1D(2, 3), L.GRU(2)]))
    model.save(tmp_path / "model.h5")
    rewrite(tmp_path / "model.h5", lambda config: None, backend="theano")
    new, _ = load(tmp_path / "model.h5")
    model.layers[0].kernel.assign(tf.reverse(model.layers[0].kernel, [0]))
    assert largest_difference(model, new, noise(2, 6, 3)) <= 1e-6


def test_attention_saw_no_masks_until_2_9(tmp_path):
    """It let padding in, and passed no mask on; the file looks the same."""
    tokens = L.Input((5,))
    x = L.Embedding(20, 4, mask_zero=True)(tokens)
    attention = L.MultiHeadAttention(2, 3, dropout=0.1)
    model = fill(tf_keras.Model(tokens, L.GlobalAveragePooling1D()(attention(x, x) + x)))
    y = L.Embedding(20, 4)(tokens)
    unmasked = tf_keras.Model(
        tokens, L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(y, y) + y)
    )
    unmasked.set_weights(model.get_weights())
    model.save(tmp_path / "model.h5")
    for version, expected in (("2.10.0", model), ("2.9.0", unmasked), ("2.4.0", unmasked)):
        rewrite(tmp_path / "model.h5", lambda config: None, version)
        new, _ = load(tmp_path / "model.h5")
        assert largest_difference(expected, new, ids(4, 5)) <= 1e-6
        new.save(tmp_path / "new.keras")
        again, _ = load(tmp_path / "new.keras")
        assert largest_difference(expected, again, ids(4, 5)) <= 1e-6
    assert largest_difference(model, unmasked, ids(4, 5)) > 1e-3


def graph_operator(name, source, node, constants):
    return {
        "class_name": "TensorFlowOpLayer",
        "name": f"tf_op_layer_{name}",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "node_def": node,
            "constants": constants,
        },
        "inbound_nodes": [source],
    }


def test_operators_were_nodes_of_a_graph(tmp_path):
    """As TensorFlow 2.0 to 2.3 wrote `tf.reduce_mean(x, 1) + x[:, -1] * 2`."""
    x = L.Input((5, 3), name="x")
    hidden = L.GRU(3, return_sequences=True, name="gru")(x)
    model = fill(tf_keras.Model(x, tf.reduce_mean(hidden, 1) + hidden[:, -1] * 2))
    fill(tf_keras.Model(x, hidden)).save(tmp_path / "model.h5")
    kind = {"T": {"type": "DT_FLOAT"}}
    masks = {"begin_mask": {"i": "1"}, "end_mask": {"i": "1"}, "shrink_axis_mask": {"i": "2"}}
    masks |= {
        "ellipsis_mask": {"i": "0"},
        "new_axis_mask": {"i": "0"},
        "Index": {"type": "DT_INT32"},
    }

    def change(config):
        config["config"]["layers"] += [
            graph_operator("Mean", [["gru", 0, 0, {}]], {"name": "Mean", "op": "Mean", "input": ["gru", "axes"], "attr": {**kind, "Tidx": {"type": "DT_INT32"}, "keep_dims": {"b": False}}}, {"1": 1}),
            graph_operator("last", [["gru", 0, 0, {}]], {"name": "last", "op": "StridedSlice", "input": ["gru", "a", "b", "c"], "attr": {**kind, **masks}}, {"1": [0, -1], "2": [0, 0], "3": [1, 1]}),
            graph_operator("mul", [["tf_op_layer_last", 0, 0, {}]], {"name": "mul", "op": "Mul", "input": ["last", "y"], "attr": kind}, {"1": 2.0}),
            graph_operator("add", [["tf_op_layer_Mean", 0, 0, {}], ["tf_op_layer_mul", 0, 0, {}]], {"name": "add", "op": "AddV2", "input": ["Mean", "mul"], "attr": kind}, {}),
        ]  # fmt: skip
        config["config"]["output_layers"] = [["tf_op_layer_add", 0, 0]]

    rewrite(tmp_path / "model.h5", change, "2.3.0-tf")
    new, _ = load(tmp_path / "model.h5")
    assert largest_difference(model, new, noise(2, 5, 3)) <= 1e-6


def test_keras_1_is_told_where_to_go(tmp_path):
    tf_keras.Sequential([L.Input((3,)), L.Dense(2)]).save(tmp_path / "model.h5")
    rewrite(tmp_path / "model.h5", lambda config: None, "1.2.2")
    with pytest.raises(UserError, match=r"written by Keras 1\.2\.2.*Keras 2\.0"):
        load(tmp_path / "model.h5")


def test_code_is_found_however_it_is_written():
    old = {
        "class_name": "Lambda",
        "config": {"name": "a", "function": ["4wEA", None, None], "function_type": "lambda"},
    }
    new = {
        "class_name": "Lambda",
        "config": {"name": "b", "function": {"class_name": "__lambda__", "config": {}}},
    }
    inside = {
        "class_name": "Dense",
        "config": {"name": "c", "activation": {"class_name": "__lambda__", "config": {}}},
    }
    named = {
        "class_name": "Lambda",
        "config": {"name": "d", "function": "relu", "function_type": "function"},
    }
    wrapped = {"class_name": "TimeDistributed", "config": {"name": "e", "layer": new}}
    config = {"class_name": "Sequential", "config": {"layers": [old, inside, named, wrapped]}}
    assert find_code(config) == ["a (Lambda)", "c (Dense)", "b (Lambda)"]
