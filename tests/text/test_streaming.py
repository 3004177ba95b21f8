import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.text.streaming import TextStream


@given(
    text=st.text(alphabet="abé€😀 ", max_size=30),
    stop=st.lists(st.text(alphabet="abé€", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_however_it_comes_it_ends_before_the_first_stop(text, stop, cuts):
    content = text.encode()
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    stream = TextStream(stop)
    found = "".join(
        stream.feed(content[a:b]) for a, b in zip(places, [*places[1:], len(content)], strict=True)
    )
    found += stream.finish()
    # Of each beginning of the text, a character longer than the last, whether a stop ends it.
    beginnings = (text[:end] for end in range(1, len(text) + 1))
    ended = next((b for b in beginnings if any(b.endswith(s) for s in stop)), None)
    if ended is None:
        assert found == text
    else:
        assert found == ended[: -max(len(s) for s in stop if ended.endswith(s))]


def test_what_may_be_a_stop_is_held_back():
    stream = TextStream(["END"])
    assert [stream.feed(piece) for piece in (b"aE", b"N", b"x", b"EN", b"D!")] == [
        "a",
        "",
        "ENx",
        "",
        "",
    ]
    assert stream.stopped
    assert stream.finish() == ""


@pytest.mark.parametrize(("content", "text"), [(b"\xe2\x82", "\ufffd"), (b"a\xff", "a\ufffd")])
def test_what_is_no_character(content, text):
    stream = TextStream()
    assert stream.feed(content) + stream.finish() == text
