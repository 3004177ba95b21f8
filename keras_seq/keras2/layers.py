"""A layer of Keras 2 as one of Keras 3: arguments that were renamed, activations, vocabularies."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_seq.errors import UserError, choose_wording
from keras_seq.keras2.activations import hard_sigmoid_keras2
from keras_seq.keras2.attention import MultiHeadAttentionKeras2
from keras_seq.keras2.locally_connected import LocallyConnected1D
from keras_seq.keras2.thresholded_relu import ThresholdedReLU

OURS = {"LocallyConnected1D": LocallyConnected1D, "ThresholdedReLU": ThresholdedReLU}
# Layers that do something in training only, and were left out of Keras 3.
TRAINING_ONLY = ("RandomHeight", "RandomWidth")
# Arguments that choose how the same numbers are computed, or that the model's inputs say.
WITHOUT_EFFECT = (
    "batch_input_shape",
    "dynamic",
    "fused",
    "implementation",
    "input_length",
    "input_shape",
    "key_shape",
    "query_shape",
    "softmax_robust_masking",
    "value_shape",
    "vocabulary_size",
)
TRAINING_OBJECTS = ("_initializer", "_regularizer", "_constraint")
ACTIVATIONS = ("activation", "recurrent_activation")
RNN_STATE = "rnn_state"  # Keras 3 counts the states of a stateful layer among its weights.


class UnknownLayerError(UserError):
    """A layer of Keras 2 has no counterpart in Keras 3."""


def make_layer(old: Any, convert: Callable[[Any], Any]) -> keras.layers.Layer:
    """Returns a new Keras 3 layer that computes what a `tf_keras` layer computes.

    Args:
        old: The `tf_keras` layer.
        convert: Returns the Keras 3 layer of a layer inside it, such as a cell.

    Raises:
        UnknownLayerError: If Keras 3 has none.
    """
    if hasattr(type(old), "adapts"):
        return type(old).adapts.from_config(old.inner.get_config())
    name = _find_class(old)
    if name in TRAINING_ONLY:
        return keras.layers.Identity(name=old.name)
    if name in MAKERS:
        return MAKERS[name](old, convert)
    new_class = OURS.get(name) or getattr(keras.layers, name, None)
    if new_class is None:
        raise UnknownLayerError(_explain(old))
    config = make_config(old, new_class)
    for key in ("cell", "layer"):
        if key in config:
            config[key] = convert(getattr(old, key))
    if "cells" in config:
        config["cells"] = [convert(cell) for cell in old.cells]
    return new_class(**config)


def _find_class(old: Any) -> str:
    """Returns the name of the class of Keras 2 that a layer is of.

    Raises:
        UnknownLayerError: If it is a class of the user's.
    """
    kind = type(old)
    if kind.__module__.split(".")[0] != "tf_keras":
        raise UnknownLayerError(_explain(old))
    return "BatchNormalization" if kind.__name__ == "SyncBatchNormalization" else kind.__name__


def _explain(old: Any) -> str:
    name = type(old).__name__
    if type(old).__module__.split(".")[0] == "tf_keras":
        return (
            f"The layer {old.name!r} is of the class {name}, which Keras 3 does not have. Build "
            "the model without it."
        )
    option = choose_wording("--import FILE", f"custom_objects={{{name!r}: {name}}}")
    return (
        f"The layer {old.name!r} is of the class {name}, which is written for Keras 2 (tf_keras). "
        f"Write it for Keras 3 (import keras), and name what you wrote: {option}"
    )


def make_config(old: Any, new_class: type) -> dict[str, Any]:
    """Returns the arguments of a `tf_keras` layer as `new_class` takes them.

    Raises:
        UnknownLayerError: If the layer has an argument, other than the default, that Keras 3 lacks.
    """
    settings = old.get_config()
    rule = RULES.get(_find_class(old))
    if rule is not None:
        rule(old, settings)
    accepted = _accepted_arguments(new_class)
    config = {"dtype": _dtype(old)} if "dtype" in accepted else {}
    defaults = _default_arguments(type(old))
    for key, value in settings.items():
        if key in WITHOUT_EFFECT or key == "dtype":
            continue
        is_for_training = key == "trainable" or key.endswith(TRAINING_OBJECTS)
        if key not in accepted:
            is_default = key in defaults and value == defaults[key]
            if is_for_training or is_default or value in (None, False):
                continue
            raise UnknownLayerError(
                f"The layer {old.name!r} ({type(old).__name__}) has {key}={value!r}, which Keras 3 "
                "does not have. Build the model without it."
            )
        if key in ACTIVATIONS:
            config[key] = convert_activation(getattr(old, key))
        elif key.endswith(TRAINING_OBJECTS):
            converted = _convert_training_object(key, value)
            if converted is not None:
                config[key] = converted
        else:
            config[key] = _to_plain(value)
    return config


def _dtype(old: Any) -> str:
    """Returns the name of a layer's dtype policy."""
    name = old.dtype_policy.name if hasattr(old, "dtype_policy") else old.dtype
    return "float32" if name in (None, "_infer") else name


def _accepted_arguments(new_class: type) -> set[str]:
    """Returns the names of the arguments of a Keras 3 layer, those of its bases included."""
    names: set[str] = set()
    for kind in new_class.__mro__:
        if kind is keras.layers.Layer:
            return names | {"name", "trainable", "dtype", "activity_regularizer"}
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(kind.__init__).parameters
        names |= parameters.keys() - {"self", "args", "kwargs"}
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return names


def _default_arguments(old_class: type) -> dict[str, Any]:
    """Returns the defaults of the arguments of a `tf_keras` layer."""
    defaults: dict[str, Any] = {}
    for kind in reversed(old_class.__mro__):
        if "__init__" in vars(kind) and kind is not object:
            parameters = inspect.signature(kind.__init__).parameters
            defaults |= {name: parameter.default for name, parameter in parameters.items()}
    return defaults


def convert_activation(function: Any) -> Any:
    """Returns an activation function of Keras 2, or a layer used as one, for Keras 3."""
    import tf_keras

    if function is tf_keras.activations.hard_sigmoid:
        return hard_sigmoid_keras2
    if isinstance(function, tf_keras.layers.Layer):
        return make_layer(function, _refuse_inner)
    name = getattr(function, "__name__", "")
    is_stock = getattr(function, "__module__", "").startswith(("tf_keras.", "tensorflow."))
    if is_stock:
        name = name.removesuffix("_v2")
        return name if hasattr(keras.activations, name) else function
    return function


def _refuse_inner(old: Any) -> Any:
    raise UnknownLayerError(_explain(old))


def _convert_training_object(key: str, value: Any) -> Any:
    """Returns an initializer, a regularizer or a constraint; None where Keras 3 has no such.

    The weights are set and these have no part in the answers.
    """
    if value is None:
        return None
    module = {"initializer": keras.initializers, "regularizer": keras.regularizers}.get(
        key.rpartition("_")[2], keras.constraints
    )
    if isinstance(value, dict):
        settings = {k: v for k, v in value.get("config", {}).items() if k not in ("dtype",)}
        value = {"class_name": value["class_name"], "config": settings}
    try:
        return module.get(value)
    except (TypeError, ValueError):
        return None


def _to_plain(value: Any) -> Any:
    """Returns lists and dictionaries that TensorFlow tracks as Python's own."""
    if isinstance(value, dict):
        return {key: _to_plain(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_to_plain(part) for part in value)
    return [_to_plain(part) for part in value] if isinstance(value, list) else value


def _make_bidirectional(old: Any, convert: Callable[[Any], Any]) -> keras.layers.Layer:
    config = old.get_config()
    forward = _rename(convert(old.forward_layer), "forward_")
    has_own = "backward_layer" in config
    backward = _rename(convert(old.backward_layer), "backward_") if has_own else None
    return keras.layers.Bidirectional(
        forward,
        merge_mode=config["merge_mode"],
        backward_layer=backward,
        name=old.name,
        trainable=old.trainable,
        dtype=_dtype(old),
    )


def _rename(layer: keras.layers.Layer, prefix: str) -> keras.layers.Layer:
    """Takes the prefix from a layer's name that `Bidirectional` puts there."""
    config = layer.get_config()
    config["name"] = config["name"].removeprefix(prefix)
    return type(layer).from_config(config)


def _make_lambda(old: Any, convert: Callable[[Any], Any]) -> keras.layers.Layer:
    shape = None if len(old._inbound_nodes) != 1 else old.output_shape
    is_single = isinstance(shape, tuple) and all(not isinstance(s, tuple) for s in shape)
    return keras.layers.Lambda(
        old.function,
        output_shape=shape[1:] if is_single else None,
        arguments=_to_plain(old.arguments),
        name=old.name,
        dtype=_dtype(old),
    )


def _make_attention(old: Any, convert: Callable[[Any], Any]) -> keras.layers.Layer:
    """Makes stock attention where nothing is padded; see `MultiHeadAttentionKeras2`."""
    import tensorflow as tf

    given = [tf.nest.flatten((n.call_args, n.call_kwargs)) for n in old._inbound_nodes]
    is_masked = any(
        getattr(tensor, "_keras_mask", None) is not None for values in given for tensor in values
    ) or any(node.call_kwargs.get("attention_mask") is not None for node in old._inbound_nodes)
    kind = MultiHeadAttentionKeras2 if is_masked else keras.layers.MultiHeadAttention
    config = make_config(old, kind)
    return kind(ignores_masks=not old.supports_masking, **config) if is_masked else kind(**config)


MAKERS: dict[str, Callable[[Any, Callable[[Any], Any]], keras.layers.Layer]] = {
    "Bidirectional": _make_bidirectional,
    "Lambda": _make_lambda,
    "MultiHeadAttention": _make_attention,
}


def _name_slope(old: Any, settings: dict[str, Any]) -> None:
    settings["negative_slope"] = float(settings.pop("alpha"))


def _choose_axis(old: Any, settings: dict[str, Any]) -> None:
    """TensorFlow's own Keras writes one axis as a list."""
    if isinstance(settings["axis"], (list, tuple)) and len(settings["axis"]) == 1:
        settings["axis"] = int(settings["axis"][0])
    if type(old).__name__ == "SyncBatchNormalization":
        settings["synchronized"] = True


def _copy_vocabulary(old: Any, settings: dict[str, Any]) -> None:
    lookup = getattr(old, "_lookup_layer", old)
    try:
        words = lookup.get_vocabulary(include_special_tokens=False)
    except RuntimeError:  # its table was never filled
        words = []
    if not words:
        raise UnknownLayerError(
            f"The layer {old.name!r} ({type(old).__name__}) has no vocabulary: files of this kind "
            "do not hold it. Save the model where it was made as a .keras file: "
            "model.save('model.keras')"
        )
    settings["vocabulary"] = [word.item() if hasattr(word, "item") else word for word in words]
    if lookup.output_mode == "tf_idf":
        weights = lookup.idf_weights.numpy()
        settings["idf_weights"] = [float(w) for w in weights[-len(words) :]]
    if settings.get("standardize") is not None and callable(old.__dict__.get("_standardize")):
        settings["standardize"] = old._standardize
    if callable(old.__dict__.get("_split")):
        settings["split"] = old._split


def _copy_statistics(old: Any, settings: dict[str, Any]) -> None:
    """What `adapt` measured is told in the arguments."""
    if settings["mean"] is None:
        settings["mean"] = old.adapt_mean.numpy().tolist()
        settings["variance"] = old.adapt_variance.numpy().tolist()
    if not old._keep_axis and isinstance(settings["mean"], list) and len(settings["mean"]) == 1:
        settings["mean"], settings["variance"] = settings["mean"][0], settings["variance"][0]


def _copy_boundaries(old: Any, settings: dict[str, Any]) -> None:
    settings["bin_boundaries"] = [float(boundary) for boundary in old.bin_boundaries]
    settings.pop("num_bins", None)


def _require_per_position(old: Any, settings: dict[str, Any]) -> None:
    if settings["implementation"] != 1 or settings.get("data_format") == "channels_first":
        raise UnknownLayerError(_explain(old))
    for key in ("padding", "data_format"):
        settings.pop(key)
    for key in ("kernel_size", "strides"):
        settings[key] = int(settings[key][0])


def _limit_slope(old: Any, settings: dict[str, Any]) -> None:
    settings["theta"] = float(settings["theta"])


RULES: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "LeakyReLU": _name_slope,
    "BatchNormalization": _choose_axis,
    "LayerNormalization": _choose_axis,
    "TextVectorization": _copy_vocabulary,
    "StringLookup": _copy_vocabulary,
    "IntegerLookup": _copy_vocabulary,
    "Normalization": _copy_statistics,
    "Discretization": _copy_boundaries,
    "LocallyConnected1D": _require_per_position,
    "ThresholdedReLU": _limit_slope,
}


def copy_weights(old: Any, new: keras.layers.Layer) -> None:
    """Sets the weights of a Keras 3 layer to those of the `tf_keras` layer it was made of.

    Raises:
        UserError: If they do not fit.
    """
    import numpy as np

    if _find_state(old):
        return
    old_weights = old.inner.weights if hasattr(old, "inner") else old.weights
    values = [np.asarray(weight) for weight in old_weights]
    variables = [variable for variable in new.weights if variable.name != RNN_STATE]
    shapes = [tuple(value.shape) for value in values]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise UserError(
            f"The layer {old.name!r} ({type(old).__name__}) has weights of the shapes {shapes} in "
            f"Keras 2 and {[tuple(v.shape) for v in variables]} in Keras 3. Please report this "
            "with the model's configuration."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _find_state(old: Any) -> bool:
    """Returns whether what a layer learnt is in its arguments, not in weights."""
    return type(old).__name__ in (
        "TextVectorization",
        "StringLookup",
        "IntegerLookup",
        "Normalization",
        "Discretization",
        "Hashing",
    )
