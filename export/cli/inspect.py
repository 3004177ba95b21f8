"""`python -m export inspect`."""

import argparse
from pathlib import Path
from typing import Any

from export import bundle, formats
from export.card import describe_tensors, name_variant
from keras_seq.console import import_quietly, print_status, print_table, print_text, shorten
from keras_seq.errors import UserError, quote_error

MAX_LABELS = 100  # that are printed


def make_parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m export inspect",
        description="Prints the signatures, operators and sizes of a bundle.",
    )
    arguments.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    labels = [shorten(label) for label in manifest["labels"][:MAX_LABELS]]
    more = len(manifest["labels"]) - len(labels)
    print_text(
        f"{folder}: {manifest['task']}, {shorten(manifest['backbone'])}, "
        f"{manifest['parameters']:,} parameters, labels: {', '.join(labels) or 'none'}"
        + (f" and {more:,} more" if more else "")
    )
    print_table(
        ("signature", "inputs", "outputs"),
        [
            (name, describe_tensors(spec["inputs"]), describe_tensors(spec["outputs"]))
            for name, spec in manifest["signatures"].items()
        ],
    )
    if manifest["tokenizer"]:
        print_text(
            f"The tokenizer's tables take {manifest['tokenizer_bytes']:,} bytes in each file that "
            "reads texts.\n"
        )
        rows = [(name, f"{ms:.2f} ms") for name, ms in _text_latency(manifest).items()]
        print_table(("format", "reading a text adds"), rows, "For the longest text compared")
    print_table(
        ("file", "bytes"),
        [(name, f"{file['bytes']:,}") for name, file in manifest["files"].items()],
    )
    for variant in manifest["variants"]:
        name, module = name_variant(variant), formats.module(variant["format"])
        try:
            if module.REQUIRES == "tensorflow":
                import_quietly("tensorflow")
            counts = module.operators(folder, variant["files"])
        except ImportError as error:
            print_status(f"{name}: its operators are not counted: {error.name} is not installed.")
            continue
        except Exception as error:  # Of the parsers of each format.
            raise UserError(
                f"{folder}: the {name} files cannot be read: {quote_error(error)}. Export the "
                "bundle again."
            ) from error
        listed = ", ".join(f"{operator} {count}" for operator, count in sorted(counts.items()))
        print_text(f"{name}: {listed}\n")
    return 0


def _text_latency(manifest: dict[str, Any]) -> dict[str, float]:
    """Returns by format how much longer a call takes that begins with a text, not token ids."""
    added = {}
    for variant in manifest.get("parity", {}).get("variants", ()):
        figures = variant["signatures"]
        for signature in figures:
            if f"{signature}_text" in figures:
                text, ids = (
                    figures[name]["latency_ms"] for name in (f"{signature}_text", signature)
                )
                added[name_variant(variant)] = text - ids
    return added
