"""Layers of Keras with each value of each of their arguments, for `benchmarks.coverage`.

The classes come from `keras.layers` itself, and the arguments from their signatures. A class stands
in `REQUIRED` or in `OTHERS`, so a new one is noticed.
"""

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

Case = tuple[str, Callable[[], keras.Model]]

ACTIVATIONS = [
    name
    for name in dir(keras.activations)
    if not name.startswith("_")
    and callable(getattr(keras.activations, name))
    and name not in ("get", "serialize", "deserialize", "threshold")  # which takes two numbers
]

# The others halve the numbers, or let them grow without bound from step to step.
OF_CELLS = [name for name in ACTIVATIONS if name not in ("glu", "exponential")]

# Classes that read no sequence of numbers, ids or words, or that are no layer to build a model of.
OTHERS = {
    "Layer", "InputSpec", "InputLayer", "Wrapper", "Pipeline", "FlaxLayer", "JaxLayer",
    "TFSMLayer", "TorchModuleWrapper", "Lambda", "StackedRNNCells",
    "SimpleRNNCell", "LSTMCell", "GRUCell", "AugMix", "AutoContrast", "CenterCrop", "CutMix",
    "ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "MaxNumBoundingBoxes", "MixUp",
    "RandAugment", "Resizing", "Solarization",
}  # fmt: skip

# What a layer needs, beside its input: the first value of an argument is used with all others.
REQUIRED: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "tanh"},
    "ActivityRegularization": {},
    "AdaptiveAveragePooling1D": {"output_size": 3},
    "AdaptiveMaxPooling1D": {"output_size": 3},
    "Add": {},
    "AdditiveAttention": {},
    "AlphaDropout": {"rate": 0.2},
    "Attention": {},
    "Average": {},
    "AveragePooling1D": {"pool_size": 2},
    "BatchNormalization": {},
    "Bidirectional": {"layer": layers.LSTM},
    "CategoryEncoding": {"num_tokens": 4},
    "Concatenate": {},
    "Conv1D": {"filters": 6, "kernel_size": 3},
    "Conv1DTranspose": {"filters": 6, "kernel_size": 3},
    "ConvLSTM1D": {"filters": 3, "kernel_size": 3},
    "ConvLSTM2D": {"filters": 3, "kernel_size": 3},
    "Cropping1D": {},
    "Dense": {"units": 5},
    "DepthwiseConv1D": {"kernel_size": 3},
    "Discretization": {"bin_boundaries": [-1.0, 0.0, 0.5]},
    "Dot": {"axes": 2},
    "Dropout": {"rate": 0.2},
    "ELU": {},
    "EinsumDense": {"equation": "abc,cd->abd", "output_shape": (None, 5)},
    "Embedding": {"input_dim": 9, "output_dim": 5},
    "Flatten": {},
    "GRU": {"units": 5},
    "GaussianDropout": {"rate": 0.2},
    "GaussianNoise": {"stddev": 0.2},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {},
    "GroupNormalization": {"groups": 2},
    "GroupQueryAttention": {"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2},
    "HashedCrossing": {"num_bins": 5},
    "Hashing": {"num_bins": 5},
    "Identity": {},
    "IntegerLookup": {"vocabulary": [3, 4, 9]},
    "LSTM": {"units": 5},
    "LayerNormalization": {},
    "LeakyReLU": {},
    "Masking": {},
    "MaxPooling1D": {"pool_size": 2},
    "Maximum": {},
    "MelSpectrogram": {
        "fft_length": 32, "sequence_stride": 16, "sampling_rate": 800, "num_mel_bins": 8,
    },
    "Minimum": {},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3},
    "Multiply": {},
    "Normalization": {"mean": [0.1] * 4, "variance": [1.5] * 4},
    "PReLU": {},
    "Permute": {"dims": (2, 1)},
    "RMSNormalization": {},
    "RNN": {"cell": layers.GRUCell},
    "ReLU": {},
    "RepeatVector": {"n": 3},
    "Rescaling": {"scale": 0.5},
    "Reshape": {"target_shape": (8, 3)},
    "ReversibleEmbedding": {"input_dim": 9, "output_dim": 5},
    "STFTSpectrogram": {"frame_length": 16, "frame_step": 8, "fft_length": 32},
    "SeparableConv1D": {"filters": 6, "kernel_size": 3},
    "SimpleRNN": {"units": 5},
    "Softmax": {},
    "SpatialDropout1D": {"rate": 0.2},
    "SpectralNormalization": {"layer": layers.Dense},
    "StringLookup": {"vocabulary": ["a", "film", "good"]},
    "Subtract": {},
    "TextVectorization": {"vocabulary": ["a", "film", "good"], "output_sequence_length": 4},
    "TimeDistributed": {"layer": layers.Dense},
    "UnitNormalization": {},
    "UpSampling1D": {},
    "ZeroPadding1D": {},
}  # fmt: skip

BOTH = [False, True]
RECURRENT = ("SimpleRNN", "LSTM", "GRU")
GATED = ("LSTM", "GRU")

# Other values of an argument, for every class that has it.
VALUES: dict[str, list[Any]] = {
    "activation": ["gelu"],
    "axis": [1],
    "backward_layer": [layers.GRU],
    "bias_axes": ["d"],
    "causal": [True],
    "center": [False],
    "cropping": [1, (2, 1)],
    "dilation_rate": [2],
    "dropout": [0.2],
    "epsilon": [0.01],
    "expand_dims": [True],
    "factor": [0.2],
    "fft_length": [64],
    "go_backwards": [True],
    "groups": [2],
    "implementation": [1],
    "interpolation": ["nearest"],
    "invert": [True],
    "keepdims": [True],
    "layer": [layers.LSTM, layers.GRU, layers.SimpleRNN],
    "lora_rank": [2],
    "mask_token": [None],
    "mask_value": [0.5],
    "mask_zero": [True],
    "max_freq": [300.0],
    "max_value": [1.0],
    "merge_mode": ["concat", "sum", "mul", "ave", None],
    "min_freq": [50.0],
    "mode": ["log", "magnitude", "psd", "real", "imag", "angle", "stft"],
    "negative_slope": [0.1],
    "ngrams": [2],
    "normalize": [True],
    "num_oov_indices": [0, 2],
    "offset": [0.5],
    "output_mode": ["one_hot", "multi_hot", "count", "tf_idf"],
    "output_shape": [7],
    "padding": ["same", "valid"],
    "periodic": [True],
    "power_to_db": [False],
    "recurrent_activation": ["hard_sigmoid"],
    "recurrent_dropout": [0.2],
    "reset_after": [False],
    "return_sequences": [True],
    "return_state": [True],
    "reverse_weights": [True],
    "scale": [False],
    "scaling": ["spectrum", None],
    "score_mode": ["concat"],
    "sequence_length": [32],
    "shared_axes": [[1]],
    "sliding_window": [2],
    "split": [None, "character"],
    "standardize": [None, "lower", "strip_punctuation"],
    "stateful": [True],
    "strides": [2],
    "threshold": [0.3],
    "tie_weights": [False],
    "top_db": [None],
    "unit_forget_bias": [False],
    "unroll": [True],
    "use_bias": [False],
    "use_gate": [True],
    "use_scale": [True],
    "value_dim": [5],
    "window": ["hamming", None],
    "zero_output_for_mask": [True],
}
# Values that only some classes take.
OWN: dict[str, dict[str, list[Any]]] = {
    "Activation": {"activation": ACTIVATIONS},
    "GRU": {"activation": OF_CELLS, "recurrent_activation": OF_CELLS},
    "LSTM": {"activation": OF_CELLS, "recurrent_activation": OF_CELLS},
    "SimpleRNN": {"activation": OF_CELLS},
    "CategoryEncoding": {"output_mode": ["one_hot", "multi_hot", "count"]},
    "Conv1D": {"padding": ["same", "valid", "causal"]},
    "ConvLSTM1D": {"padding": ["same"]},
    "Discretization": {"output_mode": ["one_hot", "multi_hot", "count"]},
    "Dot": {"axes": [1]},
    "EinsumDense": {"output_shape": []},
    "GroupNormalization": {"groups": [1, 4, -1]},
    "HashedCrossing": {"output_mode": ["one_hot"]},
    "Hashing": {"output_mode": ["one_hot", "multi_hot", "count"], "mask_value": ["x"]},
    "IntegerLookup": {"output_mode": ["one_hot", "multi_hot", "count"], "mask_token": [0]},
    "MelSpectrogram": {"fft_length": [64], "top_db": [20.0]},
    "Normalization": {"axis": []},
    "Permute": {"dims": [(1, 2)]},
    "RMSNormalization": {"axis": []},
    "ReLU": {"threshold": [0.3]},
    "Rescaling": {"scale": [2.0]},
    "STFTSpectrogram": {"padding": ["same"]},
    "SpectralNormalization": {"layer": []},
    "Softmax": {"axis": [1]},
    "StringLookup": {
        "output_mode": ["one_hot", "multi_hot", "count"], "mask_token": ["x"],
        "num_oov_indices": [0, 2],
        "invert": [],
    },
    "TextVectorization": {"output_mode": [], "output_sequence_length": [None]},
    "TimeDistributed": {"layer": []},
    "ZeroPadding1D": {"padding": [(1, 2)]},
}  # fmt: skip

MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")
ATTENDING = ("AdditiveAttention", "Attention")


def layer_cases(name: str) -> Iterator[Case]:
    """Yields the models of a class: each value of each argument once, and pairs of recurrent ones'.

    A layer that reads masks gets one in each case, and pairs of the recurrent ones once, with a
    mask in LSTM and GRU. An activation needs none.
    """
    for label, options, is_pair in _list_options(name):
        masked = _takes_masks(name) and "activation=" not in label.split(", ")[0]
        if not (is_pair and name in GATED):
            yield f"{name}({label})", _bind(name, options, masked=False)
        if masked and (name in GATED or not is_pair):
            yield f"{name}({label}) masked", _bind(name, options, masked=True)


def _bind(name: str, options: dict[str, Any], masked: bool) -> Callable[[], keras.Model]:
    return lambda: build_layer(name, options, masked)


def _takes_masks(name: str) -> bool:
    kinds = (
        *RECURRENT, "RNN", "Bidirectional", "MultiHeadAttention", "GlobalAveragePooling1D",
        "TimeDistributed", "GroupQueryAttention", *ATTENDING,
    )  # fmt: skip
    return name in kinds


def _list_options(name: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    required = REQUIRED[name]
    yield "", dict(required), False
    singles = []
    parameters = _parameters(getattr(layers, name))
    for argument, values in (VALUES | OWN.get(name, {})).items():
        if argument in parameters:
            singles += [(argument, value) for value in values]
    for argument, value in singles:
        yield f"{argument}={_spell(value)}", {**required, argument: value}, False
    if name == "TextVectorization":  # Numbers of words have no length.
        for mode in ("multi_hot", "count"):
            rest = {key: value for key, value in required.items() if "length" not in key}
            yield f"output_mode={mode!r}", {**rest, "output_mode": mode}, False
    if name in (*RECURRENT, "RNN", "ConvLSTM1D"):
        # Pairs of all arguments; of the activations each once is enough.
        pairs = itertools.combinations(
            [pair for pair in singles if "activation" not in pair[0]] + [("activation", "elu")], 2
        )
        for (first, a), (second, b) in pairs:
            if first != second:
                label = f"{first}={_spell(a)}, {second}={_spell(b)}"
                yield label, {**required, first: a, second: b}, True


def _spell(value: Any) -> str:
    return value.__name__ if inspect.isclass(value) else repr(value)


def _parameters(layer: type) -> set[str]:
    """Returns the names of the arguments of a class and, where it hands them on, of its bases."""
    names: set[str] = set()
    for base in layer.__mro__:
        if base is keras.Layer or "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        names |= set(parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return names | ({"zero_output_for_mask"} if issubclass(layer, layers.RNN) else set())


def build_layer(name: str, options: dict[str, Any], masked: bool = False) -> keras.Model:
    """Returns a model of one layer, with random weights."""
    keras.utils.set_random_seed(7)
    options = {
        key: _make(name, key, value, options) if inspect.isclass(value) else value
        for key, value in options.items()
    }
    layer = getattr(layers, name)(**options)
    inputs = _inputs(name, options)
    tensors = [layers.Masking()(x) for x in inputs] if masked else list(inputs)
    outputs = _call(name, layer, tensors)
    if not keras.tree.is_nested(outputs) and outputs.dtype in ("int64", "int32"):
        outputs = layers.Rescaling(1.0)(outputs)
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)
    generator = np.random.default_rng(0)
    model.set_weights([_draw(generator, w) for w in model.get_weights()])
    return model


def _draw(generator: np.random.Generator, weight: np.ndarray) -> np.ndarray:
    """Returns other values for a weight; those of a normalisation stay positive."""
    if weight.dtype.kind != "f":
        return weight
    return (np.abs(weight) + generator.uniform(0.05, 0.3, weight.shape)) * generator.choice(
        [1.0, 1.0] if weight.ndim == 1 else [-1.0, 1.0], weight.shape
    )


def _make(name: str, key: str, value: type, options: dict[str, Any]) -> Any:
    if value is layers.Dense:
        return layers.Dense(5)
    if key == "cell":
        return value(5)
    backwards = {"go_backwards": True} if key == "backward_layer" else {}
    return value(5, return_sequences=True, **backwards)


def _inputs(name: str, options: dict[str, Any]) -> list[keras.KerasTensor]:
    batch = {"batch_size": 2} if options.get("stateful") else {}
    if name in ("TextVectorization", "StringLookup", "Hashing"):
        return [keras.Input((1,), dtype="string", name="text")]
    if name == "HashedCrossing":
        return [keras.Input((1,), dtype="int32", name=n) for n in ("a", "b")]
    if name == "IntegerLookup":
        return [keras.Input((6,), dtype="int32", name="codes")]
    if name in ("Embedding", "ReversibleEmbedding", "CategoryEncoding"):
        one = options.get("output_mode") == "one_hot"
        return [keras.Input((1 if one else 6,), dtype="int32", name="ids")]
    if name == "MelSpectrogram":
        return [keras.Input((160,), name="wave")]
    if name == "STFTSpectrogram":
        return [keras.Input((160, 1), name="wave")]
    if name == "RepeatVector":
        return [keras.Input((4,), name="x")]
    if name == "ConvLSTM1D":
        return [keras.Input((5, 6, 4), name="x", **batch)]
    if name == "ConvLSTM2D":
        return [keras.Input((3, 5, 5, 2), name="x", **batch)]
    if name in (*MERGING, *ATTENDING):
        return [keras.Input((6, 4), name=n) for n in ("x", "y")]
    return [keras.Input((6, 4), name="x", **batch)]


def _call(name: str, layer: Any, tensors: list[Any]) -> Any:
    if name in MERGING or name in ATTENDING or name == "HashedCrossing":
        return layer(tensors)
    if name in ("MultiHeadAttention", "GroupQueryAttention"):
        return layer(tensors[0], tensors[0])
    return layer(tensors[0])
