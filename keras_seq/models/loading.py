"""A model from its file."""

from pathlib import Path

import keras

from keras_seq.errors import UserError


def load_model(path: str | Path) -> keras.Model:
    """`keras.saving.load_model` with errors that say what to do.

    Raises:
        UserError: If the file is missing, cut short, or not a `.keras` file.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UserError(f"{path} is not a .keras file. Give a run folder or a .keras file.")
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    try:
        return keras.saving.load_model(path)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a Keras model: {str(error).strip()[:500]} If the file was "
            "cut short, copy it again or train the model again."
        ) from error
