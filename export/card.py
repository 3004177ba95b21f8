"""The README.md of a bundle: a model card."""

import re
from collections.abc import Mapping
from typing import Any

from export import formats
from keras_seq.console import escape, shorten
from keras_seq.signature import SignatureSpec

MAX_LABELS = 100  # that a card lists
MAX_TEXT = 200  # characters of a text of the user's


def model_card(name: str, manifest: Mapping[str, Any]) -> str:
    """Returns Markdown: what the model is, how well it does, how it was proven, how to call it."""
    lines = [
        f"# {name}",
        "",
        f"Task: `{manifest['task']}`. Backbone: `{manifest['backbone']}`. "
        f"{manifest['parameters']:,} parameters. Exported by keras-seq "
        f"{manifest['created_with']['keras-seq']}.",
        "",
    ]
    if manifest["trained_on"]:
        texts = manifest["trained_on"]
        data, licence = (quote_markdown(texts.get(key, "")) for key in ("data", "licence"))
        terms = f" ({licence}, which applies to this model, too)" if licence else ""
        lines += [f"Trained on {data}{terms}.", ""]
    if manifest["labels"]:
        labels = ", ".join(map(quote_markdown, manifest["labels"][:MAX_LABELS]))
        more = len(manifest["labels"]) - MAX_LABELS
        labels += f" and {more:,} more, in `manifest.json`" if more > 0 else ""
        lines += [f"Labels, in the order of the output: {labels}.", ""]
    metrics = manifest["metrics"]
    if metrics:
        lines += _format_results(metrics)
    lines += [
        f"## Parity with Keras, on {quote_markdown(manifest['parity']['inputs'])}",
        "",
        "| format | signature | largest difference | same answer |",
        "|---|---|---|---|",
    ]
    for variant in manifest["parity"]["variants"]:
        for signature, figures in variant["signatures"].items():
            lines.append(
                f"| {name_variant(variant)} | {signature} | {figures['largest_difference']:.2g} | "
                f"{figures['agreement']:.2%} |"
            )
    lines += ["", "`python -m export check` compares any copy of this folder again.", ""]
    lines += ["## Inputs and outputs", "", "| signature | inputs | outputs |", "|---|---|---|"]
    for signature, spec in manifest["signatures"].items():
        columns = (describe_tensors(spec["inputs"]), describe_tensors(spec["outputs"]))
        lines.append(f"| {signature} | {' | '.join(columns)} |")
    notes = ["B is the number of rows"]
    for size, limit in manifest["dimensions"].items():
        notes.append(f"{size} ({limit}) is at most {manifest['limits'][limit]}")
    if manifest["tokenizer"]:
        notes += ["token id 0 is padding"]
    lines += ["", "; ".join(notes) + ".", ""]
    main = manifest["entry"]["signature"]
    spec = manifest["signatures"][main]
    inputs = ", ".join(f"{tensor['name']}=…" for tensor in spec["inputs"])
    reads_text = bool(SignatureSpec.from_json(main, spec).texts)
    call = f'{main}(["…"])' if reads_text else f"{main}({inputs})"
    version = manifest["created_with"]["keras-seq"]
    extras = {formats.module(v["format"]).EXTRA for v in manifest["variants"]} - {None}
    if extras:
        listed = ",".join(sorted(extras))
        lines += [
            "## To run it in Python",
            "",
            f'`pip install ".[{listed}]"` in a checkout of keras-seq, or `pip install '
            f'"keras_seq-{version}-py3-none-any.whl[{listed}]"` with its wheel: no TensorFlow, no '
            "Keras.",
            "",
        ]
    for variant in manifest["variants"]:
        fixed = ", ".join(f"{size} = {value}" for size, value in variant["sizes"].items())
        shapes = f"shapes fixed at {fixed}" if fixed else "any size of B and of the open dimensions"
        lines += [f"## {name_variant(variant)}", "", f"{variant['bytes']:,} bytes; {shapes}.", ""]
        use = formats.module(variant["format"]).USE
        words = {"BUNDLE": name, "SIGNATURE": main, "INPUTS": inputs, "CALL": call}
        words["VARIANT"] = f'"{variant["format"]}"'
        if variant["precision"] != "float32":
            words["VARIANT"] += f', precision="{variant["precision"]}"'
        for word, value in words.items():
            use = use.replace(word, value)
        lines += [use, ""]
    return "\n".join(lines)


def quote_markdown(text: object) -> str:
    """Returns a text of the user's as it reads, whatever Markdown and HTML would make of it."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", escape(shorten(str(text), MAX_TEXT)))


def name_variant(variant: Mapping[str, Any]) -> str:
    """Returns the name of a format, with its precision where that isn't float32."""
    precision = variant["precision"]
    return variant["format"] + (f" {precision}" if precision != "float32" else "")


def _format_results(metrics: Mapping[str, Any]) -> list[str]:
    """Returns a Markdown table of every number in the metrics."""
    lines = [
        f"## Results on held-out data of {quote_markdown(metrics.get('data', 'the caller'))}",
        "",
        "| metric | value |",
    ]
    lines.append("|---|---|")
    for name, value in metrics.items():
        if isinstance(value, int | float):
            shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"
            lines.append(f"| {quote_markdown(name.replace('_', ' '))} | {shown} |")
    return [*lines, ""]


def describe_tensors(specs: list[dict[str, Any]]) -> str:
    """Returns name, dtype and shape of each tensor in one line."""
    return "; ".join(
        f"{spec['name']} {spec['dtype']} [{', '.join(str(size) for size in spec['shape'])}]"
        for spec in specs
    )
