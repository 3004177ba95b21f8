"""Trained models that come with the package: `preset:NAME` wherever a run is expected.

PRESET/
  model.keras       weights as float16; the model computes in float32
  preset.json       the data, the command that trained the model, and its results
"""

from pathlib import Path
from typing import Any

from keras_seq.errors import UserError
from keras_seq.files import read_json

PREFIX = "preset:"
FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.keras"))


def model_path(name: str | Path) -> Path:
    """Returns the path of the model of a preset, named with or without "preset:".

    Raises:
        UserError: If there is none.
    """
    name = str(name).removeprefix(PREFIX)
    if name not in names():
        raise UserError(f"The presets are {', '.join(names())}. Received: {name!r}")
    return FOLDER / name / "model.keras"


def about(name: str) -> dict[str, Any]:
    """Returns the content of `preset.json`: "command", "task", "settings", "metrics", and the name
    of the "data" with its "licence" where one is known.

    Raises:
        UserError: If there is no such preset.
    """
    return read_json(model_path(name).parent / "preset.json", "Install keras-seq again.")
