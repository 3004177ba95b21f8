"""How each format of a bundle compared with Keras, as a table."""

from typing import Any

from keras_seq.console import print_table


def print_parity(manifest: dict[str, Any]) -> None:
    """Prints how each format of a bundle compared with Keras."""
    print_figures(manifest["parity"]["formats"], manifest, manifest["parity"]["inputs"])


def print_figures(figures: dict[str, Any], manifest: dict[str, Any], inputs: str) -> None:
    rows = [
        (
            name,
            signature,
            f"{values['largest_difference']:.1e}",
            f"{values['agreement']:.2%}",
            f"{manifest['formats'][name]['bytes'] / 1e6:.2f} MB",
            f"{values['latency_ms']:.2f} ms",
        )
        for name, signatures in figures.items()
        for signature, values in signatures.items()
    ]
    columns = ("format", "signature", "largest difference", "same answer", "size", "latency")
    print_table(columns, rows, f"Compared with Keras on {inputs}; latency of the longest alone")
