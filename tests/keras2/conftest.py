"""Keras 2 makes its layers as quickly for the tests as for reading a file."""

import pytest

from keras_seq.keras2.files import one_implementation


@pytest.fixture(autouse=True)
def quick_loops():
    with one_implementation():
        yield
