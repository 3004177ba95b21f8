"""The protocol, by Triton's own clients: answers are those of `export.load`, bit for bit."""

import json

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

import export
from export.serving.wire import DATATYPES
from tests.export.helpers import read_reference

CLIENTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
BUNDLES = ("mood", "bard", "en-de")


@pytest.fixture(params=CLIENTS)
def client(request, server):
    module = CLIENTS[request.param]
    port = server.http_port if request.param == "http" else server.grpc_port
    with module.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield module, client


def asked(module, client, model, arrays, datatypes=None, **options):
    """Outputs by name, of arrays by name."""
    inputs = []
    for name, array in arrays.items():
        array = np.asarray(array)
        array = array[None] if array.ndim == 0 else array
        datatype = "BYTES" if array.dtype == object else DATATYPES[array.dtype.name]
        tensor = module.InferInput(name, list(array.shape), (datatypes or {}).get(name, datatype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    result = client.infer(model, inputs, **options)
    response = result.get_response()
    names = [
        output["name"] if isinstance(output, dict) else output.name
        for output in (response["outputs"] if isinstance(response, dict) else response.outputs)
    ]
    return {name: result.as_numpy(name) for name in names}


@pytest.mark.parametrize("name", BUNDLES)
def test_every_signature_answers_as_a_loaded_bundle_does(client, served, name):
    module, client = client
    loaded = export.load(served / name, "onnx")
    inputs, _ = read_reference(served / name)
    for signature, spec in loaded.signatures.items():
        shared = {tensor.name for tensor in spec.inputs if "B" not in tensor.shape}
        given = {
            key: array[0] if key in shared else array[:1]
            for key, array in inputs[signature].items()
        }
        expected = loaded.run(signature, **given)
        found = asked(module, client, f"{name}.{signature}", given)
        texts = {"text"} & expected.keys()
        for key in expected.keys() - {"length"} - texts:
            np.testing.assert_array_equal(found[key], expected[key], err_msg=f"{signature} {key}")
        for key in texts:
            wanted = [
                expected[key][place][: expected["length"][place]].tobytes()
                for place in np.ndindex(expected["length"].shape)
            ]
            assert found[key].ravel().tolist() == wanted


def test_texts_are_bytes_on_the_wire(client, served):
    module, client = client
    loaded = export.load(served / "mood", "onnx")
    texts = ["A wonderful film.", "", "🎉 非常好"]
    broken = np.array([b"\xff\xfe no UTF-8"], object)
    expected = loaded.classify_text(broken.tolist())["probabilities"]
    found = asked(module, client, "mood", {"text": broken})["probabilities"]
    np.testing.assert_array_equal(found, expected)
    content = np.array([t.encode() if isinstance(t, str) else t for t in texts], object)
    for model in ("mood", "mood.classify_text"):
        found = asked(module, client, model, {"text": content})
        np.testing.assert_array_equal(
            found["probabilities"], loaded.classify_text(texts)["probabilities"]
        )
    with pytest.warns(UserWarning, match="too long"):
        expected = loaded.classify_text(["x" * 2000])
    found = asked(module, client, "mood", {"text": np.array([b"x" * 2000], object)})
    np.testing.assert_array_equal(found["unread"], expected["unread"])


def test_a_seed_and_defaults(client, served):
    module, client = client
    loaded = export.load(served / "bard", "onnx")
    expected = loaded.generate_text(["To be"], seed=7, temperature=0.7)
    text = np.array([b"To be"], object)
    parameters = {"parameters": {"seed": 7}}
    given = {"text": text, "temperature": np.float32(0.7)}
    found = asked(module, client, "bard", given, **parameters)
    whole = expected["text"][0, : expected["length"][0]].tobytes()
    assert found["text"].tolist() == [whole]
    stop = np.array([b"nowhere", b"%c" % next(c for c in whole[3:] if c < 128)], object)
    expected = loaded.generate_text(["To be"], seed=7, temperature=0.7, stop=stop)
    assert expected["length"][0] < len(whole)
    found = asked(module, client, "bard", {**given, "stop": stop}, **parameters)
    assert found["text"].tolist() == [whole[: expected["length"][0]]]


def test_metadata(client):
    module, client = client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("en-de")
    options = {"as_json": True} if module is tritonclient.grpc else {}
    about = client.get_model_metadata("mood", **options)
    (text,) = about["inputs"]
    assert (text["name"], text["datatype"]) == ("text", "BYTES")
    assert [int(size) for size in text["shape"]] == [-1]
    assert [(o["name"], o["datatype"]) for o in about["outputs"]] == [
        ("probabilities", "FP32"),
        ("unread", "INT32"),
    ]


def test_answers_and_metadata_name_the_classes(client, server):
    module, client = client
    text = module.InferInput("text", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"fine"], object))
    response = client.infer("mood", [text]).get_response()
    if module is tritonclient.grpc:
        (found,) = (o for o in response.outputs if o.name == "probabilities")
        labels = found.parameters["labels"].string_param
        others = [o for o in response.outputs if o.name != "probabilities"]
        assert not any("labels" in o.parameters for o in others)
    else:
        (found,) = (o for o in response["outputs"] if o["name"] == "probabilities")
        labels = found["parameters"]["labels"]
        about = client.get_model_metadata("mood.classify")
        assert about["parameters"] == {"task": "classify", "labels": labels}
        assert client.get_model_metadata("bard")["parameters"] == {"task": "generate"}
    assert json.loads(labels) == ["bad", "good"]


def test_requested_outputs_only(client):
    module, client = client
    text = np.array([b"a", b"b"], object)
    outputs = [module.InferRequestedOutput("unread")]
    assert list(asked(module, client, "mood", {"text": text}, outputs=outputs)) == ["unread"]


ONE = np.array([b"x"], object)
REFUSED = {
    "another model": ("happiness", {"text": ONE}, "does not exist", ("404", "NOT_FOUND")),
    "another input": ("mood", {"words": ONE}, "classify_text takes text. Received: 'words'", None),
    "a missing input": ("mood", {}, "classify_text takes text. Received: nothing", None),
    "another dtype": (
        "mood",
        {"text": np.ones(1, "int32")},
        "BYTES, or UINT8. Received: INT32",
        None,
    ),
    "another shape": (
        "mood.classify",
        {"token_ids": np.ones((1, 2, 3), "int32")},
        "token_ids has 2 dimensions",
        None,
    ),
    "too long": (
        "mood.classify",
        {"token_ids": np.ones((1, 99), "int32")},
        "T (max_length) is at most 40",
        None,
    ),
    "out of range": (
        "mood.classify",
        {"token_ids": np.full((1, 2), 999, "int32")},
        "from 0 to 259",
        None,
    ),
    "no number": (
        "bard",
        {"text": ONE, "temperature": np.float32(np.nan)},
        "temperature has values that are not finite",
        None,
    ),
    "negative": (
        "bard",
        {"text": ONE, "temperature": np.float32(-1)},
        "temperature is 0 or more",
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said(client, case):
    model, arrays, words, status = REFUSED[case]
    module, client = client
    with pytest.raises(tritonclient.utils.InferenceServerException) as caught:
        asked(module, client, model, arrays)
    assert words in str(caught.value)
    assert any(name in str(caught.value) for name in status or ("400", "INVALID_ARGUMENT"))
    found = asked(module, client, "mood", {"text": ONE})  # It is there for the next one.
    assert found["probabilities"].shape == (1, 2)
