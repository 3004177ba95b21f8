"""Bundles of trained runs, called as their users call them."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import export
from export import bundle, formats
from export.cli import main
from keras_seq.errors import UserError
from keras_seq.tasks.loading import find_model

ROOT = Path(__file__).resolve().parents[3]
BACKBONES = (
    pytest.param("rnn", marks=pytest.mark.slow),
    "lstm",
    pytest.param("transformer", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("format", formats.NAMES)
def test_texts_through_each_runtime_give_what_keras_gives(bundles, runs, reviews, backbone, format):
    """Tokenizer included: the tensor program in the file, SentencePiece beside Keras."""
    texts = [*reviews.held_out.texts[1000:1060], "", "\0", "好看 😀", "\ud800", "é" * 263 + "é"]
    texts += [b"a \xff\xfe film".decode("latin-1"), "\u2581 a", " " * 528, "x" * 528]
    model, _ = find_model(runs[backbone])
    loaded = export.load(bundles[backbone], format, trust=True)
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
    loaded = export.load(bundles["lstm"], format, trust=True)
    text = "x" + "é" * 400
    tokenizer = find_model(runs["lstm"])[0].tokenizer
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
    loaded = export.load(bundles[backbone], format, trust=True)
    expected = loaded.classify_text([""])["probabilities"]
    for found in (
        loaded.classify(token_ids=np.zeros((1, 0), "int32")),
        loaded.classify_text(text=np.zeros((1, 0), "uint8"), length=[0]),
        loaded.classify_text(np.array([""])),
        loaded.classify_text(""),
    ):
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


def test_bytes_that_are_no_text_are_read_as_they_are(bundles, runs):
    model, _ = find_model(runs["lstm"])
    texts = [b"a \xff\xfe film", b"\xe4\xbd", b"\x80" * 9]
    token_ids = np.zeros((3, 66), "int32")
    for row, ids in zip(token_ids, model.tokenizer.encode(texts), strict=True):
        row[: len(ids)] = ids
    for format in formats.NAMES:
        found = export.load(bundles["lstm"], format, trust=True).classify_text(texts)[
            "probabilities"
        ]
        np.testing.assert_allclose(found, model.predict(token_ids, verbose=0), atol=1e-5)


def test_any_batch_and_length(bundles):
    """TFLite's shapes are fixed at B = 1, T = 66: rows are split and padded, others are not."""
    token_ids = np.random.default_rng(0).integers(1, 1000, (5, 20))
    answers = [export.load(bundles["lstm"], name, trust=True).classify(token_ids=token_ids) for name in
               formats.NAMES]  # fmt: skip
    for answer in answers:
        assert answer["probabilities"].shape == (5, 2)
        np.testing.assert_allclose(answer["probabilities"], answers[0]["probabilities"], atol=1e-5)
    for name in formats.NAMES:
        loaded = export.load(bundles["lstm"], name, trust=True)
        assert loaded.classify(token_ids=np.zeros((0, 7), int))["probabilities"].shape == (0, 2)
        assert loaded.classify_text([])["probabilities"].shape == (0, 2)


@pytest.mark.parametrize("format", formats.NAMES)
def test_wrong_calls_say_what_was_received(bundles, format):
    loaded = export.load(bundles["lstm"], format, trust=True)
    with pytest.raises(
        UserError, match="classify: There is no input 'ids'. The input is token_ids"
    ):
        loaded.classify(ids=[[1]])
    with pytest.raises(UserError, match=r"int32 .*float64 \[1, 1\]"):
        loaded.classify(token_ids=[[1.5]])
    with pytest.raises(UserError, match=r"2 dimensions.*\[3\]"):
        loaded.classify(token_ids=[1, 2, 3])
    with pytest.raises(UserError, match="66.*67"):
        loaded.classify(token_ids=np.ones((1, 67), int))
    for wrong in (None, 5, [None], [1], [["a"]], np.zeros((2, 2))):
        with pytest.raises(UserError, match="(list of texts|str or bytes).*Received"):
            loaded.classify_text(wrong)
    lengths = {"text": np.full((1, 2), 104, "uint8")}
    for wrong in (3, -1):
        with pytest.raises(UserError, match=rf"length is the number of bytes.*0 to the 2.*{wrong}"):
            loaded.classify_text(**lengths, length=[wrong])
    with pytest.raises(UserError, match="uint8, from 0 to 255.*300"):
        loaded.classify_text(text=[[300, 105]], length=[2])
    with pytest.raises(UserError, match="larger max_bytes"):
        loaded.classify_text(text=np.ones((1, 5000), "uint8"), length=[3])
    with pytest.raises(UserError, match="Unicode only.*classify_text"):
        loaded.tokenize([b"\xff a"])
    with pytest.raises(UserError, match="classify_text takes text. Received: nothing"):
        loaded.classify_text()
    with pytest.raises(UserError, match="classify_text draws no random numbers.*seed=3"):
        loaded.classify_text(["a film"], seed=3)
    with pytest.raises(UserError, match="num_beams is fixed in the files"):
        loaded.classify_text(["a film"], num_beams=3)
    for wrong in ({}, {"text": 1}, loaded.classify_text(["a film"])):
        with pytest.raises(UserError, match="read_texts reads what a call returned.*Received: a"):
            loaded.read_texts(wrong)
    with pytest.raises(UserError, match="threads is a whole number, 1 or more. Received: 0"):
        export.load(bundles["lstm"], format, threads=0)
    with pytest.raises(UserError, match="The formats are .*onnx.*Received: 'onxx'"):
        export.load(bundles["lstm"], "onxx")
    with pytest.raises(UserError, match="takes text without a name.*length=….*Received: 2"):
        loaded.classify_text(["a film"], ["another"])
    for wrong in ("10,000,000", "-1"):
        with pytest.raises(UserError, match=f"token_ids is from 0 to 1,499. Received: {wrong}"):
            loaded.classify(token_ids=[[int(wrong.replace(",", ""))]])
    with pytest.raises(AttributeError, match="translate.*classify"):
        loaded.translate()


@pytest.mark.parametrize(
    "file", ["tflite/model.tflite", "onnx/classify.onnx", "saved_model/saved_model.pb"]
)
def test_one_flipped_byte_is_refused(bundles, tmp_path, file):
    copy = tmp_path / "copy"
    shutil.copytree(bundles["lstm"], copy)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(UserError, match=file):
        export.load(copy, file.split("/")[0], trust=True)
    assert main(["check", str(copy)]) == 2


def test_a_bundle_loads_where_keras_and_tensorflow_are_not_installed(bundles):
    program = (
        "import sys\n"
        "sys.modules.update(keras=None, tensorflow=None)  # importing them fails\n"
        "import export\n"
        "for name in ('tflite', 'onnx'):\n"
        f"    loaded = export.load({str(bundles['lstm'])!r}, name)\n"
        "    assert loaded.classify_text(['a film'])['probabilities'].shape == (1, 2)\n"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_a_format_in_two_precisions(served, tmp_path, capsys):
    """Another precision has files of its own, named after it."""
    folder = shutil.copytree(served / "mood", tmp_path / "mood")
    manifest = bundle.read_manifest(folder)
    (variant,), (proof,) = manifest["variants"], manifest["parity"]["variants"]
    names = [name for name in variant["files"] if name.endswith(".onnx")]
    for name in names:
        shutil.copyfile(folder / name, folder / formats.add_precision(name, "int8"))
    files = [formats.add_precision(name, "int8") for name in names] + ["onnx/weights.bin"]
    files = [name for name in files if (folder / name).is_file()]
    manifest["variants"].append({**variant, "precision": "int8", "files": files})
    manifest["parity"]["variants"].append({**proof, "precision": "int8"})
    bundle.write_manifest(folder, manifest)
    loaded = [export.load(folder, "onnx", precision=p) for p in ("float32", "int8")]
    assert [bundle.precision for bundle in loaded] == ["float32", "int8"]
    first, second = (bundle.classify_text(["a film"])["probabilities"] for bundle in loaded)
    np.testing.assert_array_equal(first, second)
    assert main(["check", str(folder)]) == 0
    assert "onnx int8" in capsys.readouterr().out
    with pytest.raises(UserError, match="onnx float32, onnx int8. Received: onnx in int4"):
        export.load(folder, "onnx", precision="int4")


@pytest.mark.parametrize("format", formats.NAMES)
def test_a_device_is_chosen_by_name(bundles, format):
    on_cpu = export.load(bundles["lstm"], format, trust=True, device="cpu")
    expected = export.load(bundles["lstm"], format, trust=True).classify_text("fine")[
        "probabilities"
    ]
    np.testing.assert_array_equal(on_cpu.classify_text("fine")["probabilities"], expected)
    words = {"tflite": "onnx", "onnx": "devices .*cpu", "saved_model": "devices CPU:0"}[format]
    with pytest.raises(UserError, match=f"{words}.*"):
        export.load(bundles["lstm"], format, trust=True, device="abacus").classify_text("fine")


def test_a_device_other_than_the_cpu_asks_for_onnx_files(bundles, monkeypatch):
    import onnxruntime

    has = ["CUDAExecutionProvider", *onnxruntime.get_available_providers()]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: has)
    opened = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, path, options, providers):
            opened.append(providers)
            super().__init__(path, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return [name for name, _ in opened[-1]] if obeys else super().get_providers()

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    obeys = True
    export.load(bundles["lstm"], device="cuda:1").classify_text("fine")
    assert opened[0] == [
        ("CUDAExecutionProvider", {"device_id": "1"}),
        ("CPUExecutionProvider", {}),
    ]
    obeys = False
    with pytest.raises(UserError, match="cannot use the device cuda"):
        export.load(bundles["lstm"], device="cuda").classify_text("fine")


def test_texts_are_read_from_outputs_of_any_shape(bundles):
    loaded = export.load(bundles["lstm"], "onnx")
    texts = [["über", ""], ["a", "b\ufffd"]]
    content = [[text.encode().replace("\ufffd".encode(), b"\xff") for text in row] for row in texts]
    text = np.zeros((2, 2, 9), "uint8")
    for place in np.ndindex(2, 2):
        row = content[place[0]][place[1]]
        text[place][: len(row)] = list(row)
    length = np.array([[len(part) for part in row] for row in content])
    assert loaded.read_texts({"text": text, "length": length}) == texts
    assert loaded.read_texts({"x": text[0], "x_length": length[0], "length": 0}, "x") == texts[0]
    assert loaded.labels == loaded.manifest["labels"] != []


@pytest.mark.parametrize("name", ["seed", "signature", "self", "values", "inputs", "name"])
def test_an_input_has_any_name(tmp_path, name):
    """Whatever the arguments of `LoadedBundle.run` are called."""
    import keras

    x = keras.Input((3,), name=name)
    export.export(keras.Model(x, keras.layers.Rescaling(2.0)(x)), tmp_path / "b", ["onnx"])
    loaded = export.load(tmp_path / "b")
    (spec,) = loaded.signatures["predict"].inputs
    assert spec.name == ("self_1" if name == "self" else name)
    found = loaded.run("predict", **{spec.name: np.ones((2, 3))})
    np.testing.assert_array_equal(found["rescaling"], np.full((2, 3), 2.0))
