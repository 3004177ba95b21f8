"""The whole state of a run, on disk, so that it goes on as if it had never stopped."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_seq.console import print_status
from keras_seq.errors import UserError

KEPT = 2  # the last, and the one before it should the last be cut short
PARTIAL = ".partial-"


class Checkpoints:
    """The checkpoints of a run, `step-NNNNNNNNNN.npz`: every variable, and notes in JSON.

    A file is written beside its place, brought to the disk, and renamed; the members of an npz file
    carry checksums, so one that was cut short or damaged is found out.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.npz"))

    def save(self, step: int, variables: Sequence[keras.Variable], notes: dict[str, Any]) -> None:
        """Keeps the state after `step` steps; all but the last two are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:010d}.npz"
        arrays = {f"{i:06d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        partial = self.folder / f"{PARTIAL}{path.name}"
        with partial.open("wb") as file:
            np.savez(file, notes=np.frombuffer(json.dumps(notes).encode(), "uint8"), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        for old in self._files()[:-KEPT]:
            old.unlink()

    def restore(self, variables: Sequence[keras.Variable]) -> dict[str, Any] | None:
        """Puts the newest whole checkpoint into `variables`; what a kill left half is removed.

        Returns:
            Its notes; None where there is no checkpoint.

        Raises:
            UserError: If the checkpoint is of another model.
        """
        for partial in self.folder.glob(f"{PARTIAL}*"):
            partial.unlink()
        files = self._files()
        for path in reversed(files):
            try:
                with np.load(path) as file:
                    content = {name: file[name] for name in file.files}
                notes = json.loads(content.pop("notes").tobytes())
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                print_status(f"{path} is damaged ({error}).")
                continue
            arrays = [content[name] for name in sorted(content)]
            shapes = [tuple(v.shape) for v in variables]
            if [array.shape for array in arrays] != shapes:
                raise UserError(
                    f"{path} is not a checkpoint of this model: it has {len(arrays)} variables, "
                    f"the model {len(shapes)}, or their shapes differ. Resume with the version of "
                    "keras-seq and Keras that began the run."
                )
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
            if path != files[-1]:
                print_status(f"The checkpoint before it is used: {path.name}.")
            return notes
        if files:
            print_status("No checkpoint is whole: the run begins again.")
        return None
