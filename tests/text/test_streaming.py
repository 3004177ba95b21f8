import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_seq.streaming import TextStream


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
    # A stop that ends first ends the text; where two may end, it is the one known first.
    ends = {text.index(s) + len(s): text.index(s) for s in stop if s in text}
    if not ends:
        assert found == text
    else:
        assert text.startswith(found)
        assert len(found) <= max(ends.values())
        assert not any(s in found for s in stop)


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
