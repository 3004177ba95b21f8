"""The signatures of a translator, and the inputs that prove them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, Signature, TensorSpec
from keras_seq.text.token_rows import pad_rows
from keras_seq.text.tokenizer import END
from keras_seq.text.trimming import strip_rows
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Arrays, Tensor

BEAMS = 4
LENGTH_PENALTY = 0.6
STATE_ROWS = 32  # rows compared of signatures with states, which are large


class TranslatorSignatures:
    """The signatures of a `Translator`.

    Args:
        model: The translator.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns `encode`, `decode`, `translate`, `translate_text` and `attend_text`, the
        cross-attention between a text and a translation of it.

        Args:
            sizes: "T", the tokens of a source, and "N", those of a translation, by default
                `max_length`; and "K", the beams, by default 4.
        """
        limits = self.limits(sizes or {})
        read, new, beams = limits["T"], limits["N"], limits["K"]
        vocabulary = self._model.embedding.vocabulary_size
        memory, longer = (self._model.encode(np.zeros((1, n), "int32")) for n in (1, 2))
        _, state = self._model.begin(memory, new)

        def specs(values: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> Any:
            """Returns the specs of tensors made of one token; S is what differs for two tokens."""
            tensors = []
            for name, x in values.items():
                sizes = zip(x.shape[1:], others[name].shape[1:], strict=True)
                shape = ("B", *(size if size == longer else "S" for size, longer in sizes))
                tensors.append(TensorSpec(name, keras.backend.standardize_dtype(x.dtype), shape))
            return tuple(tensors)

        def encode(token_ids: Tensor) -> dict[str, Tensor]:
            memory = self._model.encode(token_ids)
            logits, state = self._model.begin(memory, new)
            return {"logits": logits, **memory, **state}

        def decode(token: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
            logits, changed = self._model.step(
                token,
                {name: tensors[name] for name in state},
                {name: tensors[name] for name in memory},
            )
            return {"logits": logits, **{name: changed[name] for name in state}}

        def search(token_ids: Tensor, max_new_tokens: Tensor, length_penalty: Tensor) -> tuple:
            return self._model.search_ids(
                token_ids, beams, new, max_new_tokens, None, length_penalty
            )

        def translate(token_ids: Tensor, **numbers: Tensor) -> dict[str, Tensor]:
            ids, length, scores, ended = search(token_ids, **numbers)
            return {"token_ids": ids, "length": length, "scores": scores, "ended": ended}

        def translate_text(text: Tensor, length: Tensor, **numbers: Tensor) -> dict[str, Tensor]:
            text, length = strip_rows(text, length)
            token_ids = self._model.tokenizer.token_ids(text, length, read)
            ids, _, scores, ended = search(token_ids, **numbers)
            rows, size = self._model.tokenizer.text(ops.reshape(ids, (-1, new)))
            return {
                "text": ops.reshape(rows, (-1, beams, ops.shape(rows)[1])),
                "length": ops.reshape(size, (-1, beams)),
                "scores": scores,
                "ended": ended,
                "unread": self._model.tokenizer.unread(token_ids, length),
            }

        def attend_text(
            text: Tensor, length: Tensor, translation: Tensor, translation_length: Tensor
        ) -> dict[str, Tensor]:
            tokenizer = self._model.tokenizer
            source = filled(tokenizer.token_ids(text, length, read), read)
            target = filled(tokenizer.token_ids(translation, translation_length, new), new)
            unread = tokenizer.unread(source, length)
            return {
                "weights": self._model.attention_weights(source, target),
                "text_ends": tokenizer.ends(source),
                "translation_ends": tokenizer.ends(target),
                "unread": unread + tokenizer.unread(target, translation_length),
            }

        def filled(token_ids: Tensor, width: int) -> Tensor:
            return ops.pad(token_ids, ((0, 0), (0, width - ops.shape(token_ids)[1])))

        def ints(name: str, *shape: int | str) -> TensorSpec:
            return TensorSpec(name, "int32", ("B", *shape))

        largest = vocabulary - 1
        ids = TensorSpec("token_ids", "int32", ("B", "T"), minimum=0, maximum=largest)
        token = TensorSpec("token", "int32", ("B",), minimum=0, maximum=largest)
        text = (
            TensorSpec("text", "uint8", ("B", "L")),
            TensorSpec("length", "int32", ("B",), minimum=0, maximum="L"),
        )
        translation = (
            TensorSpec("translation", "uint8", ("B", "R")),
            TensorSpec("translation_length", "int32", ("B",), minimum=0, maximum="R"),
        )
        numbers = (
            TensorSpec("max_new_tokens", "int32", (), minimum=1, maximum=new, default=new),
            TensorSpec("length_penalty", "float32", (), minimum=0, default=LENGTH_PENALTY),
        )
        logits = TensorSpec("logits", "float32", ("B", vocabulary))
        scores = (TensorSpec("scores", "float32", ("B", beams)), ints("ended", beams))
        new_ids = ints("token_ids", beams, new), ints("length", beams), *scores
        new_text = (
            TensorSpec("text", "uint8", ("B", beams, "M")),
            ints("length", beams),
            *scores,
            UNREAD,
        )
        attention = (
            TensorSpec("weights", "float32", ("B", new + 1, read + 1)),
            ints("text_ends", read),
            ints("translation_ends", new),
            UNREAD,
        )
        memory_specs, state_specs = specs(memory, longer), specs(state, state)
        return (
            Signature("encode", (ids,), (logits, *memory_specs, *state_specs), encode),
            Signature(
                "decode", (token, *memory_specs, *state_specs), (logits, *state_specs), decode
            ),
            Signature("translate", (ids, *numbers), new_ids, translate),
            Signature("translate_text", (*text, *numbers), new_text, translate_text),
            Signature("attend_text", (*text, *translation), attention, attend_text),
        )

    def signature_inputs(self, texts: Sequence[str | bytes], sizes: Mapping[str, int]) -> Any:
        """Returns the inputs of each signature with `texts` as sources, cut to `sizes`."""
        rows = [row[: sizes["T"]] for row in self._model.tokenizer.encode(texts)]
        return self._inputs(
            [truncate(to_bytes(t), sizes["L"]) for t in texts], rows, sizes, STATE_ROWS
        )

    def random_inputs(
        self, count: int, seed: int, sizes: Mapping[str, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Returns the inputs of `count` sources of random token ids, from none to `sizes["T"]`."""
        generator = np.random.default_rng(seed)
        lengths = np.linspace(0, sizes["T"], count).astype(int)
        rows = [
            generator.integers(END + 1, self._model.tokenizer.vocabulary_size, length).tolist()
            for length in lengths
        ]
        texts = [truncate(text, sizes["L"]) for text in self._model.tokenizer.decode_bytes(rows)]
        # Two rows of states, because these are saved in the bundle.
        return self._inputs(texts, rows, sizes, 2)

    def _inputs(
        self,
        texts: list[bytes],
        rows: list[list[int]],
        sizes: Mapping[str, int],
        state_rows: int,
    ) -> dict[str, Arrays]:
        token_ids = pad_rows(rows, sizes["T"])
        text, length = pack_texts(texts)
        limits = self.limits(sizes)
        new = limits["N"]
        # The previous text serves as the translation: any two texts will do.
        others = [truncate(text, limits["R"]) for text in [texts[-1], *texts[:-1]]]
        translation, translation_length = pack_texts(others)
        numbers = {
            "max_new_tokens": np.full(len(rows), new, "int32"),
            "length_penalty": np.full(len(rows), LENGTH_PENALTY, "float32"),
        }
        few = token_ids[:state_rows]
        memory = self._model.encode(few)
        logits, state = self._model.begin(memory, new)
        values = {"token": ops.argmax(logits, axis=-1), **memory, **state}
        return {
            "encode": {"token_ids": few},
            "decode": {name: ops.convert_to_numpy(value) for name, value in values.items()},
            "translate": {"token_ids": token_ids, **numbers},
            "translate_text": {"text": text, "length": length, **numbers},
            "attend_text": {
                "text": text,
                "length": length,
                "translation": translation,
                "translation_length": translation_length,
            },
        }

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the largest size of each dimension: T tokens of a source and S with its end, N of
        a translation, K beams, L bytes of a text and R of a translation.

        Raises:
            UserError: If the model cannot have these sizes.
        """
        longest = self._model.max_length
        limits = {"T": sizes.get("T", longest), "N": sizes.get("N", longest)}
        for size, option in (("T", "--max-length"), ("N", "--max-new-tokens")):
            if limits[size] > longest:
                raise UserError(
                    f"{option} is from 1 to the {longest} that the model was trained with. "
                    f"Received: {limits[size]}"
                )
        beams, max_beams = sizes.get("K", BEAMS), self._model.embedding.vocabulary_size // 2
        if not 1 <= beams <= max_beams:
            raise UserError(
                f"--num-beams is from 1 to {max_beams}, half the vocabulary. Received: {beams}"
            )
        # A character has four bytes at most: so the last token is whole, too.
        text, translation = (
            self._model.tokenizer.max_bytes_per_token * limits[size] + 3 for size in ("T", "N")
        )
        return {**limits, "S": limits["T"] + 1, "K": beams, "L": text, "R": translation}
