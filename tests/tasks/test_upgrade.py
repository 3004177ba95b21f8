"""Model files of before the embedding left the backbone answer as they did.

The files in `earlier/` were saved, and `answers.json` computed, by the code of commit 01b14dc.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_seq.models import load_model

EARLIER = Path(__file__).parent / "earlier"
ANSWERS = json.loads((EARLIER / "answers.json").read_text())


@pytest.mark.parametrize("name", ANSWERS)
def test_earlier_files_answer_as_they_did(name):
    model = load_model(EARLIER / f"{name}.keras")
    rows = np.random.default_rng(0).integers(4, model.tokenizer.vocabulary_size, (2, 12))
    rows = rows.astype("int32")
    rows[1, 7:] = 0
    output = np.ravel(model((rows, rows) if name.startswith("translator") else rows))
    found = output[:: max(1, output.size // 12)]
    np.testing.assert_allclose(found, ANSWERS[name], atol=2e-6)


def test_an_upgraded_file_is_saved_as_a_current_one(tmp_path):
    model = load_model(EARLIER / "generator.keras")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_keras_itself_names_the_function_that_upgrades():
    with pytest.raises(Exception, match=r"keras_seq\.models\.load_model"):
        keras.saving.load_model(EARLIER / "generator.keras")
