"""What a notebook's cell shows of our objects: a line or a short table, whatever they hold."""

import keras
import pytest

import export
import keras_seq
from keras_seq.data.corpus import Corpus, LabelledTexts, Pairs, Texts
from keras_seq.signature import Signature, SignatureSpec, TensorSpec
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer
from keras_seq.training import Run

MANY = ["a film " * 50] * 1000
SPECS = (TensorSpec("token_ids", "int32", ("B", "T")),), (TensorSpec("y", "float32", ("B", 2)),)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Texts(MANY), "Texts(1,000 examples: texts)"),
        (LabelledTexts(MANY, MANY), "LabelledTexts(1,000 examples: texts, labels)"),
        (Pairs(MANY, MANY), "Pairs(1,000 examples: sources, targets)"),
        (ByteTokenizer(), "ByteTokenizer(260 ids)"),
        (SentencePieceTokenizer.train(["a film"], 300), "SentencePieceTokenizer("),
        (Run("runs/mine"), "Run('runs/mine')"),
        (SignatureSpec("f", *SPECS), "f(token_ids int32 [B, T]) -> y float32 [B, 2]"),
        (Signature("f", *SPECS, print), "f(token_ids int32 [B, T]) -> y float32 [B, 2]"),
        (Corpus(name="mine", train=Texts(MANY), held_out=Texts(MANY)), "Corpus(name='mine', train=Texts(1,000"),
    ],
)  # fmt: skip
def test_a_line(value, shown):
    assert repr(value).startswith(shown)
    assert len(repr(value)) < 200


def test_an_export_shows_what_was_proven(tmp_path, capfd):
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    report = export.export(model, tmp_path / "bundle")
    lines = repr(report).splitlines()
    assert lines[0] == "Compared with Keras on 16 random inputs; latency of the longest input"
    assert [line.split()[0] for line in lines[4:]] == ["tflite", "onnx", "saved_model"]
    assert all("100.00%" in line for line in lines[4:])
    assert report._repr_html_().count("<tr>") == 4
    assert report["task"] == "keras"
    loaded = keras_seq.export.load(tmp_path / "bundle", "tflite")
    assert repr(loaded) == f"LoadedBundle({str(tmp_path / 'bundle')!r}, tflite float32: predict)"
    loaded.predict(x=[[1.0, 2.0, 3.0]])
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
