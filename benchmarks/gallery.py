"""Compares the export of ordinary Keras models by Keras itself, by tf2onnx, and by us.

    python -m benchmarks.gallery                 the whole gallery, as a Markdown table
    python -m benchmarks.gallery stacked_gru     one model

The table says of each peer whether its file runs in the plain runtime (LiteRT's interpreter without
extra operators, onnxruntime), and how long a call takes beside ours: one row, one thread, the
median of calls made in turn. A ratio below 1 is faster than the peer.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402

CALLS = 100
STEPS = 20

Arrays = dict[str, np.ndarray]
Call = Callable[[], Any]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("models", nargs="*", help="names of models (default: all)")
    arguments = parser.parse_args()
    from benchmarks.gallery_models import GALLERY
    from keras_seq.console import import_quietly

    import_quietly("tensorflow")
    unknown = sorted(set(arguments.models) - GALLERY.keys())
    if unknown:
        parser.error(f"there is no model {unknown[0]!r}; there are {', '.join(GALLERY)}")
    names = arguments.models or list(GALLERY)
    rows = []
    for i, name in enumerate(names):
        print(f"{i + 1} of {len(names)}: {name}", file=sys.stderr, flush=True)
        rows.append(compare(name, GALLERY[name]))
    print_table(rows)


def compare(name: str, build: Callable[[], Any]) -> dict[str, Any]:
    """Returns a row of the table."""
    import export

    model = build()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        manifest = export.export(model, folder / "ours", max_length=STEPS, max_bytes=STEPS)
        inputs = {
            key.removeprefix("predict/inputs/"): array[:1]
            for key, array in np.load(folder / "ours" / "parity.npz").items()
            if key.startswith("predict/inputs/")
        }
        spec = manifest["signatures"]["predict"]["inputs"]
        fixed = [t["shape"][0] for t in spec if isinstance(t["shape"][0], int)]
        if fixed:
            archive = np.load(folder / "ours" / "parity.npz")
            inputs = {k: archive[f"predict/inputs/{k}"][: fixed[0]] for k in inputs}
        figures = [variant["signatures"]["predict"] for variant in manifest["parity"]["variants"]]
        size = {variant["format"]: variant["bytes"] for variant in manifest["variants"]}
        row = {
            "model": name,
            "difference": max(f["largest_difference"] for f in figures),
            "tflite_bytes": size["tflite"],
            "onnx_bytes": size["onnx"],
        }
        peer_inputs = to_peer_inputs(inputs)
        tflite = folder / "keras.tflite"
        status, litert = attempt(lambda: export_keras_litert(model, tflite, peer_inputs))
        row["keras_litert"] = status
        row["keras_onnx"], onnx = attempt(lambda: export_keras_onnx(model, folder, peer_inputs))
        row["tf2onnx"], plain = attempt(lambda: export_tf2onnx(model, folder, peer_inputs))
        ours = {
            "tflite": open_litert(folder / "ours/tflite/model.tflite", inputs),
            "onnx": open_onnx(folder / "ours/onnx/predict.onnx", inputs),
        }
        row["tflite_ms"], row["litert_ms"] = time_in_turn(ours["tflite"], litert)
        row["onnx_ms"], row["peer_onnx_ms"] = time_in_turn(ours["onnx"], onnx or plain)
        return row


def attempt(make: Callable[[], Any]) -> tuple[str, Any]:
    """Returns "runs" and the call of a peer, or why it doesn't run and None."""
    try:
        return "runs", make()
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = re.sub(r"^.*(Load model from \S+ failed:|INVALID_ARGUMENT :)", "", text).strip()
        if "Select TensorFlow op" in text or "flex" in text.lower():
            return "needs Flex", None
        return f"fails: {text[:70]}", None


def export_keras_litert(model: Any, path: Path, inputs: Arrays) -> Call:
    """Exports with Keras's own LiteRT export."""
    call_once(model, inputs)
    model.export(str(path), format="litert", verbose=False)
    call = open_litert(path, inputs)
    call()
    return call


def export_keras_onnx(model: Any, folder: Path, inputs: Arrays) -> Call:
    """Exports with Keras's own ONNX export."""
    call_once(model, inputs)
    path = folder / "keras.onnx"
    model.export(str(path), format="onnx", verbose=False)
    call = open_onnx(path, inputs)
    call()
    return call


def export_tf2onnx(model: Any, folder: Path, inputs: Arrays) -> Call:
    """Converts a function that calls the model with tf2onnx."""
    import tensorflow as tf
    import tf2onnx
    from keras import tree

    from export.keras_model import KerasModel

    path = folder / "tf2onnx.onnx"
    ours = KerasModel(model)
    specs = [
        tf.TensorSpec(
            [None if n == "B" else STEPS if n == "T" else n for n in t.shape], t.dtype, t.name
        )
        for t in ours.inputs
    ]

    def call(*tensors: Any) -> list[Any]:
        named = {t.name: tensor for t, tensor in zip(ours.inputs, tensors, strict=True)}
        return tree.flatten(ours.call(named))

    tf2onnx.convert.from_function(
        tf.function(call, autograph=False), specs, opset=18, output_path=str(path)
    )
    run = open_onnx(path, inputs)
    run()
    return run


def call_once(model: Any, inputs: Arrays) -> None:
    """Calls a model once, as Keras requires before an export."""
    import tensorflow as tf

    from export.keras_model import KerasModel

    KerasModel(model).call({name: tf.constant(array) for name, array in inputs.items()})


def open_litert(path: Path, inputs: Arrays) -> Call:
    """Returns a call of a TFLite file in LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    signature = next(iter(interpreter.get_signature_list()))
    runner = interpreter.get_signature_runner(signature)
    given = match_names(inputs, sorted(runner.get_input_details()))
    return lambda: runner(**given)


def open_onnx(path: Path, inputs: Arrays) -> Call:
    """Returns a call of an ONNX file in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = match_names(inputs, [tensor.name for tensor in session.get_inputs()])
    return lambda: session.run(None, given)


def match_names(inputs: Arrays, names: list[str]) -> Arrays:
    """Returns the inputs under the names of a file: equal names first, then in order."""
    matched = {}
    left = dict(inputs)
    for name in names:
        same = next((key for key in left if key == name.split(":")[0]), None)
        matched[name] = left.pop(same) if same else None
    for name, value in matched.items():
        if value is None:
            matched[name] = left.pop(next(iter(left)))
    return matched


def to_peer_inputs(inputs: Arrays) -> Arrays:
    """Returns the inputs as peers take them: texts as strings, without states."""
    converted = {}
    for name, array in inputs.items():
        if name.startswith("state_") or name.endswith("_length"):
            continue
        if array.dtype == np.uint8:
            texts = [bytes(row[:n]) for row, n in zip(array, inputs[f"{name}_length"], strict=True)]
            array = np.array(texts, object)
            array = array if name == "text" else array[:, None]
        converted[name] = array
    return converted


def time_in_turn(ours: Call, peer: Call | None) -> tuple[float, float | None]:
    """Returns the median milliseconds of each, called in turn."""
    calls = [call for call in (ours, peer) if call is not None]
    times: list[list[float]] = [[] for _ in calls]
    for i in range(CALLS + 10):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if i >= 10:
                spent.append(1000 * (time.perf_counter() - start))
    medians = [statistics.median(spent) for spent in times]
    return medians[0], medians[1] if peer is not None else None


def print_table(rows: list[Mapping[str, Any]]) -> None:
    """Prints the rows in Markdown, and a summary."""

    def beside(ours: float, peer: float | None) -> str:
        return f"{ours:.2f}" + (f" ({ours / peer:.2f} ×)" if peer else "")

    print(
        "| model | Keras's LiteRT export | Keras's ONNX export | tf2onnx alone | ours: largest "
        "difference | kB TFLite, ONNX | TFLite ms (× peer) | ONNX ms (× peer) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['model']} | {row['keras_litert']} | {row['keras_onnx']} | {row['tf2onnx']} "
            f"| {row['difference']:.1e} | {row['tflite_bytes'] / 1e3:.0f}, "
            f"{row['onnx_bytes'] / 1e3:.0f} | {beside(row['tflite_ms'], row['litert_ms'])} "
            f"| {beside(row['onnx_ms'], row['peer_onnx_ms'])} |"
        )
    count = len(rows)
    runs = {key: sum(row[key] == "runs" for row in rows) for key in ("keras_litert", "keras_onnx")}
    print(
        f"\nModels that run in the plain runtimes, of {count}: Keras's LiteRT export "
        f"{runs['keras_litert']}, Keras's ONNX export {runs['keras_onnx']}, tf2onnx alone "
        f"{sum(row['tf2onnx'] == 'runs' for row in rows)}, ours {count} in all three formats."
    )
    for ours, peer, what in (
        ("tflite_ms", "litert_ms", "TFLite"),
        ("onnx_ms", "peer_onnx_ms", "ONNX"),
    ):
        ratios = {row["model"]: row[ours] / row[peer] for row in rows if row[peer]}
        if ratios:
            worst = max(ratios, key=ratios.__getitem__)
            print(
                f"{what} beside the peer where the peer runs ({len(ratios)}): median "
                f"{statistics.median(ratios.values()):.2f} ×, at most {ratios[worst]:.2f} × "
                f"({worst})."
            )


if __name__ == "__main__":
    main()
