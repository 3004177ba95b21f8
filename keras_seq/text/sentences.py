"""Splits a long text into parts that are short enough, where a reader would pause."""

import re
from collections.abc import Callable, Iterator

# Ends of sentences, clauses and words, also in writing without spaces. The space between two parts
# belongs to the first. A run of signs or spaces is matched from its beginning only: matched from
# each of its positions, a megabyte of dots would take hours.
SENTENCES = re.compile(
    r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++|[。！？]++[」』”’）]*+\s*+|(?<!\s)\s*\n\s*+)"
)
CLAUSES = re.compile(r"(?:[;:,]\s++|[；：，、]\s*+|(?<!\s)\s++(?=[–—(]))")
WORDS = re.compile(r"\s+")


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Splits a text into parts that fit, in order.

    A text that doesn't fit is split into sentences, a sentence that doesn't fit into clauses, these
    into words, as many together as fit, and a word anywhere.

    Args:
        text: The text.
        fits: Whether a text is short enough. Parts of a text that fits must fit, too.

    Returns:
        The parts without the space between them; none for a text of spaces. A single character is
        a part whether it fits or not.
    """
    text = text.strip()
    if not text or fits(text):
        return [text] if text else []
    parts = []
    for sentence in _split(text, SENTENCES):
        parts += [sentence] if fits(sentence.strip()) else _pack(sentence, fits, CLAUSES, WORDS)
    return [part for part in map(str.strip, parts) if part]


def _pack(text: str, fits: Callable[[str], bool], *cuts: re.Pattern[str]) -> list[str]:
    if not cuts:
        return _halve(text.strip(), fits)
    pieces = list(_split(text, cuts[0]))
    parts = []
    start, count = 0, 1
    while start < len(pieces):
        count = _find_largest(
            lambda n, start=start: fits("".join(pieces[start : start + n]).strip()),
            len(pieces) - start,
            count,
        )
        if count:
            parts.append("".join(pieces[start : start + count]))
            start += count
        else:
            parts += _pack(pieces[start], fits, *cuts[1:])
            start += 1
    return parts


def _find_largest(fits: Callable[[int], bool], limit: int, guess: int) -> int:
    """Returns the largest number up to `limit` that fits; all below fit, `guess` is near it."""
    low, high = 0, limit + 1
    number, step = min(max(guess, 1), limit), 1
    while high - low > 1:
        if fits(number):
            low, number = number, number + step
        else:
            high, number = number, number - step
        step *= 2
        if not low < number < high:
            number = (low + high) // 2
    return low


def _halve(text: str, fits: Callable[[str], bool]) -> list[str]:
    if len(text) < 2 or fits(text):
        return [text]
    middle = len(text) // 2
    return _halve(text[:middle], fits) + _halve(text[middle:], fits)


def _split(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in cut.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    yield text[start:]
