"""String inputs as bytes, and the stock layers that read them as programs on bytes.

No runtime but TensorFlow has Keras's string operators. So a signature takes the UTF-8 bytes of a
text, and `TextVectorization` and `StringLookup` become arithmetic on integers: comparisons find
upper case, punctuation and the spaces between words, and a walk down a trie finds the ids of all
words of a text at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from export.keras_layers.patching import LOOKUP
from export.keras_layers.provenance import find_origin
from keras_seq.errors import UserError
from keras_seq.signature import TensorSpec
from keras_seq.text.tables import take
from keras_seq.text.trie import Trie
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Tensor

DEFAULT_BYTES = 512

SPACES = (9, 10, 11, 12, 13, 32)
PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"


# The bytes and lengths behind the strings that `make_strings` makes, by graph and operator.
_sources: WeakKeyDictionary[Any, dict[str, tuple[Tensor, Tensor]]] = WeakKeyDictionary()


def limits(inputs: Sequence[TensorSpec], max_bytes: int | None) -> dict[str, int]:
    """Returns the longest text in bytes, if there is one."""
    return {"L": max_bytes or DEFAULT_BYTES} if any(t.dtype == "string" for t in inputs) else {}


def split_texts(inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Returns the inputs with two tensors, bytes and their number, in the place of each text.

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


def encode_inputs(
    inputs: Sequence[TensorSpec], arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Encodes strings as bytes, cut to `sizes["L"]` between characters; casts other arrays."""
    encoded = {}
    limit = sizes.get("L")
    for tensor in inputs:
        array = arrays[tensor.name]
        if tensor.dtype != "string":
            encoded[tensor.name] = array.astype(tensor.dtype)
            continue
        texts = [to_bytes(str(text)) for text in array.reshape(-1)]
        if limit is not None:
            texts = [truncate(text, limit) for text in texts]
        encoded[tensor.name], encoded[f"{tensor.name}_length"] = pack_texts(texts)
    return encoded


def make_strings(
    inputs: Sequence[TensorSpec], arguments: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Returns the inputs of the model from those of the signature: strings made of their bytes.

    Keras itself reads the strings. Patched layers read the bytes, and the operators that make the
    strings fall away.
    """
    values = {}
    for tensor in inputs:
        value = arguments[tensor.name]
        if tensor.dtype != "string":
            values[tensor.name] = value
            continue
        length = arguments[f"{tensor.name}_length"]
        characters = tf.gather([bytes([i]) for i in range(256)], tf.cast(value, tf.int32))
        within = tf.sequence_mask(length, tf.shape(value)[1])
        joined = tf.strings.reduce_join(tf.where(within, characters, ""), axis=1)
        _sources.setdefault(joined.graph, {})[joined.op.name] = (value, length)
        values[tensor.name] = tf.reshape(joined, (-1, *tensor.shape[1:]))
    return values


def _bytes_of(strings: Tensor) -> tuple[Tensor, Tensor] | None:
    """Returns the bytes and lengths that a string tensor was made of; None if it isn't ours."""
    source = find_origin(strings)
    if getattr(source, "op", None) is None:
        return None
    return _sources.get(source.graph, {}).get(source.op.name)


_vectorize = keras.layers.TextVectorization.__dict__["call"]
_look_up = LOOKUP.__dict__["call"]


def vectorize(self: Any, inputs: Tensor) -> Tensor:
    """As `TextVectorization.call`.

    Raises:
        UserError: If the layer has Python functions of its own or n-grams, or gives a length that
            depends on the other texts of a batch.
    """
    text_bytes = _bytes_of(inputs)
    if text_bytes is None:
        return _vectorize(self, inputs)
    with tf.init_scope():  # Keras asks the table for its size.
        settings = self.get_config()
    standardize, split = settings["standardize"], settings["split"]
    for name, value in (("standardize", standardize), ("split", split)):
        if not (value is None or isinstance(value, str)):
            raise _refusal(self, f"its {name} is a Python function", "a setting by name")
    if settings["ngrams"] is not None:
        raise _refusal(self, "it makes n-grams", "single words (ngrams=None)")
    length = settings["output_sequence_length"]
    if settings["output_mode"] == "int" and length is None:
        raise _refusal(
            self,
            "its outputs are as long as the longest text of the batch",
            "a fixed output_sequence_length",
        )
    # The table behind the layer, whose output mode and weights have no public names.
    lookup = self._lookup_layer
    ids, count = _look_up_words(lookup, *text_bytes, standardize or "", split, length)
    return _encode_ids(lookup, ids, count)


def look_up(self: Any, inputs: Tensor) -> Tensor:
    """As `StringLookup.call`, a whole text being one token, and as `IntegerLookup.call`."""
    if self.invert:
        raise _refusal(self, "it gives strings", "ids as its output, and look them up afterwards")
    if inputs.dtype.is_integer:
        return _integer_ids(self, inputs)
    text_bytes = _bytes_of(inputs) if inputs.dtype == tf.string else None
    if text_bytes is None:
        return _look_up(self, inputs)
    ids, count = _look_up_words(self, *text_bytes, "", None, 1)
    if self.output_mode == "int":
        return tf.cast(tf.reshape(ids, (-1, *inputs.shape[1:])), tf.int64)
    return _encode_ids(self, ids, count)


def _integer_ids(lookup: Any, inputs: Tensor) -> Tensor:
    """Returns the ids of integers, each compared with the whole vocabulary."""
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
    start = _first_id(lookup)
    ids = tf.where(tf.reduce_any(same, axis=-1), first + start, start - 1)
    if lookup.mask_token is not None:
        ids = tf.where(tf.equal(tf.cast(inputs, tf.int64), int(lookup.mask_token)), 0, ids)
    return tf.cast(ids, tf.int64)


def _look_up_words(
    lookup: Any,
    text: Tensor,
    length: Tensor,
    standardize: str,
    split: str | None,
    tokens: int | None,
) -> tuple[Tensor, Tensor]:
    """Returns ids `(B, tokens)` int32, padded with zeros, and the number of tokens `(B,)`."""
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
    ids = tf.where(ids < 0, unknown, ids)
    if split is None:
        return tf.pad(ids[:, :1], [[0, 0], [0, (tokens or 1) - 1]]), tf.ones_like(length)
    count = tf.reduce_sum(tf.cast(start, tf.int32), axis=1)
    start = tf.pad(tf.cast(start, tf.int32), [[0, 0], [0, tokens or 0]]) > 0
    order = _first_true(start, size if tokens is None else tokens)
    ids = tf.gather(tf.pad(ids, [[0, 0], [0, tokens or 0]]), order, batch_dims=1)
    return tf.where(tf.range(tf.shape(ids)[1])[None, :] < count[:, None], ids, 0), count


def _first_id(lookup: Any) -> int:
    """Returns the id of the first term: those before are the mask's and, last, the unknown one."""
    with tf.init_scope():
        with_special = len(lookup.get_vocabulary())
        return with_special - len(lookup.get_vocabulary(include_special_tokens=False))


def _vocabulary(lookup: Any) -> tuple[Trie, int]:
    """Returns the terms of a lookup layer with their ids, and the id of unknown terms."""
    if lookup.num_oov_indices != 1:
        raise _refusal(lookup, f"num_oov_indices is {lookup.num_oov_indices}", "one unknown id")
    start = _first_id(lookup)
    with tf.init_scope():
        words = lookup.get_vocabulary(include_special_tokens=False)
    terms = [str(word).encode() for word in words]
    ids = {term: start + i for i, term in enumerate(terms)}
    if lookup.mask_token is not None and lookup.output_mode == "int":
        ids[str(lookup.mask_token).encode()] = 0
    return Trie.build(ids), start - 1


def _encode_ids(lookup: Any, ids: Tensor, count: Tensor) -> Tensor:
    """Returns the ids in the output mode of the layer."""
    if lookup.output_mode == "int":
        return tf.cast(ids, tf.int64)
    with tf.init_scope():
        depth = lookup.max_tokens if lookup.pad_to_max_tokens else int(lookup.vocabulary_size())
    if lookup.output_mode == "one_hot":
        return tf.one_hot(ids[:, 0], depth)
    counted = tf.range(tf.shape(ids)[1])[None, :] < count[:, None]
    # No runtime has a class `depth`; -1 would be the last class in ONNX.
    counts = tf.reduce_sum(tf.one_hot(tf.where(counted, ids, depth), depth), axis=1)
    if lookup.output_mode == "multi_hot":
        return tf.minimum(counts, 1.0)
    if lookup.output_mode == "tf_idf":
        return counts * tf.cast(lookup.idf_weights_const, tf.float32)
    return counts


def _first_true(mask: Tensor, count: Tensor) -> Tensor:
    """Returns `(B, count)`: where `mask` is true, in order, then where it is false."""
    size = tf.shape(mask)[1]
    rank = tf.range(size)[None, :] + tf.where(mask, 0, size)
    return tf.math.top_k(-rank, count)[1]


def _table(members: bytes) -> Tensor:
    """Returns `(256,)` boolean: which bytes are among `members`."""
    return tf.constant([byte in members for byte in range(256)])


def _refusal(layer: Any, why: str, instead: str) -> UserError:
    return UserError(
        f"The layer {layer.name!r} ({type(layer).__name__}) cannot be exported: {why}, which no "
        f"graph of built-in operators can do. Build it with {instead}."
    )


RULES = (
    (keras.layers.TextVectorization, "call", vectorize),
    (LOOKUP, "call", look_up),
)
