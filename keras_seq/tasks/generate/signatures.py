"""The signatures of a text generator, and the inputs that prove them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.compiling import compile_function
from keras_seq.decoding import (
    LEAST_PENALTY,
    LEAST_TOP_P,
    Repetition,
    Sampling,
    Stopping,
    apply_repetition_penalty,
    continue_generation,
    generate,
    next_token,
    sampling_margins,
)
from keras_seq.errors import UserError
from keras_seq.layers.cache import loop_cache_length
from keras_seq.signature import UNREAD, Entry, Signature, TensorSpec
from keras_seq.tasks.language_modeling.model import mask_special_tokens
from keras_seq.text.stops import cut_at_stops, find_stops
from keras_seq.text.token_rows import pad_rows
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate_left
from keras_seq.typing import Arrays, Tensor
from keras_seq.uniforms import LARGEST, random_uniforms

SAMPLING = ("temperature", "top_k", "top_p")
PENALTY = "repetition_penalty"
PREVIOUS = "previous_tokens"  # the state that it needs
DEFAULTS = {name: getattr(Sampling, name) for name in (*SAMPLING, PENALTY)}
ENTRY = Entry("generate_text", ("prefill_text", "decode_text"), DEFAULTS)
SETTINGS = ("max_new_tokens", *SAMPLING)

MAX_STOPS, MAX_STOP_BYTES = 4, 32

# Settings that an export is proven with: temperature, top_k, top_p, repetition_penalty, stop texts.
PROVEN_STOPS = (b"e", b" the", b"\n", b"he")
PROVEN_GREEDY = ((0.0, 0, 1.0, 1.0, ()), (0.0, 0, 1.0, 1.3, PROVEN_STOPS))
PROVEN_SAMPLING = (
    (1.0, 0, 1.0, 1.2, ()),
    (0.8, 40, 1.0, 1.0, PROVEN_STOPS),
    (1.0, 0, 0.9, 1.0, ()),
    (0.6, 20, 0.95, 1.5, ()),
)
STATE_ROWS = 32  # rows compared of signatures with states, which are large


class GeneratorSignatures:
    """The signatures of a `TextGenerator`.

    Args:
        model: The generator.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns `prefill`, `decode`, `generate`, and on texts `prefill_text`, `decode_text` and
        `generate_text`.

        `prefill_text` returns the first token of the text of `generate_text`; each call of
        `decode_text` returns the next ones, while there are positions: the text can be shown as it
        is written. Their state also has `previous_tokens`, 1 for each token of the prompt and of
        the text. The state of a row that has ended is zeros, but for its position.

        Args:
            sizes: "T", the tokens of a prompt, and "N", the new tokens; by default the halves of
                `max_length`.

        Raises:
            UserError: If the model has not so many positions.
        """
        prompt, new = self._sizes(sizes or {})
        cache_length = prompt + new
        vocabulary = self._model.embedding.vocabulary_size
        _, state = self._model.prefill(np.zeros((1, 1), "int32"), np.ones(1, "int32"), cache_length)
        states = tuple(
            TensorSpec(name, keras.backend.standardize_dtype(value.dtype), ("B", *value.shape[1:]))
            for name, value in state.items()
        )
        names = list(state)
        previous_tokens = TensorSpec(PREVIOUS, "int32", ("B", vocabulary))

        def prefill(token_ids: Tensor, length: Tensor) -> dict[str, Tensor]:
            logits, state = self._model.prefill(token_ids, length, cache_length)
            return {"logits": logits, **state}

        def decode(token: Tensor, **state: Tensor) -> dict[str, Tensor]:
            logits, state = self._model.step(token, state)
            return {"logits": logits, **{name: state[name] for name in names}}

        def generated(
            token_ids: Tensor,
            length: Tensor,
            uniforms: Tensor,
            penalty: Tensor,
            *numbers: Tensor,
            stopping: Stopping | None = None,
        ) -> tuple[Tensor, Tensor]:
            repetition = Repetition(penalty, self._model.mark_prompt(token_ids, length))
            length_of_cache = loop_cache_length(cache_length)
            if length_of_cache is None:  # The caches hold the longest prompt and no more.
                token_ids = token_ids[:, : ops.max(length)]
            logits, state = self._model.masked_prefill(token_ids, length, length_of_cache)
            step = self._model.masked_step
            rules = (repetition, stopping)
            return generate(step, logits, state, uniforms, *numbers, END, *rules)

        def generate_ids(
            token_ids: Tensor, length: Tensor, uniforms: Tensor, **numbers: Tensor
        ) -> dict[str, Tensor]:
            settings = map(numbers.get, (PENALTY, *SETTINGS))
            ids, count = generated(token_ids, length, uniforms, *settings)
            return {"token_ids": ids, "length": count}

        def generate_text(
            text: Tensor,
            length: Tensor,
            uniforms: Tensor,
            stop: Tensor,
            stop_length: Tensor,
            **numbers: Tensor,
        ) -> dict[str, Tensor]:
            token_ids, count = self._encode_prompt(text, length, prompt)
            settings = map(numbers.get, (PENALTY, *SETTINGS))
            stopping = self._make_stopping(stop, stop_length)
            ids, _ = generated(token_ids, count, uniforms, *settings, stopping=stopping)
            unread = self._model.tokenizer.unread(token_ids, length)
            text, length = self._model.tokenizer.text(ids)
            text, length = ops.cond(
                stopping.is_active,
                lambda: cut_at_stops(text, length, stop, stop_length),
                lambda: (text, length),
            )
            return {"text": text, "length": length, "unread": unread}

        def prefill_text(
            text: Tensor, length: Tensor, uniform: Tensor, **numbers: Tensor
        ) -> dict[str, Tensor]:
            token_ids, count = self._encode_prompt(text, length, prompt)
            logits, state = self._model.masked_prefill(token_ids, count, cache_length)
            repetition = Repetition(numbers[PENALTY], self._model.mark_prompt(token_ids, count))
            logits = apply_repetition_penalty(logits, repetition.previous, repetition.penalty)
            token = next_token(logits, uniform, *map(numbers.get, SAMPLING))
            token = ops.where(ops.equal(token, END), 0, token)
            ids = ops.expand_dims(token, axis=1)
            unread = self._model.tokenizer.unread(token_ids, length)
            text, length = self._model.tokenizer.text(ids)
            part = {"text": text, "length": length, "token": token, "unread": unread}
            return {**part, **state, PREVIOUS: repetition.extend(ids)}

        def decode_text(token: Tensor, uniforms: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
            state = {name: tensors[name] for name in names}
            remaining = self._remaining(state["position"], cache_length)
            numbers = map(tensors.get, SETTINGS)
            repetition = Repetition(tensors[PENALTY], tensors[PREVIOUS])
            step = partial(self._step_with_fixed_cache, cache_length)
            ids, token, state = continue_generation(
                step, token, state, uniforms, *numbers, END, remaining, repetition
            )
            state[PREVIOUS] = repetition.extend(ids)
            # The state of a row that has ended must not depend on how long others continue.
            position = state.pop("position")
            continues = (
                token > 0
                if remaining is None
                else ops.logical_and(token > 0, position < cache_length)
            )
            state = {name: _mask_rows(value, continues) for name, value in state.items()}
            state["position"] = position
            text, length = self._model.tokenizer.text(ids)
            return {"text": text, "length": length, "token": token, **state}

        def spec(name: str, dtype: str, shape: tuple[int | str, ...], **rest: Any) -> TensorSpec:
            return TensorSpec(name, dtype, shape, **rest)

        ids = spec("token_ids", "int32", ("B", "T"), minimum=0, maximum=vocabulary - 1)
        count = spec("length", "int32", ("B",), minimum=0, maximum="T")
        logits = spec("logits", "float32", ("B", vocabulary))
        most = spec("max_new_tokens", "int32", (), minimum=1, maximum="N", default="N")
        sampling = (
            spec("temperature", "float32", (), minimum=0, default=Sampling.temperature),
            spec("top_k", "int32", (), minimum=0, default=Sampling.top_k),
            spec("top_p", "float32", (), minimum=LEAST_TOP_P, maximum=1, default=Sampling.top_p),
            spec(PENALTY, "float32", (), minimum=LEAST_PENALTY, default=DEFAULTS[PENALTY]),
        )
        uniform = spec("uniform", "float32", ("B",), minimum=0, maximum=LARGEST)
        uniforms = spec("uniforms", "float32", ("B", "N"), minimum=0, maximum=LARGEST)
        settings = (most, *sampling, replace(uniforms, default="random"))
        text = (
            spec("text", "uint8", ("B", "L"), truncation_side="left"),
            spec("length", "int32", ("B",), minimum=0, maximum="L"),
        )
        stop = (
            spec("stop", "uint8", ("E", "W"), default=0),
            spec("stop_length", "int32", ("E",), minimum=0, maximum="W", default=0),
        )
        token = spec("token", "int32", ("B",), minimum=0, maximum=vocabulary - 1)
        new_ids = (spec("token_ids", "int32", ("B", "N")), spec("length", "int32", ("B",)))
        part = (spec("text", "uint8", ("B", "M")), spec("length", "int32", ("B",)))
        following = replace(token, minimum=None, maximum=None)
        return (
            Signature("prefill", (ids, count), (logits, *states), prefill),
            Signature("decode", (token, *states), (logits, *states), decode),
            Signature(
                "generate",
                (ids, count, *settings),
                new_ids,
                generate_ids,
                self._margins_of_tokens,
            ),
            Signature(
                "prefill_text",
                (*text, *sampling, uniform),
                (*part, following, UNREAD, *states, previous_tokens),
                prefill_text,
                partial(self._margins_of_first, prompt),
            ),
            Signature(
                "decode_text",
                (token, most, *sampling, uniforms, *states, previous_tokens),
                (*part, following, *states, previous_tokens),
                decode_text,
                partial(
                    self._margins_of_following,
                    cache_length,
                    compile_function(
                        self._model,
                        partial(self._step_with_fixed_cache, cache_length),
                        jit=False,
                        dynamic_shapes=True,
                    ),
                ),
            ),
            Signature(
                "generate_text",
                (*text, *settings, *stop),
                (*part, UNREAD),
                generate_text,
                partial(
                    self._margins_of_text,
                    prompt,
                    compile_function(self._model, generated, jit=False, dynamic_shapes=True),
                ),
            ),
        )

    def _make_stopping(self, stop: Tensor, stop_length: Tensor) -> Stopping:
        """Returns the rule that ends a row whose last tokens have a stop text."""

        def is_stopped(token_ids: Tensor) -> Tensor:
            text, length = self._model.tokenizer.text(token_ids)
            return find_stops(text, length, stop, stop_length) < length

        # A stop text has at most as many tokens as bytes.
        return Stopping(ops.max(stop_length) > 0, ops.shape(stop)[1], is_stopped)

    def _remaining(self, position: Tensor, cache_length: int) -> Tensor | None:
        """Returns how many positions each row has left, `(B,)` int32; None for any number."""
        return cache_length - position if self._model.is_bounded else None

    def _step_with_fixed_cache(
        self, cache_length: int, token: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes a step in which a row that has ended stays at its position."""
        logits, new_state = self._model.masked_step_in_cache(cache_length, token, state)
        position = state["position"] + ops.cast(token > 0, "int32")
        return logits, {**new_state, "position": position}

    def _sizes(self, sizes: Mapping[str, int]) -> tuple[int, int]:
        """Returns the tokens of a prompt and the new tokens in exported signatures."""
        new = sizes.get("N")
        prompt = sizes.get("T")
        if new is None:
            new = max(1, self._model.max_length - (prompt or self._model.max_length // 2))
        if prompt is None:
            prompt = max(1, self._model.max_length - new)
        if self._model.is_bounded and prompt + new > self._model.backbone.max_length:
            raise UserError(
                f"The model has {self._model.backbone.max_length} positions, for a prompt and what "
                f"follows it together. Received: {prompt} tokens of a prompt (--max-length) and "
                f"{new} new ones (--max-new-tokens)."
            )
        return prompt, new

    def _encode_prompt(self, text: Tensor, length: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Returns the last `most` token ids `(B, most)` of texts, and their number `(B,)`."""
        ids = self._model.tokenizer.token_ids(text, length, self._max_bytes(most))
        count = ops.sum(ops.cast(ids > 0, "int32"), axis=1)
        return last_ids(ids, count, most), ops.minimum(count, most)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Returns the inputs of each signature with `texts` as prompts, greedy and sampled.

        The end of a prompt that is too long is read.
        """
        prompts = [truncate_left(to_bytes(text), sizes["L"]) for text in texts]
        return self._inputs(prompts, self._encode_rows(prompts, sizes["T"]), sizes, STATE_ROWS)

    def random_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Returns the inputs of `count` prompts of random token ids, from none to `sizes["T"]`."""
        generator = np.random.default_rng(seed)
        lengths = np.linspace(0, sizes["T"], count // 2).astype(int)
        rows = [
            generator.integers(END + 1, self._model.tokenizer.vocabulary_size, length).tolist()
            for length in lengths
        ]
        prompts = [truncate_left(p, sizes["L"]) for p in self._model.tokenizer.decode_bytes(rows)]
        # Two rows of states, because these are saved in the bundle.
        return self._inputs(prompts, rows, sizes, 2)

    def _inputs(
        self,
        prompts: list[bytes],
        rows: list[list[int]],
        sizes: Mapping[str, int],
        state_rows: int,
    ) -> dict[str, dict[str, np.ndarray]]:
        token_ids = pad_rows(rows, sizes["T"])
        length = np.array([len(row) for row in rows], "int32")
        text, text_length = pack_texts(prompts)
        settings, stops = _parity_settings(len(rows), len(rows), sizes["N"])
        few = slice(0, state_rows)
        prompt, new = self._sizes(sizes)
        logits, state = self._model.prefill(token_ids[few], length[few], prompt + new)
        token = ops.cast(ops.argmax(logits, axis=-1), "int32")
        prompts = self._model.mark_prompt(token_ids[few], length[few])
        previous = Repetition(DEFAULTS[PENALTY], prompts).extend(ops.expand_dims(token, axis=1))
        states = {name: _array(value) for name, value in {"token": token, **state}.items()}
        half = len(length[few]) // 2
        settings_of_few, _ = _parity_settings(half, len(length[few]) - half, sizes["N"])
        uniforms = settings_of_few.pop("uniforms")
        first = {name: settings_of_few[name] for name in DEFAULTS}
        return {
            "prefill": {"token_ids": token_ids[few], "length": length[few]},
            "decode": states,
            "prefill_text": {
                "text": text[few],
                "length": text_length[few],
                "uniform": uniforms[:, 0],
                **first,
            },
            "decode_text": {
                **states,
                **settings_of_few,
                "uniforms": uniforms,
                PREVIOUS: _array(previous),
            },
            "generate": {
                "token_ids": np.concatenate([token_ids] * 2),
                "length": np.concatenate([length] * 2),
                **settings,
            },
            "generate_text": {
                "text": np.concatenate([text] * 2),
                "length": np.concatenate([text_length] * 2),
                **settings,
                **stops,
            },
        }

    def _encode_rows(self, prompts: Sequence[bytes], most: int) -> list[list[int]]:
        """Returns at most the last `most` token ids of each prompt."""
        return [row[-most:] for row in self._model.tokenizer.encode(prompts)]

    def _read(
        self, text: np.ndarray, length: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Does what `_encode_prompt` does outside a graph, which is faster."""
        texts = [row[:count].tobytes() for row, count in zip(text, length, strict=True)]
        rows = self._encode_rows(texts, most)
        return pad_rows(rows, most), np.array([len(row) for row in rows], "int32")

    def _margins_of_tokens(self, inputs: Arrays, outputs: Arrays) -> np.ndarray:
        """Returns the margins of `generate`: of each token, and of the one that ended a row."""
        new, length = outputs["token_ids"], inputs["length"]
        margins = np.full(new.shape, np.inf)
        temperature, top_k, top_p = (inputs[name] for name in SAMPLING)
        if temperature == 0:
            return margins
        # The whole text at once, not step by step: another way to the same distributions.
        rows = [
            [BEGINNING, *prompt[:count], *ids[:-1]]
            for prompt, count, ids in zip(inputs["token_ids"], length, new, strict=True)
        ]
        whole = pad_rows(rows, inputs["token_ids"].shape[1] + new.shape[1])
        logits = _array(mask_special_tokens(self._logits_of(whole)))
        for i, uniforms in enumerate(inputs["uniforms"]):
            count = min(outputs["length"][i] + 1, new.shape[1])
            of_new = logits[i, length[i] : length[i] + count]
            of_new = _penalize(of_new, inputs["token_ids"][i, : length[i]], new[i], inputs[PENALTY])
            margins[i, :count] = sampling_margins(
                of_new, uniforms[:count], temperature, top_k, top_p
            )
        return margins

    def _margins_of_text(
        self, prompt: int, generated: Any, inputs: Arrays, outputs: Arrays
    ) -> np.ndarray:
        """Returns the margins of `generate_text`: of a byte's token, or of the one before it.

        `prompt` is the number of tokens read of a prompt, `generated` continues one.
        """
        shape = outputs["text"].shape
        if inputs["temperature"] == 0:
            return np.full(shape, np.inf)
        token_ids, length = self._read(inputs["text"], inputs["length"], prompt)
        settings = map(inputs.get, ("uniforms", PENALTY, *SETTINGS))
        new, count = map(_array, generated(token_ids, length, *settings))
        rows = self._margins_of_tokens(
            {**inputs, "token_ids": token_ids, "length": length},
            {"token_ids": new, "length": count},
        )
        margins = self._to_byte_margins(rows, new, shape)
        # Whether a text ends at a byte also depends on those after it, which may be a stop text.
        later = margins
        for _ in range(1, inputs["stop_length"].max(initial=0)):
            later = np.pad(later[:, 1:], ((0, 0), (0, 1)), constant_values=np.inf)
            margins = np.minimum(margins, later)
        return margins

    def _margins_of_first(self, prompt: int, inputs: Arrays, outputs: Arrays) -> np.ndarray:
        """Returns the margins of `prefill_text`: of the token that a byte belongs to."""
        token_ids, length = self._read(inputs["text"], inputs["length"], prompt)
        logits, _ = self._model.masked_prefill(token_ids, length, prompt + 1)
        previous = self._model.mark_prompt(token_ids, length)
        logits = apply_repetition_penalty(logits, previous, inputs[PENALTY])
        margins = sampling_margins(_array(logits), inputs["uniform"], *map(inputs.get, SAMPLING))
        return self._to_byte_margins(
            margins[:, None], outputs["token"][:, None], outputs["text"].shape
        )

    def _margins_of_following(
        self, cache_length: int, step: Any, inputs: Arrays, outputs: Arrays
    ) -> np.ndarray:
        """Returns the margins of `decode_text`: of a byte's token, or of the one before it.

        `step` is a `_step_with_fixed_cache` in a cache of `cache_length` positions.
        """
        sampling = [inputs[name] for name in SAMPLING]
        token = inputs["token"]
        state = {name: inputs[name] for name in inputs if name in outputs and name != "token"}
        repetition = Repetition(inputs[PENALTY], state.pop(PREVIOUS))
        new = np.zeros_like(inputs["uniforms"], "int32")
        margins = np.full(new.shape, np.inf)
        remaining = self._remaining(state["position"], cache_length)
        for i in range(min(inputs["max_new_tokens"], new.shape[1])):
            token = token if remaining is None else np.where(remaining > i, token, 0)
            logits, state = step(token, state)
            previous = repetition.extend(new)
            logits = apply_repetition_penalty(logits, previous, repetition.penalty)
            uniform = inputs["uniforms"][:, i]
            margins[:, i] = np.where(
                token > 0, sampling_margins(_array(logits), uniform, *sampling), np.inf
            )
            selected = _array(next_token(logits, uniform, *sampling))
            new[:, i] = token = np.where((selected == END) | (token == 0), 0, selected)
        return self._to_byte_margins(margins, new, outputs["text"].shape)

    def _to_byte_margins(
        self, token_margins: np.ndarray, new: np.ndarray, shape: tuple[int, int]
    ) -> np.ndarray:
        """Converts the margins of tokens `(B, N)` to those of bytes.

        The margin of the end of a text stands where its next byte would be.
        """
        margins = np.full(shape, np.inf)
        token_margins = np.concatenate(
            [token_margins[:, :1], np.minimum(token_margins[:, 1:], token_margins[:, :-1])], axis=1
        )
        for i, ids in enumerate(new):
            count = np.count_nonzero(ids)
            pieces = self._model.tokenizer.decode_bytes(ids[:count, None])
            sizes = [*map(len, pieces), *[1] * (len(ids) - count)]
            byte_margins = np.repeat(token_margins[i], sizes)[: shape[1]]
            margins[i, : len(byte_margins)] = byte_margins
        return margins

    @cached_property
    def _logits_of(self) -> Any:
        def logits(token_ids: Tensor) -> Tensor:
            return self._model(token_ids)

        return compile_function(self._model, logits, jit=False, dynamic_shapes=True)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the largest size of each dimension, with T tokens of a prompt and N new ones."""
        prompt, new = self._sizes(sizes)
        of_stops = {"E": MAX_STOPS, "W": MAX_STOP_BYTES}
        return {"T": prompt, "N": new, "L": self._max_bytes(prompt), **of_stops}

    def _max_bytes(self, tokens: int) -> int:
        """Returns an upper bound of the bytes of a text of `tokens` tokens."""
        return self._model.tokenizer.max_bytes_per_token * tokens + 3


def last_ids(token_ids: Tensor, count: Tensor, most: int) -> Tensor:
    """Returns the last `most` of the first `count` ids of each row: `(B, L)` to `(B, most)`."""
    width = ops.shape(token_ids)[1]
    positions = ops.expand_dims(ops.arange(most, dtype="int32"), axis=0)
    positions = positions + ops.expand_dims(ops.maximum(count - most, 0), axis=1)
    last = ops.take_along_axis(token_ids, ops.minimum(positions, width - 1), axis=1)
    return ops.where(positions < width, last, 0)


def _mask_rows(value: Tensor, mask: Tensor) -> Tensor:
    """Returns `value`, `(B, …)`, with zeros in rows where `mask`, `(B,)` boolean, is False."""
    shape = (-1, *[1] * (len(value.shape) - 1))
    return value * ops.cast(ops.reshape(mask, shape), value.dtype)


def _penalize(
    logits: np.ndarray, prompt: np.ndarray, new: np.ndarray, penalty: float
) -> np.ndarray:
    """Returns the logits `(n, V)` of the first n new tokens, each lower for the tokens before."""
    previous = np.zeros(logits.shape, "int32")
    previous[:, prompt] = 1
    for i, token in enumerate(new[: len(logits) - 1]):
        previous[i + 1 :, token] = 1
    return _array(apply_repetition_penalty(logits, previous, penalty))


def _parity_settings(
    greedy: int, drawn_ones: int, new: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns settings of `generate`, greedy rows, then sampled rows; and their stop texts."""
    settings = [
        proven[i * len(proven) // count]
        for proven, count in ((PROVEN_GREEDY, greedy), (PROVEN_SAMPLING, drawn_ones))
        for i in range(count)
    ]
    temperature, top_k, top_p, penalty, stops = zip(*settings, strict=True)
    rows = greedy + drawn_ones
    stop = np.zeros((rows, MAX_STOPS, MAX_STOP_BYTES), "uint8")
    stop_length = np.zeros((rows, MAX_STOPS), "int32")
    for i, texts in enumerate(stops):
        if texts:
            content, stop_length[i] = pack_texts(texts)
            stop[i, :, : content.shape[1]] = content
    numbers = {
        "max_new_tokens": np.full(rows, new, "int32"),
        "temperature": np.array(temperature, "float32"),
        "top_k": np.array(top_k, "int32"),
        "top_p": np.array(top_p, "float32"),
        PENALTY: np.array(penalty, "float32"),
        "uniforms": random_uniforms(rows, new, 0),
    }
    return numbers, {"stop": stop, "stop_length": stop_length}


def _array(tensor: Tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)
