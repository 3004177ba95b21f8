"""What is imported at its first use, so that a command answers before Keras is there."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a package's `__getattr__` and `__dir__`, for names whose modules are heavy to import.

    Args:
        package: The package's own name.
        homes: The module of each public name. A name that is a module stands for that module.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        return module if homes[name].endswith(f".{name}") else getattr(module, name)

    return get, lambda: sorted({*vars(sys.modules[package]), *homes})


class LazyFunction:
    """A function named as "module:function" that is imported when it is first called."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> Any:
        """Imports the module and returns what the path names in it."""
        module, name = self.path.split(":")
        return getattr(importlib.import_module(module), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.load()(*arguments, **options)

    def __repr__(self) -> str:
        return f"LazyFunction({self.path!r})"
