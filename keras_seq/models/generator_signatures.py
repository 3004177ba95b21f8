"""What a text generator hands the exporter: its signatures, and what proves them."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.compiling import compiled
from keras_seq.data.tokens import padded
from keras_seq.decoding import generate, margins
from keras_seq.errors import UserError
from keras_seq.models.language_model import choosable
from keras_seq.signature import UNREAD, Arrays, Signature, TensorSpec
from keras_seq.text.tokenizer import BEGINNING, END
from keras_seq.uniforms import LARGEST, drawn
from keras_seq.utf8 import cut_to_end, packed, to_bytes

Tensor = Any

SETTINGS = ("max_new_tokens", "temperature", "top_k", "top_p")

# What an export is proven with, after the likeliest tokens: temperature, top_k, top_p.
PROVEN_SAMPLING = ((1.0, 0, 1.0), (0.8, 40, 1.0), (1.0, 0, 0.9), (0.6, 20, 0.95))
NEUTRAL = np.float32(1)  # A repetition penalty that changes nothing.
STATE_ROWS = 32  # Rows compared of the signatures that hand out states, which are large.


class GeneratorSignatures:
    """The signatures of a `TextGenerator`.

    Args:
        model: The generator.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

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
        vocabulary = self._model.backbone.vocabulary_size
        _, state = self._model.prefill(np.zeros((1, 1), "int32"), np.ones(1, "int32"), slots)
        states = tuple(
            TensorSpec(name, keras.backend.standardize_dtype(value.dtype), ("B", *value.shape[1:]))
            for name, value in state.items()
        )
        names = list(state)

        def prefill(token_ids: Tensor, length: Tensor) -> dict[str, Tensor]:
            logits, state = self._model.prefill(token_ids, length, slots)
            return {"logits": logits, **state}

        def decode(token: Tensor, **state: Tensor) -> dict[str, Tensor]:
            logits, state = self._model.step(token, state)
            return {"logits": logits, **{name: state[name] for name in names}}

        def generated(token_ids: Tensor, length: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            uniforms, *numbers = given
            logits, state = self._model.choosing_prefill(token_ids, length, slots)
            return generate(self._model.choosing_step, logits, state, uniforms, *numbers, END)

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
            unread = self._model.tokenizer.unread(token_ids, length)
            text, length = self._model.tokenizer.text(ids)
            return {"text": text, "length": length, "unread": unread}

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
        new_text = (spec("text", "uint8", ("B", "M")), spec("length", "int32", ("B",)), UNREAD)
        return (
            Signature("prefill", (ids, count), (logits, *states), prefill),
            Signature("decode", (token, *states), (logits, *states), decode),
            Signature(
                "generate", (ids, count, *settings), new_ids, generate_ids, self._margins_of_ids
            ),
            Signature(
                "generate_text",
                (*text, *settings),
                new_text,
                generate_text,
                partial(self._margins_of_text, prompt),
            ),
        )

    def _sizes(self, sizes: Mapping[str, int]) -> tuple[int, int]:
        """Tokens of a prompt and tokens that follow it, in exported signatures."""
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

    def _prompt_of(self, text: Tensor, length: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Token ids `(B, most)` and their number `(B,)`: the last ones, where there are more."""
        ids = self._model.tokenizer.token_ids(text, length, self._bytes_of(most))
        count = ops.sum(ops.cast(ids > 0, "int32"), axis=1)
        return last_ids(ids, count, most), ops.minimum(count, most)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Each text as a prompt, of which the end is read: continued with the likeliest tokens,
        and with drawn ones.
        """
        prompts = [cut_to_end(to_bytes(text), sizes["L"]) for text in texts]
        rows = [row[-sizes["T"] :] for row in self._model.tokenizer.encode(prompts)]
        return self._inputs(prompts, rows, sizes, STATE_ROWS)

    def drawn_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """`count` prompts of random token ids, from empty ones to `sizes["T"]`, in the same way."""
        generator = np.random.default_rng(seed)
        lengths = np.linspace(0, sizes["T"], count // 2).astype(int)
        rows = [
            generator.integers(END + 1, self._model.tokenizer.vocabulary_size, length).tolist()
            for length in lengths
        ]
        prompts = [cut_to_end(p, sizes["L"]) for p in self._model.tokenizer.decode_bytes(rows)]
        # Two rows, for these are kept in the bundle.
        return self._inputs(prompts, rows, sizes, 2)

    def _inputs(
        self,
        prompts: list[bytes],
        rows: list[list[int]],
        sizes: Mapping[str, int],
        state_rows: int,
    ) -> dict[str, dict[str, np.ndarray]]:
        token_ids = padded(rows, sizes["T"])
        length = np.array([len(row) for row in rows], "int32")
        text, text_length = packed(prompts)
        settings = _proven_settings(len(rows), sizes["N"])
        few = slice(0, state_rows)
        prompt, new = self._sizes(sizes)
        logits, state = self._model.prefill(token_ids[few], length[few], prompt + new)
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
        new, length = outputs["token_ids"], inputs["length"]
        found = np.full(new.shape, np.inf)
        temperature, top_k, top_p = (inputs[name] for name in SETTINGS[1:])
        if temperature == 0:
            return found
        # The whole text at once, not step after step: another way to the same distributions.
        rows = [
            [BEGINNING, *prompt[:count], *ids[:-1]]
            for prompt, count, ids in zip(inputs["token_ids"], length, new, strict=True)
        ]
        whole = padded(rows, inputs["token_ids"].shape[1] + new.shape[1])
        logits = ops.convert_to_numpy(choosable(self._logits_of(whole)))
        for i, uniforms in enumerate(inputs["uniforms"]):
            chosen = min(outputs["length"][i] + 1, new.shape[1])
            of_new = logits[i, length[i] : length[i] + chosen]
            found[i, :chosen] = margins(of_new, uniforms[:chosen], temperature, top_k, top_p)
        return found

    def _margins_of_text(self, prompt: int, inputs: Arrays, outputs: Arrays) -> np.ndarray:
        """For `generate_text`: of the token that a byte belongs to, or of the one before it.

        `prompt` is the number of tokens read of a prompt.
        """
        found = np.full(outputs["text"].shape, np.inf)
        if inputs["temperature"] == 0:
            return found
        token_ids, length = self._prompt_of(inputs["text"], inputs["length"], prompt)
        numbers = (inputs[name] for name in SETTINGS)
        generated = self._model.generate_compiled(
            token_ids, length, inputs["uniforms"], *numbers, NEUTRAL
        )
        token_ids, length, new, count = map(ops.convert_to_numpy, (token_ids, length, *generated))
        rows = self._margins_of_ids(
            {**inputs, "token_ids": token_ids, "length": length},
            {"token_ids": new, "length": count},
        )
        for i, of_ids in enumerate(rows):
            of_ids[1:] = np.minimum(of_ids[1:], of_ids[:-1])
            pieces = self._model.tokenizer.decode_bytes(new[i, : count[i], None])
            # What ended the text stands where its next byte would have.
            sizes = [*map(len, pieces), *([1] * (len(of_ids) - len(pieces)))]
            of_bytes = np.repeat(of_ids, sizes)[: found.shape[1]]
            found[i, : len(of_bytes)] = of_bytes
        return found

    @cached_property
    def _logits_of(self) -> Any:
        return compiled(self._model, lambda token_ids: self._model(token_ids))

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The largest size of each dimension of a signature that has one, where T tokens of a
        prompt and N that follow it are asked for.
        """
        prompt, new = self._sizes(sizes)
        return {"T": prompt, "N": new, "L": self._bytes_of(prompt)}

    def _bytes_of(self, tokens: int) -> int:
        """As many as a text of `tokens` tokens surely has."""
        return self._model.tokenizer.bytes_a_token * tokens + 3


def last_ids(token_ids: Tensor, count: Tensor, most: int) -> Tensor:
    """The last `most` of the first `count` ids of each row: `(B, L)` to `(B, most)`."""
    width = ops.shape(token_ids)[1]
    places = ops.expand_dims(ops.arange(most, dtype="int32"), axis=0)
    places = places + ops.expand_dims(ops.maximum(count - most, 0), axis=1)
    found = ops.take_along_axis(token_ids, ops.minimum(places, width - 1), axis=1)
    return ops.where(places < width, found, 0)


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
