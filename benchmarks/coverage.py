"""Prints which layers, activations and functions of Keras export, generated from Keras itself.

    python -m benchmarks.coverage                    all: a table, and what does not export with why
    python -m benchmarks.coverage layers LSTM        one class
    python -m benchmarks.coverage ops argmax scan    some functions
    python -m benchmarks.coverage activations

A case is right where its file computes what Keras computes, within 1e-4; refused where the export
names the layer and says why; and wrong otherwise. A case that is not right in all formats at once
is exported to each by itself.
"""

import argparse
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

KINDS = ("activations", "layers", "ops")
RIGHT, REFUSED, WRONG = "right", "refused", "wrong"
# What a good refusal has: the layer or operation, or that it is the model's doing.
NAMES_A_LAYER = re.compile(r"[Tt]he (layer|operation|model|output|string input) ")
JARGON = re.compile(r"\x1b|Traceback|loc\(|tf2onnx|mlir|Encountered|runtime refuses", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """What became of a case in a format.

    Attributes:
        kind: `RIGHT`, `REFUSED` or `WRONG`.
        message: The error; "" where it is right.
    """

    kind: str
    message: str = ""


def main() -> int:
    """Prints the table; returns 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="part of the table (default: all)")
    parser.add_argument("names", nargs="*", help="classes or functions of it (default: all)")
    arguments = parser.parse_args()
    from export import formats

    counts: dict[str, dict[str, Counter[str]]] = {}
    for kind in [arguments.kind] if arguments.kind else KINDS:
        counts[kind] = {format: Counter() for format in formats.NAMES}
        for case, build in list_cases(kind, arguments.names):
            for format, outcome in try_case(build, name=case).items():
                counts[kind][format][outcome.kind] += 1
                if outcome.kind != RIGHT:
                    print(f"{outcome.kind:8}{case}, {format}: {outcome.message}", flush=True)
    print(f"\n| kind | format | {RIGHT} | {REFUSED} | {WRONG} |\n|---|---|---|---|---|")
    for kind, by_format in counts.items():
        for format, count in by_format.items():
            figures = " | ".join(str(count[outcome]) for outcome in (RIGHT, REFUSED, WRONG))
            print(f"| {kind} | {format} | {figures} |")
    return int(any(c[WRONG] for by_format in counts.values() for c in by_format.values()))


def list_cases(kind: str, names: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Yields the name of each case and a function that builds its model."""
    import keras

    from benchmarks.coverage_layers import ACTIVATIONS, REQUIRED, layer_cases
    from benchmarks.coverage_ops import SELDOM, USES, build_op

    def build_activation(name: str) -> Any:
        inputs = keras.Input((6, 4))
        return keras.Model(inputs, keras.layers.Activation(name)(inputs))

    if kind == "layers":
        for name in names or REQUIRED:
            yield from layer_cases(name)
    elif kind == "activations":
        for name in names or ACTIVATIONS:
            yield name, lambda name=name: build_activation(name)
    else:
        for name in names or sorted(USES):
            label = f"{name} (seldom)" if name in SELDOM else name
            yield label, lambda name=name: build_op(name)


def try_case(build: Any, formats: Sequence[str] = (), name: str = "") -> dict[str, Outcome]:
    """Returns the outcome of a case in each format; in none where Keras has no such model."""
    import keras

    from export.formats import NAMES

    keras.backend.clear_session()
    try:
        model = build()
    except Exception as error:
        reason = " ".join(str(error).split())
        print(f"no model {name}: {reason[:250]}", file=sys.stderr, flush=True)
        return {}
    wanted = formats or NAMES
    outcome = try_export(model, wanted)
    if outcome.kind == RIGHT or len(wanted) == 1:
        return dict.fromkeys(wanted, outcome)
    return {format: try_export(model, [format]) for format in wanted}


def try_export(model: Any, formats: Sequence[str]) -> Outcome:
    """Returns the outcome of an export to all the formats at once."""
    import export
    from keras_seq.errors import UserError

    with tempfile.TemporaryDirectory() as folder:
        try:
            export.export(model, Path(folder) / "b", formats, max_bytes=32)
        except UserError as error:
            return Outcome(judge(str(error)), str(error))
        except Exception as error:
            return Outcome(WRONG, f"{type(error).__name__}: {str(error)[:300]}")
    return Outcome(RIGHT)


def judge(message: str) -> str:
    """Returns whether a refusal is a good one: `REFUSED`, else `WRONG`."""
    is_silent = "does not compute what Keras computes" in message
    good = NAMES_A_LAYER.search(message) and not JARGON.search(message) and len(message) < 600
    return REFUSED if good and not is_silent else WRONG


if __name__ == "__main__":
    sys.exit(main())
