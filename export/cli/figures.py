"""Prints how each format of a bundle compared with Keras, as a table."""

from collections.abc import Sequence
from typing import Any

from export.report import COLUMNS, list_figures, title_of
from keras_seq.console import print_table


def print_parity(manifest: dict[str, Any]) -> None:
    """Prints how each format of a bundle compared with Keras when it was exported."""
    print_figures(manifest["parity"]["variants"], manifest, manifest["parity"]["inputs"])


def print_figures(
    variants: Sequence[dict[str, Any]], manifest: dict[str, Any], inputs: str
) -> None:
    """Prints the figures of each signature in each variant, as in the manifest's `parity`."""
    print_table(COLUMNS, list_figures(variants, manifest), title_of(inputs))
