"""Generates dates as people write them in many languages, with their ISO 8601 form."""

import random
from datetime import date
from functools import cache
from typing import Any

from keras_seq.data.corpus import Pairs
from keras_seq.errors import require_positive

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
FORMATS = ("full", "long", "medium")
SKELETONS = ("yMMMd", "yMMMMd", "yMMMEd", "yMMMMEEEEd")
LOCALES = (
    *("en_US", "en_GB", "de", "fr", "es", "it", "pt_BR", "nl", "sv", "nb", "da", "fi", "is", "pl"),
    *("cs", "sk", "hu", "ro", "ca", "gl", "hr", "sl", "lt", "lv", "et", "tr", "id", "ms", "vi"),
    *("sw", "bg", "ru", "uk", "sr", "mk", "kk", "el", "ka", "hy", "he", "ar", "fa", "ur", "hi"),
    *("mr", "bn", "ta", "te", "th", "ko", "ja", "zh_Hans", "zh_Hant"),
)
# The digits of the numbering systems that these locales have as their native ones, from zero on.
_ZEROS = {
    **{"arab": "\u0660", "arabext": "\u06f0", "deva": "\u0966", "beng": "\u09e6"},
    **{"tamldec": "\u0be6", "telu": "\u0c66", "thai": "\u0e50"},
}
_PLAIN_SPACES = str.maketrans("\u00a0\u202f", "  ")  # No keyboard has the ones CLDR puts there.


def make_dates(count: int, seed: int) -> Pairs:
    """Returns pairs of a date in a language and in ISO 8601: "3. März 2026", "2026-03-03".

    The dates lie between 1900 and 2099, in the Gregorian calendar. All sources are different and
    unambiguous: where the month is a number, the order is year, month, day. A language with digits
    of its own is written in these half of the time.

    Args:
        count: Number of pairs; there are about ten million.
        seed: Random seed: it gives the same pairs with the same version of Babel.

    Raises:
        ValueError: If `count` is not a whole number of 1 or more.
        ModuleNotFoundError: If Babel is not installed.
    """
    require_positive(count=count)
    chance = random.Random(seed)
    pairs: dict[str, str] = {}
    ambiguous: set[str] = set()
    while len(pairs) < count:
        patterns = _patterns(chance.choice(LOCALES))
        day = date.fromordinal(chance.randint(FIRST.toordinal(), LAST.toordinal()))
        pattern, locale = chance.choice(patterns)
        source = pattern.apply(day, locale).translate(_PLAIN_SPACES)
        if chance.random() < 0.5:
            source = source.translate(_native_digits(locale))
        # Babel's next data may have two dates in the same words, though none today.
        if source not in ambiguous and pairs.setdefault(source, day.isoformat()) != day.isoformat():
            ambiguous.add(source)
            del pairs[source]
    return Pairs(list(pairs), list(pairs.values()))


@cache
def _patterns(name: str) -> tuple[tuple[Any, Any], ...]:
    """Returns the unambiguous patterns of a locale, each with the locale."""
    from babel import Locale

    locale = Locale.parse(name)
    patterns = [locale.date_formats[format] for format in FORMATS]
    skeletons = locale.datetime_skeletons
    patterns += [skeletons[skeleton] for skeleton in SKELETONS if skeleton in skeletons]
    different = {pattern.pattern: pattern for pattern in patterns if _is_clear(pattern.pattern)}
    return tuple((pattern, locale) for pattern in different.values())


@cache
def _native_digits(locale: Any) -> dict[int, str]:
    """Returns a table for `str.translate`; empty where a locale writes digits as English does."""
    zero = _ZEROS.get(locale.other_numbering_systems.get("native", ""))
    return {} if zero is None else {ord(str(i)): chr(ord(zero) + i) for i in range(10)}


def _is_clear(pattern: str) -> bool:
    """Returns whether the month is in letters (MMM, MMMM), or a number between year and day.

    10.11.2026 is in October or in November, 2026/10/11 in October.
    """
    from babel.dates import tokenize_pattern

    fields = [value for kind, value in tokenize_pattern(pattern) if kind == "field"]
    widths = {letter: width for letter, width in fields if letter in "yMd"}
    if sorted(widths) != ["M", "d", "y"] or widths["y"] == 2:  # A year of two digits.
        return False
    return widths["M"] > 2 or list(widths) == ["y", "M", "d"]
