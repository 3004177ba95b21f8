"""Accuracy, precision, recall and F1 of a classifier."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def classification_metrics(
    true: np.ndarray, predicted: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Scores predictions.

        precision = TP / (TP + FP)    recall = TP / (TP + FN)    F1 = 2 P R / (P + R)

    Args:
        true: `(N,)` indices into `labels`.
        predicted: `(N,)` likewise.
        labels: Names of the classes.

    Returns:
        accuracy; precision, recall and f1 as the mean over the classes; examples; and by label
        precision, recall, f1 and examples. A score whose denominator is 0 is 0.
    """
    from sklearn.metrics import precision_recall_fscore_support

    indices = np.arange(len(labels))
    scores = precision_recall_fscore_support(true, predicted, labels=indices, zero_division=0)
    precision, recall, f1, support = scores
    return {
        "accuracy": float(np.mean(true == predicted)),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
        "f1": float(f1.mean()),
        "examples": len(true),
        "labels": {
            label: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "examples": int(support[i]),
            }
            for i, label in enumerate(labels)
        },
    }
