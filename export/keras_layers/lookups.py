"""`StringLookup` and `IntegerLookup` in comparisons and a walk down a trie."""

from typing import Any

import numpy as np
import tensorflow as tf

from export.keras_layers.patching import LOOKUP
from export.keras_layers.text import find_bytes
from export.keras_layers.vectorization import find_words
from export.keras_layers.vocabulary import encode_ids, get_vocabulary, refuse_layer
from keras_seq.typing import Tensor

_look_up = LOOKUP.__dict__["call"]


def look_up(self: Any, inputs: Tensor) -> Tensor:
    """As `StringLookup.call`, a whole text being one token, and as `IntegerLookup.call`.

    Raises:
        UserError: If the layer gives strings, or tells unknown terms apart by a hash.
    """
    if self.invert and self.vocabulary_dtype != "string":
        return _find_terms(self, inputs)
    if self.invert:
        raise refuse_layer(self, "it gives strings", "ids as its output, and look them up later")
    if inputs.dtype.is_integer:
        return encode_ids(self, _find_integers(self, inputs))
    text_bytes = find_bytes(inputs) if inputs.dtype == tf.string else None
    if text_bytes is None:
        return _look_up(self, inputs)
    if self.num_oov_indices > 1:
        raise _refuse_hash(self)
    ids, _ = find_words(get_vocabulary(self), *text_bytes, "", None, 1)
    return encode_ids(self, tf.reshape(ids, (-1, *inputs.shape[1:])))


def _find_terms(lookup: Any, ids: Tensor) -> Tensor:
    """Returns the integers of ids; the one of an unknown id is `oov_token`."""
    with tf.init_scope():
        terms = np.array([*lookup.get_vocabulary(), lookup.oov_token], "int64")
    is_known = (ids >= 0) & (ids < len(terms))
    return tf.gather(terms, tf.where(is_known, tf.cast(ids, tf.int32), len(terms) - 1))


def _find_integers(lookup: Any, inputs: Tensor) -> Tensor:
    """Returns the ids of integers; an unknown one may have one of several."""
    # Earlier versions of Keras have no other method.
    if lookup.num_oov_indices > 1 and getattr(lookup, "oov_method", "") == "farmhash":
        raise _refuse_hash(lookup)
    vocabulary = get_vocabulary(lookup)
    ids, unknown = vocabulary.find_integers(inputs), vocabulary.unknown
    if lookup.num_oov_indices > 1:
        rest = tf.math.floormod(tf.cast(inputs, tf.int64), lookup.num_oov_indices)
        unknown = tf.cast(rest, tf.int32) + vocabulary.unknown
    return tf.where(ids < 0, unknown, ids)


def _refuse_hash(lookup: Any) -> Exception:
    return refuse_layer(
        lookup,
        f"it tells {lookup.num_oov_indices} kinds of unknown terms apart by a hash of strings",
        "one unknown id (num_oov_indices=1)",
    )


RULES = ((LOOKUP, "call", look_up),)
