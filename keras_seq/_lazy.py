"""What is imported at its first use, so that a command answers before Keras is there."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_seq.installation import explain_missing
from keras_seq.messages import hide_messages


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a package's `__getattr__` and `__dir__`, for names whose modules are heavy to import.

    Args:
        package: The package's own name.
        homes: The module of each public name, or "module:name" where it has another name there. A
            name that is a module stands for that module.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        path, _, attribute = homes[name].partition(":")
        module = _import_quietly(path)
        if not attribute and path.split(".")[-1] == name:
            return module
        return getattr(module, attribute or name)

    return get, lambda: sorted(homes)


def import_neighbour(name: str) -> ModuleType:
    """Imports the package that stands beside this one, whatever else has its name.

    A script's or notebook's own `export.py` is found before an installed package `export`.
    """
    folder = Path(__file__).resolve().parents[1] / name
    imported = sys.modules.get(name)
    if imported is None or folder not in [Path(path).resolve() for path in _paths(imported)]:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[name] = imported = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(imported)
    return imported


def _paths(module: ModuleType) -> list[str]:
    return list(getattr(module, "__path__", ()))


def _import_quietly(path: str) -> ModuleType:
    """Imports a module; what TensorFlow then says about this machine is not the reader's."""
    if path in sys.modules:
        return sys.modules[path]
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with hide_messages():
            return importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise explain_missing(error) from None


class LazyFunction:
    """A function named as "module:function" that is imported when it is first called."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> Any:
        """Imports the module and returns what the path names in it."""
        module, name = self.path.split(":")
        return getattr(_import_quietly(module), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.load()(*arguments, **options)

    def __repr__(self) -> str:
        return f"LazyFunction({self.path!r})"
