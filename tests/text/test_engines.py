"""Every engine gives the same ids: `benchmarks.tokenizers` on 5,000 of its strings."""

import os

import pytest

from benchmarks.tokenizers import CONTENDERS, compared, javascript

STRINGS = 5000


@pytest.fixture(scope="module")
def found():
    names = list(CONTENDERS)
    if javascript() is None:
        names.remove("tokenizers.js")
    return dict(compared(names, STRINGS, os.environ.get("KERAS_SEQ_DATA")))


@pytest.mark.parametrize("name", CONTENDERS)
def test_ids_are_those_that_models_are_trained_on(found, name):
    if name not in found:
        message = "Needs Node and: npm --prefix tests/web ci"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    result = found[name]
    # Of the strings a tenth, about, are no UTF-8, which others do not take.
    assert result.strings == STRINGS or 0.85 < result.strings / STRINGS < 0.95
    assert (result.strings == STRINGS) == CONTENDERS[name].any_bytes
    assert result.mismatches == 0, result.examples
