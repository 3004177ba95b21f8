"""A GPT-2 of the shape of preset:shakespeare, as transformers.js opens one: what
`npm --prefix mobile_demo run bench` measures beside the demo.

    python -m benchmarks.device_peer build/gpt2    (pip install -e ".[bench]")

Its weights are drawn: a token costs the same. The graph is what Hugging Face's exporters write: one
call reads new tokens and the keys and values of those before, and gives the logits and the longer
keys and values; the loop, sampling included, is transformers.js's.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from keras_seq.tasks.loading import find_model


class Block(nn.Module):
    """A layer of GPT-2 (Radford et al. 2019)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Any, mask: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
        rows, count, width = x.shape
        parts = self.read(self.before_attention(x)).split(width, -1)
        query, new_key, new_value = (
            part.view(rows, count, self.heads, -1).transpose(1, 2) for part in parts
        )
        key, value = torch.cat([key, new_key], 2), torch.cat([value, new_value], 2)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5 + mask
        found = (scores.softmax(-1) @ value).transpose(1, 2).reshape(rows, count, width)
        x = x + self.write(found)
        return x + self.dense(self.before_dense(x)), key, value


class Gpt2(nn.Module):
    """Tied embeddings, learned positions, and a cache that grows with each call."""

    def __init__(self, vocabulary: int, length: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids: Any, attention_mask: Any, places: Any, *past: Any) -> tuple[Any, ...]:
        x = self.tokens(ids) + self.places(places)
        known = torch.arange(attention_mask.shape[1])[None, None, None, :]
        hidden = (known > places[:, None, :, None]) | (attention_mask[:, None, None, :] == 0)
        mask = hidden.float() * -1e9
        present = []
        for block, key, value in zip(self.blocks, past[::2], past[1::2], strict=True):
            x, key, value = block(x, mask, key, value)
            present += [key, value]
        return (self.norm(x) @ self.tokens.weight.T, *present)


def main() -> None:
    """Writes a folder in the layout of the Hugging Face Hub."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.device_peer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("output", type=Path, help="the folder")
    arguments = parser.parse_args()
    model, _ = find_model("preset:shakespeare")
    shape, vocabulary = model.backbone, model.embedding.vocabulary_size
    width, layers, heads = shape.hidden_dim, shape.num_layers, shape.num_heads
    peer = Gpt2(vocabulary, shape.max_length, width, layers, heads).eval()
    written(peer, (1, heads, 1, width // heads), arguments.output)
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": vocabulary,
        "n_positions": shape.max_length,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    (arguments.output / "config.json").write_text(json.dumps(config))
    (arguments.output / "generation_config.json").write_text(json.dumps({"pad_token_id": 0}))
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters")


def written(model: Gpt2, past_shape: tuple[int, ...], folder: Path) -> None:
    """The graph, with the names that transformers.js knows."""
    (folder / "onnx").mkdir(parents=True)
    parts = [f"{i}.{part}" for i in range(len(model.blocks)) for part in ("key", "value")]
    past = [f"past_key_values.{part}" for part in parts]
    present = [f"present.{part}" for part in parts]
    ids = torch.zeros(1, 2, dtype=torch.int64)
    inputs = (ids, torch.ones(1, 3, dtype=torch.int64), ids + torch.tensor([[1, 2]]))
    torch.onnx.export(
        model,
        (*inputs, *(torch.zeros(past_shape) for _ in past)),
        folder / "onnx" / "model.onnx",
        input_names=["input_ids", "attention_mask", "position_ids", *past],
        output_names=["logits", *present],
        dynamic_axes={
            "input_ids": {0: "rows", 1: "new"},
            "attention_mask": {0: "rows", 1: "all"},
            "position_ids": {0: "rows", 1: "new"},
            "logits": {0: "rows", 1: "new"},
            **{name: {0: "rows", 2: "before"} for name in past},
            **{name: {0: "rows", 2: "all"} for name in present},
        },
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
