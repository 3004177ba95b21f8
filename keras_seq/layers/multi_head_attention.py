"""Multi-head attention over a whole sequence, and over a cache one position at a time."""

import math
from typing import Any

import keras
from keras import ops

from keras_seq.errors import require_positive
from keras_seq.layers.cache import CachePosition, update_cache
from keras_seq.layers.dropout import dropout
from keras_seq.layers.positions import Rotation, rotate
from keras_seq.layers.projection import Weights, project
from keras_seq.typing import Tensor


@keras.saving.register_keras_serializable("keras_seq")
class MultiHeadAttention(keras.layers.Layer):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

        head_i = softmax(Q W_i^Q (K W_i^K)^T / sqrt(d_k)) V W_i^V
        output = concat(head_1 … head_n) W^O

    Weights are laid out as those of `keras.layers.MultiHeadAttention`: `set_weights` of one takes
    `get_weights` of the other. A query at a padded position still attends to the positions that
    are not padded; nothing reads its output.

    Shapes: `B` sequences, `T` queries, `S` keys and values, `D` features.

    Args:
        num_heads: Number of heads.
        key_dim: Width of a head's queries and keys, d_k.
        value_dim: Width of a head's values; `key_dim` by default.
        dropout: Share of the attention weights to drop. Training only.
        use_bias: Add a bias to each projection.
        output_shape: Width of the output; the query's by default.
        kernel_initializer: Initializer of the four projections.
        bias_initializer: Initializer of their biases.
        seed: Random seed of the dropout.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        require_positive(num_heads=num_heads, key_dim=key_dim)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_dim = output_shape
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(
        self,
        query_shape: tuple[int | None, ...],
        value_shape: tuple[int | None, ...] | None = None,
        key_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        value_shape = value_shape or query_shape
        key_shape = key_shape or value_shape
        heads, output_dim = self.num_heads, self.output_dim or query_shape[-1]
        self.query_kernel, self.query_bias = self._weights(
            "query", (query_shape[-1], heads, self.key_dim), 1
        )
        self.key_kernel, self.key_bias = self._weights(
            "key", (key_shape[-1], heads, self.key_dim), 1
        )
        self.value_kernel, self.value_bias = self._weights(
            "value", (value_shape[-1], heads, self.value_dim), 1
        )
        self.output_kernel, self.output_bias = self._weights(
            "attention_output", (heads, self.value_dim, output_dim), 2
        )

    def _weights(self, name: str, shape: tuple[int, ...], inputs: int) -> tuple[Any, Any]:
        kernel = self.add_weight(
            shape=shape, name=f"{name}_kernel", initializer=self.kernel_initializer
        )
        bias = None
        if self.use_bias:
            bias = self.add_weight(
                shape=shape[inputs:], name=f"{name}_bias", initializer=self.bias_initializer
            )
        return kernel, bias

    @property
    def _query(self) -> Weights:
        return self.query_kernel, self.query_bias

    @property
    def _key(self) -> Weights:
        return self.key_kernel, self.key_bias

    @property
    def _value(self) -> Weights:
        return self.value_kernel, self.value_bias

    def project_query(self, query: Tensor) -> Tensor:
        """Maps `(B, T, D)` to queries `(B, nh, T, hs)`."""
        (query,) = project(query, [self._query])
        return _split_heads(query, self.key_dim)

    def project_key_value(self, value: Tensor, key: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps `(B, S, D)` to keys and values `(B, nh, S, hs)`, as a cache holds them."""
        if key is None:
            keys, values = project(value, [self._key], [self._value])
        else:
            (keys,), (values,) = project(key, [self._key]), project(value, [self._value])
        return _split_heads(keys, self.key_dim), _split_heads(values, self.value_dim)

    def _project(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Maps `(B, T, D)` to its queries, keys and values `(B, nh, T, hs)`."""
        query, keys, values = project(x, [self._query], [self._key], [self._value])
        query, keys = (_split_heads(part, self.key_dim) for part in (query, keys))
        values = _split_heads(values, self.value_dim)
        return rotate(query, rotation), rotate(keys, rotation), values

    def scores(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention weights `(B, nh, T, S)` of projected queries over projected keys.

        `mask` is boolean and broadcasts to `(B, nh, T, S)`; False hides a key from a query.
        """
        weights = ops.matmul(query, ops.transpose(keys, (0, 1, 3, 2)))
        weights = weights * (1.0 / math.sqrt(self.key_dim))
        if mask is not None:
            # Finite, so that a row with every key masked stays finite.
            hidden = -3e4 if keras.backend.standardize_dtype(weights.dtype) == "float16" else -1e9
            weights = weights + ops.where(mask, 0.0, ops.cast(hidden, weights.dtype))
        return ops.softmax(weights, axis=-1)

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        training: bool = False,
    ) -> Tensor:
        """Attends from projected queries to projected keys and values; returns `(B, T, D)`.

        `mask` is as for `scores`; with `causal`, query t sees keys up to t, too.
        """
        dropped = training and self.dropout
        fused = keras.backend.backend() == "jax" and self.key_dim == self.value_dim
        if fused and not dropped:
            # One kernel (flash attention) where the device has one.
            heads = ops.dot_product_attention(
                *(ops.transpose(x, (0, 2, 1, 3)) for x in (query, keys, values)),
                mask=mask,
                is_causal=causal,
            )  # (B, T, nh, hs)
        else:
            if causal:
                mask = _and(mask, make_causal_mask(ops.shape(query)[2], ops.shape(keys)[2]))
            weights = self.scores(query, keys, mask)  # (B, nh, T, S)
            if dropped:
                weights = dropout(weights, self.dropout, self.seed_generator)
            heads = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))  # (B, T, nh, hs)
        width = self.num_heads * self.value_dim
        heads = ops.reshape(heads, (-1, ops.shape(heads)[1], width))
        output = ops.matmul(heads, ops.reshape(self.output_kernel, (width, -1)))
        return output if self.output_bias is None else output + self.output_bias

    def attend_per_row(
        self,
        rows: Tensor,
        memory: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        beams: int = 1,
    ) -> Tensor:
        """Attends from one position of each row, `(B · K, D)` to `(B · K, D)`.

        `memory` is projected keys and values of B sequences, `mask` as for `scores`; each sequence
        has K rows, `beams`, which are the queries of one product.
        """
        # A product of matrices: one of more axes can become ten operators in a file.
        (query,) = project(rows, [self._query])
        if beams == 1:  # no transposition
            query = ops.reshape(query, (-1, self.num_heads, 1, self.key_dim))
        else:
            query = ops.reshape(query, (-1, beams, self.num_heads, self.key_dim))
            query = ops.transpose(query, (0, 2, 1, 3))
        return self._merge_heads(ops.matmul(self.scores(query, memory[0], mask), memory[1]), beams)

    def _merge_heads(self, heads: Tensor, beams: int = 1) -> Tensor:
        """Maps values of each head `(B, nh, K, hs)` to the output `(B · K, D)`."""
        width = self.num_heads * self.value_dim
        heads = heads if beams == 1 else ops.transpose(heads, (0, 2, 1, 3))
        output = ops.matmul(
            ops.reshape(heads, (-1, width)), ops.reshape(self.output_kernel, (width, -1))
        )
        return output if self.output_bias is None else output + self.output_bias

    def call(
        self,
        query: Tensor,
        value: Tensor | None = None,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        use_causal_mask: bool = False,
        mask: Tensor | None = None,
        training: bool = False,
        rotation: Rotation | None = None,
    ) -> Tensor:
        """Attends from `query` to `value`.

        Args:
            query: `(B, T, D)`.
            value: `(B, S, D)`; the query itself by default (self-attention).
            key: `(B, S, D)`; the value by default.
            query_mask: `(B, T)` boolean, used for the value too where that is the query.
            value_mask: `(B, S)` boolean, False where a value is padding.
            key_mask: `(B, S)` boolean, likewise.
            attention_mask: `(B, T, S)` boolean, False where a query must not see a value.
            use_causal_mask: Position t sees positions up to t.
            mask: The `query_mask`, as Keras names it where the query is the only tensor.
            training: Apply dropout.
            rotation: Rotation of queries and keys; see `RotaryPositions`.

        Returns:
            `(B, T, D)`.
        """
        if value is None:
            value = query
            if value_mask is None:
                value_mask = mask if query_mask is None else query_mask
        visible = None
        for padding in (value_mask, key_mask):
            if padding is not None:
                visible = _and(visible, ops.expand_dims(ops.cast(padding, "bool"), axis=(1, 2)))
        if attention_mask is not None:
            visible = _and(visible, ops.expand_dims(ops.cast(attention_mask, "bool"), axis=1))
        if value is query and key is None:
            query, keys, values = self._project(query, rotation)
        else:
            keys, values = self.project_key_value(value, key)
            query, keys = rotate(self.project_query(query), rotation), rotate(keys, rotation)
        return self.attend(query, keys, values, visible, use_causal_mask, training)

    def initial_state(
        self, batch_size: int | Tensor, max_length: int | None
    ) -> tuple[Tensor, Tensor]:
        """Returns an empty cache: keys and values `(B, nh, max_length, hs)`.

        Without a `max_length` it has no positions, and grows.
        """
        # Not the constant 0, which TensorFlow would take for a fixed size.
        slots = batch_size * 0 if max_length is None else max_length
        shape = (batch_size, self.num_heads, slots)
        return (
            ops.zeros((*shape, self.key_dim), dtype=self.compute_dtype),
            ops.zeros((*shape, self.value_dim), dtype=self.compute_dtype),
        )

    def prefill(
        self, inputs: Tensor, max_length: int | None, rotation: Rotation | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Causal self-attention of the first positions, which fills a cache.

        Args:
            inputs: `(B, T, D)`.
            max_length: Positions of the cache, at least T; None for T, and one more each step.
            rotation: Rotation of these positions.

        Returns:
            `(output, state)`: `(B, T, D)`, and the state as `step` takes it.
        """
        query, keys, values = self._project(inputs, rotation)
        output = self.attend(query, keys, values, causal=True)
        if max_length is None:
            return output, (keys, values)
        rest = max_length - ops.shape(inputs)[1]
        padding = ((0, 0), (0, 0), (0, rest), (0, 0))
        sizes = (self.num_heads, max_length)  # known, even if T is not
        return output, (
            ops.reshape(ops.pad(keys, padding), (-1, *sizes, self.key_dim)),
            ops.reshape(ops.pad(values, padding), (-1, *sizes, self.value_dim)),
        )

    def step(
        self, inputs: Tensor, state: tuple[Tensor, Tensor], cache_position: CachePosition
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Causal self-attention of one position over a cache.

        Args:
            inputs: `(B, D)`.
            state: As from `initial_state` or an earlier step.
            cache_position: Position of this step in the cache.

        Returns:
            `(output, state)`; the output is `(B, D)`.
        """
        turned, value = project(inputs, [self._query, self._key], [self._value])
        turned = ops.reshape(turned, (-1, 2 * self.num_heads, 1, self.key_dim))
        query, key = ops.split(rotate(turned, cache_position.rotation), 2, axis=1)
        keys = update_cache(state[0], key, cache_position)
        value = ops.reshape(value, (-1, self.num_heads, 1, self.value_dim))
        values = update_cache(state[1], value, cache_position)
        weights = self.scores(query, keys, cache_position.attention_mask)
        return self._merge_heads(ops.matmul(weights, values)), (keys, values)

    def compute_output_shape(
        self, query_shape: tuple[int | None, ...], *_: Any, **__: Any
    ) -> tuple[int | None, ...]:
        return (*query_shape[:-1], self.output_dim or query_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self.output_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }


def _split_heads(x: Tensor, size: int) -> Tensor:
    """Maps `(B, T, nh · hs)` to `(B, nh, T, hs)`."""
    x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[-1] // size, size))
    return ops.transpose(x, (0, 2, 1, 3))


def make_causal_mask(queries: int | Tensor, keys: int | Tensor) -> Tensor:
    """Returns `(1, 1, T, S)` boolean: query t sees keys up to t."""
    rows = ops.arange(queries, dtype="int32")[:, None]
    return (rows >= ops.arange(keys, dtype="int32")[None, :])[None, None]


def _and(mask: Tensor | None, other: Tensor) -> Tensor:
    return other if mask is None else ops.logical_and(mask, other)
