"""String inputs as bytes, and the stock layers that read them as a program on bytes.

No runtime but TensorFlow has Keras's string operators. So a signature takes the UTF-8 bytes of a
text, and `TextVectorization` and `StringLookup` become arithmetic on integers: lower case and
punctuation by comparison, words by where spaces stand, ids by a walk down a trie, all words of a
text at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from export.keras_layers.provenance import origin
from keras_seq.errors import UserError
from keras_seq.signature import TensorSpec
from keras_seq.text.tables import take
from keras_seq.text.trie import Trie
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Tensor

DEFAULT_BYTES = 512

SPACES = (9, 10, 11, 12, 13, 32)
PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"


# In each graph, the bytes and lengths that the strings of `as_strings` were made of, by operator.
_made: WeakKeyDictionary[Any, dict[str, tuple[Tensor, Tensor]]] = WeakKeyDictionary()


def limits(inputs: Sequence[TensorSpec], max_bytes: int | None) -> dict[str, int]:
    """The longest text, in bytes, where there is one."""
    return {"L": max_bytes or DEFAULT_BYTES} if any(t.dtype == "string" for t in inputs) else {}


def as_bytes(inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The inputs with a pair of tensors, bytes and their count, in the place of each text.

    Raises:
        UserError: If an input has more than one text a row.
    """
    tensors: list[TensorSpec] = []
    for tensor in inputs:
        if tensor.dtype != "string":
            tensors.append(tensor)
            continue
        if tensor.shape[1:] not in ((), (1,)):
            raise UserError(
                f"The string input {tensor.name} has the shape {list(tensor.shape)}: only one text "
                "a row can be exported. Give the model an input for each."
            )
        tensors.append(TensorSpec(tensor.name, "uint8", (tensor.shape[0], "L")))
        tensors.append(TensorSpec(f"{tensor.name}_length", "int32", (tensor.shape[0],)))
    return tuple(tensors)


def encoded(
    inputs: Sequence[TensorSpec], arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Strings as bytes, cut to `sizes["L"]` between characters; other arrays in their dtype."""
    found = {}
    limit = sizes.get("L")
    for tensor in inputs:
        array = arrays[tensor.name]
        if tensor.dtype != "string":
            found[tensor.name] = array.astype(tensor.dtype)
            continue
        texts = [to_bytes(str(text)) for text in array.reshape(-1)]
        if limit is not None:
            texts = [truncate(text, limit) for text in texts]
        found[tensor.name], found[f"{tensor.name}_length"] = pack_texts(texts)
    return found


def as_strings(inputs: Sequence[TensorSpec], arguments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model takes, from what the signature takes: strings made of their bytes.

    Keras itself reads the strings; where its layers are replaced, nothing does, and the operators
    that make them fall away.
    """
    found = {}
    for tensor in inputs:
        value = arguments[tensor.name]
        if tensor.dtype != "string":
            found[tensor.name] = value
            continue
        length = arguments[f"{tensor.name}_length"]
        characters = tf.gather([bytes([i]) for i in range(256)], tf.cast(value, tf.int32))
        within = tf.sequence_mask(length, tf.shape(value)[1])
        joined = tf.strings.reduce_join(tf.where(within, characters, ""), axis=1)
        _made.setdefault(joined.graph, {})[joined.op.name] = (value, length)
        found[tensor.name] = tf.reshape(joined, (-1, *tensor.shape[1:]))
    return found


def _bytes_of(strings: Tensor) -> tuple[Tensor, Tensor] | None:
    """The bytes and lengths that a string tensor was made of; None if it is none of ours."""
    source = origin(strings)
    if getattr(source, "op", None) is None:
        return None
    return _made.get(source.graph, {}).get(source.op.name)


_vectorize = keras.layers.TextVectorization.__dict__["call"]
_look_up = keras.layers.StringLookup.__mro__[1].__dict__["call"]


def vectorize(self: Any, inputs: Tensor) -> Tensor:
    """As `TextVectorization.call`.

    Raises:
        UserError: If the layer has Python functions of its own or n-grams, or gives a length that
            depends on the other texts of a batch.
    """
    given = _bytes_of(inputs)
    if given is None:
        return _vectorize(self, inputs)
    for setting in ("_standardize", "_split"):
        if callable(getattr(self, setting)):
            raise _refusal(self, f"its {setting[1:]} is a Python function", "a setting by name")
    if self._ngrams is not None:
        raise _refusal(self, "it makes n-grams", "single words (ngrams=None)")
    length = self._output_sequence_length
    if self._output_mode == "int" and length is None:
        raise _refusal(
            self,
            "its outputs are as long as the longest text of the batch",
            "a fixed output_sequence_length",
        )
    ids, count = _ids(self._lookup_layer, *given, self._standardize or "", self._split, length)
    return _encoded_ids(self._lookup_layer, ids, count)


def look_up(self: Any, inputs: Tensor) -> Tensor:
    """As `StringLookup.call`, a whole text being one token, and as `IntegerLookup.call`."""
    if self.invert:
        raise _refusal(self, "it gives strings", "ids as its output, and look them up afterwards")
    if inputs.dtype.is_integer:
        return _integer_ids(self, inputs)
    given = _bytes_of(inputs) if inputs.dtype == tf.string else None
    if given is None:
        return _look_up(self, inputs)
    ids, count = _ids(self, *given, "", None, 1)
    if self.output_mode == "int":
        return tf.cast(tf.reshape(ids, (-1, *inputs.shape[1:])), tf.int64)
    return _encoded_ids(self, ids, count)


def _integer_ids(lookup: Any, inputs: Tensor) -> Tensor:
    """The ids of integers: each is compared with the whole vocabulary."""
    if lookup.num_oov_indices != 1 or lookup.output_mode != "int":
        raise _refusal(
            lookup,
            f"num_oov_indices is {lookup.num_oov_indices}, output_mode {lookup.output_mode!r}",
            "one unknown id and output_mode='int'",
        )
    with tf.init_scope():
        terms = np.array(lookup.get_vocabulary(include_special_tokens=False), "int64")
    same = tf.equal(tf.cast(inputs, tf.int64)[..., None], terms)
    first = tf.argmax(tf.cast(same, tf.int32), axis=-1, output_type=tf.int32)
    ids = first + lookup._token_start_index()
    ids = tf.where(tf.reduce_any(same, axis=-1), ids, lookup._oov_start_index())
    if lookup.mask_token is not None:
        ids = tf.where(tf.equal(tf.cast(inputs, tf.int64), int(lookup.mask_token)), 0, ids)
    return tf.cast(ids, tf.int64)


def _ids(
    lookup: Any,
    text: Tensor,
    length: Tensor,
    standardize: str,
    split: str | None,
    tokens: int | None,
) -> tuple[Tensor, Tensor]:
    """`(B, tokens)` int32 ids, zeros at the end, and how many tokens a row has, `(B,)`."""
    trie, unknown = _vocabulary(lookup)
    size = tf.shape(text)[1]
    x = tf.cast(text, tf.int32)
    if "lower" in standardize:
        x = tf.where((x >= 65) & (x <= 90), x + 32, x)
    position = tf.range(size)[None, :]
    within = position < length[:, None]
    if "strip_punctuation" in standardize:
        dropped = tf.gather(_table(PUNCTUATION), x)
        within = within & ~dropped
        x = tf.gather(x, _first(within, size), batch_dims=1)
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
        """What stands `d` bytes after each byte."""
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
    ids = tf.where(ids < 0, unknown, ids)
    if split is None:
        return tf.pad(ids[:, :1], [[0, 0], [0, (tokens or 1) - 1]]), tf.ones_like(length)
    count = tf.reduce_sum(tf.cast(start, tf.int32), axis=1)
    start = tf.pad(tf.cast(start, tf.int32), [[0, 0], [0, tokens or 0]]) > 0
    order = _first(start, size if tokens is None else tokens)
    ids = tf.gather(tf.pad(ids, [[0, 0], [0, tokens or 0]]), order, batch_dims=1)
    return tf.where(tf.range(tf.shape(ids)[1])[None, :] < count[:, None], ids, 0), count


def _vocabulary(lookup: Any) -> tuple[Trie, int]:
    """The terms of a lookup layer with their ids, and the id of any other."""
    if lookup.num_oov_indices != 1:
        raise _refusal(lookup, f"num_oov_indices is {lookup.num_oov_indices}", "one unknown id")
    first = lookup._token_start_index()
    with tf.init_scope():
        words = lookup.get_vocabulary(include_special_tokens=False)
    terms = [str(word).encode() for word in words]
    ids = {term: first + i for i, term in enumerate(terms)}
    if lookup.mask_token is not None and lookup.output_mode == "int":
        ids[str(lookup.mask_token).encode()] = 0
    return Trie.of(ids), lookup._oov_start_index()


def _encoded_ids(lookup: Any, ids: Tensor, count: Tensor) -> Tensor:
    """The ids in the output mode of the layer."""
    if lookup.output_mode == "int":
        return tf.cast(ids, tf.int64)
    depth = lookup.max_tokens if lookup.pad_to_max_tokens else int(lookup._frozen_vocab_size)
    if lookup.output_mode == "one_hot":
        return tf.one_hot(ids[:, 0], depth)
    counted = tf.range(tf.shape(ids)[1])[None, :] < count[:, None]
    # `depth` is no class of a one-hot anywhere; -1 is the last one in ONNX.
    counts = tf.reduce_sum(tf.one_hot(tf.where(counted, ids, depth), depth), axis=1)
    if lookup.output_mode == "multi_hot":
        return tf.minimum(counts, 1.0)
    if lookup.output_mode == "tf_idf":
        return counts * tf.cast(lookup.idf_weights_const, tf.float32)
    return counts


def _first(chosen: Tensor, count: Tensor) -> Tensor:
    """`(B, count)`: where `chosen` is true, in order, then where it is not."""
    size = tf.shape(chosen)[1]
    rank = tf.range(size)[None, :] + tf.where(chosen, 0, size)
    return tf.math.top_k(-rank, count)[1]


def _table(members: bytes) -> Tensor:
    """Which of the 256 bytes are among `members`."""
    return tf.constant([byte in members for byte in range(256)])


def _refusal(layer: Any, why: str, instead: str) -> UserError:
    return UserError(
        f"The layer {layer.name!r} ({type(layer).__name__}) cannot be exported: {why}, which no "
        f"graph of built-in operators can do. Build it with {instead}."
    )


REPLACEMENTS = (
    (keras.layers.TextVectorization, "call", vectorize),
    (keras.layers.StringLookup.__mro__[1], "call", look_up),
)
