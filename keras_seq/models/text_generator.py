"""A language model: what follows a text."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones import Backbone
from keras_seq.backbones.backbone import within
from keras_seq.compiling import compiled
from keras_seq.decoding import (
    Sampling,
    generate,
    margins,
    next_token,
    penalise,
    penalised,
    tokens_seen,
)
from keras_seq.errors import UserError
from keras_seq.models.language_head import LanguageHead
from keras_seq.signature import Arrays, Signature, TensorSpec
from keras_seq.text import Tokenizer
from keras_seq.text.streaming import TextStream
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.uniforms import LARGEST, drawn
from keras_seq.utf8 import cut_to_end, packed, to_bytes

Tensor = Any
State = dict[str, Tensor]

LEAST_SIZE = 16  # Compiled functions are kept for sizes that are powers of two, from this one.
AT_ONCE = 64  # Rows generated in one call: a Transformer's caches are large.
SETTINGS = ("max_new_tokens", "temperature", "top_k", "top_p")

# What an export is proven with, after the likeliest tokens: temperature, top_k, top_p.
PROVEN_SAMPLING = ((1.0, 0, 1.0), (0.8, 40, 1.0), (1.0, 0, 0.9), (0.6, 20, 0.95))
NEUTRAL = np.float32(1)  # A repetition penalty that changes nothing.
STATE_ROWS = 32  # Rows compared of the signatures that hand out states, which are large.


@keras.saving.register_keras_serializable("keras_seq")
class TextGenerator(keras.Model):
    """A causal backbone and a softmax over the vocabulary.

    Trained with token ids `(B, T)` as `x` and the same moved on by one as `y`. What is generated
    follows the beginning token and the prompt, so that an empty prompt begins a text.

    Args:
        backbone: A causal `keras_seq.backbones` backbone, of the tokenizer's vocabulary size.
        tokenizer: A `keras_seq.text` tokenizer.
        max_length: Tokens of a prompt and of what follows it, together: of a Transformer at most
            its positions. A recurrent backbone goes on for ever; there it is what is exported.
        tie_embeddings: The softmax shares its weights with the embedding (Press & Wolf 2017).

    Example:

    ```python
    tokenizer = keras_seq.text.ByteTokenizer()
    backbone = keras_seq.backbones.RecurrentBackbone(tokenizer.vocabulary_size, 256)
    model = keras_seq.models.TextGenerator(backbone, tokenizer, max_length=256)
    model.compile("adam", keras_seq.training.CrossEntropy(from_logits=True))
    model.fit(token_ids[:, :-1], token_ids[:, 1:])
    model.generate(["ROMEO:", "JULIET:"], max_new_tokens=200, temperature=0.8, seed=1)
    ```
    """

    task = "generate"
    labels = ()

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        max_length: int = 256,
        tie_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        backbone.require_causal()
        if tokenizer.vocabulary_size != backbone.vocabulary_size:
            raise ValueError(
                f"The tokenizer has {tokenizer.vocabulary_size} ids, the backbone an embedding of "
                f"{backbone.vocabulary_size}: build it with the tokenizer's vocabulary_size."
            )
        limit = getattr(backbone, "max_length", max_length)
        if not 1 < max_length <= limit:
            raise ValueError(
                f"max_length must be from 2 to the backbone's {limit}. Received: {max_length}"
            )
        super().__init__(**kwargs)
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.tie_embeddings = tie_embeddings
        self.head = LanguageHead(tokenizer.vocabulary_size, tie_embeddings, name="head")
        self.build((None, None))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.backbone.built:
            self.backbone.build((None, None))
        self.head.build((None, None, self.backbone.hidden_dim))
        self.built = True

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Maps `(B, T)` int32 to the logits of what follows each, `(B, T, V)` float32."""
        return self._logits(self.backbone(token_ids, training=training))

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.head(hidden, embeddings=self.backbone.embedding.embeddings)

    def prefill(self, token_ids: Tensor, length: Tensor, slots: int) -> tuple[Tensor, State]:
        """The beginning token and a prompt, all at once.

        Args:
            token_ids: `(B, T)` int32.
            length: `(B,)` int32, from 0: how many ids of each row are its prompt.
            slots: Positions of a Transformer's cache, more than T.

        Returns:
            `(logits, state)`: `(B, V)` of the first token after the prompt, and named tensors,
            batch first.
        """
        beginning = ops.full_like(ops.expand_dims(length, axis=1), BEGINNING)
        token_ids = ops.concatenate([beginning, token_ids], axis=1)
        hidden, state = self.backbone.prefill(token_ids, length + 1, slots)
        return self._logits(hidden), {"position": length + 1, **state}

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One token of each row, `(B,)` int32, after `prefill` or another step: `(logits, state)`,
        the logits `(B, V)` being those of the token after it.
        """
        hidden, new_state = self.backbone.step(token, state)
        return self._logits(hidden), {"position": state["position"] + 1, **new_state}

    def _choosing_step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self.step(token, state)
        return choosable(logits), state

    def _choosing_prefill(
        self, token_ids: Tensor, length: Tensor, slots: int
    ) -> tuple[Tensor, State]:
        logits, state = self.prefill(token_ids, length, slots)
        return choosable(logits), state

    def generate(
        self,
        prompts: Sequence[str | bytes],
        max_new_tokens: int | None = None,
        *,
        truncate: bool = False,
        **sampling: Any,
    ) -> list[str]:
        """Continues each prompt.

        Args:
            prompts: Texts, of any lengths.
            max_new_tokens: Tokens of each continuation at most; by default what `max_length`
                leaves.
            truncate: Of a prompt that is too long, read the end. An error otherwise.
            **sampling: As those of `keras_seq.decoding.Sampling`.

        Returns:
            The continuations, without the prompts. Each row draws numbers of its own, so it does
            not depend on the others.

        Raises:
            UserError: If a value is outside of its range, or a prompt too long.
        """
        settings = _settings(sampling)
        rows = self._encoded(prompts, max_new_tokens, truncate)
        most = self._most_new(rows, max_new_tokens)
        uniforms = np.zeros((len(rows), _size(most)), "float32")
        uniforms[:, :most] = drawn(len(rows), most, settings.seed)
        texts = []
        for start in range(0, len(rows), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            for ids in self._generated(rows[some], uniforms[some], most, settings):
                stream = TextStream(settings.stop)
                text = stream.feed(self.tokenizer.decode_bytes([ids])[0])
                texts.append(text + stream.finish())
        return texts

    def _generated(
        self, rows: list[list[int]], uniforms: np.ndarray, most: int, settings: Sampling
    ) -> list[list[int]]:
        """The ids that follow each row."""
        token_ids, length = self._padded(rows)
        found = self._generate(token_ids, length, uniforms, np.int32(most), *_numbers(settings))
        ids, count = (ops.convert_to_numpy(x) for x in found)
        return [row[:n].tolist() for row, n in zip(ids, count, strict=True)]

    def stream(
        self,
        prompt: str | bytes,
        max_new_tokens: int | None = None,
        *,
        truncate: bool = False,
        **sampling: Any,
    ) -> Iterator[str]:
        """Continues a prompt, piece by piece: the same text as of `generate`, as it is produced.

        Args:
            prompt: A text.
            max_new_tokens: Tokens at most; by default what `max_length` leaves.
            truncate: Of a prompt that is too long, read the end. An error otherwise.
            **sampling: As those of `keras_seq.decoding.Sampling`.

        Yields:
            Whole characters; no piece is empty.

        Raises:
            UserError: If a value is outside of its range, or the prompt too long.
        """
        settings = _settings(sampling)
        rows = self._encoded([prompt], max_new_tokens, truncate)
        return self._stream(rows, self._most_new(rows, max_new_tokens), settings)

    def _stream(self, rows: list[list[int]], most: int, settings: Sampling) -> Iterator[str]:
        token_ids, length = self._padded(rows)
        numbers = _numbers(settings)
        text = TextStream(settings.stop)
        first, *others = drawn(1, most, settings.seed)[0]
        token, state = self._begin(token_ids, length, np.array([first]), *numbers)
        while True:
            chosen = int(ops.convert_to_numpy(token)[0])
            if chosen == END:
                break
            piece = text.feed(self.tokenizer.decode_bytes([[chosen]])[0])
            if piece:
                yield piece
            if text.stopped or not others:
                break
            uniform = np.array([others.pop(0)])
            token, state = self._proceed(token, state, uniform, *numbers)
        piece = text.finish()
        if piece:
            yield piece

    def _encoded(
        self, prompts: Sequence[str | bytes], max_new_tokens: int | None, truncate: bool
    ) -> list[list[int]]:
        if isinstance(prompts, (str, bytes)):
            raise UserError(f"Give a list of prompts. Received one string: {prompts[:40]!r}")
        new = 1 if max_new_tokens is None else max_new_tokens
        if not isinstance(new, (int, np.integer)) or isinstance(new, bool) or new < 1:
            raise UserError(f"max_new_tokens is a whole number, 1 or more. Received: {new!r}")
        rows = self.tokenizer.encode(prompts)
        if not self._is_bounded:
            return rows
        if new >= self.max_length and max_new_tokens is not None:
            raise UserError(
                f"max_new_tokens is less than {self.max_length}, the tokens that the model has "
                f"place for, prompt included. Received: {max_new_tokens}"
            )
        room = self.max_length - new
        longest = max(map(len, rows), default=0)
        if longest > room and not truncate:
            raise UserError(
                f"A prompt has {longest} tokens. The model has place for {self.max_length}, {new} "
                f"new ones included: {room} are left for the prompt. Shorten it, ask for fewer new "
                "tokens, or read only its end (truncate=True; --truncate)."
            )
        return [row[-room:] for row in rows]

    @property
    def _is_bounded(self) -> bool:
        return hasattr(self.backbone, "max_length")

    def _most_new(self, rows: list[list[int]], max_new_tokens: int | None) -> int:
        if max_new_tokens is not None:
            return int(max_new_tokens)
        longest = max(map(len, rows), default=0) if self._is_bounded else 0
        return self.max_length - longest

    def _padded(self, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Ids `(B, T)`, T being one of a few sizes, and their numbers `(B,)`."""
        length = np.array([len(row) for row in rows], "int32")
        size = _size(int(length.max(initial=0)))
        if self._is_bounded:
            size = min(size, self.backbone.max_length - 1)
        token_ids = np.zeros((len(rows), size), "int32")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
        return token_ids, length

    def _slots(self, token_ids: Tensor, new: int) -> int:
        """Positions of the cache for prompts `(B, T)` and `new` tokens."""
        slots = token_ids.shape[1] + new
        return min(slots, self.backbone.max_length) if self._is_bounded else slots

    @cached_property
    def _generate(self) -> Any:
        def run(
            token_ids: Tensor,
            length: Tensor,
            uniforms: Tensor,
            most: Tensor,
            temperature: Tensor,
            top_k: Tensor,
            top_p: Tensor,
            penalty: Tensor,
        ) -> tuple[Tensor, Tensor]:
            slots = self._slots(token_ids, uniforms.shape[1])
            logits, state = self._begun(token_ids, length, penalty, slots)
            step = penalised(self._choosing_step, penalty)
            return generate(step, logits, state, uniforms, most, temperature, top_k, top_p, END)

        return compiled(self, run)

    def _begun(
        self, token_ids: Tensor, length: Tensor, penalty: Tensor, slots: int
    ) -> tuple[Tensor, State]:
        logits, state = self._choosing_prefill(token_ids, length, slots)
        prompt = ops.where(within(token_ids, length), token_ids, 0)
        seen = tokens_seen(prompt, logits.shape[-1])
        return penalise(logits, seen, penalty), {**state, "seen": seen}

    @cached_property
    def _begin(self) -> Any:
        def run(
            token_ids: Tensor,
            length: Tensor,
            uniform: Tensor,
            temperature: Tensor,
            top_k: Tensor,
            top_p: Tensor,
            penalty: Tensor,
        ) -> tuple[Tensor, State]:
            slots = self._slots(token_ids, self.max_length)
            logits, state = self._begun(token_ids, length, penalty, slots)
            return next_token(logits, uniform, temperature, top_k, top_p), state

        return compiled(self, run, at_once=True)

    @cached_property
    def _proceed(self) -> Any:
        def run(
            token: Tensor,
            state: State,
            uniform: Tensor,
            temperature: Tensor,
            top_k: Tensor,
            top_p: Tensor,
            penalty: Tensor,
        ) -> tuple[Tensor, State]:
            logits, state = penalised(self._choosing_step, penalty)(token, state)
            return next_token(logits, uniform, temperature, top_k, top_p), state

        return compiled(self, run, at_once=True)

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """`prefill`, `decode`, `generate` and `generate_text`.

        Args:
            sizes: "T", the tokens of a prompt, and "N", those that follow, where they are not to
                be the halves of `max_length`.

        Raises:
            UserError: If the model has not so many positions.
        """
        prompt, new = self._sizes(sizes or {})
        slots = prompt + new
        vocabulary = self.backbone.vocabulary_size
        _, state = self.prefill(np.zeros((1, 1), "int32"), np.ones(1, "int32"), slots)
        states = tuple(
            TensorSpec(name, keras.backend.standardize_dtype(value.dtype), ("B", *value.shape[1:]))
            for name, value in state.items()
        )
        names = list(state)

        def prefill(token_ids: Tensor, length: Tensor) -> dict[str, Tensor]:
            logits, state = self.prefill(token_ids, length, slots)
            return {"logits": logits, **state}

        def decode(token: Tensor, **state: Tensor) -> dict[str, Tensor]:
            logits, state = self.step(token, state)
            return {"logits": logits, **{name: state[name] for name in names}}

        def generated(token_ids: Tensor, length: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            uniforms, *numbers = given
            logits, state = self._choosing_prefill(token_ids, length, slots)
            return generate(self._choosing_step, logits, state, uniforms, *numbers, END)

        def generate_ids(
            token_ids: Tensor, length: Tensor, uniforms: Tensor, **numbers: Tensor
        ) -> dict[str, Tensor]:
            ids, count = generated(token_ids, length, uniforms, *map(numbers.get, SETTINGS))
            return {"token_ids": ids, "length": count}

        def generate_text(
            text: Tensor, length: Tensor, uniforms: Tensor, **numbers: Tensor
        ) -> dict[str, Tensor]:
            token_ids, count = self._prompt_of(text, length, prompt)
            ids, _ = generated(token_ids, count, uniforms, *map(numbers.get, SETTINGS))
            text, length = self.tokenizer.text(ids)
            return {"text": text, "length": length}

        def spec(name: str, dtype: str, shape: tuple[int | str, ...], **rest: Any) -> TensorSpec:
            return TensorSpec(name, dtype, shape, **rest)

        ids = spec("token_ids", "int32", ("B", "T"), minimum=0, maximum=vocabulary - 1)
        count = spec("length", "int32", ("B",), minimum=0, maximum="T")
        logits = spec("logits", "float32", ("B", vocabulary))
        settings = (
            spec("max_new_tokens", "int32", (), minimum=1, maximum="N", default="N"),
            spec("temperature", "float32", (), minimum=0, default=1.0),
            spec("top_k", "int32", (), minimum=0, default=0),
            spec("top_p", "float32", (), minimum=1e-6, maximum=1, default=1.0),
            spec("uniforms", "float32", ("B", "N"), minimum=0, maximum=LARGEST, default="random"),
        )
        text = (
            spec("text", "uint8", ("B", "L"), keep="end"),
            spec("length", "int32", ("B",), minimum=0, maximum="L"),
        )
        token = spec("token", "int32", ("B",), minimum=0, maximum=vocabulary - 1)
        new_ids = (spec("token_ids", "int32", ("B", "N")), spec("length", "int32", ("B",)))
        new_text = (spec("text", "uint8", ("B", "M")), spec("length", "int32", ("B",)))
        return (
            Signature("prefill", (ids, count), (logits, *states), prefill),
            Signature("decode", (token, *states), (logits, *states), decode),
            Signature(
                "generate", (ids, count, *settings), new_ids, generate_ids, self._margins_of_ids
            ),
            Signature(
                "generate_text", (*text, *settings), new_text, generate_text, self._margins_of_text
            ),
        )

    def _sizes(self, sizes: Mapping[str, int]) -> tuple[int, int]:
        """Tokens of a prompt and tokens that follow it, in exported signatures."""
        new = sizes.get("N")
        prompt = sizes.get("T")
        if new is None:
            new = max(1, self.max_length - (prompt or self.max_length // 2))
        if prompt is None:
            prompt = max(1, self.max_length - new)
        if self._is_bounded and prompt + new > self.backbone.max_length:
            raise UserError(
                f"The model has {self.backbone.max_length} positions, for a prompt and what "
                f"follows it together. Received: {prompt} tokens of a prompt (--max-length) and "
                f"{new} new ones (--max-new-tokens)."
            )
        return prompt, new

    def _prompt_of(self, text: Tensor, length: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Token ids `(B, most)` and their number `(B,)`: the last ones, where there are more."""
        ids = self.tokenizer.token_ids(text, length, self._bytes_of(most))
        count = ops.sum(ops.cast(ids > 0, "int32"), axis=1)
        return last_ids(ids, count, most), ops.minimum(count, most)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Each text as a prompt, of which the end is read: continued with the likeliest tokens,
        and with drawn ones.
        """
        prompts = [cut_to_end(to_bytes(text), sizes["L"]) for text in texts]
        rows = [row[-sizes["T"] :] for row in self.tokenizer.encode(prompts)]
        return self._inputs(prompts, rows, sizes, STATE_ROWS)

    def drawn_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """`count` prompts of random token ids, from empty ones to `sizes["T"]`, in the same way."""
        generator = np.random.default_rng(seed)
        lengths = np.linspace(0, sizes["T"], count // 2).astype(int)
        rows = [
            generator.integers(END + 1, self.tokenizer.vocabulary_size, length).tolist()
            for length in lengths
        ]
        prompts = [cut_to_end(p, sizes["L"]) for p in self.tokenizer.decode_bytes(rows)]
        # Two rows, for these are kept in the bundle.
        return self._inputs(prompts, rows, sizes, 2)

    def _inputs(
        self,
        prompts: list[bytes],
        rows: list[list[int]],
        sizes: Mapping[str, int],
        state_rows: int,
    ) -> dict[str, dict[str, np.ndarray]]:
        token_ids = np.zeros((len(rows), sizes["T"]), "int32")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
        length = np.array([len(row) for row in rows], "int32")
        text, text_length = packed(prompts)
        settings = _proven_settings(len(rows), sizes["N"])
        few = slice(0, state_rows)
        prompt, new = self._sizes(sizes)
        logits, state = self.prefill(token_ids[few], length[few], prompt + new)
        token = ops.argmax(logits, axis=-1)
        states = {"token": token, **state}
        return {
            "prefill": {"token_ids": token_ids[few], "length": length[few]},
            "decode": {name: ops.convert_to_numpy(value) for name, value in states.items()},
            "generate": {
                "token_ids": np.concatenate([token_ids] * 2),
                "length": np.concatenate([length] * 2),
                **settings,
            },
            "generate_text": {
                "text": np.concatenate([text] * 2),
                "length": np.concatenate([text_length] * 2),
                **settings,
            },
        }

    def _margins_of_ids(self, inputs: Arrays, outputs: Arrays) -> np.ndarray:
        """For `generate`: of each token given, and of the one that ended a row."""
        new = outputs["token_ids"]
        found = np.full(new.shape, np.inf)
        settings = zip(*(inputs[name] for name in SETTINGS[1:]), strict=True)
        for i, (temperature, top_k, top_p) in enumerate(settings):
            if temperature == 0:
                continue
            # The whole text at once, not step after step: another way to the same distributions.
            before = 1 + inputs["length"][i]
            whole = np.zeros((1, inputs["token_ids"].shape[1] + new.shape[1]), "int32")
            ids = [BEGINNING, *inputs["token_ids"][i, : before - 1], *new[i, :-1]]
            whole[0, : len(ids)] = ids
            logits = ops.convert_to_numpy(choosable(self._logits_of(whole)))[0, before - 1 :]
            chosen = min(outputs["length"][i] + 1, new.shape[1])
            found[i, :chosen] = margins(
                logits[:chosen], inputs["uniforms"][i, :chosen], temperature, top_k, top_p
            )
        return found

    def _margins_of_text(self, inputs: Arrays, outputs: Arrays) -> np.ndarray:
        """For `generate_text`: of the token that a byte belongs to, or of the one before it."""
        new = inputs["uniforms"].shape[1]
        prompt, _ = self._sizes({"N": new})
        ids, length = self._prompt_of(inputs["text"], inputs["length"], prompt)
        given = {
            **inputs,
            "token_ids": ops.convert_to_numpy(ids),
            "length": ops.convert_to_numpy(length),
        }
        rows = []
        for i in range(len(inputs["length"])):
            row = [given[name][i : i + 1] for name in ("token_ids", "length", "uniforms")]
            numbers = [given[name][i] for name in SETTINGS]
            rows.append([ops.convert_to_numpy(x) for x in self._generate(*row, *numbers, NEUTRAL)])
        token_ids, length = (np.concatenate(part) for part in zip(*rows, strict=True))
        of_ids = self._margins_of_ids(given, {"token_ids": token_ids, "length": length})
        of_ids[:, 1:] = np.minimum(of_ids[:, 1:], of_ids[:, :-1])
        found = np.full(outputs["text"].shape, np.inf)
        for i, count in enumerate(length):
            pieces = [len(self.tokenizer.decode_bytes([[token]])[0]) for token in token_ids[i]]
            of_bytes = np.repeat(of_ids[i], np.where(np.arange(new) < count, pieces, 1))
            of_bytes = of_bytes[: found.shape[1]]
            found[i, : len(of_bytes)] = of_bytes
        return found

    @cached_property
    def _logits_of(self) -> Any:
        return compiled(self, lambda token_ids: self(token_ids))

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The largest size of each dimension of a signature that has one, where T tokens of a
        prompt and N that follow it are asked for.
        """
        prompt, new = self._sizes(sizes)
        return {"T": prompt, "N": new, "L": self._bytes_of(prompt)}

    def _bytes_of(self, tokens: int) -> int:
        """As many as a text of `tokens` tokens surely has."""
        return self.tokenizer.bytes_a_token * tokens + 3

    def describe(self) -> dict[str, Any]:
        """Backbone and sizes, for the manifest of a bundle."""
        backbone = self.backbone
        return {
            "backbone": getattr(backbone, "cell", "transformer"),
            "vocabulary_size": backbone.vocabulary_size,
            "hidden_dim": backbone.hidden_dim,
            "parameters": int(self.count_params()),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "max_length": self.max_length,
            "tie_embeddings": self.tie_embeddings,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextGenerator":
        for part in ("backbone", "tokenizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def choosable(logits: Tensor) -> Tensor:
    """Logits `(…, V)` in which padding, the unknown and the beginning are never chosen."""
    never = np.where(np.arange(logits.shape[-1]) < END, -1e9, 0.0)
    return logits + ops.convert_to_tensor(never, dtype=logits.dtype)


def last_ids(token_ids: Tensor, count: Tensor, most: int) -> Tensor:
    """The last `most` of the first `count` ids of each row: `(B, L)` to `(B, most)`."""
    width = ops.shape(token_ids)[1]
    places = ops.expand_dims(ops.arange(most, dtype="int32"), axis=0)
    places = places + ops.expand_dims(ops.maximum(count - most, 0), axis=1)
    found = ops.take_along_axis(token_ids, ops.minimum(places, width - 1), axis=1)
    return ops.where(places < width, found, 0)


def _settings(values: Mapping[str, Any]) -> Sampling:
    try:
        return Sampling(**values)
    except TypeError as error:
        raise UserError(
            f"Tokens are chosen by {', '.join(Sampling.__dataclass_fields__)}. Received: "
            f"{', '.join(values)}"
        ) from error


def _numbers(settings: Sampling) -> tuple[Any, ...]:
    """Temperature, top_k, top_p and repetition penalty, as tensors take them."""
    floats = np.float32
    penalty = floats(settings.repetition_penalty)
    return floats(settings.temperature), np.int32(settings.top_k), floats(settings.top_p), penalty


def _size(least: int) -> int:
    return max(LEAST_SIZE, 1 << (least - 1).bit_length())


def _proven_settings(prompts: int, new: int) -> dict[str, np.ndarray]:
    """The settings of `generate` for every prompt twice: the likeliest tokens, and drawn ones."""
    greedy = [(0.0, 0, 1.0)] * prompts
    quarters = [PROVEN_SAMPLING[i * len(PROVEN_SAMPLING) // prompts] for i in range(prompts)]
    temperature, top_k, top_p = zip(*greedy, *quarters, strict=True)
    return {
        "max_new_tokens": np.full(2 * prompts, new, "int32"),
        "temperature": np.array(temperature, "float32"),
        "top_k": np.array(top_k, "int32"),
        "top_p": np.array(top_p, "float32"),
        "uniforms": drawn(2 * prompts, new, 0),
    }
