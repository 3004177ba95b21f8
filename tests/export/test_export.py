"""Whole bundles of trained runs: contract, parity on real reviews, runtimes without TensorFlow."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import venv
import warnings
from pathlib import Path

import numpy as np
import pytest

import export
from export import formats
from keras_seq.errors import UserError
from keras_seq.training.run import find_model
from tests.export.helpers import parity_figures

ROOT = Path(__file__).resolve().parents[2]
BACKBONES = ("rnn", "lstm", "transformer")


def manifest_of(path):
    return json.loads((path / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_parity_on_a_thousand_reviews(bundles, backbone):
    manifest = manifest_of(bundles[backbone])
    assert manifest["parity"]["inputs"] == "1000 held-out reviews"
    assert sorted(parity_figures(manifest)) == sorted(formats.NAMES)
    for name in formats.NAMES:
        expected = ["classify", "classify_text"] + ["classify_string"] * (name == "saved_model")
        assert list(parity_figures(manifest)[name]) == expected
        for figures in parity_figures(manifest)[name].values():
            assert figures["inputs"] == 1000
            assert figures["largest_difference"] <= 1e-5
            assert figures["agreement"] == 1


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("format", formats.NAMES)
def test_texts_through_each_runtime_give_what_keras_gives(bundles, runs, reviews, backbone, format):
    """Tokenizer included: the tensor program in the file, SentencePiece beside Keras."""
    texts = [*reviews.held_out.texts[1000:1060], "", "\0", "好看 😀", "\ud800", "é" * 263 + "é"]
    texts += [b"a \xff\xfe film".decode("latin-1"), "\u2581 a", " " * 528, "x" * 528]
    model, _ = find_model(runs[backbone])
    loaded = export.load(bundles[backbone], format)
    assert loaded.labels == ["negative", "positive"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* texts are too long")
        found = loaded.classify_text(texts)["probabilities"]
    expected = model.predict(texts, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    again = loaded.classify(token_ids=loaded.tokenize(texts))["probabilities"]
    np.testing.assert_allclose(again, expected, atol=1e-5)
    if format == "saved_model":
        strings = loaded.classify_string(text=texts)["probabilities"]
        np.testing.assert_allclose(strings, expected, atol=1e-5)


@pytest.mark.parametrize("format", formats.NAMES)
def test_of_a_long_text_the_beginning_is_read_and_a_warning_says_so(bundles, runs, format):
    """66 tokens are read of a text, and so 8 × 66 + 3 bytes: "é" has two, and is not cut in two."""
    loaded = export.load(bundles["rnn"], format)
    text = "x" + "é" * 400
    tokenizer = find_model(runs["rnn"])[0].tokenizer
    (read,) = tokenizer.decode_bytes([tokenizer.encode([text])[0][:66]])
    unread = 801 - len(read)
    words = (
        rf"1 of 2 texts are too long: their end .* up to {unread} bytes.* 66 tokens and 531 bytes"
    )
    with pytest.warns(UserWarning, match=words):
        found = loaded.classify_text(["a film", text])
    np.testing.assert_array_equal(found["unread"], [0, unread])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = loaded.classify_text(["a film", read])
        given = loaded.classify_text(text=np.frombuffer(read + b"x", "uint8")[None], length=[67])
    np.testing.assert_array_equal(expected["unread"], [0, 0])
    np.testing.assert_array_equal(given["unread"], [1])  # bytes: counted, and no warning
    np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("format", formats.NAMES)
def test_nothing_is_an_empty_text(bundles, backbone, format):
    loaded = export.load(bundles[backbone], format)
    expected = loaded.classify_text([""])["probabilities"]
    for found in (
        loaded.classify(token_ids=np.zeros((1, 0), "int32")),
        loaded.classify_text(text=np.zeros((1, 0), "uint8"), length=[0]),
        loaded.classify_text(np.array([""])),
    ):
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


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


def test_a_model_on_bytes(reviews, tmp_path):
    """As many bytes as tokens are read, and no character is read in part that Keras reads so."""
    from keras_seq.backbones import RecurrentBackbone
    from keras_seq.models import TextClassifier
    from keras_seq.text import ByteTokenizer

    tokenizer = ByteTokenizer()
    backbone = RecurrentBackbone(tokenizer.vocabulary_size, 8, "rnn")
    model = TextClassifier(backbone, tokenizer, ["a", "b"], max_length=50)
    manifest = export.export(model, tmp_path / "b", texts=reviews.held_out.texts[:20])
    assert manifest["limits"] == {"max_length": 50, "max_bytes": 53}
    texts = ["好" * 30, "a film", "x" + "é" * 40, b"\xff\xfe"]
    for format in formats.NAMES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* texts are too long")
            found = export.load(tmp_path / "b", format).classify_text(texts)["probabilities"]
        np.testing.assert_allclose(found, model.predict(texts, verbose=0), atol=1e-5)


def test_bytes_that_are_no_text_are_read_as_they_are(bundles, runs):
    model, _ = find_model(runs["lstm"])
    texts = [b"a \xff\xfe film", b"\xe4\xbd", b"\x80" * 9]
    token_ids = np.zeros((3, 66), "int32")
    for row, ids in zip(token_ids, model.tokenizer.encode(texts), strict=True):
        row[: len(ids)] = ids
    for format in formats.NAMES:
        found = export.load(bundles["lstm"], format).classify_text(texts)["probabilities"]
        np.testing.assert_allclose(found, model.predict(token_ids, verbose=0), atol=1e-5)


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
    assert manifest["metrics"]["examples"] == 200
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


@pytest.mark.parametrize("backbone", BACKBONES)
def test_saved_model_needs_tensorflow_alone(bundles, backbone):
    program = (
        "import sys\n"
        "sys.modules.update(keras=None, keras_seq=None, export=None)  # importing them fails\n"
        "import numpy as np, tensorflow as tf\n"
        "inputs = np.load('parity.npz')\n"
        "run = tf.saved_model.load('saved_model').signatures['classify']\n"
        "found = run(token_ids=tf.constant(inputs['classify/inputs/token_ids']))['probabilities']\n"
        "np.testing.assert_allclose(found, inputs['classify/outputs/probabilities'], atol=1e-5)\n"
    )
    process = run_python(program, cwd=bundles[backbone])
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("extra", ["tflite", "onnx"])
def test_extra_installs_all_that_a_device_needs(bundles, tmp_path, extra):
    """In a fresh virtual environment with one extra: load, classify, check; no TensorFlow there."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", f"{ROOT}[{extra}]"], check=True)
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


def test_any_batch_and_length(bundles):
    """TFLite's shapes are fixed at B = 1, T = 66: rows are split and padded, others are not."""
    token_ids = np.random.default_rng(0).integers(1, 1000, (5, 20))
    answers = [export.load(bundles["lstm"], name).classify(token_ids=token_ids) for name in
               formats.NAMES]  # fmt: skip
    for answer in answers:
        assert answer["probabilities"].shape == (5, 2)
        np.testing.assert_allclose(answer["probabilities"], answers[0]["probabilities"], atol=1e-5)
    for name in formats.NAMES:
        loaded = export.load(bundles["lstm"], name)
        assert loaded.classify(token_ids=np.zeros((0, 7), int))["probabilities"].shape == (0, 2)
        assert loaded.classify_text([])["probabilities"].shape == (0, 2)


@pytest.mark.parametrize("format", formats.NAMES)
def test_wrong_calls_say_what_was_received(bundles, format):
    loaded = export.load(bundles["lstm"], format)
    with pytest.raises(UserError, match="token_ids.*ids"):
        loaded.classify(ids=[[1]])
    with pytest.raises(UserError, match="int32.*float64"):
        loaded.classify(token_ids=[[1.5]])
    with pytest.raises(UserError, match=r"2 dimensions.*\[3\]"):
        loaded.classify(token_ids=[1, 2, 3])
    with pytest.raises(UserError, match="66.*67"):
        loaded.classify(token_ids=np.ones((1, 67), int))
    with pytest.raises(UserError, match="one string"):
        loaded.classify_text("a wonderful film")
    for wrong in (None, 5, [None], [1], [["a"]], np.zeros((2, 2))):
        with pytest.raises(UserError, match="(list of texts|str or bytes).*Received"):
            loaded.classify_text(wrong)
    lengths = {"text": np.full((1, 2), 104, "uint8")}
    for wrong in (3, -1):
        with pytest.raises(UserError, match=rf"length is the number of bytes.*0 to the 2.*{wrong}"):
            loaded.classify_text(**lengths, length=[wrong])
    with pytest.raises(UserError, match="uint8, from 0 to 255.*300"):
        loaded.classify_text(text=[[300, 105]], length=[2])
    with pytest.raises(UserError, match="--max-bytes"):
        loaded.classify_text(text=np.ones((1, 5000), "uint8"), length=[3])
    with pytest.raises(UserError, match="Unicode only.*classify_text"):
        loaded.tokenize([b"\xff a"])
    with pytest.raises(UserError, match="1 texts; name the other.*text=….*Received: 2"):
        loaded.classify_text(["a film"], ["another"])
    for wrong in ("10,000,000", "-1"):
        with pytest.raises(UserError, match=f"token_ids is from 0 to 1,499. Received: {wrong}"):
            loaded.classify(token_ids=[[int(wrong.replace(",", ""))]])
    with pytest.raises(AttributeError, match="translate.*classify"):
        loaded.translate()


def test_unknown_or_absent_format(bundles, runs, tmp_path):
    with pytest.raises(UserError, match="'coreml'"):
        export.load(bundles["lstm"], "coreml")
    model, _ = find_model(runs["rnn"])
    with pytest.raises(UserError, match="coreml"):
        export.export(model, tmp_path / "b", ["coreml"])
    manifest = export.export(model, tmp_path / "b", ["onnx"], overwrite=False)
    assert [v["format"] for v in manifest["variants"]] == ["onnx"]
    assert manifest["parity"]["inputs"] == "16 random inputs"
    with pytest.raises(UserError, match="'tflite'"):
        export.load(tmp_path / "b", "tflite")


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


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("dynamic", [["length"], ["batch", "length"]])
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

    told = r"does not compute .* Of classify, probabilities differs by .*\(allowed: .*No bundle was kept"
    with pytest.raises(UserError, match=told):
        export.export(model, tmp_path / "b", ["onnx"], say=sabotage)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "file", ["tflite/model.tflite", "onnx/classify.onnx", "saved_model/saved_model.pb"]
)
def test_one_flipped_byte_is_refused(bundles, tmp_path, file):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bundles["rnn"], copy)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(UserError, match=file):
        export.load(copy, file.split("/")[0])
    from export.cli import main

    assert main(["check", str(copy)]) == 2


@pytest.mark.parametrize("when", ["Asking Keras", "Writing onnx"])
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
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert not list(tmp_path.iterdir())


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
