"""The vocabulary of a lookup layer: its terms with their ids, and what becomes of ids."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from keras_seq.errors import UserError
from keras_seq.text.trie import Trie
from keras_seq.typing import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The terms of a lookup layer.

    Attributes:
        terms: Words or integers.
        first_id: Id of the first term; those before are the mask's and, last, the unknown ones'.
        size: Number of ids.
        unknown: Id of a term that isn't known, the first one if there are several. Where there is
            none, `size`: an embedding refuses it, as Keras does, and it is none of the classes.
        mask: Term that is padding, with its id, which is `size` where padding isn't counted.
    """

    terms: list[Any]
    first_id: int
    size: int
    unknown: int
    mask: tuple[Any, int] | None

    @cached_property
    def trie(self) -> Trie:
        """The words in UTF-8, with their ids as values."""
        ids = {str(term).encode(): self.first_id + i for i, term in enumerate(self.terms)}
        if self.mask is not None:
            ids[str(self.mask[0]).encode()] = self.mask[1]
        return Trie.build(ids)

    def find_integers(self, values: Tensor) -> Tensor:
        """Returns the ids of integers int32, each compared with all terms; -1 if it is none."""
        values = tf.cast(values, tf.int64)
        same = tf.equal(values[..., None], np.array(self.terms, "int64"))
        first = tf.argmax(tf.cast(same, tf.int32), axis=-1, output_type=tf.int32)
        ids = tf.where(tf.reduce_any(same, axis=-1), first + self.first_id, -1)
        if self.mask is None:
            return ids
        return tf.where(tf.equal(values, int(self.mask[0])), self.mask[1], ids)


# By the table behind a layer, which gets another one with another vocabulary. A trie takes long.
_vocabularies: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()


def get_vocabulary(lookup: Any) -> Vocabulary:
    """Returns the vocabulary of a StringLookup or IntegerLookup layer."""
    if lookup.lookup_table not in _vocabularies:
        with tf.init_scope():  # Keras asks the table.
            every = lookup.get_vocabulary()
            terms = lookup.get_vocabulary(include_special_tokens=False)
        first = len(every) - len(terms)
        mask = None
        if lookup.mask_token is not None:
            mask = lookup.mask_token, 0 if lookup.output_mode == "int" else len(every)
        unknown = first - lookup.num_oov_indices if lookup.num_oov_indices else len(every)
        _vocabularies[lookup.lookup_table] = Vocabulary(terms, first, len(every), unknown, mask)
    return _vocabularies[lookup.lookup_table]


def encode_ids(lookup: Any, ids: Tensor) -> Tensor:
    """Returns ids `(…)` in the output mode of the layer; those of no class count nowhere."""
    if lookup.output_mode == "int":
        return tf.cast(ids, tf.int64)
    size = get_vocabulary(lookup).size
    depth = lookup.max_tokens if lookup.pad_to_max_tokens else size
    ids = tf.where(ids >= size, depth, ids)
    if lookup.output_mode == "one_hot":
        if len(ids.shape) > 1 and ids.shape[-1] == 1:
            ids = tf.squeeze(ids, -1)
        return tf.one_hot(ids, depth)
    counts = tf.reduce_sum(tf.one_hot(ids, depth), axis=min(1, len(ids.shape) - 1))
    if lookup.output_mode == "multi_hot":
        return tf.minimum(counts, 1.0)
    if lookup.output_mode == "tf_idf":
        return counts * tf.cast(lookup.idf_weights_const, tf.float32)
    return counts


def refuse_layer(layer: Any, why: str, instead: str) -> UserError:
    """Returns the refusal of a layer that no file can hold."""
    return UserError(
        f"The layer {layer.name!r} ({type(layer).__name__}) cannot be exported: {why}, which no "
        f"graph of built-in operators can do. Build it with {instead}."
    )
