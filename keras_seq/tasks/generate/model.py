"""The text generator: it continues a text."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones.backbone import length_mask
from keras_seq.checking import check_arguments, describe_unknown
from keras_seq.compiling import JIT_CALLS, compile_function
from keras_seq.data.datasets import holds_texts, is_dataset, read_dataset
from keras_seq.decoding import (
    NO_CHANCE,
    Hypothesis,
    Repetition,
    Sampling,
    apply_repetition_penalty,
    beam_search,
    generate,
    mark_previous_tokens,
    next_token,
    with_repetition_penalty,
)
from keras_seq.embeddings import token_mask
from keras_seq.errors import ArgumentError, UserError
from keras_seq.tasks.generate.signatures import ENTRY, GeneratorSignatures
from keras_seq.tasks.language_modeling.model import LanguageModel, mask_special_tokens
from keras_seq.tasks.text_model import SignatureMixin
from keras_seq.text.streaming import TextStream
from keras_seq.text.token_rows import pad_rows
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.text.utf8 import is_text, list_texts
from keras_seq.typing import State, Tensor
from keras_seq.uniforms import random_uniforms

LEAST_SIZE = 16  # Compiled functions are cached for sizes that are powers of two, from this one on.
MAX_BATCH_ROWS = 64  # Rows generated in one call: a Transformer's caches are large.


@keras.saving.register_keras_serializable("keras_seq")
class TextGenerator(SignatureMixin, LanguageModel):
    """A causal backbone and a softmax over the vocabulary.

    `fit` takes texts, which it cuts into rows of `max_length` tokens; or token ids `(B, T)` as `x`
    and the same ids, shifted by one, as `y`. A continuation follows the beginning token and the
    prompt, so an empty prompt begins a text.

    Args:
        backbone: "rnn", "lstm" or "transformer", or a causal `keras_seq.backbones` backbone.
        tokenizer: A `keras_seq.text` tokenizer; bytes by default.
        max_length: Number of tokens of a prompt and its continuation together, at most the
            positions of a Transformer. A recurrent backbone has no limit; there it is the size
            that is exported. By default that of `keras-seq train generate`, 256.
        tie_embeddings: The softmax shares its weights with the embedding (Press & Wolf 2017). By
            default it does in a model whose backbone is named, and not in others.
        embedding: A `TokenEmbedding`; by default a new one of the backbone's width.
        scale_embedding: Whether a new embedding is scaled; see `TokenEmbedding`. Recurrent layers
            learn little from the small vectors of one that is not.
        **kwargs: Of a backbone by name also `hidden_dim`, `num_layers`, `num_heads`,
            `vocabulary_size` and what else `keras-seq train generate --help` says of the model.
            Arguments of `keras.Model`.

    Example:

    ```python
    texts = ["one two three four five six seven. " * 9] * 20
    model = keras_seq.TextGenerator("lstm", hidden_dim=32, num_layers=1, max_length=32)
    model.fit(texts, epochs=2)
    model.generate("one two", max_new_tokens=20, temperature=0.8, seed=1)
    ```
    """

    task = "generate"
    entry = ENTRY
    signatures_class = GeneratorSignatures
    causal = True
    on_texts = ("generate", "beam_search")

    def prepare(self, x: Any, y: Any = None) -> tuple[Any, Any, Any]:
        """Converts texts to ids `(N, max_length)` int32, the ids that follow, and their weights.

        Rows are read from the texts one after the other, each begun and ended by its token.
        """
        if is_dataset(x) and holds_texts(x):
            x, y = read_dataset(x)
        if not is_text(x):
            return x, y, None
        ids: list[int] = []
        for row in self.tokenizer.encode(list_texts(x)):
            ids += [BEGINNING, *row, END]
        starts = range(0, len(ids) - 1, self.max_length)
        rows = pad_rows([ids[i : i + self.max_length + 1] for i in starts], self.max_length + 1)
        weight = (rows[:, 1:] > 0).astype("float32")
        # Keras takes the mean over all positions; the weights make it that over the tokens.
        return rows[:, :-1], rows[:, 1:], weight * (weight.size / max(1, weight.sum()))

    def prefill(
        self, token_ids: Tensor, length: Tensor, cache_length: int | None
    ) -> tuple[Tensor, State]:
        """Reads the beginning token and a prompt at once.

        Args:
            token_ids: `(B, T)` int32.
            length: `(B,)` int32, 0 or more: how many ids of each row are its prompt.
            cache_length: Positions of a Transformer's cache, more than T; None for one that grows.

        Returns:
            `(logits, state)`: the logits `(B, V)` of the first token after the prompt, and named
            tensors, batch first.
        """
        beginning = ops.full_like(ops.expand_dims(length, axis=1), BEGINNING)
        token_ids = ops.concatenate([beginning, token_ids], axis=1)
        hidden, state = self.backbone.prefill(
            self.embedding(token_ids), length + 1, cache_length, token_mask(token_ids)
        )
        return self.logits(hidden), {"position": length + 1, **state}

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads one token of each row, `(B,)` int32, after `prefill` or another step.

        Returns:
            `(logits, state)`: the logits `(B, V)` of the next token, and the new state.
        """
        hidden, new_state = self.backbone.step(self.embedding(token), state, token_mask(token))
        return self.logits(hidden), {"position": state["position"] + 1, **new_state}

    def masked_step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Computes a `step` whose logits never select a special token but the end."""
        logits, state = self.step(token, state)
        return mask_special_tokens(logits), state

    def masked_step_in_cache(
        self, cache_length: int, token: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Computes a `masked_step` in a cache of `cache_length` positions.

        The last position stands for any behind it: the result is unused where a row has none left.
        """
        position = ops.minimum(state["position"], cache_length - 1)
        return self.masked_step(token, {**state, "position": position})

    def masked_prefill(
        self, token_ids: Tensor, length: Tensor, cache_length: int | None
    ) -> tuple[Tensor, State]:
        """Computes a `prefill` whose logits never select a special token but the end."""
        logits, state = self.prefill(token_ids, length, cache_length)
        return mask_special_tokens(logits), state

    @check_arguments
    def generate(
        self,
        prompts: Any,
        max_new_tokens: int | None = None,
        *,
        truncate: bool = False,
        **sampling: Any,
    ) -> list[str] | str:
        """Continues each prompt.

        Args:
            prompts: One text or several, of any length.
            max_new_tokens: Largest number of tokens of each continuation; by default all that
                `max_length` leaves.
            truncate: Whether to read only the end of a prompt that is too long: as much as
                `max_new_tokens` leaves, or half of `max_length`. Otherwise it is an error.
            **sampling: Arguments of `keras_seq.decoding.Sampling`.

        Returns:
            The continuation of one prompt, or a list of them, without the prompts. Each row has its
            own random stream and does not depend on the others.

        Raises:
            UserError: If a value is outside of its range, or a prompt too long.
        """
        settings = _settings(sampling)
        rows = self._encode_prompts(prompts, max_new_tokens, truncate)
        # Each row continues as far as it has positions, whatever the others do.
        limits = [self._max_new([row], max_new_tokens) for row in rows]
        most = max(limits, default=1)
        uniforms = np.zeros((len(rows), _size(most)), "float32")
        uniforms[:, :most] = random_uniforms(len(rows), most, settings.seed)
        texts = []
        for start in range(0, len(rows), MAX_BATCH_ROWS):
            batch = slice(start, start + MAX_BATCH_ROWS)
            written = self._generate_ids(rows[batch], uniforms[batch], most, settings)
            for ids, limit in zip(written, limits[batch], strict=True):
                stream = TextStream(settings.stop)
                text = stream.feed(self.tokenizer.decode_bytes([ids[:limit]])[0])
                texts.append(text + stream.finish())
        return texts[0] if isinstance(prompts, (str, bytes)) else texts

    def _generate_ids(
        self, rows: list[list[int]], uniforms: np.ndarray, most: int, settings: Sampling
    ) -> list[list[int]]:
        """Generates the ids that follow each row."""
        token_ids, length = self._pad(rows)
        # Compiled for powers of two: the last row is repeated, and ends when it ends.
        rows_of_batch = np.minimum(np.arange(_power_of_two(len(rows))), len(rows) - 1)
        outputs = self.generate_compiled(
            token_ids[rows_of_batch],
            length[rows_of_batch],
            uniforms[rows_of_batch],
            np.int32(most),
            *_numbers(settings),
        )
        ids, count = (ops.convert_to_numpy(x)[: len(rows)] for x in outputs)
        return [row[:n].tolist() for row, n in zip(ids, count, strict=True)]

    @check_arguments
    def beam_search(
        self,
        prompts: Any,
        max_new_tokens: int | None = None,
        *,
        num_beams: int = 4,
        length_penalty: float = 0.0,
        truncate: bool = False,
    ) -> list[list[Hypothesis]]:
        """Finds the likeliest continuations of each prompt by beam search, the best first.

        Args:
            prompts: One text or several, of any length.
            max_new_tokens: As for `generate`; by default all that the longest prompt leaves.
            num_beams: Number of continuations that are followed at once, and returned.
            length_penalty: α of `keras_seq.decoding.beam_search`; 0 compares probabilities, larger
                values prefer longer texts.
            truncate: As for `generate`.

        Returns:
            `num_beams` hypotheses of each prompt, or as many as there are.

        Raises:
            UserError: If a value is outside of its range, or a prompt too long.
        """
        vocabulary = self.embedding.vocabulary_size
        if not isinstance(num_beams, (int, np.integer)) or not 1 <= num_beams <= vocabulary // 2:
            raise UserError(
                f"num_beams is a whole number from 1 to {vocabulary // 2}, half the vocabulary. "
                f"Received: {num_beams!r}"
            )
        if not 0 <= length_penalty < float("inf"):
            raise UserError(f"length_penalty is 0 or more. Received: {length_penalty!r}")
        rows = self._encode_prompts(prompts, max_new_tokens, truncate)
        most = self._max_new(rows, max_new_tokens)
        results = []
        rows_per_call = max(1, MAX_BATCH_ROWS // num_beams)
        starts = range(0, len(rows), rows_per_call)
        run = self._search_functions(num_beams, _size(most), len(starts) >= JIT_CALLS)
        for start in starts:
            token_ids, length = self._pad(rows[start : start + rows_per_call])
            arguments = (token_ids, length, np.int32(most), np.float32(length_penalty))
            results += zip(*map(ops.convert_to_numpy, run(*arguments)), strict=True)
        return [
            [
                Hypothesis(text, float(score), bool(end))
                for text, score, end in zip(self._texts(ids, count), scores, ended, strict=True)
                if score > NO_CHANCE
            ]
            for ids, count, scores, ended in results
        ]

    def _texts(self, ids: np.ndarray, count: np.ndarray) -> list[str]:
        return self.tokenizer.decode([row[:n].tolist() for row, n in zip(ids, count, strict=True)])

    @cached_property
    def _search_functions(self) -> Any:
        """Beam searches as compiled functions, by number of beams, size and `jit`.

        A function takes token_ids `(B, T)`, length `(B,)`, max_new_tokens and length penalty.
        """
        return cache(self._compiled_search)

    def _compiled_search(self, beams: int, size: int, jit: bool) -> Any:
        def run(token_ids: Tensor, length: Tensor, most: Tensor, length_penalty: Tensor) -> tuple:
            cache_length = self._cache_length(token_ids, size)
            logits, state = self.masked_prefill(token_ids, length, cache_length)
            least = ops.zeros((), "int32")
            step = partial(
                self.masked_step_in_cache, cache_length
            )  # A search also steps its last tokens.
            return beam_search(step, logits, state, beams, size, most, least, length_penalty, END)

        return compile_function(self, run, jit)

    @check_arguments
    def stream(
        self,
        prompt: str | bytes,
        max_new_tokens: int | None = None,
        *,
        truncate: bool = False,
        **sampling: Any,
    ) -> Iterator[str]:
        """Continues a prompt piece by piece: the text of `generate`, as it is generated.

        Args:
            prompt: A text.
            max_new_tokens: Largest number of tokens; by default all that `max_length` leaves.
            truncate: Whether to read only the end of a prompt that is too long. Otherwise it is an
                error.
            **sampling: Arguments of `keras_seq.decoding.Sampling`.

        Yields:
            Whole characters; no piece is empty.

        Raises:
            UserError: If a value is outside of its range, or the prompt too long.
        """
        settings = _settings(sampling)
        rows = self._encode_prompts([prompt], max_new_tokens, truncate)
        return self._stream(rows, self._max_new(rows, max_new_tokens), settings)

    def _stream(self, rows: list[list[int]], most: int, settings: Sampling) -> Iterator[str]:
        token_ids, length = self._pad(rows)
        numbers = _numbers(settings)
        text = TextStream(settings.stop)
        first, *others = random_uniforms(1, most, settings.seed)[0]
        token, state = self._begin(token_ids, length, np.array([first]), *numbers)
        while True:
            token_id = int(ops.convert_to_numpy(token)[0])
            if token_id == END:
                break
            piece = text.feed(self.tokenizer.decode_bytes([[token_id]])[0])
            if piece:
                yield piece
            if text.stopped or not others:
                break
            uniform = np.array([others.pop(0)])
            token, state = self._decode_one(token, state, uniform, *numbers)
        piece = text.finish()
        if piece:
            yield piece

    def _encode_prompts(
        self, prompts: Any, max_new_tokens: int | None, truncate: bool
    ) -> list[list[int]]:
        new = 1 if max_new_tokens is None else max_new_tokens
        if not isinstance(new, (int, np.integer)) or isinstance(new, bool) or new < 1:
            raise UserError(f"max_new_tokens is a whole number, 1 or more. Received: {new!r}")
        rows = self.tokenizer.encode(prompts)
        if not self.is_bounded:
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
                f"A prompt has {longest} tokens. The model has room for {self.max_length}, {new} "
                f"new ones included: {room} are left for the prompt. Shorten it, ask for fewer new "
                "tokens, or read only its end (--truncate)."
            )
        if max_new_tokens is None:
            # A prompt that is too long leaves half of the positions.
            return [row if len(row) <= room else row[-self.max_length // 2 :] for row in rows]
        return [row[-room:] for row in rows]

    @property
    def is_bounded(self) -> bool:
        """Whether the backbone has a limited number of positions."""
        return self.backbone.max_length is not None

    def _max_new(self, rows: list[list[int]], max_new_tokens: int | None) -> int:
        if max_new_tokens is not None:
            return int(max_new_tokens)
        longest = max(map(len, rows), default=0) if self.is_bounded else 0
        return self.max_length - longest

    def _pad(self, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Returns ids `(B, T)`, T being one of a few sizes, and the length of each row `(B,)`."""
        length = np.array([len(row) for row in rows], "int32")
        size = _size(int(length.max(initial=0)))
        if self.is_bounded:
            size = min(size, self.backbone.max_length - 1)
        return pad_rows(rows, size), length

    def _cache_length(self, token_ids: Tensor, new: int) -> int:
        """Returns the positions of the cache for prompts `(B, T)` and `new` tokens."""
        cache_length = token_ids.shape[1] + new
        return min(cache_length, self.backbone.max_length) if self.is_bounded else cache_length

    @cached_property
    def generate_compiled(self) -> Any:
        """The whole generation as one compiled function.

        It takes token_ids `(B, T)`, length `(B,)`, uniforms `(B, N)`, and the scalars
        max_new_tokens, temperature, top_k, top_p and repetition penalty.
        """

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
            cache_length = self._cache_length(token_ids, uniforms.shape[1])
            logits, state = self.masked_prefill(token_ids, length, cache_length)
            numbers = (most, temperature, top_k, top_p, END)
            repetition = Repetition(penalty, self.mark_prompt(token_ids, length))
            return generate(self.masked_step, logits, state, uniforms, *numbers, repetition)

        return compile_function(self, run)

    def _start_state(
        self, token_ids: Tensor, length: Tensor, penalty: Tensor, cache_length: int
    ) -> tuple[Tensor, State]:
        logits, state = self.masked_prefill(token_ids, length, cache_length)
        previous = self.mark_prompt(token_ids, length)
        return apply_repetition_penalty(logits, previous, penalty), {
            **state,
            "previous_tokens": previous,
        }

    def mark_prompt(self, token_ids: Tensor, length: Tensor) -> Tensor:
        """Returns `(B, V)` int32, 1 for the tokens of each prompt; see `prefill`."""
        is_prompt = length_mask(ops.shape(token_ids)[1], length)
        prompt = ops.where(is_prompt, token_ids, 0)
        return mark_previous_tokens(prompt, self.embedding.vocabulary_size)

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
            cache_length = self._cache_length(token_ids, self.max_length)
            logits, state = self._start_state(token_ids, length, penalty, cache_length)
            return next_token(logits, uniform, temperature, top_k, top_p), state

        return compile_function(self, run, jit=False)

    @cached_property
    def _decode_one(self) -> Any:
        def run(
            token: Tensor,
            state: State,
            uniform: Tensor,
            temperature: Tensor,
            top_k: Tensor,
            top_p: Tensor,
            penalty: Tensor,
        ) -> tuple[Tensor, State]:
            logits, state = with_repetition_penalty(self.masked_step, penalty)(token, state)
            return next_token(logits, uniform, temperature, top_k, top_p), state

        return compile_function(self, run, jit=False)


def _settings(values: Mapping[str, Any]) -> Sampling:
    known = Sampling.__dataclass_fields__
    for name in values:
        if name not in known:
            raise ArgumentError(describe_unknown(name, ["max_new_tokens", "truncate", *known]))
    return Sampling(**values)


def _numbers(settings: Sampling) -> tuple[Any, ...]:
    """Returns temperature, top_k, top_p and repetition penalty as NumPy scalars."""
    floats = np.float32
    penalty = floats(settings.repetition_penalty)
    top_k = np.int32(min(settings.top_k, np.iinfo("int32").max))  # A larger number means all.
    return floats(settings.temperature), top_k, floats(settings.top_p), penalty


def _size(least: int) -> int:
    return max(LEAST_SIZE, _power_of_two(least))


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
