"""How each format of a bundle compared with Keras, as a table."""

import html
from collections.abc import Sequence
from typing import Any

from export import bundle
from export.card import name_variant
from keras_seq.console import format_table

COLUMNS = ("format", "signature", "largest difference", "same answer", "size", "latency")


class ExportReport(dict[str, Any]):
    """The manifest of a new bundle, which shows itself as the table of what was proven."""

    def __repr__(self) -> str:
        return f"{self._title()}\n\n{format_table(COLUMNS, self._rows())}"

    def _repr_html_(self) -> str:
        table = format_table(COLUMNS, self._rows(), "html")
        return f"<p>{html.escape(self._title())}</p>{table}"

    def _title(self) -> str:
        return title_of(self["parity"]["inputs"])

    def _rows(self) -> list[tuple[str, ...]]:
        return list_figures(self["parity"]["variants"], self)


def title_of(inputs: str) -> str:
    """Returns the heading of the table, for what was compared on."""
    return f"Compared with Keras on {inputs}; latency of the longest input"


def list_figures(
    variants: Sequence[dict[str, Any]], manifest: dict[str, Any]
) -> list[tuple[str, ...]]:
    """Returns a row for each signature in each variant, as the manifest's `parity` has them."""
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
    return rows
