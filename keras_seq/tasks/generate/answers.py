"""Prompts to tensors and a generator's outputs to text, in any runtime. Imports NumPy only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_seq.text.streaming import TextStream
from keras_seq.text.utf8 import unpack_texts
from keras_seq.typing import Arrays


class Continuation:
    """The continuation of one prompt, part by part, through the interactive signatures.

        continuation = Continuation(uniforms, sampling)
        outputs = prefill_text(**continuation.first_inputs("ROMEO:"))
        text = continuation.read(outputs)
        while continuation.finish_reason is None:
            outputs = decode_text(**continuation.next_inputs(8), **state of outputs)
            text += continuation.read(outputs)

    Args:
        uniforms: `(N,)` float32 in [0, 1), one for each token; N is the largest number of tokens.
        sampling: Sampling settings by the names of the signatures' inputs.
        stop: Texts that end the output; they are not part of it.
        max_part_tokens: N of the file: the width of its input `uniforms`.

    Attributes:
        finish_reason: "stop" where the model or a stop text ended the output, "length" where the
            largest number of tokens did; None while it continues.
        tokens: Number of tokens written.
    """

    def __init__(
        self,
        uniforms: np.ndarray,
        sampling: Mapping[str, Any],
        stop: Sequence[str] = (),
        max_part_tokens: int | None = None,
    ) -> None:
        self._uniforms, self._sampling = uniforms, dict(sampling)
        self._stream = TextStream(stop)
        self._width = max_part_tokens or len(uniforms)
        self.finish_reason: str | None = None
        self.tokens = 0

    def first_inputs(self, prompt: str | bytes) -> dict[str, Any]:
        """Returns the inputs of the signature that reads the prompt, `prefill_text`."""
        self.tokens = 1
        return {"text": [prompt], "uniform": self._uniforms[:1], **self._sampling}

    def next_inputs(self, count: int) -> dict[str, Any]:
        """Returns the inputs of `decode_text` for `count` more tokens, without the state."""
        count = min(count, len(self._uniforms) - self.tokens)
        uniforms = np.zeros((1, self._width), "float32")
        uniforms[0, :count] = self._uniforms[self.tokens : self.tokens + count]
        self.tokens += count
        return {"max_new_tokens": count, "uniforms": uniforms, **self._sampling}

    def read(self, outputs: Arrays) -> str:
        """Returns the text that is certain after a part, and sets `finish_reason` at the end."""
        content = outputs["text"][0, : outputs["length"][0]].tobytes()
        text = self._stream.feed(content)
        # Token 0 ends a text; a part without text has no positions left.
        if self._stream.stopped or outputs["token"][0] == 0 or not content:
            self.finish_reason = "stop"
        elif self.tokens >= len(self._uniforms):
            self.finish_reason = "length"
        return text if self.finish_reason is None else text + self._stream.finish()


def read_texts(outputs: Arrays) -> list[str]:
    """Returns the texts of the outputs `text` and `length`."""
    texts = unpack_texts(outputs["text"], outputs["length"])
    return [text.decode("utf-8", "replace") for text in texts]


def answer_with_bundle(bundle: Any, texts: Sequence[str | bytes]) -> list[str]:
    """Returns the likeliest continuation of each text, from an open bundle."""
    return read_texts(bundle.generate_text(list(texts), temperature=0.0))
