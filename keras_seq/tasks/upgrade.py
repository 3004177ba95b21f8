"""Converts `.keras` files that earlier versions of keras-seq saved."""

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@contextlib.contextmanager
def upgrade_file(path: Path) -> Iterator[Path]:
    """Inside, the path of a file that today's classes load: `path` itself where it is current.

    Until version 0.1.0 was finished, backbones held the token embedding, which the model holds now.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        if not _upgrade_config(config):
            yield path
            return
        weights = _move_embedding(archive.read(WEIGHTS))
        members = {
            name: archive.read(name) for name in archive.namelist() if name not in (CONFIG, WEIGHTS)
        }
    with tempfile.TemporaryDirectory() as folder:
        upgraded = Path(folder) / path.name
        with zipfile.ZipFile(upgraded, "w") as archive:
            archive.writestr(CONFIG, json.dumps(config))
            archive.writestr(WEIGHTS, weights)
            for name, content in members.items():
                archive.writestr(name, content)
        yield upgraded


def _upgrade_config(config: dict[str, Any]) -> bool:
    """Gives a model's config an embedding; returns whether it needed one."""
    model = config.get("config", {})
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if not isinstance(backbone, dict) or "vocabulary_size" not in backbone.get("config", {}):
        return False
    settings = backbone["config"]
    is_pair = "EncoderDecoder" in str(backbone.get("registered_name"))
    model["embedding"] = {
        "module": "keras_seq.embeddings.token_embedding",
        "class_name": "TokenEmbedding",
        "registered_name": "keras_seq>TokenEmbedding",
        "config": {
            "name": "embedding",
            "trainable": settings.get("trainable", True),
            "dtype": settings.get("dtype", "float32"),
            "vocabulary_size": settings.pop("vocabulary_size"),
            "dim": settings.pop("embedding_dim", None) or settings["hidden_dim"],
            "scaled": is_pair,
        },
    }
    backbone.pop("build_config", None)  # The shape of ids; the model builds it for vectors.
    return True


def _move_embedding(weights: bytes) -> bytes:
    """Moves the group of the embedding from the backbone to the model in an HDF5 file."""
    import h5py

    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "r+") as file:
        file.move("backbone/embedding", "embedding")
    return buffer.getvalue()
