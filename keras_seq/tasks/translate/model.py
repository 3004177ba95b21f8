"""The translator: a text in one language to a text in another."""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.backbones import EncoderDecoder
from keras_seq.checking import check_arguments
from keras_seq.compiling import JIT_CALLS, compile_function
from keras_seq.console import show_progress
from keras_seq.data.datasets import holds_texts, is_dataset, read_dataset
from keras_seq.decoding import Hypothesis, beam_search
from keras_seq.embeddings import TokenEmbedding, token_mask
from keras_seq.errors import UserError
from keras_seq.layers.cache import loop_cache_length
from keras_seq.layers.language_head import LanguageHead
from keras_seq.signature import Entry
from keras_seq.tasks.language_modeling.model import mask_special_tokens
from keras_seq.tasks.text_model import SignatureMixin, TextModel
from keras_seq.tasks.translate.answers import join_hypotheses, read_hypotheses
from keras_seq.tasks.translate.architecture import make_parts
from keras_seq.tasks.translate.signatures import TranslatorSignatures
from keras_seq.text import Tokenizer
from keras_seq.text.sentences import split_text
from keras_seq.text.token_rows import pad_rows
from keras_seq.text.tokenizer import BEGINNING, END, encode_utf8
from keras_seq.text.trimming import strip_text
from keras_seq.text.utf8 import is_text, list_texts
from keras_seq.typing import Arrays, State, Tensor

MAX_BATCH_ROWS = 64  # Rows of a search, beams included.
SIZES = 16  # Compiled functions are cached for lengths that are multiples of it.


@keras.saving.register_keras_serializable("keras_seq")
class Translator(SignatureMixin, TextModel):
    """An encoder-decoder and a softmax that shares the embedding's weights.

    `fit` takes texts as `x` and their translations as `y`; or what `preprocess` makes of them:
    source ids `(B, S)` and target ids `(B, T)`, which begin with the beginning token, as `x`, and
    the target shifted by one, which ends with the end token, as `y`. The model itself appends an
    end token to each source.

    Args:
        backbone: "rnn", "lstm" or "transformer", or a `keras_seq.backbones.EncoderDecoder`.
        tokenizer: A `keras_seq.text` tokenizer of both languages; by default `fit` learns
            SentencePiece pieces.
        max_length: Largest number of tokens of a source, and of a target; 100 by default.
        source: Name of the source language.
        target: Name of the target language.
        embedding: A `TokenEmbedding` of the backbone's width; by default a new, scaled one.
        **kwargs: Of a backbone by name also `hidden_dim`, `num_layers`, `num_heads`,
            `vocabulary_size` and what else `keras-seq train translate --help` says of the model.
            Arguments of `keras.Model`.

    Example:

    ```python
    english = ["one dog", "two dogs", "one cat", "two cats"] * 25
    german = ["ein Hund", "zwei Hunde", "eine Katze", "zwei Katzen"] * 25
    model = keras_seq.Translator("lstm", hidden_dim=32, vocabulary_size=300)
    model.fit(english, german, epochs=2)
    model.translate("two dogs", num_beams=2)
    ```
    """

    task = "translate"
    entry = Entry("translate_text", ("translate_text", "attend_text"))
    targets = "translations"
    on_texts = ("translate", "hypotheses")
    splits_digits = True
    r_drop = 0.0  # α of `compute_loss`; set it to train with.
    signatures_class = TranslatorSignatures

    @staticmethod
    def make_parts(settings: Any, vocabulary_size: int) -> dict[str, Any]:
        """Returns arguments of `assemble`, the backbone among them, for settings of the task."""
        return make_parts(settings)

    def __init__(
        self,
        backbone: EncoderDecoder | str = "transformer",
        tokenizer: Tokenizer | str | None = None,
        max_length: int | None = None,
        source: str = "",
        target: str = "",
        embedding: TokenEmbedding | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {"max_length": max_length, "embedding": embedding}
        super().__init__(backbone, tokenizer, arguments, **kwargs)
        self.source, self.target = source, target

    def assemble(
        self,
        backbone: EncoderDecoder,
        tokenizer: Tokenizer,
        max_length: int = 100,
        embedding: TokenEmbedding | None = None,
    ) -> None:
        """Makes the layers; see the class for the arguments."""
        limit = (backbone.max_length or max_length + 1) - 1
        if not 1 <= max_length <= limit:
            raise ValueError(
                f"max_length must be from 1 to {limit}: the backbone's positions, and one of them "
                f"is for the end of a text. Received: {max_length}"
            )
        self.assemble_base(backbone, tokenizer, max_length, embedding, scaled_embedding=True)
        self.head = LanguageHead(self.embedding.vocabulary_size, tied=True, name="head")
        self.build(((None, None), (None, None)))

    def learn_tokenizer(self, settings: Any, texts: list[Any], y: Any) -> Tokenizer:
        """Returns a tokenizer for texts and their translations."""
        texts = [*texts, *list_texts(y)[: len(texts)]]
        return super().learn_tokenizer(settings, texts, None)

    def build(self, input_shape: Any) -> None:
        if not self.embedding.built:
            self.embedding.build((None, None))
        if not self.backbone.built:
            self.backbone.build(((None, None, self.embedding.dim),) * 2)
        self.head.build((None, None, self.backbone.hidden_dim))
        self.built = True

    def call(self, inputs: tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        """Maps source ids `(B, S)` and target ids `(B, T)`, int32, to logits `(B, T, V)` float32 of
        the next tokens.
        """
        source_ids, target_ids = inputs
        source_ids = append_end(source_ids)
        vectors = self.embedding(source_ids), self.embedding(target_ids)
        hidden = self.backbone(vectors, source_mask=token_mask(source_ids), training=training)
        return self.logits(hidden)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Computes the compiled loss; in training with `r_drop`, α, that of two predictions with
        different dropout, and their distance (R-Drop, Liang et al. 2021):

            (L(p) + L(q)) / 2 + α / 4 · (KL(p ‖ q) + KL(q ‖ p))
        """
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not (training and self.r_drop):
            return loss
        y_other = self(x, training=True)
        loss = (loss + super().compute_loss(x, y, y_other, sample_weight, training)) / 2
        log_p, log_q = ops.log_softmax(y_pred), ops.log_softmax(y_other)
        apart = ops.sum((ops.exp(log_p) - ops.exp(log_q)) * (log_p - log_q), axis=-1)
        if sample_weight is not None:
            apart = apart * sample_weight
        return loss + self.r_drop / 4 * ops.mean(apart)

    def logits(self, hidden: Tensor) -> Tensor:
        """Maps hidden vectors `(…, D)` to logits `(…, V)` float32."""
        return self.head(hidden, embeddings=self.embedding.embeddings)

    def encode(self, source_ids: Tensor) -> State:
        """Returns what the decoder reads of sources `(B, S)` int32: named tensors, batch first."""
        source_ids = append_end(source_ids)
        memory = self.backbone.encode(self.embedding(source_ids), token_mask(source_ids))
        return {"source_ids": source_ids, **memory}

    def begin(self, memory: State, size: int | None) -> tuple[Tensor, State]:
        """Computes the first step of targets of at most `size` tokens: `(logits, state)`.

        The caches grow with each step if `size` is None.
        """
        # A search also asks for the token after the last one.
        slots = None if size is None else size + 1
        state = self.backbone.initial_state(memory, slots)
        token = ops.full_like(memory["source_ids"][:, 0], BEGINNING)
        return self.step(token, state, memory)

    def step(
        self, token: Tensor, state: State, memory: State, beams: int = 1
    ) -> tuple[Tensor, State]:
        """Reads one token of each target, `(B · K,)` int32, K being `beams`.

        Returns:
            `(logits, state)`: the logits `(B · K, V)` of the next token, and the new state.
        """
        hidden, state = self.backbone.step(
            self.embedding(token), state, memory, token_mask(memory["source_ids"]), beams
        )
        return self.logits(hidden), state

    def search_ids(
        self,
        source_ids: Tensor,
        beams: int,
        size: int,
        max_new_tokens: Tensor,
        min_new_tokens: Tensor | None,
        length_penalty: Tensor,
        no_repeat: int = 0,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds the best targets of sources `(B, S)` int32; see `keras_seq.decoding.beam_search`.

        The targets of a source without tokens are empty, with the score 0.
        """
        memory = self.encode(source_ids)

        def step(token: Tensor, state: State) -> tuple[Tensor, State]:
            logits, state = self.step(token, state, memory, beams)
            return mask_special_tokens(logits), state

        logits, state = self.begin(memory, loop_cache_length(size))
        ids, length, scores, ended = beam_search(
            step,
            mask_special_tokens(logits),
            state,
            beams,
            size,
            max_new_tokens,
            min_new_tokens,
            length_penalty,
            END,
            no_repeat,
        )
        is_text = source_ids[:, :1] > 0  # (B, 1)
        return (
            ops.where(ops.expand_dims(is_text, axis=2), ids, 0),
            ops.where(is_text, length, 0),
            ops.where(is_text, scores, 0.0),
            ops.where(is_text, ended, 1),
        )

    def translate(self, texts: Any, **options: Any) -> list[str] | str:
        """Returns the best translation of one text, or of each; options are as for `hypotheses`."""
        translations = [row[0].text for row in self.hypotheses(texts, **options)]
        return translations[0] if isinstance(texts, (str, bytes)) else translations

    @check_arguments
    def hypotheses(
        self,
        texts: Any,
        *,
        num_beams: int = 4,
        length_penalty: float = 0.6,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        no_repeat_ngram: int = 0,
        split: bool = True,
    ) -> list[list[Hypothesis]]:
        """Finds the translations of each text by beam search, the best first.

        Args:
            texts: One text or several, of any length; see `split`. ASCII white space around a text
                is ignored.
            num_beams: Number of translations that are followed at once, and returned. 1 takes the
                likeliest token each time.
            length_penalty: α of `keras_seq.decoding.beam_search`: larger values prefer longer
                texts.
            max_new_tokens: Largest number of tokens of a translation, its end included, by default
                `max_length`. A translation that has not ended there is cut and marked as such. If a
                text is split, this and the following limits hold for each part.
            min_new_tokens: Smallest number of tokens of a translation.
            no_repeat_ngram: Length of token sequences that may not occur twice in a translation; 0
                allows all.
            split: Whether to translate a text of more than `max_length` tokens sentence by
                sentence, or in smaller parts where these are too long. Hypothesis k is then made of
                the k-th of each part. Otherwise such a text is an error.

        Returns:
            `num_beams` hypotheses of each text, or as many as there are.

        Raises:
            UserError: If a value is outside of its range, or a text too long.
        """
        vocabulary = self.embedding.vocabulary_size
        _require("num_beams", num_beams, 1, vocabulary // 2)
        most = self.max_length if max_new_tokens is None else max_new_tokens
        _require("max_new_tokens", most, 1, self.max_length)
        _require("min_new_tokens", min_new_tokens, 0, most - 1)
        _require("no_repeat_ngram", no_repeat_ngram, 0, most)
        is_number = isinstance(length_penalty, (int, float, np.floating, np.integer))
        if not is_number or not 0 <= length_penalty < float("inf"):
            raise UserError(f"length_penalty is 0 or more. Received: {length_penalty!r}")
        pieces = [self._parts(text, split) for text in encode_utf8(texts)]
        rows = self.tokenizer.encode([part for parts in pieces for part in parts])
        # Rows of about one length run together.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        results: list[list[Hypothesis]] = [[] for _ in rows]
        rows_per_call = max(1, MAX_BATCH_ROWS // num_beams)
        numbers = (np.int32(most), np.int32(min_new_tokens), np.float32(length_penalty))
        starts = range(0, len(rows), rows_per_call)
        jit = len(starts) >= JIT_CALLS
        run = self._search_functions(num_beams, no_repeat_ngram, jit)
        for start in show_progress(starts, "Translating"):
            batch = order[start : start + rows_per_call]
            sources = [rows[i] for i in batch]
            if jit:
                # XLA compiles each shape: rows without tokens fill the last call up.
                sources += [[]] * (rows_per_call - len(batch))
            outputs = map(ops.convert_to_numpy, run(self._pad_sources(sources), *numbers))
            for i, ids, count, scores, ended in zip(batch, *outputs, strict=False):
                results[i] = self._read_hypotheses(ids, count, scores, ended)
        of_parts = iter(results)
        return [join_hypotheses([next(of_parts) for _ in parts], self.target) for parts in pieces]

    def _pad_sources(self, rows: list[list[int]]) -> np.ndarray:
        """Returns ids `(B, S)`, S being one of a few sizes."""
        longest = max(1, *map(len, rows))
        return pad_rows(rows, min(-(-longest // SIZES) * SIZES, self.max_length))

    def _parts(self, content: bytes, split: bool) -> list[str | bytes]:
        """Splits a text into parts that the model can read: one if it can read all of it, none if
        there is nothing to translate.
        """
        content = strip_text(content)

        def fits(part: str | bytes) -> bool:
            return len(self.tokenizer.encode([part])[0]) <= self.max_length

        if fits(content):
            return [content] if content else []
        text = content.decode("utf-8", "replace")
        if not split:
            count = len(self.tokenizer.encode([text])[0])
            raise UserError(
                f"A text has {count:,} tokens, and the model has room for {self.max_length}. "
                f"Shorten it, or let it be split, without --no-split: {text[:40]!r}…"
            )
        return split_text(text, fits)

    def _read_hypotheses(
        self, ids: np.ndarray, count: np.ndarray, scores: np.ndarray, ended: np.ndarray
    ) -> list[Hypothesis]:
        rows = [row[:n].tolist() for row, n in zip(ids, count, strict=True)]
        return read_hypotheses(self.tokenizer.decode(rows), scores, ended)

    @cached_property
    def _search_functions(self) -> Any:
        """Searches as compiled functions, by number of beams, length of n-grams and `jit`.

        A function takes source_ids `(B, S)`, max_new_tokens, min_new_tokens and length penalty.
        """
        return cache(self._compiled_search)

    def _compiled_search(self, beams: int, no_repeat: int, jit: bool) -> Any:
        def run(source_ids: Tensor, *numbers: Tensor) -> tuple[Tensor, ...]:
            return self.search_ids(source_ids, beams, self.max_length, *numbers, no_repeat)

        signature = ((2, "int32"), (0, "int32"), (0, "int32"), (0, "float32"))
        return compile_function(self, run, jit, signature=signature)

    @check_arguments
    def attention(self, text: str | bytes, translation: str | bytes) -> Arrays:
        """Returns the cross-attention between the tokens of a translation and those of its text.

        Args:
            text: A text of at most `max_length` tokens.
            translation: Its translation; any text of at most `max_length` tokens.

        Returns:
            "source" and "target": the tokens as texts, with an end of text behind each; and
            "weights", `(T, S)` float32, whose rows sum to 1: where the model looked when it
            selected that token.

        Raises:
            UserError: If one of them is too long.
        """
        ids = self.tokenizer.encode([text, translation])
        for row, name in zip(ids, ("text", "translation"), strict=True):
            if len(row) > self.max_length:
                raise UserError(
                    f"The {name} has {len(row):,} tokens, and the model has room for "
                    f"{self.max_length}. Ask for the attention of one sentence at a time."
                )
        source, target = ids
        weights = self._attention(self._pad_sources([source]), np.array([target], "int32"))
        texts = [[*self.tokenizer.decode([i] for i in row), "</s>"] for row in ids]
        weights = ops.convert_to_numpy(weights)[0, :, : len(source) + 1]
        return {"source": texts[0], "target": texts[1], "weights": weights}

    @cached_property
    def _attention(self) -> Any:
        signature = ((2, "int32"), (2, "int32"))
        return compile_function(self, self.attention_weights, jit=False, signature=signature)

    def attention_weights(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Returns where the model looks when it selects each token of targets `(B, T)` and their
        end: `(B, T + 1, S + 1)` float32 for sources `(B, S)` and their ends.
        """
        memory = self.encode(source_ids)
        # Of the source, which has an end: a target may have no tokens.
        beginning = ops.full_like(memory["source_ids"][:, :1], BEGINNING)
        read = ops.concatenate([beginning, target_ids], axis=1)
        return self.backbone.cross_attention(
            self.embedding(read), memory, token_mask(memory["source_ids"])
        )

    def preprocess(
        self, sources: Sequence[str | bytes], targets: Sequence[str | bytes]
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
        """Converts texts to what `fit` takes: `x`, `y` and the weights of `y`.

        Texts are cut to `max_length` tokens; the weights are 0 where `y` is padding.
        """
        source_ids = pad_rows(self.tokenizer.encode(sources), self.max_length)
        rows = [row[: self.max_length] for row in self.tokenizer.encode(targets)]
        read = pad_rows([[BEGINNING, *row] for row in rows], self.max_length + 1)
        shifted = pad_rows([[*row, END] for row in rows], self.max_length + 1)
        weight = (shifted > 0).astype("float32")
        # Keras takes the mean over all positions; the weights make it that over the tokens.
        return (source_ids, read), shifted, weight * (weight.size / max(1, weight.sum()))

    def prepare(self, x: Any, y: Any = None) -> tuple[Any, Any, Any]:
        """Converts texts and translations as `preprocess`; other data stays as it is."""
        if is_dataset(x) and holds_texts(x):
            x, y = read_dataset(x)
        return self.preprocess(list_texts(x), list_texts(y)) if is_text(x) else (x, y, None)

    def describe(self) -> dict[str, Any]:
        """Returns backbone, sizes and languages, for the manifest of a bundle."""
        return {**super().describe(), "languages": [self.source, self.target]}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "source": self.source, "target": self.target}


def append_end(source_ids: Tensor) -> Tensor:
    """Appends an end token to each row: ids `(B, S)` to `(B, S + 1)`."""
    count = ops.sum(ops.cast(source_ids > 0, "int32"), axis=1, keepdims=True)
    longer = ops.pad(source_ids, ((0, 0), (0, 1)))
    positions = ops.expand_dims(ops.arange(ops.shape(longer)[1], dtype="int32"), axis=0)
    return ops.where(ops.equal(positions, count), END, longer)


def _require(name: str, value: Any, least: int, most: int) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise UserError(f"{name} is a whole number from {least} to {most}. Received: {value!r}")
