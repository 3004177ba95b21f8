"""What Keras's errors mean, while a model is loaded, and what to do."""

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from keras_seq.errors import ArgumentError, UserError, choose_wording, quote_error
from keras_seq.keras2.files import is_hdf5
from keras_seq.tasks.loading.imports import Imported


@contextlib.contextmanager
def explain_errors(path: Path, imported: Imported) -> Iterator[None]:
    """Makes errors of Keras sentences that say what to do.

    Args:
        path: The file that is loaded.
        imported: The user's files, which may lack a class.
    """
    try:
        yield
    except (UserError, ModuleNotFoundError) as error:
        # What a class of ours says of its settings does not name the file.
        if type(error) in (UserError, ArgumentError) and str(path) not in str(error):
            raise UserError(f"{path}: {error.args[0]}") from error
        raise
    except Exception as error:
        raise UserError(_explain(path, error, imported)) from error


def _explain(path: Path, error: Exception, imported: Imported) -> str:
    if isinstance(error, RecursionError):
        return f"{path} cannot be read as a Keras model: its configuration is nested too deeply."
    if isinstance(error, MemoryError):
        return f"{path} describes a model that does not fit the memory."
    reason = _find_reason(error)
    name = _find_unknown_name(reason)
    if name:
        return _explain_unknown(path, name, imported)
    if "safe_mode" in reason or "unsafe" in reason:
        return (
            f"{path} has something inside that can run code when it is loaded. If you know who "
            "made the file, load it so: --trust"
        )
    if _is_cut(path):
        return f"{path} was cut short or is damaged. Copy it again, or save the model again."
    return f"{path} cannot be read as a Keras model: {quote_error(error)}."


def _explain_unknown(path: Path, name: str, imported: Imported) -> str:
    if not imported.sources:
        option = choose_wording("--import FILE", f"custom_objects={{{name!r}: {name}}}")
        return (
            f"{path} has {name}, a class or function that is not known here. Name the Python "
            f"file that has it: {option}"
        )
    names = ", ".join(imported.own_names()) or "no class or function"
    return (
        f"{path} has {name}, a class or function that {' and '.join(imported.sources)} does not "
        f"have. It has: {names}"
    )


UNKNOWN = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown (?:\w+ )?(?:layer|function|object|class|"
    r"activation|initializer|regularizer|constraint)\w*:?(?: function:?)?|"
    r"Cannot deserialize object of type|"
    r"Could not interpret (?:\w+ )?(?:function )?identifier:) ['`]?(\w[\w>]*)"
)


def _find_unknown_name(reason: str) -> str:
    """Returns the name of a class or function that Keras says it does not know."""
    match = UNKNOWN.search(reason)
    return match[1].rpartition(">")[2] if match else ""


def _find_reason(error: BaseException) -> str:
    """Returns the messages of an error and of those that led to it."""
    messages = []
    while error is not None:
        messages.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(messages)


def _is_cut(path: Path) -> bool:
    """Returns whether a file does not open as what its beginning says it is."""
    import h5py

    if path.is_dir():
        return False
    try:
        if is_hdf5(path):
            with h5py.File(path) as file:
                file.visititems(lambda _, item: item[()] if hasattr(item, "shape") else None)
            return False
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, json.JSONDecodeError):
        return True
