"""Weights that no training gives: large and different, so that a mistake shows."""

import numpy as np


def randomize_weights(model, seed):
    """Draws every trainable weight anew; returns the model."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(size=variable.shape) / 2)
    return model
