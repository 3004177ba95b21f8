"""Texts to tensors and a translator's outputs to texts, in any runtime. Imports NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seq.decoding.hypothesis import NO_CHANCE, Hypothesis
from keras_seq.typing import Arrays

WITHOUT_SPACES = ("zh", "ja", "th")  # languages whose sentences are joined without a space


def read_hypotheses(
    texts: Sequence[str], scores: np.ndarray, ended: np.ndarray
) -> list[Hypothesis]:
    """Returns the hypotheses of one text, the best first, without missing ones.

    Args:
        texts: K texts.
        scores: `(K,)` float.
        ended: `(K,)`, whether the model ended each.
    """
    return [
        Hypothesis(text, float(score), bool(end))
        for text, score, end in zip(texts, scores, ended, strict=True)
        if score > NO_CHANCE
    ]


def read_outputs(outputs: Arrays) -> list[list[Hypothesis]]:
    """Returns the hypotheses of each row of the outputs of `translate_text`."""
    rows = zip(outputs["text"], outputs["length"], outputs["scores"], outputs["ended"], strict=True)
    results = []
    for texts, lengths, scores, ended in rows:
        contents = (text[:length].tobytes() for text, length in zip(texts, lengths, strict=True))
        decoded = [content.decode("utf-8", "replace") for content in contents]
        results.append(read_hypotheses(decoded, scores, ended))
    return results


def join_hypotheses(parts: list[list[Hypothesis]], language: str) -> list[Hypothesis]:
    """Joins the hypotheses of a text's parts into those of the text.

    Args:
        parts: The hypotheses of each part, the best first.
        language: Language of the hypotheses.
    """
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return [Hypothesis("", 0.0, True)]
    separator = "" if language in WITHOUT_SPACES else " "
    joined = []
    for k in range(max(len(hypotheses) for hypotheses in parts)):
        # A part that has fewer repeats its last one.
        row = [hypotheses[min(k, len(hypotheses) - 1)] for hypotheses in parts]
        text = separator.join(part.text.strip() for part in row)
        score = sum(part.score for part in row)
        joined.append(Hypothesis(text, score, all(part.ended for part in row)))
    return joined


def answer_with_bundle(bundle: Any, texts: Sequence[str | bytes]) -> list[str]:
    """Returns the best translation of each text, from an open bundle."""
    return [row[0].text for row in read_outputs(bundle.translate_text(list(texts)))]
