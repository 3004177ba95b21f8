"""A user's own layers inside a `tf_keras` model, where they are written for Keras 3."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

BASE_ARGUMENTS = ("name", "trainable", "dtype", "batch_input_shape", "input_shape", "dynamic")


def adapt(custom_objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns custom objects for `tf_keras`: layers of Keras 3 in a layer of `tf_keras`.

    Keras's own classes, which a user's file imports, are left out: a file means those of Keras 2.
    """
    adapted = {}
    for name, value in custom_objects.items():
        if _is_part_of(value, "keras"):
            continue
        is_layer = inspect.isclass(value) and issubclass(value, keras.layers.Layer)
        is_layer = is_layer and not issubclass(value, keras.Model)
        adapted[name] = make_adapter(value) if is_layer else value
    return adapted


def _is_part_of(value: Any, package: str) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == package


def is_model_of_layers(value: Any) -> bool:
    """Returns whether a class is a model that changes its training, and not what it computes."""
    is_model = inspect.isclass(value) and issubclass(value, keras.Model)
    return is_model and value.call is keras.Model.call


def make_adapter(layer_class: type) -> type:
    """Returns a `tf_keras` layer class that computes with a Keras 3 layer of `layer_class`.

    An instance holds that layer as `inner`.
    """
    import tf_keras

    class Adapter(tf_keras.layers.Layer):
        def __init__(self, **config: Any) -> None:
            base = {key: config[key] for key in BASE_ARGUMENTS if key in config}
            super().__init__(**base)
            known = {key: value for key, value in config.items() if key not in BASE_ARGUMENTS[3:]}
            # Past Keras 2, which would look for its variables in a checkpoint.
            object.__setattr__(self, "inner", layer_class.from_config(known))
            self.supports_masking = bool(self.inner.supports_masking)

        @property
        def state_size(self) -> Any:
            return self.inner.state_size

        @property
        def output_size(self) -> Any:
            return getattr(self.inner, "output_size", self.inner.state_size)

        def build(self, input_shape: Any) -> None:
            self._build_inner(_to_shape(input_shape))
            super().build(input_shape)

        def _build_inner(self, shape: Any) -> None:
            if hasattr(self.inner, "state_size"):
                self.inner.build(shape)
            elif not self.inner.built:
                self.inner(_to_symbols(shape))
            _track(self.inner, self)
            self._trainable_weights = [w.value for w in self.inner.trainable_weights]
            self._non_trainable_weights = [w.value for w in self.inner.non_trainable_weights]

        def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            accepted = inspect.signature(self.inner.call).parameters
            kwargs = {key: value for key, value in kwargs.items() if key in accepted}
            return self.inner(inputs, *args, **kwargs)

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return self.inner.compute_mask(inputs, mask)

        def get_config(self) -> dict[str, Any]:
            return {**self.inner.get_config(), "dtype": self.inner.dtype_policy.name}

    Adapter.__name__ = Adapter.__qualname__ = layer_class.__name__
    Adapter.adapts = layer_class
    return Adapter


def _track(layer: keras.layers.Layer, holder: Any) -> None:
    """Gives `holder` the variables of a layer by their names, as a checkpoint has them."""
    import tensorflow as tf

    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(value, keras.Variable):
            setattr(holder, name, value.value)
        elif isinstance(value, keras.layers.Layer):
            part = tf.Module()
            _track(value, part)
            setattr(holder, name, part)


def _to_shape(shape: Any) -> Any:
    """Returns a shape, or several, of TensorFlow as tuples."""
    if hasattr(shape, "as_list"):
        return tuple(shape.as_list())
    if isinstance(shape, dict):
        return {key: _to_shape(value) for key, value in shape.items()}
    if isinstance(shape, (list, tuple)) and any(
        size is not None and not isinstance(size, (int, np.integer)) for size in shape
    ):
        return [_to_shape(value) for value in shape]
    return tuple(shape)


def _to_symbols(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _to_symbols(value) for key, value in shape.items()}
    if isinstance(shape, list):
        return [_to_symbols(value) for value in shape]
    return keras.KerasTensor(shape)
