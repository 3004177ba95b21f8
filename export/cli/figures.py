"""Prints how each format of a bundle compared with Keras, as a table."""

from collections.abc import Sequence
from typing import Any

from export import bundle
from export.card import name_variant
from keras_seq.console import print_table


def print_parity(manifest: dict[str, Any]) -> None:
    """Prints how each format of a bundle compared with Keras when it was exported."""
    print_figures(manifest["parity"]["variants"], manifest, manifest["parity"]["inputs"])


def print_figures(
    variants: Sequence[dict[str, Any]], manifest: dict[str, Any], inputs: str
) -> None:
    """Prints the figures of each signature in each variant, as in the manifest's `parity`."""
    rows = []
    for variant in variants:
        size = bundle.find_variant(manifest, variant["format"], variant["precision"])["bytes"]
        for signature, figures in variant["signatures"].items():
            rows.append(
                (
                    name_variant(variant),
                    signature,
                    f"{figures['largest_difference']:.1e}",
                    f"{figures['agreement']:.2%}",
                    f"{size / 1e6:.2f} MB",
                    f"{figures['latency_ms']:.2f} ms",
                )
            )
    columns = ("format", "signature", "largest difference", "same answer", "size", "latency")
    print_table(columns, rows, f"Compared with Keras on {inputs}; latency of the longest input")
