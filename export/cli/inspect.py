"""`python -m export inspect`."""

import argparse
from pathlib import Path
from typing import Any

from export import bundle, formats
from keras_seq.console import import_quietly, print_status, print_table


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m export inspect",
        description="Prints the signatures, operators and sizes of a bundle.",
    )
    found.add_argument("bundle", metavar="BUNDLE")
    return found


def run(arguments: argparse.Namespace) -> int:
    from export import card

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
            (name, card.tensors(spec["inputs"]), card.tensors(spec["outputs"]))
            for name, spec in manifest["signatures"].items()
        ],
    )
    if manifest["tokenizer"]:
        print(
            f"The tokenizer's tables take {manifest['tokenizer_bytes']:,} bytes of each file that "
            "reads texts.\n"
        )
        rows = [(name, f"{ms:.2f} ms") for name, ms in _text_latency(manifest).items()]
        print_table(
            ("format", "reading a text adds"), rows, "Median, for the longest text compared"
        )
    print_table(
        ("file", "bytes"),
        [(name, f"{file['bytes']:,}") for name, file in manifest["files"].items()],
    )
    for name in manifest["formats"]:
        try:
            if name == "saved_model":
                import_quietly("tensorflow")
            found = formats.module(name).operators(folder)
        except ImportError as error:
            print_status(f"{name}: its operators are not counted: {error.name} is not installed.")
            continue
        counts = ", ".join(f"{operator} {count}" for operator, count in sorted(found.items()))
        print(f"{name}: {counts}\n")
    return 0


def _text_latency(manifest: dict[str, Any]) -> dict[str, float]:
    """How much longer a call takes that begins with a text and not with token ids, by format."""
    found = {}
    for name, figures in manifest["parity"]["formats"].items():
        for signature, values in figures.items():
            if f"{signature}_text" in figures:
                text = figures[f"{signature}_text"]
                found[name] = text["latency_ms"] - values["latency_ms"]
    return found
