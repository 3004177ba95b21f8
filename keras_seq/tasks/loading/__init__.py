"""Models from presets, runs and files, of any version of Keras and of keras-seq.

load.py           `load_model`, `find_model`: what a path names
files.py          what a file is, by its content
loader.py         reads it, as Keras 3, Keras 2 or a user's function makes it
imports.py        a user's classes and functions
capacity.py       what the weights in a file are, which bounds the model
completeness.py   whether every weight was loaded
errors.py         what went wrong, in a sentence
options.py        the options of command lines that load models
"""

from typing import TYPE_CHECKING

from keras_seq._lazy import lazy_names

if TYPE_CHECKING:
    from keras_seq.tasks.loading.load import find_model, load_initial, load_model

__all__ = ["find_model", "load_initial", "load_model"]

# Imported at first use: the options are listed where Keras is not imported.
__getattr__, __dir__ = lazy_names(
    __name__, {name: "keras_seq.tasks.loading.load" for name in __all__}
)
