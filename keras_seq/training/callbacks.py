"""What is kept while a model trains."""

import json
import os
from pathlib import Path
from typing import Any

import keras


class SaveBest(keras.callbacks.Callback):
    """Saves the model after each epoch with the best validation accuracy so far.

    The file is written beside its place and renamed: there is always a whole one.

    Args:
        path: The `.keras` file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.best = float("-inf")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        accuracy = (logs or {})["val_accuracy"]
        if accuracy > self.best:
            self.best = accuracy
            partial = self.path.with_name(f".partial-{self.path.name}")
            self.model.save(partial)
            os.replace(partial, self.path)


class MetricsLog(keras.callbacks.Callback):
    """Appends a JSON line with the metrics of each epoch to a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        line = {"epoch": epoch + 1, **{name: float(v) for name, v in (logs or {}).items()}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
