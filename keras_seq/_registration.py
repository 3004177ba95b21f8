"""Makes `keras.saving.load_model` know our classes as soon as `keras_seq` and Keras are imported.

Keras finds a class by name only once the module that registers it has been imported. Importing our
modules imports Keras, which `import keras_seq` must not: so they are imported when Keras is.
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
    else:
        sys.meta_path.insert(0, _WhenKerasLoads())


def is_whole(module: ModuleType | None) -> bool:
    """Whether the import of `module` has ended."""
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _register() -> None:
    parts = [module for name, module in sys.modules.items() if name.startswith("keras_seq.")]
    # A part of ours that is importing Keras registers its classes itself.
    if all(is_whole(part) for part in parts):
        importlib.import_module("keras_seq.models")


class _WhenKerasLoads(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self._searching = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != "keras" or self._searching:
            return None
        self._searching = True
        spec = importlib.util.find_spec(name)
        self._searching = False
        # Found is not yet imported: TensorFlow looks for Keras and leaves it.
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_then_register(module: ModuleType) -> None:
                sys.meta_path.remove(self)
                execute(module)
                _register()

            spec.loader.exec_module = execute_then_register
        return spec
