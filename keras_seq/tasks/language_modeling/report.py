"""Prints the results of language models."""

from typing import Any

from keras_seq.console import print_table

COLUMNS = ("loss", "perplexity", "bits_per_byte", "accuracy", "tokens", "bytes")


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints the loss in nats per token and what follows from it."""
    names = [name for name in COLUMNS if name in metrics]
    values = (metrics[name] for name in names)
    row = [f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in values]
    title = f"{metrics['data']}: nats per token"
    if "context" in metrics:
        window = metrics["context"]
        title += f", each predicted from {window // 2:,} to {window:,} tokens before it"
    print_table([name.replace("_", " ") for name in names], [row], title)
