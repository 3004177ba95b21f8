"""A Keras model that reads token ids, together with the tokenizer that makes them, as one model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from export.keras_layers.random_inputs import Range
from export.keras_model import KerasModel
from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, Entry, Signature, TensorSpec
from keras_seq.text import Tokenizer
from keras_seq.text.token_rows import tokenize_to_matrix
from keras_seq.text.utf8 import pack_texts, to_bytes, truncate
from keras_seq.typing import Arrays, Tensor

DEFAULT_TOKENS = 256  # of a text where the model reads any number


class KerasTextModel(KerasModel):
    """A `KerasModel` with the signature `predict_text` beside `predict`.

    `predict_text` maps a text, UTF-8 bytes `[B, L]` and their number `[B]`, to the outputs of
    `predict` on its token ids, padded with zeros to the model's length or, where that is open, to
    `max_length`; and to `unread`, the number of bytes behind these tokens.

    Args:
        model: A built model whose one input is token ids `(B, T)`.
        tokenizer: The tokenizer.
        sample: As of `KerasModel`.
        stream: As of `KerasModel`.
        open_length: As of `KerasModel`.

    Raises:
        UserError: If the model has other inputs, fewer ids than the tokenizer, or states.
    """

    def __init__(
        self,
        model: keras.Model,
        tokenizer: Tokenizer,
        sample: Any = None,
        stream: int | None = None,
        open_length: bool = False,
    ) -> None:
        if not isinstance(tokenizer, Tokenizer):
            raise UserError(
                "tokenizer is one of keras_seq.text: ByteTokenizer() or "
                f"SentencePieceTokenizer.train(texts, 4000). Received: {type(tokenizer).__name__}"
            )
        super().__init__(model, sample, stream, open_length)
        self.tokenizer = tokenizer
        shape = self.inputs[0].shape
        if len(self.inputs) != 1 or len(shape) != 2 or self.inputs[0].dtype == "string":
            described = ", ".join(map(str, self.inputs))
            raise UserError(
                "With a tokenizer a model reads token ids, one input [B, T]. The model "
                f"{model.name!r} takes: {described}"
            )
        if self._states:
            raise UserError(
                f"The model {model.name!r} keeps states from call to call, which texts do not have."
            )
        use = self._first_trace[1].uses[self.inputs[0].name]
        if use.padding != 0 and not isinstance(shape[1], int):
            raise UserError(
                f"The model {model.name!r} would read padding as text: texts of a call are padded "
                "with zeros to one length. Build its Embedding with mask_zero=True, or give it the "
                "length of the rows it was trained on, keras.Input((length,))."
            )
        known = use.vocabulary_size
        if known is not None and known < tokenizer.vocabulary_size:
            raise UserError(
                f"The tokenizer has {tokenizer.vocabulary_size:,} ids, and an embedding of the "
                f"model {model.name!r} has {known:,}. Build it with "
                "input_dim=tokenizer.vocabulary_size."
            )
        self.entry = Entry("predict_text")

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the bytes of the longest text, and the tokens where the model has a length."""
        longest = self.tokenizer.max_bytes_per_token * self._tokens(sizes) + 3
        size = self.inputs[0].shape[1]
        tokens = {"T": size} if isinstance(size, int) else {}
        return {**tokens, "L": sizes.get("L", longest)}

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns the signatures of a `KerasModel`, and `predict_text`."""
        predict, *others = super().signatures(sizes)
        (tensor,) = self.inputs
        tokens = self._tokens(sizes or {})

        def predict_text(text: Tensor, length: Tensor) -> dict[str, Tensor]:
            token_ids = self.tokenizer.token_ids(text, length, tokens)
            # There are no more of them than the longest text of a call may have.
            padded = ops.pad(token_ids, [[0, 0], [0, tokens]])[:, :tokens]
            outputs = self._predict(**{tensor.name: ops.cast(padded, tensor.dtype)})
            return {**outputs, UNREAD.name: self.tokenizer.unread(token_ids, length)}

        inputs = TensorSpec("text", "uint8", ("B", "L")), TensorSpec("length", "int32", ("B",))
        outputs = tuple(output.bind({"T": tokens}) for output in predict.outputs)
        text = Signature("predict_text", inputs, (*outputs, UNREAD), predict_text)
        return predict, text, *others

    def signature_inputs(self, texts: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns the inputs of each signature for `texts`."""
        (tensor,) = self.inputs
        ids = tokenize_to_matrix(self.tokenizer, texts, self._tokens(sizes)).astype(tensor.dtype)
        return super().sample_inputs({tensor.name: ids}, sizes) | self._pack(texts, sizes)

    def sample_inputs(
        self, sample: Mapping[str, np.ndarray], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """Returns the inputs of each signature for a user's ids; the texts are theirs."""
        inputs = super().sample_inputs(sample, sizes)
        return inputs | self._pack(self._decode(inputs), sizes)

    def random_inputs(
        self,
        count: int,
        seed: int,
        sizes: Mapping[str, int],
        ranges: Mapping[str, Range] | None = None,
    ) -> dict[str, Arrays]:
        """Returns `count` rows of random ids, and their texts."""
        inputs = super().random_inputs(count, seed, sizes, ranges)
        return inputs | self._pack(self._decode(inputs), sizes)

    def _decode(self, inputs: dict[str, Arrays]) -> list[bytes]:
        (ids,) = inputs["predict"].values()
        known = np.clip(ids, 0, self.tokenizer.vocabulary_size - 1).astype("int64")
        return self.tokenizer.decode_bytes(known)

    def _pack(self, texts: Sequence[str | bytes], sizes: Mapping[str, int]) -> dict[str, Arrays]:
        text, length = pack_texts([truncate(to_bytes(text), sizes["L"]) for text in texts])
        return {"predict_text": {"text": text, "length": length}}

    def _tokens(self, sizes: Mapping[str, int]) -> int:
        size = self.inputs[0].shape[1]
        return size if isinstance(size, int) else sizes.get("T", DEFAULT_TOKENS)
