import pytest

from keras_seq.errors import UserError, speak_command_line
from keras_seq.tasks.loading.imports import import_files

SOURCE = """
from functools import partial

class Pool: ...
def act(x): return x
def build(): return Pool()
_hidden = 1
"""


def test_the_classes_and_functions_of_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    imported = import_files([str(tmp_path / "mine.py")])
    assert imported.build is None
    assert imported.own_names() == ["Pool", "act", "build"]
    assert {"Pool", "act", "partial"} <= set(imported.objects)


def test_a_function_that_builds_the_model(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    imported = import_files([f"{tmp_path / 'mine.py'}:build"])
    assert type(imported.build()).__name__ == "Pool"
    with pytest.raises(UserError, match="has no function make. It has: act, build"):
        import_files([f"{tmp_path / 'mine.py'}:make"])


def test_a_module_by_its_name():
    assert "import_files" in import_files(["keras_seq.tasks.loading.imports"]).objects


def test_a_file_that_fails(tmp_path):
    (tmp_path / "mine.py").write_text("1 / 0")
    with speak_command_line():
        with pytest.raises(UserError, match=r"--import .*mine\.py: ZeroDivisionError"):
            import_files([str(tmp_path / "mine.py")])
        with pytest.raises(UserError, match=r"--import none\.py: FileNotFoundError"):
            import_files(["none.py"])
