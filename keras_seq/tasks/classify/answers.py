"""Answers of a text classifier, made of its outputs. Imports NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Classification:
    """The classification of one text.

    Attributes:
        label: The likeliest label.
        probability: Its probability.
        probabilities: The probability of each label.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


def read_probabilities(probabilities: np.ndarray, labels: Sequence[str]) -> list[Classification]:
    """Returns the classification of each row of probabilities `(N, C)`."""
    return [
        Classification(
            labels[row.argmax()],
            float(row.max()),
            dict(zip(labels, map(float, row), strict=True)),
        )
        for row in probabilities
    ]


def answer_with_bundle(bundle: Any, texts: Sequence[str | bytes]) -> list[str]:
    """Returns the label of each text and its probability, from an open bundle."""
    probabilities = bundle.classify_text(list(texts))["probabilities"]
    answers = read_probabilities(probabilities, bundle.labels)
    return [f"{answer.label} {answer.probability:.4f}" for answer in answers]
