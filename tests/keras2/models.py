"""Keras 2 models, and files of them, for the tests."""

import numpy as np
import tensorflow as tf
import tf_keras

from keras_seq.tasks.loading.imports import Imported
from keras_seq.tasks.loading.loader import Loader

LAYERS = tf_keras.layers


def fill(model, seed=0):
    """Gives a model random weights, and no bias or scale the value that it begins with."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if (
            isinstance(weight, tf.Variable)
            and weight.dtype.is_floating
            and weight.shape.is_fully_defined()
        ):
            values = generator.normal(0, 0.4, weight.shape)
            weight.assign(
                tf.cast(abs(values) + 0.3 if "variance" in weight.name else values, weight.dtype)
            )
    return model


def load(path, trust=False, custom_objects=None, weights=None):
    """Loads a file as `keras_seq.load` does; returns the model, and what was said."""
    said = []
    loader = Loader(Imported(objects=custom_objects or {}), trust=trust, say=said.append)
    return loader.load(path, weights=weights), said


def save_and_load(model, path, **options):
    """Returns the Keras 3 model of a file that `tf_keras` writes."""
    model.save(path)
    return load(path, **options)[0]


def largest_difference(old, new, inputs):
    """Returns the largest difference of the answers of two models."""
    inputs = tf.nest.map_structure(tf.constant, inputs)
    answers = [tf.nest.flatten(model(inputs, training=False)) for model in (old, new)]
    assert len(answers[0]) == len(answers[1])
    return max(
        float(np.abs(np.asarray(a, "float64") - np.asarray(b, "float64")).max())
        for a, b in zip(*answers, strict=True)
    )


def ids(*shape, seed=1, vocabulary=20):
    """Returns ids with padding at the end, at the beginning and inside."""
    rows = np.random.default_rng(seed).integers(1, vocabulary, shape).astype("float32")
    rows[1, -2:] = 0
    rows[2, :2] = 0
    rows[3, 2] = 0
    return rows


def noise(*shape, seed=2):
    """Returns normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")
