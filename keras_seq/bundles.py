"""The one door from training to deployment: what keras_seq uses of the `export` package."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_seq._lazy import import_neighbour

package = import_neighbour("export")  # before a module of it is imported

from export.bundle import list_formats, new_folder, refuse_existing  # noqa: E402
from export.runtime import load  # noqa: E402

if TYPE_CHECKING:
    from export.runtime import LoadedBundle

__all__ = ["LoadedBundle", "export", "list_formats", "load", "new_folder", "refuse_existing"]


def export(model: Any, output: str | Path, **options: Any) -> dict[str, Any]:
    """Exports a model; see `export.export`. Needs TensorFlow."""
    from export.exporter import export_model

    return export_model(model, output, **options)


def print_parity(manifest: dict[str, Any]) -> None:
    """Prints how the files of a bundle compare with Keras."""
    from export.cli.figures import print_parity

    print_parity(manifest)
