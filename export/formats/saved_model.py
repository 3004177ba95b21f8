"""SavedModel: named signatures that plain TensorFlow and TF Serving load."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.formats.interrupt import Interrupt
from keras_seq.errors import UserError
from keras_seq.messages import hide_messages
from keras_seq.signature import Signature
from keras_seq.typing import Shapes

FOLDER = "saved_model"
STATIC = False
RULES = False
STRINGS = True
RUNS_CODE = True  # Its graph may write files.
PACKAGES = ()
REQUIRES = "tensorflow"
EXTRA = None
USE = """\
```python
import tensorflow as tf                    # no Keras code, no keras-seq
tf.saved_model.load("BUNDLE/saved_model").signatures["SIGNATURE"](INPUTS)
```"""


def write(signatures: Sequence[Signature], folder: Path, sizes: dict[str, int]) -> None:
    """Writes `folder/saved_model`, with the dimensions in `sizes` fixed and weights stored once."""
    from export.formats.trace import trace

    write_functions({signature.name: trace(signature, sizes) for signature in signatures}, folder)


def write_functions(functions: Mapping[str, Any], folder: Path) -> None:
    """Writes `folder/saved_model` from traced signatures."""
    import tensorflow as tf

    module = tf.Module()
    # The module must own the variables that the functions read; Keras itself stays out of the file.
    variables = {id(v): v for traced in functions.values() for v in traced.graph.variables}
    module.weights = list(variables.values())
    try:
        with hide_messages("tensorflow"):
            try:
                tf.saved_model.save(module, str(folder / FOLDER), functions)
            except ValueError:  # A user's own gradient cannot be traced, and nobody needs it.
                options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
                tf.saved_model.save(module, str(folder / FOLDER), functions, options)
    except tf.errors.OpError as error:
        # TensorFlow has errors of its own for a full disk.
        raise OSError(f"The SavedModel cannot be written: {error.message}") from error


def name_files(signatures: Collection[str], precision: str) -> list[str]:
    """Returns the files that the signatures need."""
    return [f"{FOLDER}/saved_model.pb"]


def operators(folder: Path, files: Collection[str] | None = None) -> Counter[str]:
    """Counts the operators in the written functions; reads them, and runs nothing."""
    return Counter(node.op for node in nodes(folder))


def nodes(folder: Path) -> list[Any]:
    """Returns the nodes of the written functions."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / FOLDER / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    return [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]


class Runner:
    """Runs `saved_model/` with TensorFlow, whose number of threads belongs to the whole process.

    A device is TensorFlow's name of one, such as "cpu" or "gpu:0"; TensorFlow chooses by default.
    """

    def __init__(
        self,
        folder: Path,
        threads: int | None,
        precision: str = "float32",
        device: str | None = None,
        files: Collection[str] | None = None,
    ) -> None:
        import tensorflow as tf

        # TensorFlow reads what it finds, such as another form of the graph.
        found = (path for path in (folder / FOLDER).rglob("*") if not path.is_dir())
        names = [path.relative_to(folder).as_posix() for path in found]
        unknown = [name for name in names if files is not None and name not in files]
        if unknown:
            raise UserError(
                f"{folder / unknown[0]} is not in the manifest's list of files. Copy the bundle "
                "again, into an empty folder."
            )

        self._device = None  # TensorFlow chooses.
        if device is not None:
            devices = tf.config.list_physical_devices()
            known = [found.name.removeprefix("/physical_device:") for found in devices]
            wanted = device.upper().replace("CUDA", "GPU")
            self._device = next((name for name in known if name.startswith(wanted)), None)
            if self._device is None:
                raise UserError(
                    f"TensorFlow has the devices {', '.join(known)}. Received: device={device!r}"
                )
        # An attribute, so that the object that owns the weights lives as long as its functions.
        self._model = tf.saved_model.load(str(folder / FOLDER))

    def open(self, signature: str) -> tuple[Shapes, list[str]]:
        """Returns a signature's inputs with their shapes, and the names of its outputs."""
        function = self._model.signatures[signature]
        specs = function.structured_input_signature[1]
        shapes = {name: list(spec.shape) for name, spec in specs.items()}
        return shapes, list(function.structured_outputs)

    def __call__(
        self, signature: str, inputs: dict[str, np.ndarray], interrupt: Interrupt | None = None
    ) -> dict[str, np.ndarray]:
        import tensorflow as tf

        with tf.device(self._device):
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            outputs = self._model.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}
