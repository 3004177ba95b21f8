"""Every engine gives the same ids: `benchmarks.tokenizers` on 3,000 of its strings."""

import os

import pytest

from benchmarks.tokenizers import CONTENDERS, REFERENCE, javascript, prepared, work

pytestmark = pytest.mark.slow

STRINGS = 3000
NAMES = [name for name in CONTENDERS if name != REFERENCE]


@pytest.fixture(scope="module")
def model_and_lines():
    return prepared(STRINGS, os.environ.get("KERAS_SEQ_DATA"))


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_that_models_are_trained_on(model_and_lines, name):
    if name == "tokenizers.js" and javascript() is None:
        message = "Needs Node and: npm --prefix tests/web ci"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    result = work(name, *model_and_lines, STRINGS)
    # Of the strings a tenth, about, are no UTF-8, which others do not take.
    assert result.strings == STRINGS or 0.85 < result.strings / STRINGS < 0.95
    assert (result.strings == STRINGS) == CONTENDERS[name].any_bytes
    assert result.mismatches == 0, result.examples
