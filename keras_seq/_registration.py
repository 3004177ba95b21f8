"""Makes `keras.saving.load_model` know our classes as soon as `keras_seq` and Keras are imported.

Keras finds a class by name only once the module that registers it has been imported. Importing our
modules imports Keras, which `import keras_seq` must not: so they are imported when Keras is, or,
where it is a part of ours that imports Keras, once that part is whole.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from types import ModuleType


def register_with_keras() -> None:
    """Imports what registers our classes, now if Keras is imported, else once it is."""
    if is_whole(sys.modules.get("keras")):
        _register()
    sys.meta_path.insert(0, _Watch())


def is_whole(module: ModuleType | None) -> bool:
    """Whether the import of `module` has ended."""
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _register(ending: str = "") -> None:
    """Imports our models, unless a part of ours, other than `ending`, is being imported."""
    parts = [(name, part) for name, part in sys.modules.items() if name.startswith("keras_seq.")]
    if all(name == ending or is_whole(part) for name, part in parts):
        importlib.import_module("keras_seq.models")


class _Watch(importlib.abc.MetaPathFinder):
    """Sees Keras, and our parts, being imported; `_register` follows."""

    def __init__(self) -> None:
        self._searching = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        is_part = name.startswith("keras_seq.") and name.count(".") == 1
        if self._searching or not (name == "keras" or is_part):
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching = False
        # Found is not yet imported: TensorFlow looks for Keras and leaves it.
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_then_register(module: ModuleType) -> None:
                execute(module)
                if name == "keras" or is_whole(sys.modules.get("keras")):
                    _register(ending=name)

            spec.loader.exec_module = execute_then_register
        return spec
