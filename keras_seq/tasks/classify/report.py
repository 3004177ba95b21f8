"""Prints the results and the answers of text classifiers."""

from typing import Any

from keras_seq.console import print_json, print_table, shorten
from keras_seq.tasks.classify.answers import read_probabilities
from keras_seq.tasks.prediction import PredictionOptions

SCORES = ("precision", "recall", "f1")


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints accuracy, and precision, recall and F1 of each label."""
    rows = [
        (label, *(f"{values[score]:.4f}" for score in SCORES), f"{values['examples']:,}")
        for label, values in metrics["labels"].items()
    ]
    means = (f"{metrics[score]:.4f}" for score in SCORES)
    rows.append(("mean", *means, f"{metrics['examples']:,}"))
    title = f"{metrics['data']}: accuracy {metrics['accuracy']:.4f}"
    print_table(("label", *SCORES, "examples"), rows, title)


def predict(model: Any, texts: list[str], options: PredictionOptions, as_json: bool) -> None:
    """Prints the label of each text and its probability."""
    answers = read_probabilities(model.predict(texts, verbose=0), model.labels)
    if as_json:
        for text, answer in zip(texts, answers, strict=True):
            print_json({"text": text, "label": answer.label, "probabilities": answer.probabilities})
        return
    rows = [
        (answer.label, f"{answer.probability:.4f}", shorten(text))
        for text, answer in zip(texts, answers, strict=True)
    ]
    print_table(("label", "probability", "text"), rows)
