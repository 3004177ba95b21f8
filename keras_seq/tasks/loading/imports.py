"""Classes and functions of a user's Python file, for models that have layers of their own."""

import dataclasses
import importlib
import inspect
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_seq.errors import UserError
from keras_seq.files import refuse_stream


@dataclasses.dataclass(frozen=True)
class Imported:
    """What the files of a user bring.

    Attributes:
        sources: Names of the files and modules.
        objects: Their classes and functions by name.
        build: The function that builds the model, if one was named.
    """

    sources: tuple[str, ...] = ()
    objects: dict[str, Any] = dataclasses.field(default_factory=dict)
    build: Callable[[], Any] | None = None

    def own_names(self) -> list[str]:
        """Returns the names that the files themselves define, not those they import."""
        return [
            name
            for name, value in self.objects.items()
            if getattr(value, "__module__", "").split(".")[0] in self._modules()
        ]

    def _modules(self) -> set[str]:
        return {Path(source).stem.split(".")[0] for source in self.sources}


def import_files(names: Sequence[str]) -> Imported:
    """Runs Python files, or imports modules, and returns their classes and functions.

    Args:
        names: Files and modules; one may end in ":FUNCTION", which builds the model.

    Raises:
        UserError: If one is missing or fails, or has no such function.
    """
    sources: list[str] = []
    objects: dict[str, Any] = {}
    build = None
    for name in names:
        source, function = _split(name)
        namespace = _run(source)
        sources.append(source)
        objects |= {
            key: value
            for key, value in namespace.items()
            if not key.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
        }
        if function:
            build = namespace.get(function)
            if not callable(build):
                raise UserError(
                    f"{source} has no function {function}. It has: "
                    f"{', '.join(_list_functions(namespace)) or 'none'}"
                )
    return Imported(tuple(sources), objects, build)


def _split(name: str) -> tuple[str, str]:
    """Returns file and function of "FILE:FUNCTION"."""
    source, _, function = name.rpartition(":")
    return (source, function) if source and function.isidentifier() else (name, "")


def _run(source: str) -> dict[str, Any]:
    try:
        if source.endswith(".py"):
            refuse_stream(source)
            return runpy.run_path(source, run_name=Path(source).stem)
        return vars(importlib.import_module(source))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"--import {source}: {type(error).__name__}: {error}") from error


def _list_functions(namespace: dict[str, Any]) -> list[str]:
    return [
        name
        for name, value in namespace.items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
