"""A long text in parts that are short enough, cut where a reader would pause."""

import re
from collections.abc import Callable, Iterator

# Ends of sentences, of clauses, of words; of writing without spaces, too. What is between two parts
# belongs to the first. A run of signs or of spaces is looked at from its beginning alone: from each
# of its places, a megabyte of dots would take hours.
SENTENCES = re.compile(
    r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++|[。！？]++[」』”’）]*+\s*+|(?<!\s)\s*\n\s*+)"
)
CLAUSES = re.compile(r"(?:[;:,]\s++|[；：，、]\s*+|(?<!\s)\s++(?=[–—(]))")
WORDS = re.compile(r"\s+")


def parts(text: str, fits: Callable[[str], bool]) -> list[str]:
    """`text` in parts that fit, in their order.

    A text that does not fit is cut into sentences. A sentence that does not is cut into clauses,
    these into words, of which as many as fit stay together, and a word anywhere.

    Args:
        text: Anything.
        fits: Whether a text is short enough; a part of one that is, is too.

    Returns:
        The parts without the space between them; none of a text of spaces. A single character
        stays, whether it fits or not.
    """
    text = text.strip()
    if not text or fits(text):
        return [text] if text else []
    found = []
    for sentence in _split(text, SENTENCES):
        found += [sentence] if fits(sentence.strip()) else _packed(sentence, fits, CLAUSES, WORDS)
    return [part for part in map(str.strip, found) if part]


def _packed(text: str, fits: Callable[[str], bool], *cuts: re.Pattern[str]) -> list[str]:
    if not cuts:
        return _halved(text.strip(), fits)
    pieces = list(_split(text, cuts[0]))
    found = []
    start, count = 0, 1
    while start < len(pieces):
        count = _most(
            lambda n, start=start: fits("".join(pieces[start : start + n]).strip()),
            len(pieces) - start,
            count,
        )
        if count:
            found.append("".join(pieces[start : start + count]))
            start += count
        else:
            found += _packed(pieces[start], fits, *cuts[1:])
            start += 1
    return found


def _most(fits: Callable[[int], bool], limit: int, guess: int) -> int:
    """The largest number up to `limit` that fits, as all below it do; `guess` is near it."""
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


def _halved(text: str, fits: Callable[[str], bool]) -> list[str]:
    if len(text) < 2 or fits(text):
        return [text]
    middle = len(text) // 2
    return _halved(text[:middle], fits) + _halved(text[middle:], fits)


def _split(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in cut.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    yield text[start:]
