"""What a manifest may say: each place that is wrong is named in a sentence."""

import contextlib
import copy
import dataclasses
import json
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import bundle, manifest
from keras_seq.errors import UserError
from keras_seq.signature import SignatureSpec, TensorSpec
from tests.export.test_bundle import CONTENT, MODEL

RECORD = {"sha256": "0" * 64, "bytes": 5}
WHOLE = {
    **CONTENT,
    "schema_version": 2,
    "files": {MODEL: RECORD, "tokenizer.json": RECORD, "onnx/x.onnx": RECORD},
    "sha256": "0" * 64,
}
STATE = {"name": "h", "dtype": "float32", "shape": ["B", 4]}


def changed(place, value):
    """The whole manifest with another value in a place such as "labels.0"; without it if `...`."""
    content = copy.deepcopy(WHOLE)
    *parents, last = (int(key) if key.isdigit() else key for key in place.split("/"))
    part = content
    for key in parents:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return content


FAULTS = [
    ("labels", ..., "labels"),
    ("task", ..., "task"),
    ("task", "a task", "a word.* at task"),
    ("files", None, "null at files"),
    ("files", {}, "at files"),
    ("labels/1", 3, r"str, got int at labels\[1\]"),
    ("labels", "good", "at labels"),
    ("extra", 1, "unknown field extra"),
    ("parameters", -1, ">= 0 at parameters"),
    ("parameters", 1.5, "at parameters"),
    ("parameters", True, "at parameters"),
    ("metrics", [], "at metrics"),
    ("sha256", "x", "SHA-256.* at sha256"),
    ("tokenizer", "../secret", "at tokenizer"),
    ("tokenizer", "/etc/passwd", "at tokenizer"),
    ("files/tokenizer.json", ..., "tokenizer.json is not in files at tokenizer"),
    ("files/a\0b", RECORD, r"at files\['a\\x00b'\]"),
    ("files/..", RECORD, r"at files\['..'\]"),
    ("files/tflite", {"sha256": "0" * 64}, r"bytes at files\['tflite'\]"),
    ("files/manifest.json", RECORD, "its own hash"),
    ("entry/signature", "lost", "lost is not in signatures at entry"),
    ("entry/interactive", [], "at entry.interactive"),
    ("entry/interactive", ["classify_text"] * 2, "twice at entry.interactive"),
    ("entry/defaults", {"a": "b"}, "at entry.defaults"),
    ("limits/max_bytes", 0, r">= 1 at limits\['max_bytes'\]"),
    ("limits/max_bytes", 1 << 31, r"<= 2147483647 at limits\['max_bytes'\]"),
    ("dimensions/L", "max", "max is not in limits at dimensions.L"),
    ("dimensions/B", "max_bytes", "B, the batch, has no limit"),
    ("signatures", {}, "at signatures"),
    ("signatures/../../elsewhere/classify", None, "signatures"),
    ("signatures/classify_text/inputs/0/extra", 1, r"extra at signatures\['classify_text'\].inputs"),
    ("signatures/classify_text/inputs/0/dtype", "float99", r"\.dtype"),
    ("signatures/classify_text/inputs/0/shape", ["B", -1], r"shape\[1\]"),
    ("signatures/classify_text/inputs/0/shape", ["L", "B"], "B, the batch, is the first"),
    ("signatures/classify_text/inputs/0/shape", ["B"], "text with length is a text"),
    ("signatures/classify_text/inputs/0/shape", ["B", 1 << 31], "shape"),
    ("signatures/classify_text/inputs/0/name", "length", "two have the same name"),
    ("signatures/classify_text/inputs/0/name", "a\x1b[2J", "a name.*name"),
    ("signatures/classify_text/inputs/0/maximum", "Q", "the maximum 'Q' is not in dimensions"),
    ("signatures/classify_text/inputs/0/default", "Q", "the default 'Q' is not in dimensions"),
    ("signatures/classify_text/inputs/0/default", "random", "random numbers are float32"),
    ("signatures/classify_text/inputs/0/default", 256, "the default 256 is not uint8"),
    ("signatures/classify_text/inputs/0/default", 0.5, "the default 0.5 is not uint8"),
    ("signatures/classify_text/outputs/0/shape", ["L", 2], "does not begin with B"),
    ("signatures/classify_text/outputs", [], "there is none"),
    ("signatures/classify_text/outputs/0/shape", ["B", 1 << 30], "would take 4,294,967,296 bytes"),
    ("signatures/classify_text/formats", ["onnx"], "not in every format"),
    ("signatures/classify_text/formats", ["coreml"], "formats"),
    ("variants", [], "at variants"),
    ("variants/0/format", "coreml", r"variants\[0\].format"),
    ("variants/0/files", ["onnx/x.onnx"], "not in the folder tflite"),
    ("variants/0/files", [MODEL, "tflite/lost"], "tflite/lost is not in files"),
    ("variants/0/files", [MODEL, MODEL], "named twice"),
    ("variants/0/files", ["/etc/passwd"], r"variants\[0\].files"),
    ("variants/0/precision", "int8", "tflite/model.int8.tflite is missing"),
    ("variants/0/precision", "../x", r"variants\[0\].precision"),
    ("variants/0/bytes", 6, "its files have 5"),
    ("variants/0/sizes", {"L": 1 << 31}, r"variants\[0\].sizes"),
    ("variants/0/sizes", {"L": 21, "Q": 7}, "21 is above its limit 20"),
    ("parity", {"inputs": "", "tolerance": 0, "variants": [{"format": "onnx", "precision": "float32", "signatures": {}}]}, "onnx float32 is not in variants"),
    ("labels/0", "\x1b[2J", None),  # Bundles of before have such: they are escaped where printed.
    ("metrics/deep", {"a": {"b": [1]}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "words"), FAULTS, ids=lambda part: ascii(part)[:40])
def test_what_is_wrong_is_named_with_its_place(place, value, words):
    if "elsewhere" in place:
        content = {**WHOLE, "signatures": {"../../elsewhere/classify": {}}}
        words = r"a name.* at signatures\['../../elsewhere/classify'\]"
    else:
        base = place.split("/")[0]
        content = WHOLE if base in WHOLE or "/" not in place else {**WHOLE, base: {}}
        content = changed(place, value) if content is WHOLE else {**content, base: value}
    if words is None:
        manifest.check_manifest(content)
        return
    with pytest.raises(manifest.ManifestError, match=words) as error:
        manifest.check_manifest(content)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_a_tensor_has_the_fields_of_its_class():
    fields = [field.encode_name for field in msgspec.structs.fields(manifest.Tensor)]
    assert fields == [field.name for field in dataclasses.fields(TensorSpec)]
    spec = SignatureSpec(
        "step",
        (TensorSpec("x", "int32", ("B", "T"), 0, "T", 1, "left"),),
        (TensorSpec("y", "float32", ("B",)),),
    )
    manifest.require_form(spec.to_json(), manifest.Signature)
    assert SignatureSpec.from_json("step", spec.to_json()) == spec


@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_json_or_refused(content):
    try:
        value = manifest.parse_manifest(content)
    except manifest.ManifestError:
        return
    assert value == json.loads(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=8,
)
PLACES = sorted(
    {place for place, *_ in FAULTS if "elsewhere" not in place and "parity" not in place}
)


@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_is_refused_in_a_sentence_or_right(place, value):
    with contextlib.suppress(KeyError):  # The place is new.
        content = changed(place, value)
        with pytest.raises(manifest.ManifestError) as error:
            manifest.check_manifest(content)
            raise manifest.ManifestError("right")
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("name", "pattern", "right"),
    [
        ("classify_text", manifest.NAME_PATTERN, True),
        ("T1_input", manifest.NAME_PATTERN, True),
        *((name, manifest.NAME_PATTERN, False) for name in ("", "_a", "1a", "a b", "a\n", "ä", "a/b", "a.b", "a" * 201)),
        ("saved_model/variables/variables.data-00000-of-00001", manifest.FILE_PATTERN, True),
        *((name, manifest.FILE_PATTERN, False) for name in ("", "/a", "a/", "a//b", "..", "a/../b", "./a", ".a", "a\\b", "a\n", "C:a", "a b")),
    ],
)  # fmt: skip
def test_names_have_a_grammar(name, pattern, right):
    assert bool(re.search(pattern, name)) == right


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": ["good", "\x1b]0;title\x07"]}, r"'labels\[1\]' has the control character"),
        ({"labels": ["\udc80"]}, "control character"),
        ({"metrics": {"\x9b2J": 1}}, "control character"),
        ({"trained_on": {"data": "a\x7fb"}}, "trained_on.data"),
        ({"metrics": {"loss": math.nan}}, "metrics.loss is a text, a finite number"),
        ({"metrics": {"loss": [math.inf]}}, r"metrics.loss\[0\] is a text, a finite number"),
        ({"metrics": {"loss": object()}}, "metrics.loss is a text"),
        ({"backbone": "x" * 20_000}, "cannot be described"),
        ({"signatures": {"a b": CONTENT["signatures"]["classify_text"]}}, "cannot be described"),
    ],
)
def test_what_may_not_be_said_is_not_written(tmp_path, content, words):
    (tmp_path / "tflite").mkdir()
    (tmp_path / MODEL).write_text("model")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=words):
        bundle.write_manifest(tmp_path, {**CONTENT, **content})
    assert not (tmp_path / "manifest.json").exists()
