"""Requests that are not of the protocol: each part of one replaced by another kind of value."""

import copy
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tritonclient.grpc.service_pb2 import ModelInferRequest

from export.serving.errors import SizeError
from export.serving.protocol import KINDS, MAX_JSON_VALUES, read_json_request, read_message
from keras_seq.errors import UserError

GOOD = {
    "id": "7",
    "parameters": {"seed": 3, "binary_data_output": False},
    "inputs": [
        {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"], "parameters": {}},
        {"name": "ids", "datatype": "INT32", "shape": [1, 2], "data": [[1, 2]]},
        {"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, 2]},
        {"name": "raw", "datatype": "UINT8", "shape": [3], "data": [0, 5, 255]},
    ],
    "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value, path=()):
    """The place of each part of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


PLACES = list(places(GOOD))[1:]


def put(path, value):
    changed = copy.deepcopy(GOOD)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return changed


def read_all(request):
    """The values of all inputs whose datatypes the signatures here have."""
    return [tensor.read() for tensor in request.inputs if tensor.datatype in KINDS]


def test_a_good_request_is_read():
    request = read_json_request(json.dumps(GOOD).encode())
    assert (request.id, request.parameters["seed"]) == ("7", 3)
    assert request.outputs == {"y": True}
    text, ids, x, raw = read_all(request)
    assert text == [b"a", b"b"]
    for found, wanted, dtype in ((ids, [[1, 2]], "int32"), (x, [1.5, 2], "float32")):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, wanted)
    assert raw.tolist() == [0, 5, 255]


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(PLACES), value=JSON)
@example(("inputs", 0, "name"), ["text"])
@example(("inputs", 0, "name"), {})
@example(("inputs", 0, "parameters"), 5)
@example(("inputs", 1, "shape"), [-1])
@example(("inputs", 1, "shape"), [-(2**63)])
@example(("inputs", 1, "shape"), [2**62, 2**62])
@example(("inputs", 1, "shape"), None)
@example(("inputs", 1, "data"), [[1.9, 1]])
@example(("inputs", 1, "data"), [["1", 1]])
@example(("inputs", 1, "data"), [[True, 1]])
@example(("inputs", 2, "data"), [1e300, 1])
@example(("inputs", 3, "data"), [0, -1, 256])
def test_a_part_of_another_kind_is_refused_or_right(path, value):
    changed = put(path, value)
    try:
        arrays = read_all(read_json_request(json.dumps(changed).encode()))
    except (UserError, SizeError):
        return
    known = [tensor for tensor in changed["inputs"] if tensor["datatype"] in KINDS]
    for tensor, array in zip(known, arrays, strict=True):  # Nothing was cast.
        flat = flatten(tensor["data"])
        if tensor["datatype"] == "BYTES":
            assert [text.decode() for text in array] == flat
        else:
            assert [type(v) in (int, float) and type(v) is not bool for v in flat] == [True] * len(
                flat
            )
            np.testing.assert_array_equal(array.ravel(), np.array(flat, array.dtype))
            assert list(array.shape) == tensor["shape"]


def flatten(value):
    return [leaf for one in value for leaf in flatten(one)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    ("datatype", "data", "words"),
    [
        ("INT32", [1, 1.9], "Value 1 is not a whole number, but 1.9"),
        ("INT32", [1, "1"], "Value 1 is not a whole number, but '1'"),
        ("INT32", [True, 1], "Value 0 is not a whole number, but True"),
        ("INT32", [1, 2**31], "from -2,147,483,648 to 2,147,483,647. Received: 2147483648"),
        ("FP32", [1, None], "Value 1 is not a number, but None"),
        ("FP32", [1, 1e39], "not finite numbers of 32 bits"),
        ("BYTES", ["a", 1], "Value 1 is not a string, but 1"),
        ("UINT8", [0, 256], "from 0 to 255. Received: 256"),
    ],
)
def test_which_value_is_wrong_is_said(datatype, data, words):
    tensor = {"name": "x", "datatype": datatype, "shape": [2], "data": data}
    request = read_json_request(json.dumps({"inputs": [tensor]}).encode())
    with pytest.raises(UserError, match=words):
        read_all(request)


def test_more_values_than_are_read():
    body = b'{"inputs": [' + b"1," * MAX_JSON_VALUES + b"1]}"
    with pytest.raises(SizeError, match="at most 1,000,000 values"):
        read_json_request(body)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([None, -1, 0, 1, 3, 4, 8, 2**40, "4", 1.0, True]),
    st.sampled_from(["BYTES", "INT32", "FP32"]),
    st.sampled_from([[], [0], [1], [2], [1, 1]]),
    st.binary(max_size=12),
)
def test_binary_tensors_of_any_size_are_refused_or_right(size, datatype, shape, content):
    tensor = {"name": "x", "datatype": datatype, "shape": shape}
    if size is not None:
        tensor["parameters"] = {"binary_data_size": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    try:
        (value,) = read_all(read_json_request(head + content, len(head)))
    except UserError:
        return
    if datatype == "BYTES":
        assert b"".join(len(t).to_bytes(4, "little") + t for t in value) == content
    else:
        assert value.tobytes() == content
        assert list(value.shape) == shape


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["BYTES", "INT32", "FP32", "UINT8", "FP64", ""]),
    st.lists(st.integers(-1, 3), max_size=3),
    st.sampled_from(["int_contents", "fp32_contents", "bytes_contents", "raw", "both", "none"]),
    st.integers(0, 3),
)
def test_messages_of_any_content_are_refused_or_right(datatype, shape, kind, count):
    message = ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype=datatype, shape=shape)
    if kind in ("int_contents", "both"):
        tensor.contents.int_contents.extend([1] * count)
    if kind == "fp32_contents":
        tensor.contents.fp32_contents.extend([1.5] * count)
    if kind == "bytes_contents":
        tensor.contents.bytes_contents.extend([b"a"] * count)
    if kind in ("raw", "both"):
        message.raw_input_contents.append(b"\x01\x00\x00\x00" * count)
    try:
        request = read_message(message)
        values = read_all(request)
    except UserError:
        return
    for value in values:
        assert len(value) == count if datatype == "BYTES" else list(value.shape) == shape
