"""Translating: sentences a second in each runtime, beside peers, with one thread.

    python -m benchmarks.translation runs/en-de              (pip install -e ".[bench]")
    python -m benchmarks.translation preset:en-de --sentences 64

A Transformer of ours translates the held-out sentences of what it was trained on, one at a time and
32 at a time, with 1 beam and with 4. CTranslate2 runs the very same weights, in float32; Hugging
Face's MarianMT and PyTorch's nn.Transformer have the same shape and random weights, and write as
many tokens as ours on average (nn.Transformer without a cache and with 1 beam, as in tutorials).
Every measurement is taken in a process of its own; contenders take turns, and medians are reported.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq.tasks import load_corpus

BATCHES, BEAMS = (1, 32), (1, 4)
FORMATS = ("tflite", "onnx", "saved_model")
ROUNDS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
BEGINNING, END = 2, 3
LENGTH_PENALTY = 0.6


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.translation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="RUN", help="of a Transformer that translates")
    parser.add_argument("--data", default="multi30k", help="(default: multi30k)")
    parser.add_argument("--sentences", type=int, default=128, metavar="N", help="(default: 128)")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        contender, batch, beams, folder = arguments.worker
        print(json.dumps(_measured(contender, int(batch), int(beams), Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _prepare(arguments.model, arguments.data, arguments.sentences, Path(folder))
        _compare(arguments.model, Path(folder))
    return 0


def _prepare(name: str, data: str, count: int, folder: Path) -> None:
    """Writes every file that is measured, and the sentences."""
    from export import formats
    from keras_seq.models import find_model

    model, _ = find_model(name)
    corpus = load_corpus("translate", data, source=model.source, target=model.target)
    rows = model.tokenizer.encode(corpus.held_out.sources[:count])
    rows = [row[: model.max_length] for row in rows]
    longest = max(map(len, rows))
    ids = np.zeros((len(rows), longest), "int32")
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    lengths = [len(row) for row in model.tokenizer.encode(corpus.held_out.targets[:count])]
    new = min(2 * longest, model.max_length)
    backbone = model.backbone
    shape = {
        "new": new,
        "mean": round(statistics.mean(lengths)),
        "vocabulary": model.embedding.vocabulary_size,
        "width": backbone.hidden_dim,
        "inner": backbone.intermediate_dim,
        "layers": backbone.num_layers,
        "heads": backbone.num_heads,
    }
    np.save(folder / "ids.npy", ids)
    (folder / "shape.json").write_text(json.dumps(shape))
    for beams in BEAMS:
        signatures = model.signatures({"T": longest, "N": new, "K": beams})
        translate = next(s for s in signatures if s.name == "translate")
        for batch in BATCHES:
            path = folder / f"{batch}-{beams}"
            path.mkdir()
            for format in FORMATS:
                module = formats.module(format)
                module.write([translate], path, {"B": batch, "T": longest} if module.STATIC else {})
    _write_ctranslate2(model, folder / "ctranslate2")


def _compare(name: str, folder: Path) -> None:
    from keras_seq.console import print_table, show_progress

    cases = [
        (contender, batch, beams)
        for batch in BATCHES
        for beams in BEAMS
        for contender in (*FORMATS, "ctranslate2", "marian", *(["torch"] if beams == 1 else []))
    ]
    found: dict[tuple, list[dict[str, float]]] = {case: [] for case in cases}
    for case in show_progress(cases * ROUNDS, "measured"):
        found[case].append(_run(name, *case, folder))
    rows = []
    for contender, batch, beams in cases:
        seconds, peer = (
            statistics.median(values["seconds"] for values in found[case, batch, beams])
            for case in (contender, "ctranslate2")
        )
        values = found[contender, batch, beams][-1]  # Once CTranslate2 has answered, too.
        rows.append(
            (
                contender,
                str(batch),
                str(beams),
                f"{values['sentences'] / seconds:,.1f}",
                f"{values['tokens'] / seconds:,.0f}",
                f"{peer / seconds:.2f}",
                f"{values['same']:.1%}" if "same" in values else "",
            )
        )
    columns = ("runtime", "batch", "beams", "sentences a second", "tokens a second")
    print_table((*columns, "× CTranslate2", "same as CTranslate2"), rows, f"{name}, one thread")


def _run(model: str, contender: str, batch: int, beams: int, folder: Path) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.translation", model]
    command += ["--worker", contender, str(batch), str(beams), str(folder)]
    environment = {**os.environ, **ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{contender}: {process.stderr[-2000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def _measured(contender: str, batch: int, beams: int, folder: Path) -> dict[str, float]:
    ids = np.load(folder / "ids.npy")
    ids = ids[: len(ids) // batch * batch]
    shape = json.loads((folder / "shape.json").read_text())
    if contender in FORMATS:
        call = _runtime(contender, folder / f"{batch}-{beams}", shape)
    elif contender == "ctranslate2":
        call = _ctranslate2(folder / "ctranslate2", beams, shape)
    elif contender == "marian":
        call = _marian(beams, shape)
    else:
        call = _torch(shape)
    call(ids[:batch])
    start = time.perf_counter()
    outputs = [call(ids[i : i + batch]) for i in range(0, len(ids), batch)]
    seconds = time.perf_counter() - start
    rows = [row for rows in outputs for row in rows]
    result = {
        "seconds": seconds,
        "sentences": len(ids),
        "tokens": sum(len(row) + 1 for row in rows),
    }
    path = folder / f"found-{beams}.json"
    if contender == "ctranslate2":
        path.write_text(json.dumps(rows))
    elif contender in FORMATS and path.exists():
        expected = json.loads(path.read_text())
        result["same"] = statistics.mean(a == b for a, b in zip(rows, expected, strict=False))
    return result


def _runtime(name: str, path: Path, shape: dict[str, int]) -> Callable[[np.ndarray], list]:
    from export import formats

    run = formats.module(name).Runner(path, 1)
    numbers = {
        "max_new_tokens": np.array(shape["new"], "int32"),
        "length_penalty": np.array(LENGTH_PENALTY, "float32"),
    }

    def call(ids: np.ndarray) -> list[list[int]]:
        # Formats of open shapes read no more than there is.
        longest = int((ids > 0).sum(axis=1).max())
        given = ids if name == "tflite" else ids[:, :longest]
        found = run("translate", {"token_ids": given, **numbers})
        best = zip(found["token_ids"][:, 0], found["length"][:, 0], strict=True)
        return [row[:n].tolist() for row, n in best]

    return call


def _write_ctranslate2(model: Any, path: Path) -> None:
    """Our weights as CTranslate2 describes a pre-norm Transformer."""
    from ctranslate2.specs import TransformerSpec
    from keras import ops

    backbone = model.backbone

    def array(weight: Any) -> np.ndarray:
        return ops.convert_to_numpy(weight)

    def linear(spec: Any, kernels: list[Any], biases: list[Any], inputs: int) -> None:
        flat = [array(k).reshape(inputs, -1) for k in kernels]
        spec.weight = np.ascontiguousarray(np.concatenate(flat, axis=1).T)
        spec.bias = np.concatenate([array(b).reshape(-1) for b in biases])

    def norm(spec: Any, layer: Any) -> None:
        spec.gamma, spec.beta = array(layer.gamma), array(layer.beta)

    def attention(spec: Any, layer: Any, layer_norm: Any, alone: bool) -> None:
        norm(spec.layer_norm, layer_norm)
        query = [layer.query_kernel], [layer.query_bias]
        others = [layer.key_kernel, layer.value_kernel], [layer.key_bias, layer.value_bias]
        width = layer.query_kernel.shape[0]
        if alone:
            linear(spec.linear[0], query[0] + others[0], query[1] + others[1], width)
        else:
            linear(spec.linear[0], *query, width)
            linear(spec.linear[1], *others, width)
        kernel = array(layer.output_kernel).reshape(width, width)
        linear(spec.linear[-1], [kernel], [layer.output_bias], width)

    def feed_forward(spec: Any, block: Any) -> None:
        norm(spec.layer_norm, block.feed_forward_norm)
        for part, layer in (
            (spec.linear_0, block.intermediate),
            (spec.linear_1, block.output_dense),
        ):
            linear(part, [layer.kernel], [layer.bias], layer.kernel.shape[0])

    spec = TransformerSpec.from_config(backbone.num_layers, backbone.num_heads)
    embedding_table, places = array(model.embedding.embeddings), array(backbone.positions.table)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = embedding_table
    spec.encoder.position_encodings.encodings = places
    spec.decoder.position_encodings.encodings = places
    norm(spec.encoder.layer_norm, backbone.encoder_norm)
    norm(spec.decoder.layer_norm, backbone.decoder_norm)
    for part, block in zip(spec.encoder.layer, backbone.encoder_blocks, strict=True):
        attention(part.self_attention, block.attention, block.attention_norm, True)
        feed_forward(part.ffn, block)
    for part, block in zip(spec.decoder.layer, backbone.decoder_blocks, strict=True):
        attention(part.self_attention, block.attention, block.attention_norm, True)
        attention(part.attention, block.cross_attention, block.cross_attention_norm, False)
        feed_forward(part.ffn, block)
    spec.decoder.projection.weight = embedding_table
    spec.decoder.projection.bias = array(model.head.bias)
    words = [str(i) for i in range(model.embedding.vocabulary_size)]
    words[:4] = ["<blank>", "<unk>", "<s>", "</s>"]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.validate()
    path.mkdir()
    spec.save(str(path))


def _ctranslate2(path: Path, beams: int, shape: dict[str, int]) -> Callable[[np.ndarray], list]:
    import ctranslate2

    translator = ctranslate2.Translator(
        str(path), device="cpu", compute_type="float32", inter_threads=1, intra_threads=1
    )

    def call(ids: np.ndarray) -> list[list[int]]:
        rows = [[*map(str, row[row > 0]), "</s>"] for row in ids]
        found = translator.translate_batch(
            rows,
            beam_size=beams,
            max_batch_size=len(rows),
            max_decoding_length=shape["new"],
            length_penalty=LENGTH_PENALTY,
            suppress_sequences=[["<blank>"], ["<unk>"], ["<s>"]],
        )
        return [[int(token) for token in result.hypotheses[0]] for result in found]

    return call


def _marian(beams: int, shape: dict[str, int]) -> Callable[[np.ndarray], list]:
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.set_num_threads(1)
    config = MarianConfig(
        vocab_size=shape["vocabulary"],
        d_model=shape["width"],
        encoder_layers=shape["layers"],
        decoder_layers=shape["layers"],
        encoder_attention_heads=shape["heads"],
        decoder_attention_heads=shape["heads"],
        encoder_ffn_dim=shape["inner"],
        decoder_ffn_dim=shape["inner"],
        pad_token_id=0,
        decoder_start_token_id=BEGINNING,
        eos_token_id=END,
        forced_eos_token_id=None,
    )
    model = MarianMTModel(config).eval()

    def call(ids: np.ndarray) -> list[list[int]]:
        given = torch.tensor(ids[:, : int((ids > 0).sum(axis=1).max())], dtype=torch.long)
        found = model.generate(
            given,
            attention_mask=(given > 0).long(),
            num_beams=beams,
            do_sample=False,
            min_new_tokens=shape["mean"],
            max_new_tokens=shape["mean"],
        )
        return found[:, 1:].tolist()

    return call


def _torch(shape: dict[str, int]) -> Callable[[np.ndarray], list]:
    """`nn.Transformer`, which reads everything again for each token."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    width = shape["width"]
    transformer = nn.Transformer(
        width,
        shape["heads"],
        shape["layers"],
        shape["layers"],
        shape["inner"],
        batch_first=True,
        norm_first=True,
    ).eval()
    embedding, head = (
        nn.Embedding(shape["vocabulary"], width),
        nn.Linear(width, shape["vocabulary"]),
    )

    @torch.no_grad()
    def call(ids: np.ndarray) -> list[list[int]]:
        given = torch.tensor(ids[:, : int((ids > 0).sum(axis=1).max())], dtype=torch.long)
        padding = given == 0
        memory = transformer.encoder(embedding(given), src_key_padding_mask=padding)
        target = torch.full((len(ids), 1), BEGINNING)
        for _ in range(shape["mean"]):
            mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
            hidden = transformer.decoder(
                embedding(target), memory, tgt_mask=mask, memory_key_padding_mask=padding
            )
            target = torch.cat([target, head(hidden[:, -1]).argmax(dim=-1)[:, None]], dim=1)
        return target[:, 1:].tolist()

    return call


if __name__ == "__main__":
    raise SystemExit(main())
