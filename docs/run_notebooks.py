"""Runs the notebooks and saves what their cells show.

python docs/run_notebooks.py                      all of them, some minutes
python docs/run_notebooks.py forecast_a_series
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
CELL_SECONDS = 900
LOG = re.compile(r"[IWEF]\d{4} [\d:.]+ |WARNING: All log messages|To enable the following")


def run_notebook(path: Path) -> nbformat.NotebookNode:
    """Returns a notebook as it is after all cells have run, in an empty folder.

    What TensorFlow says about the machine, where a cell itself imports Keras, is left out.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises an error.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=CELL_SECONDS, resources=resources, coalesce_streams=True
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_drop_log, cell.outputs) if output]
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def _drop_log(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Returns an output without the log of compiled TensorFlow; None if nothing is left."""
    if output.get("name") == "stderr":
        lines = output.text.splitlines(keepends=True)
        output.text = "".join(line for line in lines if not LOG.match(line))
    return output if output.get("text", "kept").strip() else None


def main() -> None:
    """Runs the notebooks that the command line names."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        print(path.stem, file=sys.stderr)
        nbformat.write(run_notebook(path), path)


if __name__ == "__main__":
    main()
