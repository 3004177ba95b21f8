"""Exported classifiers in LiteRT.js and onnxruntime-web, in Chromium."""

import numpy as np
import pytest

from keras_seq.tasks.loading import find_model
from keras_seq.text.utf8 import pack_texts, to_bytes

TEXTS = [
    "A wonderful film: warm, funny, and over far too soon.",
    "",
    "这部电影 mixed 👩\u200d👩\u200d👧 \u2581 <s>",
    b"\xff not \xe4\xbd a text",
]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["lstm", "transformer"])
def test_raw_text_in_the_browser(in_the_browser, bundles, runs, backbone):
    """The trained classifiers, from UTF-8 bytes to probabilities, in both runtimes."""
    model, _ = find_model(runs[backbone])
    inputs, wanted = [], []
    for text in TEXTS:
        rows, length = pack_texts([to_bytes(text)])
        inputs.append({"text": rows, "length": length})
        token_ids = np.zeros((1, 66), "int32")
        (ids,) = model.tokenizer.encode([text])
        token_ids[0, : len(ids)] = ids
        wanted.append(model.predict(token_ids, verbose=0))
    for runtime, found in in_the_browser(bundles[backbone], "classify_text", inputs).items():
        for text, answer, expected in zip(TEXTS, found, wanted, strict=True):
            np.testing.assert_allclose(
                answer["probabilities"], expected.ravel(), atol=1e-5, err_msg=f"{runtime}: {text}"
            )
