"""Seeds as constants: a file draws no random numbers, so none need a state."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from export.keras_layers.patching import get_backend_function, replace_function
from keras_seq.typing import Tensor


def get_seed(self: keras.random.SeedGenerator, ordered: bool = True) -> Tensor:
    """As `SeedGenerator.next`, which counts up a variable.

    Layers ask for a seed in inference, too, and leave it unread. `formats.trace` refuses a model
    that draws numbers with it.
    """
    return tf.zeros([2], self.state.dtype)


def fold_draw(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a function that draws as `draw` does: once and for all with a number as the seed."""

    @functools.wraps(draw)
    def fold(shape: Sequence[Any], *args: Any, seed: Any = None, **kwargs: Any) -> Tensor:
        is_fixed = all(isinstance(size, int) for size in shape)
        if not isinstance(seed, int) or not is_fixed:
            return draw(shape, *args, seed=seed, **kwargs)
        with tf.init_scope():
            return draw(shape, *args, seed=seed, **kwargs)

    return fold


DRAWS = ("normal", "uniform", "randint", "truncated_normal")

RULES = (
    *(
        rule
        for name in DRAWS
        for rule in replace_function(
            "random", name, fold_draw(get_backend_function("random", name))
        )
    ),
    (keras.random.SeedGenerator, "next", get_seed),
)
