"""The README.md of a bundle: a model card."""

from collections.abc import Mapping
from typing import Any

USE = {
    "tflite": """```python
# pip install "keras-seq[tflite]"          no TensorFlow
import export
export.load("BUNDLE", "tflite").CALL
```

Any LiteRT runtime (Android, iOS, C++, the browser) runs `tflite/model.tflite`: built-in operators
only, no Flex delegate, no custom operators.""",
    "onnx": """```python
# pip install "keras-seq[onnx]"            no TensorFlow
import export
export.load("BUNDLE", "onnx").CALL
```""",
    "saved_model": """```python
import tensorflow as tf                    # no Keras code, no keras-seq
tf.saved_model.load("BUNDLE/saved_model").signatures["SIGNATURE"](INPUTS)
```""",
}


def model_card(name: str, manifest: Mapping[str, Any]) -> str:
    """Markdown: what the model is, how well it does, how it was proven and how to call it."""
    lines = [
        f"# {name}",
        "",
        f"Task: `{manifest['task']}`. Backbone: `{manifest['backbone']}`. "
        f"{manifest['parameters']:,} parameters. Exported by keras-seq "
        f"{manifest['created_with']['keras-seq']}.",
        "",
    ]
    if manifest["trained_on"]:
        data, licence = (manifest["trained_on"].get(key) for key in ("data", "licence"))
        terms = f" ({licence}, which holds for what is made of it)" if licence else ""
        lines += [f"Trained on {data}{terms}.", ""]
    if manifest["labels"]:
        lines += [f"Labels, in the order of the output: {', '.join(manifest['labels'])}.", ""]
    metrics = manifest["metrics"]
    if metrics:
        lines += _results(metrics)
    lines += [
        f"## Parity with Keras, on {manifest['parity']['inputs']}",
        "",
        "| format | signature | largest difference | same answer |",
        "|---|---|---|---|",
    ]
    for format, signatures in manifest["parity"]["formats"].items():
        for signature, figures in signatures.items():
            lines.append(
                f"| {format} | {signature} | {figures['largest_difference']:.2g} | "
                f"{figures['agreement']:.2%} |"
            )
    lines += ["", "`python -m export check` compares any copy of this folder again.", ""]
    lines += ["## Inputs and outputs", "", "| signature | inputs | outputs |", "|---|---|---|"]
    for signature, spec in manifest["signatures"].items():
        lines.append(f"| {signature} | {tensors(spec['inputs'])} | {tensors(spec['outputs'])} |")
    notes = ["B is the number of rows"]
    notes += [f"{size} up to {limit}" for size, limit in manifest["limits"].items()]
    if manifest["tokenizer"]:
        notes += ["token id 0 is padding"]
    lines += ["", "; ".join(notes) + ".", ""]
    first, spec = next(iter(manifest["signatures"].items()))
    inputs = ", ".join(f"{tensor['name']}=…" for tensor in spec["inputs"])
    on_texts = [name for name in manifest["signatures"] if name.endswith("_text")]
    call = f'{on_texts[0]}(["…"])' if on_texts else f"{first}({inputs})"
    for format, settings in manifest["formats"].items():
        fixed = ", ".join(f"{size} = {value}" for size, value in settings["sizes"].items())
        lines += [f"## {format}", "", f"{settings['bytes']:,} bytes, {settings['precision']}"]
        lines[-1] += (
            f", shapes fixed at {fixed}."
            if fixed
            else ", any size of B and the other open dimensions."
        )
        use = USE[format].replace("BUNDLE", name).replace("SIGNATURE", first)
        lines += ["", use.replace("INPUTS", inputs).replace("CALL", call), ""]
    return "\n".join(lines)


def _results(metrics: Mapping[str, Any]) -> list[str]:
    """A table of what is a figure in `metrics`, and what they are of."""
    shown = {
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "loss": "loss, nats a token",
        "perplexity": "perplexity",
        "bits_per_byte": "bits a byte",
        "bleu": "BLEU",
        "bleu_lowercase": "BLEU, lower case",
        "chrf": "chrF",
        "exact": "exact matches",
    }
    count = next(f"{metrics[name]:,} {name}" for name in ("examples", "tokens") if name in metrics)
    lines = [f"## Results on {count} of {metrics['data']}, held out", ""]
    lines += ["| metric | value |", "|---|---|"]
    lines += [f"| {text} | {metrics[key]:.4f} |" for key, text in shown.items() if key in metrics]
    return [*lines, ""]


def tensors(specs: list[dict[str, Any]]) -> str:
    """Name, dtype and shape of each tensor in a line."""
    return "; ".join(
        f"{spec['name']} {spec['dtype']} [{', '.join(str(size) for size in spec['shape'])}]"
        for spec in specs
    )
