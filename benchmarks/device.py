"""What the demo measures, in the native runtimes: `npm --prefix mobile_demo run bench` prints
both.

    python -m benchmarks.device mobile_demo/public/models/*
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import export
from keras_seq.console import print_table
from keras_seq.uniforms import random_uniforms

INPUTS = Path(__file__).parents[1] / "mobile_demo" / "src" / "backend" / "benchmark_inputs.json"
CALLS = 7


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON, a list")
    arguments = parser.parse_args()
    found = [
        {"name": path.name, "format": name, **measured(path, name)}
        for path in arguments.bundles
        for name in ("tflite", "onnx")
    ]
    if arguments.json:
        print(json.dumps(found))
        return
    rows = [
        (one["name"], one["format"], f"{one['medianMs']:.2f}", _speed(one["tokensPerSecond"]))
        for one in found
    ]
    print_table(("bundle", "format", "ms", "tokens a second"), rows, "One thread, one row; medians")


def measured(bundle: Path, format: str) -> dict[str, float | None]:
    """Median milliseconds of an answer, and tokens a second where a text is written."""
    loaded = export.load(bundle, format, threads=1)
    inputs = json.loads(INPUTS.read_text("utf-8"))

    def classified() -> int:
        loaded.classify_text([inputs["review"]])
        return 0

    def generated() -> int:
        most = loaded.manifest["limits"]["max_new_tokens"]
        uniforms = random_uniforms(1, most, inputs["seed"])
        sampling = {"temperature": inputs["temperature"]}
        found = loaded.prefill_text([inputs["prompt"]], uniform=uniforms[:, 0], **sampling)
        state = loaded.signatures["decode_text"].select_inputs(found)
        following = np.roll(uniforms, -1, axis=1)
        loaded.decode_text(uniforms=following, max_new_tokens=most - 1, **sampling, **state)
        return most

    def translated() -> int:
        for caption in inputs["captions"]:
            loaded.translate_text([caption])
        return 0

    tasks: dict[str, tuple[Callable[[], int], int]] = {
        "classify": (classified, 1),
        "generate": (generated, 1),
        "translate": (translated, len(inputs["captions"])),
    }
    once, answers = tasks[loaded.manifest["task"]]
    once()
    times, tokens = [], 0
    for _ in range(CALLS):
        start = time.perf_counter()
        tokens = once()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    return {
        "medianMs": 1000 * seconds / answers,
        "tokensPerSecond": tokens / seconds if tokens else None,
    }


def _speed(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


if __name__ == "__main__":
    main()
