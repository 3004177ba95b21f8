"""A long text in parts that are short enough, cut where a reader would pause."""

import re
from collections.abc import Callable, Iterator

# Ends of sentences, of clauses, of words; of writing without spaces, too. What is between two parts
# belongs to the first.
SENTENCES = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*\s+|[。！？]+[」』”’）]*\s*|\s*\n\s*)")
CLAUSES = re.compile(r"(?:[;:,]\s+|[；：，、]\s*|\s+(?=[–—(]))")
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
    found = [""]
    for piece in _split(text, cuts[0]):
        if fits((found[-1] + piece).strip()):
            found[-1] += piece
        elif fits(piece.strip()):
            found.append(piece)
        else:
            found += [*_packed(piece, fits, *cuts[1:]), ""]
    return found


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
