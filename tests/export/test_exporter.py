"""Whole bundles of trained runs: contract, parity on real reviews, runtimes without TensorFlow."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import venv
import warnings
from pathlib import Path

import numpy as np
import pytest

import export
from export import formats
from keras_seq.errors import UserError
from keras_seq.tasks.loading import find_model
from tests.export.helpers import parity_figures

ROOT = Path(__file__).resolve().parents[2]
BACKBONES = (
    pytest.param("rnn", marks=pytest.mark.slow),
    "lstm",
    pytest.param("transformer", marks=pytest.mark.slow),
)


def manifest_of(path):
    return json.loads((path / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_parity_on_real_reviews(bundles, backbone, full):
    manifest, count = manifest_of(bundles[backbone]), 1000 if full else 100
    assert manifest["parity"]["inputs"] == f"{count} held-out reviews"
    assert sorted(parity_figures(manifest)) == sorted(formats.NAMES)
    for name in formats.NAMES:
        expected = ["classify", "classify_text"] + ["classify_string"] * (name == "saved_model")
        assert list(parity_figures(manifest)[name]) == expected
        for figures in parity_figures(manifest)[name].values():
            assert figures["inputs"] == count
            assert figures["largest_difference"] <= 1e-5
            assert figures["agreement"] == 1


@pytest.mark.slow
def test_exporting_needs_tensorflow(runs, tmp_path):
    """The command line sees to it; in a notebook the error says so."""
    program = f"""
import export, keras_seq
model = keras_seq.models.load_model({str(runs["rnn"] / "model.keras")!r})
try:
    export.export(model, "b")
except ValueError as error:
    assert "KERAS_BACKEND=tensorflow" in str(error), error
    print("refused")
"""
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "refused" in process.stdout, process.stderr[-2000:]
    process = subprocess.run(
        [sys.executable, "-m", "export", str(runs["rnn"]), "--format", "tflite", "--samples", "5",
         "--output", str(tmp_path / "b")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    said = [line for line in process.stderr.splitlines() if line]
    steps = ["Loading", "Computing", "Writing", "Comparing", "The"]
    assert [line.split()[0] for line in said] == steps


def test_a_model_on_bytes(reviews, tmp_path):
    """As many bytes as tokens are read, and no character is read in part that Keras reads so."""
    from keras_seq.backbones import RecurrentBackbone
    from keras_seq.models import TextClassifier
    from keras_seq.text import ByteTokenizer

    tokenizer = ByteTokenizer()
    backbone = RecurrentBackbone(8, "rnn")
    model = TextClassifier(backbone, tokenizer, ["a", "b"], max_length=50)
    manifest = export.export(model, tmp_path / "b", texts=reviews.held_out.texts[:20])
    assert manifest["limits"] == {"max_length": 50, "max_bytes": 53}
    texts = ["好" * 30, "a film", "x" + "é" * 40, b"\xff\xfe"]
    for format in formats.NAMES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* texts are too long")
            found = export.load(tmp_path / "b", format).classify_text(texts)["probabilities"]
        np.testing.assert_allclose(found, model.predict(texts, verbose=0), atol=1e-5)


def test_manifest_is_the_contract(bundles):
    manifest = manifest_of(bundles["lstm"])
    expected = {
        "schema_version", "task", "backbone", "created_with", "labels", "tokenizer", "signatures",
        "entry", "limits", "dimensions", "variants", "metrics", "parity", "files",
    }  # fmt: skip
    assert expected <= manifest.keys()
    ids = {"name": "token_ids", "dtype": "int32", "shape": ["B", "T"]}
    vocabulary = manifest["vocabulary_size"]
    assert manifest["signatures"]["classify"] == {
        "inputs": [{**ids, "minimum": 0, "maximum": vocabulary - 1}],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["B", 2]}],
    }
    on_disk = {p.relative_to(bundles["lstm"]).as_posix() for p in bundles["lstm"].rglob("*.*")}
    assert set(manifest["files"]) == {p for p in on_disk if "." in p} - {"manifest.json"}
    assert manifest["metrics"]["examples"] == 50
    assert manifest["created_with"]["tensorflow"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_operators(bundles, backbone):
    tflite = formats.module("tflite").operators(bundles[backbone])
    assert not [name for name in tflite if name.startswith(("CUSTOM", "FLEX", "VARIABLE"))]
    onnx = formats.module("onnx").operators(bundles[backbone])
    # Two directions in two files. The one on texts has two loops, those of its tokenizer.
    assert onnx["LSTM"] == 4 * (backbone == "lstm")
    assert onnx["RNN"] == 4 * (backbone == "rnn")
    assert (onnx["Loop"], onnx["Scan"]) == (2, 0)
    saved = formats.module("saved_model").operators(bundles[backbone])
    assert not [name for name in saved if "Sentencepiece" in name or "Py" in name]


def test_onnx_weights_stand_once(bundles, runs, tmp_path):
    folder = bundles["lstm"] / "onnx"
    shared = (folder / "weights.bin").stat().st_size
    model, _ = find_model(runs["lstm"])
    large = [4 * w.size for w in model.get_weights() if 4 * w.size >= 1024]
    assert sum(large) <= shared < 1.05 * sum(large)
    assert all(path.stat().st_size < shared for path in folder.glob("*.onnx"))
    # Without the file beside it a model is not whole, and the loader says so.
    copy = shutil.copytree(bundles["lstm"], tmp_path / "copy")
    (copy / "onnx" / "weights.bin").unlink()
    with pytest.raises(UserError, match=r"weights\.bin is missing"):
        export.load(copy, "onnx")


def run_python(program, *, cwd, python=sys.executable, **options):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [python, "-c", program],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.slow
def test_saved_model_needs_tensorflow_alone(bundles):
    program = (
        "import sys\n"
        "sys.modules.update(keras=None, keras_seq=None, export=None)  # importing them fails\n"
        "import numpy as np, tensorflow as tf\n"
        f"for folder in {[str(bundles[name]) for name in ('rnn', 'lstm', 'transformer')]}:\n"
        "    saved = np.load(folder + '/parity.npz')\n"
        "    run = tf.saved_model.load(folder + '/saved_model').signatures['classify']\n"
        "    found = run(token_ids=tf.constant(saved['classify/inputs/token_ids']))\n"
        "    expected = saved['classify/outputs/probabilities']\n"
        "    np.testing.assert_allclose(found['probabilities'], expected, atol=1e-5)\n"
    )
    process = run_python(program, cwd=ROOT)
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as a file, of a copy: what was built in the tree before would be in it."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in ("keras_seq", "export"):
        shutil.copytree(ROOT / package, folder / package)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, folder]
    subprocess.run(pip, check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["tflite", "onnx"])
def test_extra_installs_all_that_a_device_needs(bundles, wheel, tmp_path, extra):
    """In a fresh virtual environment with one extra: load, classify, check; no TensorFlow there."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", f"{wheel}[{extra}]"]
    subprocess.run(pip, check=True)
    program = (
        "import export, importlib.util, sys\n"
        "assert importlib.util.find_spec('tensorflow') is None\n"
        "assert importlib.util.find_spec('keras') is None\n"
        f"loaded = export.load({str(bundles['lstm'])!r})\n"
        f"assert loaded.format == {extra!r}, loaded.format\n"
        "print(loaded.classify_text(['a wonderful film'])['probabilities'].shape)\n"
        "from export.cli import main\n"
        f"sys.exit(main(['check', {str(bundles['lstm'])!r}]))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.run(
        [python, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "(1, 2)" in process.stdout
    assert f"{extra}" in process.stdout
    assert "saved_model is not run" in process.stderr


def test_unknown_or_absent_format(bundles, runs, tmp_path):
    with pytest.raises(UserError, match="'coreml'"):
        export.load(bundles["lstm"], "coreml")
    model, _ = find_model(runs["rnn"])
    with pytest.raises(UserError, match="coreml"):
        export.export(model, tmp_path / "b", ["coreml"])
    manifest = export.export(model, tmp_path / "b", ["onnx"], overwrite=False)
    assert [v["format"] for v in manifest["variants"]] == ["onnx"]
    assert manifest["parity"]["inputs"] == "16 random inputs"
    with pytest.raises(UserError, match="onnx float32. Received: tflite"):
        export.load(tmp_path / "b", "tflite")


@pytest.mark.slow
def test_sizes_of_tflite_are_the_users(runs, tmp_path):
    model, _ = find_model(runs["lstm"])
    export.export(model, tmp_path / "b", ["tflite"], batch=4, max_length=30)
    loaded = export.load(tmp_path / "b")
    token_ids = np.random.default_rng(0).integers(1, 1000, (6, 25)).astype("int32")
    found = loaded.classify(token_ids=token_ids)["probabilities"]
    np.testing.assert_allclose(found, model.predict(token_ids, verbose=0), atol=1e-5)
    with pytest.raises(UserError, match="30.*31"):
        loaded.classify(token_ids=np.ones((1, 31), int))
    with pytest.raises(UserError, match="66.*67"):
        export.export(model, tmp_path / "c", ["tflite"], max_length=67)
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "dynamic"),
    [
        ("rnn", ["batch", "length"]),  # Its loop is the LSTM's.
        ("lstm", ["length"]),
        ("lstm", ["batch", "length"]),
        ("transformer", ["length"]),
        ("transformer", ["batch", "length"]),
    ],
)
def test_open_sizes_in_tflite(runs, reviews, tmp_path, backbone, dynamic):
    model, _ = find_model(runs[backbone])
    only = ["classify_text"]
    export.export(model, tmp_path / "b", ["tflite"], batch=2, dynamic=dynamic, only=only)
    operators = formats.module("tflite").operators(tmp_path / "b")
    assert not [name for name in operators if name.startswith(("CUSTOM", "FLEX", "VARIABLE"))]
    loaded = export.load(tmp_path / "b")
    for texts in (reviews.held_out.texts[:2], ["a film", ""], ["good", "x" * 100]):
        texts = [text[:500] for text in texts]
        found = loaded.classify_text(texts)["probabilities"]
        np.testing.assert_allclose(found, model.predict(texts, verbose=0), atol=1e-5)


def test_wrong_answers_leave_no_bundle(runs, tmp_path):
    """A model whose weights change between Keras's answers and the writing of the file."""
    model, _ = find_model(runs["lstm"])

    def sabotage(stage):
        if stage == "Writing onnx":
            model.head.bias.assign([0.5, -0.5])

    told = r"does not compute .* In classify, probabilities differs by .*\(allowed: .*No bundle was kept"
    with pytest.raises(UserError, match=told):
        export.export(model, tmp_path / "b", ["onnx"], say=sabotage)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("when", ["Computing the answers of Keras", "Writing onnx"])
def test_interrupted_export_leaves_nothing(runs, tmp_path, when):
    """Ctrl-C to a real process, at two moments."""
    process = subprocess.Popen(
        [sys.executable, "-m", "export", str(runs["rnn"]), "--output", str(tmp_path / "b")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith(when):
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_full_disk_leaves_the_old_bundle(runs, tmp_path):
    """No file may grow above 100 kB: the first weights do not fit."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").write_text("old")
    process = subprocess.run(
        [sys.executable, "-m", "export", str(runs["rnn"]), "--output", str(tmp_path / "b"),
         "--overwrite", "--format", "tflite"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        check=False,
    )  # fmt: skip
    assert process.returncode == 2, process.stderr
    assert "error:" in process.stderr
    assert "Traceback" not in process.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "old"]
