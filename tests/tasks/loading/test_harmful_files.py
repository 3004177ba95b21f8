"""`.keras` files that were made to do harm, or damaged: one sentence, on sight."""

import inspect
import io
import json
import random
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from benchmarks.mutated_files import FAULT, READ, REFUSED, find_faults, make_models, try_one
from keras_seq.cli import main
from keras_seq.errors import UserError, speak_command_line
from keras_seq.tasks import get_task
from keras_seq.tasks.configuration import validate_config
from keras_seq.tasks.loading import capacity, load_model
from keras_seq.tasks.runs import TrainedRun

HUGE = 10**6


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A classifier, a generator and two translators, small."""
    return make_models(tmp_path_factory.mktemp("models"))


def edit(source, target, change, weights=None):
    """Copies a `.keras` file with another configuration, or other weights."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config)
            if name == "model.weights.h5" and weights is not None:
                content = weights
            new.writestr(name, content)
    return target


def refuse(path, *words):
    with pytest.raises(UserError) as error:
        load_model(path)
    for word in (str(path), *words):
        assert word in str(error.value)
    assert len(str(error.value)) < 600


def places(config, path=()):
    """The path of every setting of every class of ours in a configuration."""
    if not isinstance(config, dict):
        return
    if str(config.get("registered_name")).startswith("keras_seq>"):
        yield from ((*path, "config", key) for key in config["config"])
    for key, value in config.items():
        yield from places(value, (*path, key))


@pytest.mark.parametrize("number", range(4))
def test_every_setting_in_every_place_has_a_type_and_a_range(models, number, tmp_path):
    """None of these values is right for any setting; all are seen before anything is built."""
    with zipfile.ZipFile(models[number]) as archive:
        content = archive.read("config.json")
        model = load_model(models[number])
    held = capacity.measure_weights(models[number])
    validate_config(json.loads(content), held.arrays, held.largest)
    found = [*places(json.loads(content))]
    assert len(found) > 15
    assert model.count_params() < held.elements + 1000
    for path in found:
        for value in (-1, 10**12, 10**400, float("nan"), float("inf"), {}, [[]], object):
            config = json.loads(content)
            holder = config
            for key in path[:-1]:
                holder = holder[key]
            if value is object:
                value = [None]
            holder[path[-1]] = value
            with pytest.raises(UserError) as error:
                validate_config(config, held.arrays, held.largest)
            assert path[-1] in str(error.value), path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["config"]["backbone"]["config"].update(num_layers=HUGE), "num_layers of"),
        (lambda c: c["config"]["backbone"]["config"].update(hidden_dim=HUGE), "hidden_dim of"),
        (lambda c: c["config"]["embedding"]["config"].update(vocabulary_size=HUGE), "from 0 to"),
        (lambda c: c["config"].update(max_length=HUGE * 10), "max_length of"),
        (lambda c: c["config"].update(labels=None), "labels of TextClassifier is a list"),
        (lambda c: c["config"].pop("labels"), "have no labels"),
        (lambda c: c["config"].update(labels="ab"), "labels of TextClassifier is a list"),
        (lambda c: c["config"].update(labels=["a", 1]), "an item that is no string: 1"),
        (lambda c: c["config"].update(labels=["a", "\x1b[31m"]), "control character 0x1b"),
        (lambda c: c["config"].update(labels=["a", "\ud800"]), "half of a character"),
        (lambda c: c["config"].update(labels=["a", "a"]), "two different names or more"),
        (lambda c: c["config"].update(backbone="lstm"), "object of the class Backbone"),
        (lambda c: c["config"].update(backbone=c["config"]["tokenizer"]), "class Backbone"),
        (lambda c: c["config"].update(tokenizer=None), "object of the class Tokenizer"),
        (lambda c: c["config"]["tokenizer"]["config"].update(model="!"), "tokenizer is damaged"),
        (lambda c: c["config"]["tokenizer"]["config"].update(model="eJw="), "tokenizer"),
        (lambda c: c["config"]["backbone"].update(config=[]), "are a dictionary"),
        (lambda c: c["config"]["backbone"]["config"].update(dtype="float999"), "is no dtype"),
        (lambda c: c["config"]["backbone"]["config"].update(dropout=1.5), "a share in [0, 1)"),
    ],
)
def test_a_classifier_that_cannot_be(models, tmp_path, change, words):
    path = edit(models[0], tmp_path / "m.keras", change)
    begun = time.monotonic()
    refuse(path, words)
    assert time.monotonic() - begun < 30  # not the minutes that a million layers take


def test_a_tokenizer_cannot_fill_the_memory(models, tmp_path):
    import base64
    import zlib

    packed = base64.b64encode(zlib.compress(bytes(2**27))).decode()
    change = lambda c: c["config"]["tokenizer"]["config"].update(model=packed)  # noqa: E731
    refuse(edit(models[0], tmp_path / "m.keras", change), "unpacks to more than")


def test_keras_itself_checks_our_settings(models, tmp_path):
    """`keras.saving.load_model` knows no weights to compare with, but types and limits hold."""
    change = lambda c: c["config"]["backbone"]["config"].update(num_layers=HUGE)  # noqa: E731
    with pytest.raises(UserError, match="num_layers of RecurrentBackbone"):
        keras.saving.load_model(edit(models[0], tmp_path / "m.keras", change))


def plain(tmp_path):
    inputs = keras.Input((3,))
    path = tmp_path / "plain.keras"
    keras.Model(inputs, layers.Dense(2)(inputs)).save(path)
    return path


def test_a_model_of_keras_is_bound_by_its_weights_too(tmp_path):
    path = plain(tmp_path)
    change = lambda c: c["config"]["layers"][1]["config"].update(units=10**10)  # noqa: E731
    refuse(
        edit(path, tmp_path / "m.keras", change), "larger model than it holds", "the layer 'dense"
    )
    before = keras.layers.Layer.add_weight
    load_model(path)
    assert keras.layers.Layer.add_weight is before


def weights(fill):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda f: f.create_dataset("a", (10**12,), "f4", chunks=(1000,)), "fill the memory"),
        (lambda f: f.create_dataset("a", data=np.zeros(10**8, "f4"), compression=9), "memory"),
        (lambda f: f.update({"a": h5py.ExternalLink("/etc/passwd", "/")}), "a link"),
        (lambda f: f.update({"a": h5py.SoftLink("/")}), "a link"),
        (lambda f: f.create_group("a").update({"b": f["a"]}), "twice"),
        (
            lambda f: f.create_dataset("a", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
            "in another file",
        ),
        (
            lambda f: f.create_virtual_dataset("a", h5py.VirtualLayout((9,), "u1"), fillvalue=0),
            "in another file",
        ),
        (lambda f: [f.create_group("/".join("a" * 200))], "groups of weights in each other"),
    ],
)
def test_weights_that_are_not_what_they_seem(tmp_path, fill, words):
    refuse(edit(plain(tmp_path), tmp_path / "m.keras", lambda c: None, weights(fill)), words)


def test_an_archive_cannot_fill_the_memory(tmp_path):
    path = plain(tmp_path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(2**28))
    refuse(path, "would unpack to")


def test_a_configuration_has_a_limit(tmp_path):
    path = edit(plain(tmp_path), tmp_path / "m.keras", lambda c: c.update(a="x" * (2**26 + 1)))
    refuse(path, "config.json in it has")


@pytest.mark.parametrize(
    "item",
    [
        {"class_name": "function", "config": "get_file", "module": "keras.utils"},
        {"class_name": "function", "config": "run", "module": "subprocess"},
        {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
        {
            "class_name": "function",
            "config": "enable_unsafe_deserialization",
            "module": "keras.config",
        },
        {"class_name": "__lambda__", "config": {"value": "4wAAAAAA"}},
    ],
    ids=lambda item: str(item["config"])[:30],
)
@pytest.mark.parametrize("place", ["Lambda", "Dense", "initializer"])
def test_what_runs_code_in_keras_is_refused(tmp_path, monkeypatch, item, place):
    """Patterns of known vulnerabilities of Keras."""
    called = []
    for name, module in (
        ("get_file", keras.utils),
        ("enable_unsafe_deserialization", keras.config),
    ):
        monkeypatch.setattr(module, name, lambda *a, name=name, **k: called.append(name))

    def change(config):
        layer = config["config"]["layers"][1]
        if place == "Lambda":
            layer["class_name"] = "Lambda"
            layer["config"] = {"name": "dense", "function": item, "arguments": {"fname": "x"}}
            layer.pop("build_config", None)
        elif place == "Dense":
            layer["config"]["activation"] = item
        else:
            layer["config"]["kernel_initializer"] = item

    with pytest.raises(UserError):
        load_model(edit(plain(tmp_path), tmp_path / "m.keras", change))
    assert not called


@pytest.mark.parametrize("vocabulary", ["/etc/passwd", "http://127.0.0.1:9/words", "../words.txt"])
def test_a_vocabulary_is_no_file_elsewhere(tmp_path, vocabulary):
    inputs = keras.Input((1,), dtype="string")
    path = tmp_path / "lookup.keras"
    keras.Model(inputs, layers.StringLookup(vocabulary=["a", "b"])(inputs)).save(path)
    change = lambda c: c["config"]["layers"][1]["config"].update(vocabulary=vocabulary)  # noqa: E731
    with pytest.raises(UserError):
        load_model(edit(path, tmp_path / "m.keras", change))


@pytest.mark.parametrize(
    "command", [["predict", "{}", "text"], ["evaluate", "{}", "--data", "sst2"]]
)
def test_a_model_of_no_task_is_told_what_serves_it(tmp_path, capsys, command):
    path = plain(tmp_path)
    assert main([part.format(path) for part in command]) == 2
    message = capsys.readouterr().err
    for words in (str(path), f"python -m export {path}", "export.load('BUNDLE')"):
        assert words in message


def test_a_model_of_no_task_has_no_evaluation(tmp_path):
    from keras_seq.tasks.evaluation import evaluate_run

    with pytest.raises(UserError, match=r"export\.load"):
        evaluate_run(load_model(plain(tmp_path)), None)


def test_run_folders_say_what_is_damaged(tmp_path, models):
    run = tmp_path / "run"
    run.mkdir()
    for content, words in (
        ("[" * 100_000, "nested too deeply"),
        ("[]", "no JSON object"),
        ("{}", "task is no str. Received: None"),
        ('{"task": "classify", "data": [], "settings": {}}', "data is no dict"),
        ('{"task": "classify", "data": {}, "settings": null}', "settings is no dict"),
    ):
        (run / "config.json").write_text(content)
        with speak_command_line(), pytest.raises(UserError) as error:
            TrainedRun.resume(run, "classify")
        assert words in str(error.value)
        assert str(run / "config.json") in str(error.value)
    settings = {"num_layers": HUGE, "backbone": "lstm"}
    config = {"task": "classify", "data": {}, "settings": settings}
    (run / "config.json").write_text(json.dumps(config))
    opened = TrainedRun.resume(run, "classify")
    kind = get_task("classify").settings_class
    for name, value in (("num_layers", HUGE), ("hidden_dim", HUGE), ("hidden_dim", float("nan"))):
        config["settings"] = {"backbone": "lstm", name: value}
        (run / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=name):
            opened.load_settings(kind)
    (run / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match=r"evaluation\.json is damaged"):
        assert opened.evaluation
    (run / "metrics.jsonl").write_text('{"epoch": 1}\n{\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2 is damaged"):
        assert opened.history


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutated")


@given(st.randoms(use_true_random=False))
def test_a_configuration_that_changed_is_used_or_refused(models, folder, draw):
    outcome = try_one("config", draw, folder, models)
    assert outcome.kind in (READ, REFUSED), outcome


@given(st.randoms(use_true_random=False))
@settings(max_examples=2 * settings.default.max_examples)
def test_a_data_file_that_changed_is_read_or_refused(folder, draw):
    outcome = try_one("data", draw, folder, ())
    assert outcome.kind in (READ, REFUSED), outcome


def test_faults_are_found(folder):
    """What is no UserError is one, and so is what does not end."""
    from benchmarks import mutated_files

    def use(path):
        raise KeyError("labels")

    assert mutated_files.try_file("x", b"", folder / "x", use).kind == FAULT
    assert mutated_files.try_file("x", b"", folder / "x", lambda path: None).kind == READ
    assert find_faults(2, kinds=["data"]) == []
    assert inspect.signature(find_faults).parameters["count"]
    seen = [mutated_files.draw_data_file(random.Random(7))[2] for _ in range(2)]
    assert seen[0] == seen[1]
