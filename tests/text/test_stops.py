"""Stop texts in a graph against those of a stream."""

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.text.stops import cut_at_stops, find_stops
from keras_seq.text.streaming import TextStream
from keras_seq.text.utf8 import pack_texts

ALPHABET = "abé€🎉\0"


def cut(texts, stops):
    arrays = (*pack_texts(texts), *pack_texts(stops))
    content, length = map(keras.ops.convert_to_numpy, cut_at_stops(*arrays))
    for row, size in zip(content, length, strict=True):
        assert not row[size:].any()
    return [row[:size].tobytes() for row, size in zip(content, length, strict=True)]


def streamed(text, stops):
    stream = TextStream(stops)
    return stream.feed(text) + stream.finish()


@given(
    st.lists(st.text(ALPHABET, max_size=12), min_size=1, max_size=3),
    st.lists(st.text(ALPHABET, min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_as_a_stream_does(texts, stops):
    found = cut([text.encode() for text in texts], [stop.encode() for stop in stops])
    assert [text.decode() for text in found] == [streamed(t.encode(), stops) for t in texts]


@given(st.binary(max_size=12), st.lists(st.sampled_from(["a", "é", "aé"]), min_size=1))
def test_bytes_that_are_no_characters(text, stops):
    text = text + b"\xc3a\xe2\x82" + text + b"\xc3\xa9"
    (found,) = cut([text], [stop.encode() for stop in stops])
    assert found.decode("utf-8", "replace") == streamed(text, stops)


def test_which_of_several_wins():
    cases = {
        ("cd", "bcde"): b"xab",  # complete first
        ("bc", "abc", "c"): b"x",  # complete at the same byte: the longest
        ("e", "zzz"): b"xabcd",
        ("ef",): b"xabcde",  # no further than the text
        ("",): b"xabcde",
    }
    for stops, expected in cases.items():
        assert cut([b"xabcde"], [stop.encode() for stop in stops]) == [expected]


def test_rows_and_padding():
    text, length = pack_texts([b"a|b", b"none", b""])
    stop = np.zeros((3, 8), "uint8")
    stop[1, 0] = ord("|")
    found = find_stops(text, length, stop, np.array([0, 1, 0], "int32"))
    assert keras.ops.convert_to_numpy(found).tolist() == [1, 4, 0]
