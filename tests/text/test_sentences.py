import pytest

from keras_seq.text.sentences import split_text


def short(limit):
    return lambda text: len(text) <= limit


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("One. Two.", 20, ["One. Two."]),
        ("One is here. Two!  “Three?” Four", 14, ["One is here.", "Two!", "“Three?”", "Four"]),
        ("A line\nanother line", 14, ["A line", "another line"]),
        ("一句话。两句话！三", 5, ["一句话。", "两句话！", "三"]),
        ("3.5 metres. So it is", 12, ["3.5 metres.", "So it is"]),
        ("first, second, third, end. Next", 15, ["first, second,", "third, end.", "Next"]),
        ("one two three four", 8, ["one two", "three", "four"]),
        ("a " + "x" * 9 + " b", 4, ["a", "xxxx", "xx", "xxx", "b"]),
        ("  \n ", 1, []),
        ("", 1, []),
        ("é", 0, ["é"]),
    ],
)
def test_parts(text, limit, expected):
    assert split_text(text, short(limit)) == expected


@pytest.mark.parametrize("text", [".", "a ", " ", "!'", "\n ", ", ", "x"])
def test_half_a_megabyte_of_anything_takes_no_time(text):
    """Were each place of a run looked at from each before it, it would take an hour."""
    asked = 0

    def fits(part):
        nonlocal asked
        asked += 1
        return len(part) <= 200

    text = "a" + text * 250_000 + "b"
    found = split_text(text, fits)
    assert all(len(part) <= 200 for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert asked < 6 * len(found) + 100


def test_nothing_is_lost_of_a_long_text():
    text = "The quick brown fox, it is said; jumps! Over 犬が好き。です " * 300
    for limit in (3, 17, 40):
        found = split_text(text, short(limit))
        assert "".join("".join(found).split()) == "".join(text.split())
        assert max(map(len, found)) <= limit
