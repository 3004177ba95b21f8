"""Every engine gives the same ids: `benchmarks.tokenizers` on 5,000 of its strings."""

import os

import pytest

from benchmarks.tokenizers import CONTENDERS, REFERENCE, compared, javascript

STRINGS = 5000
NAMES = [name for name in CONTENDERS if name != REFERENCE]


@pytest.fixture(scope="module")
def found():
    names = [name for name in NAMES if name != "tokenizers.js" or javascript() is not None]
    return dict(compared(names, STRINGS, os.environ.get("KERAS_SEQ_DATA")))


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_that_models_are_trained_on(found, name):
    if name not in found:
        message = "Needs Node and: npm --prefix tests/web ci"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    result = found[name]
    # Of the strings a tenth, about, are no UTF-8, which others do not take.
    assert result.strings == STRINGS or 0.85 < result.strings / STRINGS < 0.95
    assert (result.strings == STRINGS) == CONTENDERS[name].any_bytes
    assert result.mismatches == 0, result.examples
