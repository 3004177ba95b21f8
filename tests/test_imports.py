"""Helping and running need no TensorFlow; each floor imports only the floors below it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LIGHT = {
    "import keras_seq": "import keras_seq",
    "import export": "import export; import export.runtime; export.load",
    "keras-seq --help": "import keras_seq.cli as c; c.main(['train', 'classify', '--help'])",
    "export --help": "import export.cli as c; c.main(['--help'])",
}


@pytest.mark.parametrize("program", LIGHT.values(), ids=LIGHT)
def test_nothing_heavy_is_imported(program):
    program = (
        f"import sys\ntry:\n  {program}\nexcept SystemExit as e: assert not e.code\n"
        "heavy = {'keras', 'tensorflow', 'onnx', 'onnxruntime', 'sentencepiece'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    run_python(program, ROOT)


def run_python(program, folder, *arguments):
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr


def test_the_public_names_are_all_that_is_shown():
    program = (
        "import export, keras_seq\n"
        "rooms = 'backbones data decoding embeddings keras2 layers tasks text training'.split()\n"
        "import importlib\n"
        "rooms = [importlib.import_module(f'keras_seq.{room}') for room in rooms]\n"
        "for package in (export, keras_seq, *rooms):\n"
        "    assert dir(package) == sorted(package.__all__), dir(package)\n"
        "    assert all(getattr(package, name) is not None for name in package.__all__)\n"
        "assert keras_seq.export is export\n"
        "assert keras_seq.load is keras_seq.models.load_model"
    )
    run_python(program, ROOT)


def test_a_users_own_export_py_hides_nothing(tmp_path):
    """A file of that name beside a notebook is found before the installed package."""
    (tmp_path / "export.py").write_text("mine = 1")
    program = (
        "import sys\n"
        "sys.path.append(sys.argv[1])\n"
        "import export, keras_seq\n"
        "assert export.mine\n"
        "assert dir(keras_seq.export) == ['export', 'load']\n"
        "assert keras_seq.export.load.__module__ == 'export.runtime.loaded'\n"
        "from keras_seq.cli import main\n"
        "sys.exit(main(['predict', 'preset:sentiment', 'A wonderful film.']))"
    )
    run_python(program, tmp_path, str(ROOT))


def test_a_command_begins_without_what_it_does_not_need():
    """Keras's own imports are left out; whoever needs them later has them, and layers are whole."""
    program = (
        "import sys\nfrom keras_seq import console\nconsole.import_quietly('keras_seq.training.session')\n"
        "left = set(console.UNUSED_MODULES) & set(sys.modules)\nassert not left, left\n"
        "import matplotlib.figure, pandas, sklearn.metrics, keras\n"
        "assert keras.layers.Dense(2)(keras.ops.ones((1, 3))).shape == (1, 2)"
    )
    run_python(program, ROOT)


# From the ground up. A module imports floors below its own, and its own folder.
FLOORS = [
    {"keras_seq.errors", "keras_seq.uniforms", "keras_seq.typing"},
    {"keras_seq.checking", "keras_seq.files", "keras_seq.installation", "keras_seq.messages"},
    {"keras_seq._lazy"},
    {"keras_seq.signature", "keras_seq.console", "keras_seq.options"},
    {"keras_seq.compiling", "keras_seq.lookup", "keras_seq.presets", "keras_seq.arguments"},
    {"keras_seq.layers", "keras_seq.text"},
    {"keras_seq.decoding", "keras_seq.embeddings", "keras_seq.keras2"},
    {"keras_seq.backbones", "keras_seq.data"},
    {"keras_seq.training"},
    {"keras_seq.tasks"},
    {"keras_seq.models"},
    {"export.formats", "export.files"},
    {"export.manifest"},
    {"export.schema_1"},
    {"export.bundle"},
    {"export.runtime"},
    {"export.strings"},
    {"export.parity"},
    {"export.keras_layers"},
    {"export.model_inputs"},
    {"export.card", "export.keras_model"},
    {"export.diagnosis"},
    {"export.keras_text_model", "export.reference"},
    {"export.report"},
    {"export.exporter", "export.serving"},
    {"export.deployment"},
    {"export.cli"},
    {"keras_seq.bundles"},
    {"keras_seq.cli"},
]


PACKAGE_FACES = {"export", "export.export", "export.load", "keras_seq.__version__"}


def room(module):
    return ".".join(module.split(".")[:2])


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in ("keras_seq", "export"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_floors():
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    faces = {"__init__", "__main__"}
    checked = 0
    for package in ("keras_seq", "export"):
        for path in sorted((ROOT / package).rglob("*.py")):
            here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
            if here.split(".")[1] in faces:
                continue
            for module in imported(path):
                if module.split(".")[0] not in ("keras_seq", "export"):
                    continue
                there = room(module)
                if there in PACKAGE_FACES:
                    continue
                assert here == there or floor[there] < floor[here], f"{path} imports {module}"
                checked += 1
    assert checked > 50


@pytest.mark.parametrize("folder", ["layers", "embeddings", "backbones"])
def test_layers_do_not_know_tensorflow(folder):
    """But for the loop, which each backend has in its own form."""
    for path in (ROOT / "keras_seq" / folder).glob("*.py"):
        known = {module.split(".")[0] for module in imported(path)}
        assert "tensorflow" not in known or path.name == "scan.py", path
        assert known <= {"collections", "contextlib", "contextvars", "dataclasses", "keras", "keras_seq", "math",
                         "numpy", "typing", "tensorflow"}, path  # fmt: skip


# In a process of its own: the server's protobuf module and that of a client, which another test may
# have imported, have no place in one.
EXISTS = """
import importlib, importlib.util, json, sys
for path, module, name in json.load(sys.stdin):
    if not hasattr(importlib.import_module(module), name):
        assert importlib.util.find_spec(f"{module}.{name}"), f"{path}: {module} has no {name}"
"""


@pytest.mark.slow
def test_every_name_that_is_imported_exists():
    """Those of imports inside functions, too, and of `LazyFunction`, which no import statement has."""
    names = []
    for package in ("keras_seq", "export"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names += [(str(path), node.module, alias.name) for alias in node.names]
                elif isinstance(node, ast.Call) and ast.unparse(node.func) == "LazyFunction":
                    names.append((str(path), *ast.literal_eval(node.args[0]).split(":")))
    ours = [name for name in names if name[1].split(".")[0] in ("keras_seq", "export")]
    assert len(ours) > 500
    process = subprocess.run(
        [sys.executable, "-c", EXISTS], input=json.dumps(ours),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
