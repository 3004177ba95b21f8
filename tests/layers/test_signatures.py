"""What `help` and tab completion show of each layer: every argument, with a line about it."""

import copy
import inspect

import keras
import pytest

import keras_seq

ANY_SHAPE = ("Dropout", "LayerNormalization")


@pytest.mark.parametrize("name", keras_seq.layers.__all__)
def test_arguments_stand_in_the_signature_and_the_docstring(name):
    layer = getattr(keras_seq.layers, name)
    parameters = inspect.signature(layer).parameters.values()
    assert not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    documented = "".join(inspect.getdoc(base) for base in (layer, *keras_bases(layer)))
    assert names
    assert not [name for name in names if f"\n    {name}: " not in documented]
    assert "(B, " in documented + inspect.getdoc(layer.call) or name in ANY_SHAPE


def keras_bases(layer):
    """Stock layers that a layer is one of, whose arguments it has."""
    return [base for base in layer.__bases__ if base in vars(keras.layers).values()]


@pytest.mark.parametrize("name", keras_seq.layers.__all__)
def test_the_configuration_has_every_argument(name):
    layer = getattr(keras_seq.layers, name)
    examples = {
        "LSTM": {"units": 4}, "RNN": {"units": 4}, "Dropout": {"rate": 0.5},
        "Bidirectional": {"layer": keras_seq.layers.RNN(4)}, "MultiHeadAttention": {"num_heads": 2, "key_dim": 4},
        "LearnedPositions": {"max_length": 5}, "SinusoidalPositions": {"max_length": 5},
        "RotaryPositions": {"max_length": 5, "head_dim": 4}, "TransformerEncoder": {"num_heads": 2, "intermediate_dim": 4},
        "TransformerDecoder": {"num_heads": 2, "intermediate_dim": 4}, "LayerNormalization": {},
    }  # fmt: skip
    config = layer(**examples[name]).get_config()
    names = {
        p.name for p in inspect.signature(layer).parameters.values() if p.kind is not p.VAR_KEYWORD
    }
    assert names <= config.keys()
    assert layer.from_config(copy.deepcopy(config)).get_config() == config
