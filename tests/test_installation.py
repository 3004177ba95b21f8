"""The commands that install what is missing, and the errors that name them."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from keras_seq import installation
from keras_seq.errors import UserError

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEVELOPMENT = ("test", "bench", "learn")


def packages(extra):
    for line in PROJECT["optional-dependencies"][extra]:
        name, inner = re.match(r"([\w-]+)(?:\[([\w,]+)\])?", line).groups()
        if name == "keras-seq":
            for other in inner.split(","):
                yield from packages(other)
        else:
            yield name


def test_every_package_of_an_extra_is_known():
    modules = {"scikit-learn": "sklearn"}
    extras = set(PROJECT["optional-dependencies"]) - set(DEVELOPMENT)
    assert extras == set(installation.PURPOSES)
    known = {
        modules.get(name, name.replace("-", "_")) for extra in extras for name in packages(extra)
    }
    assert known == set(installation.EXTRAS)
    for module, extra in installation.EXTRAS.items():
        assert module in {modules.get(n, n.replace("-", "_")) for n in packages(extra)}


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///a/b%20c", "dir_info": {"editable": True}}, '-e "/a/b c[onnx]"'),
        ({"url": "file:///a/b", "dir_info": {}}, '"/a/b[onnx]"'),
        ({"url": ROOT.as_uri(), "dir_info": {"editable": True}}, '-e ".[onnx]"'),
        (
            {"url": "file:///w/keras_seq-0.1.0-py3-none-any.whl", "archive_info": {}},
            '"keras-seq[onnx] @ file:///w/keras_seq-0.1.0-py3-none-any.whl"',
        ),
        (
            {"url": "https://x.org/k.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            '"keras-seq[onnx] @ git+https://x.org/k.git@abc"',
        ),
        (None, '"keras-seq[onnx]"'),
    ],
)
def test_the_command_installs_from_where_the_package_came(monkeypatch, origin, command):
    class Distribution:
        def read_text(self, name):
            return json.dumps(origin) if origin and name == "direct_url.json" else None

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution())
    assert installation.install_command("onnx") == f"pip install {command}"


def test_without_keras_an_error_names_the_extra():
    code = """
        import sys
        sys.modules["keras"] = None
        import keras_seq
        for use in (lambda: keras_seq.TextClassifier, lambda: keras_seq.layers.LSTM,
                    lambda: keras_seq.export.export("model.keras", "bundle")):
            try:
                use()
            except ImportError as error:
                print(type(error).__name__, error)
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = found.stdout.splitlines()
    assert len(lines) == 3, found.stdout
    for line in lines:
        assert line.startswith("MissingPackageError keras is not installed. To train and export: ")
        assert installation.install_command("train") in line


def test_other_missing_modules_are_left_as_they_are():
    error = ModuleNotFoundError("No module named 'mine'", name="mine")
    assert installation.explain_missing(error) is error


def test_every_install_line_in_the_documents_works_as_written():
    """From a checkout, or of a package that an index has."""
    extras = "|".join(PROJECT["optional-dependencies"])
    own = rf'(-e )?(--no-cache-dir )?"\.\[({extras})(,({extras}))*\]"'
    wheel = r'"keras_seq-[\w{}.]+-py3-none-any\.whl\[[\w,{}]+\]"'
    found = 0
    for path in [ROOT / "README.md", ROOT / "Dockerfile", *ROOT.glob("docs/**/*.md"),
                 *ROOT.glob("export/**/*.py"), *ROOT.glob("keras_seq/**/*.py"),
                 *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("mobile_demo/scripts/*.mjs")]:  # fmt: skip
        if path.name in ("installation.py", "card.py"):
            continue
        for line in re.findall(r"pip install (.*)", path.read_text()):
            found += 1
            is_package = re.match(
                r"(tensorflow|onnxruntime-gpu|\{module\(name\)\.REQUIRES\})", line
            )
            assert re.match(own, line) or re.match(wheel, line) or is_package, (path, line)
    assert found > 15


def test_a_notebook_shows_the_reader_s_lines_and_the_message(tmp_path):
    script = tmp_path / "cell.py"
    script.write_text("import export\n\n\ndef open_it():\n    return export.load('nowhere')\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from cell import open_it

        with pytest.raises(UserError) as caught:
            open_it()
    finally:
        sys.path.remove(str(tmp_path))
    shown = "\n".join(caught.value._render_traceback_())
    assert "return export.load('nowhere')" in shown
    assert "loaded.py" not in shown
    assert shown.splitlines()[-1].startswith("UserError: ")
    assert len(shown.splitlines()) < 10
