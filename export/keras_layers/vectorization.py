"""`TextVectorization` as a program on bytes.

Comparisons find upper case, punctuation and the spaces between words, and a walk down a trie finds
the ids of all words of a text at once.
"""

from typing import Any

import keras
import tensorflow as tf

from export.keras_layers.text import find_bytes
from export.keras_layers.vocabulary import Vocabulary, encode_ids, get_vocabulary, refuse_layer
from keras_seq.text.tables import take
from keras_seq.typing import Tensor

SPACES = (9, 10, 11, 12, 13, 32)
PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"

_vectorize = keras.layers.TextVectorization.__dict__["call"]


def vectorize(self: Any, inputs: Tensor) -> Tensor:
    """As `TextVectorization.call`.

    Raises:
        UserError: If the layer has Python functions of its own or n-grams, or gives a length that
            depends on the other texts of a batch.
    """
    text_bytes = find_bytes(inputs)
    if text_bytes is None:
        return _vectorize(self, inputs)
    with tf.init_scope():  # Keras asks the table for its size.
        settings = self.get_config()
    standardize, split = settings["standardize"], settings["split"]
    for name, value in (("standardize", standardize), ("split", split)):
        if not (value is None or isinstance(value, str)):
            raise refuse_layer(self, f"its {name} is a Python function", "a setting by name")
    if settings["ngrams"] is not None:
        raise refuse_layer(self, "it makes n-grams", "single words (ngrams=None)")
    length = settings["output_sequence_length"]
    if settings["output_mode"] == "int" and length is None:
        raise refuse_layer(
            self,
            "its outputs are as long as the longest text of the batch",
            "a fixed output_sequence_length",
        )
    # The table behind the layer, whose output mode and weights have no public names.
    lookup = self._lookup_layer
    vocabulary = get_vocabulary(lookup)
    ids, count = find_words(vocabulary, *text_bytes, standardize or "", split, length)
    if lookup.output_mode != "int":
        counted = tf.range(tf.shape(ids)[1])[None, :] < count[:, None]
        ids = tf.where(counted, ids, vocabulary.size)
    return encode_ids(lookup, ids)


def find_words(
    vocabulary: Vocabulary,
    text: Tensor,
    length: Tensor,
    standardize: str,
    split: str | None,
    tokens: int | None,
) -> tuple[Tensor, Tensor]:
    """Returns ids `(B, tokens)` int32, padded with zeros, and the number of tokens `(B,)`."""
    trie = vocabulary.trie
    size = tf.shape(text)[1]
    x = tf.cast(text, tf.int32)
    if "lower" in standardize:
        x = tf.where((x >= 65) & (x <= 90), x + 32, x)
    position = tf.range(size)[None, :]
    within = position < length[:, None]
    if "strip_punctuation" in standardize:
        dropped = tf.gather(_table(PUNCTUATION), x)
        within = within & ~dropped
        x = tf.gather(x, _first_true(within, size), batch_dims=1)
        length = tf.reduce_sum(tf.cast(within, tf.int32), axis=1)
        within = position < length[:, None]
    # A token ends where one must `stop`, and where another starts.
    stop, start = ~within, within & (position == 0)
    if split == "whitespace":
        stop = stop | tf.gather(_table(bytes(SPACES)), x)
        before = tf.concat([tf.ones_like(stop[:, :1]), stop[:, :-1]], axis=1)
        start = ~stop & before
    elif split == "character":
        start = within & ((x < 128) | (x >= 192))

    after = [[0, 0], [0, trie.longest + 1]]
    padded = tf.pad(x, after)
    ends = tf.pad(tf.cast(start | stop, tf.int32), after, constant_values=1)

    def from_depth(table: Tensor, d: Tensor) -> Tensor:
        """Returns the table's entry `d` bytes after each byte."""
        return tf.ensure_shape(tf.slice(table, [0, d], [-1, size]), x.shape)

    def deeper(d: Tensor, slot: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        end = (from_depth(ends, d) > 0) & ((d > 0) | stop)
        ids = tf.where(end & (ids < 0), take(trie.value, slot), ids)
        slot = tf.where(end, trie.nowhere, slot)
        child = take(trie.base, slot) + from_depth(padded, d)
        known = tf.equal(take(trie.parent, child), slot)
        return d + 1, tf.where(known, child, trie.nowhere), ids

    _, _, ids = tf.while_loop(
        lambda d, *_: d <= trie.longest,
        deeper,
        (tf.constant(0), tf.zeros_like(x), tf.fill(tf.shape(x), -1)),
        maximum_iterations=trie.longest + 1,
    )
    ids = tf.where(ids < 0, vocabulary.unknown, ids)
    if split is None:
        return tf.pad(ids[:, :1], [[0, 0], [0, (tokens or 1) - 1]]), tf.ones_like(length)
    count = tf.reduce_sum(tf.cast(start, tf.int32), axis=1)
    start = tf.pad(tf.cast(start, tf.int32), [[0, 0], [0, tokens or 0]]) > 0
    order = _first_true(start, size if tokens is None else tokens)
    ids = tf.gather(tf.pad(ids, [[0, 0], [0, tokens or 0]]), order, batch_dims=1)
    return tf.where(tf.range(tf.shape(ids)[1])[None, :] < count[:, None], ids, 0), count


def _first_true(mask: Tensor, count: Tensor) -> Tensor:
    """Returns `(B, count)`: where `mask` is true, in order, then where it is false."""
    size = tf.shape(mask)[1]
    rank = tf.range(size)[None, :] + tf.where(mask, 0, size)
    return tf.math.top_k(-rank, count)[1]


def _table(members: bytes) -> Tensor:
    """Returns `(256,)` boolean: which bytes are among `members`."""
    return tf.constant([byte in members for byte in range(256)])


RULES = ((keras.layers.TextVectorization, "call", vectorize),)
