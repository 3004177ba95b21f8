"""`python -m export inspect`."""

import argparse
from pathlib import Path
from typing import Any

from export import bundle, formats
from export.card import describe_tensors, name_variant
from keras_seq.console import import_quietly, print_status, print_table


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
    print(
        f"{folder}: {manifest['task']}, {manifest['backbone']}, {manifest['parameters']:,} "
        f"parameters, labels: {', '.join(manifest['labels']) or 'none'}"
    )
    print_table(
        ("signature", "inputs", "outputs"),
        [
            (name, describe_tensors(spec["inputs"]), describe_tensors(spec["outputs"]))
            for name, spec in manifest["signatures"].items()
        ],
    )
    if manifest["tokenizer"]:
        print(
            f"The tokenizer's tables take {manifest['tokenizer_bytes']:,} bytes in each file that "
            "reads texts.\n"
        )
        rows = [(name, f"{ms:.2f} ms") for name, ms in _text_latency(manifest).items()]
        print_table(("format", "reading a text adds"), rows, "For the longest text compared")
    print_table(
        ("file", "bytes"),
        [(name, f"{file['bytes']:,}") for name, file in manifest["files"].items()],
    )
    for name in bundle.list_formats(manifest):
        try:
            if formats.module(name).REQUIRES == "tensorflow":
                import_quietly("tensorflow")
            counts = formats.module(name).operators(folder)
        except ImportError as error:
            print_status(f"{name}: its operators are not counted: {error.name} is not installed.")
            continue
        listed = ", ".join(f"{operator} {count}" for operator, count in sorted(counts.items()))
        print(f"{name}: {listed}\n")
    return 0


def _text_latency(manifest: dict[str, Any]) -> dict[str, float]:
    """Returns by format how much longer a call takes that begins with a text, not token ids."""
    added = {}
    for variant in manifest["parity"]["variants"]:
        figures = variant["signatures"]
        for signature in figures:
            if f"{signature}_text" in figures:
                text, ids = (
                    figures[name]["latency_ms"] for name in (f"{signature}_text", signature)
                )
                added[name_variant(variant)] = text - ids
    return added
