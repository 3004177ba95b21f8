import keras
import numpy as np
import pytest

from keras_seq.errors import UserError
from keras_seq.training.checkpoints import Checkpoints


def variables(value=0.0):
    return [
        keras.Variable(np.full((2, 3), value, "float32")),
        keras.Variable(np.array([7, int(value)], "uint32"), trainable=False, dtype="uint32"),
        keras.Variable(value),
    ]


def values(found):
    return [np.asarray(v.value).tolist() for v in found]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    for step in (1, 20, 300):
        checkpoints.save(step, variables(step), {"step": step, "best": 0.1 + step})
    return checkpoints


def test_the_last_two_are_kept_and_the_last_restored(checkpoints):
    assert files(checkpoints.folder) == ["step-0000000020.npz", "step-0000000300.npz"]
    found = variables()
    assert checkpoints.restore(found) == {"step": 300, "best": 300.1}
    assert values(found) == values(variables(300))


def test_floats_come_back_bit_for_bit(tmp_path):
    exact = np.random.default_rng(0).normal(size=1000).astype("float32")
    exact[:3] = np.float32([1e-45, -0.0, np.inf])
    Checkpoints(tmp_path).save(1, [keras.Variable(exact)], {"loss": 0.1 + 0.2})
    found = [keras.Variable(np.zeros(1000, "float32"))]
    assert Checkpoints(tmp_path).restore(found) == {"loss": 0.1 + 0.2}
    assert np.asarray(found[0].value).tobytes() == exact.tobytes()


def test_nothing_to_restore(tmp_path):
    found = variables(3)
    assert Checkpoints(tmp_path / "none").restore(found) is None
    assert values(found) == values(variables(3))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_cut_short_one_is_passed_over(checkpoints, share, capsys):
    path = checkpoints.folder / "step-0000000300.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    found = variables()
    assert checkpoints.restore(found)["step"] == 20
    assert values(found) == values(variables(20))
    assert "step-0000000300.npz is damaged" in capsys.readouterr().err


def test_a_changed_byte_is_found(checkpoints):
    path = checkpoints.folder / "step-0000000300.npz"
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(300).tobytes())] ^= 1
    path.write_bytes(content)
    assert checkpoints.restore(variables())["step"] == 20


def test_what_was_being_written_does_not_count_and_is_removed(checkpoints, monkeypatch):
    def stop(descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(999, variables(999), {"step": 999})
    assert len(files(checkpoints.folder)) == 3
    assert checkpoints.restore(variables())["step"] == 300
    assert files(checkpoints.folder) == ["step-0000000020.npz", "step-0000000300.npz"]


def test_another_model(checkpoints):
    with pytest.raises(UserError, match=r"step-0000000300.npz is not a checkpoint of this model"):
        checkpoints.restore(variables()[:2])
    assert len(files(checkpoints.folder)) == 2
