"""The notebooks run from import to a loaded bundle, and show little."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICK = "forecast_a_series"
SCREEN_LINES = 30


def runner():
    spec = importlib.util.spec_from_file_location(
        "run_notebooks", ROOT / "docs" / "run_notebooks.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(output):
    assert output.output_type != "error"
    assert output.get("name") != "stderr", output.text
    return output.get("text") or output.data.get("text/plain", "")


def check(notebook):
    """At most ten cells, each run, no output longer than a screen; the last opens the bundle."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) <= 10
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        lines = [line for output in cell.outputs for line in shown(output).splitlines()]
        assert len(lines) <= SCREEN_LINES, cell.source
    source = "\n".join(cell.source for cell in cells)
    assert source.index("export.export(") < source.index("export.load(")
    assert cells[-1].outputs


def test_there_is_one_for_each_task_of_the_first_hour():
    assert {path.stem for path in NOTEBOOKS} == {
        "classify_a_data_frame",
        "forecast_a_series",
        "train_a_generator_on",
        "translate_pairs",
    }
    readme = (ROOT / "README.md").read_text()
    assert all(f"notebooks/{path.name}" in readme for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_has_been_run(path):
    check(nbformat.read(path, as_version=4))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem == QUICK else pytest.mark.full)
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_runs(path):
    notebook = runner().run_notebook(path)
    check(notebook)
