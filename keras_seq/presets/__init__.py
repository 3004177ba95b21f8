"""Trained models that come with the package: `preset:NAME` wherever a run is asked for.

PRESET/
  model.keras       weights as float16; the model computes in float32
  preset.json       what was trained on what, by which command, with which results
"""

import json
from pathlib import Path
from typing import Any

from keras_seq.errors import UserError

PREFIX = "preset:"
FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The presets there are."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.keras"))


def model_path(name: str | Path) -> Path:
    """The model of the preset `name`, with or without "preset:" before it.

    Raises:
        UserError: If there is none.
    """
    name = str(name).removeprefix(PREFIX)
    if name not in names():
        raise UserError(f"The presets are {', '.join(names())}. Received: {name!r}")
    return FOLDER / name / "model.keras"


def about(name: str) -> dict[str, Any]:
    """What a preset's `preset.json` says: "command", "task", "settings", "metrics", and "data",
    what it was trained on, with its "licence" where it is known.

    Raises:
        UserError: If there is no such preset.
    """
    return json.loads((model_path(name).parent / "preset.json").read_text())
