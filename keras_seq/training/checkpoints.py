"""The whole state of a run on disk, so that a resumed run equals an uninterrupted one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_seq.console import print_status
from keras_seq.data.arrays import read_arrays
from keras_seq.errors import UserError

KEEP = 2  # the last one, and the one before it in case the last one is damaged
PARTIAL = ".partial-"


class Checkpoints:
    """The checkpoints of a run, `step-NNNNNNNNNN.npz`: every variable, and notes in JSON.

    A file is written beside its target, flushed to the disk, and renamed. The members of an npz
    file carry checksums, so a file that was cut short or damaged is detected.

    Args:
        folder: The folder of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.npz"))

    def save(self, step: int, variables: Sequence[keras.Variable], notes: dict[str, Any]) -> None:
        """Saves the state after `step` steps and removes all but the last two."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:010d}.npz"
        arrays = {f"{i:06d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        partial = self.folder / f"{PARTIAL}{path.name}"
        with partial.open("wb") as file:
            np.savez(file, notes=np.frombuffer(json.dumps(notes).encode(), "uint8"), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        for old in self._files()[:-KEEP]:
            old.unlink()

    def restore(self, variables: Sequence[keras.Variable]) -> dict[str, Any] | None:
        """Restores the newest intact checkpoint and removes partial files that a kill left.

        Returns:
            The checkpoint's notes; None if there is no checkpoint.

        Raises:
            UserError: If the checkpoint is of another model.
        """
        for partial in self.folder.glob(f"{PARTIAL}*"):
            partial.unlink()
        files = self._files()
        for path in reversed(files):
            try:
                content = read_arrays(path)
                notes = json.loads(content.pop("notes").tobytes())
            except (UserError, ValueError, KeyError) as error:
                print_status(f"{path} is damaged ({error}).")
                continue
            arrays = [content[name] for name in sorted(content)]
            shapes = [tuple(v.shape) for v in variables]
            if [array.shape for array in arrays] != shapes:
                raise UserError(
                    f"{path} is not a checkpoint of this model: it has {len(arrays)} variables, "
                    f"the model {len(shapes)}, or their shapes differ. Resume with the version of "
                    "keras-seq and Keras that started the run."
                )
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
            if path != files[-1]:
                print_status(f"The checkpoint before it is used: {path.name}.")
            return notes
        if files:
            print_status("No checkpoint is intact: the run starts again.")
        return None
