"""`python -m export check`."""

import argparse
from pathlib import Path

from export import bundle, formats
from export.card import name_variant
from export.cli.figures import print_figures
from keras_seq.console import import_quietly, print_status
from keras_seq.errors import UserError


def make_parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m export check",
        description="Verifies the hashes of a bundle, then runs each format whose runtime is "
        "installed on the inputs that the bundle carries and compares with Keras's answers. Needs "
        "neither TensorFlow nor Keras.",
    )
    arguments.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    from export import parity, runtime
    from keras_seq.signature import SignatureSpec

    folder = Path(arguments.bundle)
    manifest = bundle.read_manifest(folder)
    bundle.verify(folder, manifest)
    print_status(f"{len(manifest['files'])} files match their hashes.")
    inputs, expected = parity.load_reference(folder / bundle.PARITY)
    specs = [SignatureSpec.from_json(name, manifest["signatures"][name]) for name in inputs]
    compared = []
    for variant in manifest["variants"]:
        format, precision = variant["format"], variant["precision"]
        if not formats.is_installed(format):
            print_status(f"{format} is not run: {formats.install_command(format)}")
            continue
        if formats.module(format).REQUIRES == "tensorflow":
            import_quietly("tensorflow")
        loaded = runtime.load(folder, format, 1, precision)
        advice = f"Do not use {name_variant(variant)} here: export the model again, or report this."
        figures = parity.prove(loaded, specs, inputs, expected, advice)
        compared.append({**variant, "signatures": figures})
    if not compared:
        raise UserError("No runtime is installed, so nothing was compared with Keras.")
    print_figures(compared, manifest, f"{parity.RANDOM_ROWS} random inputs")
    return 0
