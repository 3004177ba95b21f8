"""The program of docs/guides/javascript.md, run as it is written there, in Node and in Chromium."""

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import export
from tests.export.conftest import WEB

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "javascript.md"
# The bundles of the guide are presets, which take minutes to export: small ones stand for them.
STAND_INS = {"sentiment": "mood", "en-de": "en-de", "shakespeare": "bard"}
FILM = "A wonderful film: warm, funny, and over far too soon."
LADDER = "A man in a blue shirt is standing on a ladder."
RANDOM = 0.3  # What Math.random returns here, so that Python draws the same: letters, most of them.
SETTINGS = {"temperature": 0.8, "top_p": 0.95}

pytestmark = pytest.mark.filterwarnings("ignore:.*texts are too long")


@pytest.fixture(scope="module")
def browser(chromium):
    return chromium(WEB)


@pytest.fixture(scope="module")
def app(browser, served, tmp_path_factory):
    """A reader's folder: the files of the guide, the packages it installs, and the bundles."""
    folder = tmp_path_factory.mktemp("app")
    saved = r"^Save this as `(\S+)`.*:\n\n```\w+\n([\s\S]*?)^```"
    blocks = re.findall(saved, GUIDE.read_text("utf-8"), re.M)
    assert [name for name, _ in blocks] == ["bundle.mjs", "ask.mjs", "index.html"]
    for name, code in blocks:
        (folder / name).write_text(code, "utf-8")
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    (folder / "bundles").mkdir()
    for name, stand_in in STAND_INS.items():
        bundle = folder / "bundles" / name
        bundle.symlink_to(served / stand_in)
        signature = json.loads((bundle / "manifest.json").read_text("utf-8"))["entry"]["signature"]
        assert (bundle / "onnx" / "weights.bin").stat().st_size > 10_000
        assert b"weights.bin" in (bundle / "onnx" / f"{signature}.onnx").read_bytes()
    return folder


@pytest.fixture(scope="module")
def python(served):
    """`python(name)`: what stands for a bundle of the guide, in Python."""
    return lambda name: export.load(served / STAND_INS[name], "onnx")


def written_text(outputs):
    """The first text that a signature wrote."""
    length = int(outputs["length"].flat[0])
    return (
        outputs["text"]
        .reshape(-1, outputs["text"].shape[-1])[0, :length]
        .tobytes()
        .decode("utf-8", "replace")
    )


def continued(loaded, prompt):
    """A prompt and what the generator writes after it."""
    uniforms = np.full((1, loaded.manifest["limits"]["max_new_tokens"]), RANDOM, "float32")
    return prompt + written_text(loaded.generate_text([prompt], uniforms=uniforms, **SETTINGS))


def assert_shows(shown, classifier, text):
    """A line for each label, with its probability."""
    lines = dict(line.split(" ") for line in shown.split("\n"))
    assert list(lines) == classifier.labels
    wanted = classifier.classify_text([text])["probabilities"][0]
    np.testing.assert_allclose([float(value) for value in lines.values()], wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime-node", "onnxruntime-web"])
def test_the_program_in_node(app, python, runtime):
    """As it is written, and with the other runtime, as the guide says."""
    code = (app / "ask.mjs").read_text("utf-8")
    assert code.count("'onnxruntime-node'") == 1
    program = app / f"ask_{runtime}.mjs"
    program.write_text(code.replace("'onnxruntime-node'", f"'{runtime}'"), "utf-8")
    random = f"data:text/javascript,Math.random = () => {RANDOM}"
    process = subprocess.run(
        ["node", "--import", random, program.name],
        cwd=app,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    printed = process.stdout.decode()

    translation = python("en-de").translate_text([LADDER])
    text = re.escape(written_text(translation))
    found = re.fullmatch(
        rf"(bad \S+\ngood \S+)\n{text} (\S+)\n{re.escape(continued(python('shakespeare'), 'ROMEO:'))}\n",
        printed,
    )
    assert found, printed
    assert_shows(found[1], python("sentiment"), FILM)
    assert float(found[2]) == pytest.approx(translation["scores"][0, 0], abs=1e-4)


@contextmanager
def served_at(folder):
    """The address of a folder behind `python -m http.server`."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_the_page_in_chromium(app, browser, python):
    classifier, generator = python("sentiment"), python("shakespeare")
    texts = ["A slow film, 这部电影.", ""]
    steps = [(text, button) for text in texts for button in ("classify", "continue")]
    with served_at(app) as address:
        process = subprocess.run(
            ["node", "press.mjs", address, str(RANDOM), json.dumps(steps)],
            cwd=WEB,
            env={**os.environ, "CHROMIUM": browser},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert process.returncode == 0, process.stderr
    shown = json.loads(process.stdout)
    for text, classified, written in zip(texts, shown[::2], shown[1::2], strict=True):
        assert_shows(classified, classifier, text)
        assert written == continued(generator, text)


def test_the_packages_of_the_guide_are_those_of_the_tests():
    """What a reader installs is what runs here."""
    (line,) = re.findall(r"^npm install (.*)$", GUIDE.read_text("utf-8"), re.M)
    packages = [word for word in line.split() if not word.startswith("--")]
    pinned = json.loads((WEB / "package.json").read_text("utf-8"))["dependencies"]
    assert packages
    assert set(packages) <= set(pinned)
