import numpy as np
import pytest

import keras_seq
from keras_seq.errors import UserError


def test_a_run_its_file_and_a_preset_are_loaded_alike(runs):
    from_run, from_file = (
        keras_seq.load(path) for path in (runs["rnn"], runs["rnn"] / "model.keras")
    )
    texts = ["a fine film", ""]
    np.testing.assert_array_equal(
        from_run.predict(texts, verbose=0), from_file.predict(texts, verbose=0)
    )
    assert isinstance(from_run, keras_seq.TextClassifier)
    assert keras_seq.load("preset:sentiment").labels == ["negative", "positive"]


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=r"is a bundle.*export\.load"):
        keras_seq.load(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        keras_seq.load(tmp_path / "none")
