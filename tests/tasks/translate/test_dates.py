import re
import unicodedata
from datetime import date, datetime

import babel
import pytest
from babel.dates import parse_pattern

from keras_seq.tasks import load_corpus
from keras_seq.tasks.translate import dates as module
from keras_seq.tasks.translate.dates import LOCALES, make_dates

GERMAN = [
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
    *("Oktober", "November", "Dezember"),
]


@pytest.fixture(scope="module")
def pairs():
    made = make_dates(20_000, seed=7)
    return list(zip(made.sources, made.targets, strict=True))


def matched(pairs, pattern):
    found = [(re.fullmatch(pattern, text), iso) for text, iso in pairs]
    return [(match.groups(), iso) for match, iso in found if match]


def test_as_many_as_asked_for_and_all_different(pairs):
    assert len({source for source, _ in pairs}) == len(pairs) == 20_000


def test_each_target_is_a_day_of_the_range_whose_year_and_day_the_source_has(pairs):
    for source, target in pairs:
        day = date.fromisoformat(target)
        assert date(1900, 1, 1) <= day <= date(2099, 12, 31)
        numbers = [int(number) for number in re.findall(r"\d+", source)]
        assert day.year in numbers
        assert day.day in numbers
    assert len({target[:4] for _, target in pairs}) == 200
    assert len({target[5:] for _, target in pairs}) >= 365


def test_american_dates_read_back(pairs):
    """By the standard library, which knows English only."""
    read = 0
    for source, target in pairs:
        if re.fullmatch(r"\w+day, [A-Z]\w+ \d+, \d+", source):
            day = datetime.strptime(source, "%A, %B %d, %Y").date()
            assert f"{day:%A}" == source.split(",")[0]
            assert day.isoformat() == target
            read += 1
    assert read > 50


def test_german_and_chinese_dates_read_back(pairs):
    german = matched(pairs, rf"(\d+)\. ({'|'.join(GERMAN)}) (\d+)")
    assert len({month for (_, month, _), _ in german}) == 12
    for (day, month, year), iso in german:
        assert iso == f"{year}-{GERMAN.index(month) + 1:02}-{int(day):02}"
    chinese = matched(pairs, r"(\d+)年(\d+)月(\d+)日.*")
    assert len(chinese) > 200
    for numbers, iso in chinese:
        assert iso == "{:04}-{:02}-{:02}".format(*map(int, numbers))


def test_numbers_alone_are_written_year_month_day(pairs):
    """10.11.2026 is in October or in November."""
    assert not matched(pairs, r".*\b\d\d?\s*([./-])\s*\d\d?\s*[./-]\s*\d{4}.*")
    first = matched(pairs, r"(\d{4})[./-] ?(\d\d?)[./-] ?(\d\d?)\b.*")
    assert len(first) > 100
    for numbers, iso in first:
        assert iso == "{:04}-{:02}-{:02}".format(*map(int, numbers))


def test_many_languages_and_scripts(pairs):
    everything = "\n".join(source for source, _ in pairs)
    names = {babel.Locale.parse(name).days["format"]["wide"][2] for name in LOCALES}
    assert len([name for name in names if name in everything]) >= 40
    letters = {letter for letter in everything if letter.isalpha()}
    assert len({unicodedata.name(letter).split()[0] for letter in letters}) >= 12
    assert not {"\u00a0", "\u202f", "\u200f"} & set(everything)


def test_digits_of_a_language_are_those_that_unicode_says(pairs):
    """Of its block, which is named for its script; they have the value of the digits they are."""
    blocks = {"ARABIC-INDIC": 0, "EXTENDED": 0, "DEVANAGARI": 0, "BENGALI": 0, "THAI": 0}
    blocks |= {"TAMIL": 0, "TELUGU": 0}
    for source, target in pairs:
        digits = [letter for letter in source if letter.isdecimal() and not letter.isascii()]
        if digits:
            (block,) = {unicodedata.name(digit).split()[0] for digit in digits}
            blocks[block] += 1
            assert not re.search("[0-9]", source)
            day = date.fromisoformat(target)
            assert {day.year, day.day} <= set(map(int, re.findall(r"\d+", source)))
    assert len(blocks) == 7
    assert min(blocks.values()) > 50


def test_no_words_of_any_language_are_those_of_two_dates():
    """Of every pattern, on every day of a year."""
    days: dict[str, date] = {}
    for name in LOCALES:
        for pattern, locale in module._patterns(name):
            for day in range(date(2024, 1, 1).toordinal(), date(2025, 1, 1).toordinal()):
                day = date.fromordinal(day)
                assert days.setdefault(pattern.apply(day, locale), day) == day
    assert len(days) > 50_000


def test_words_of_two_dates_are_left_out(monkeypatch):
    locale = babel.Locale.parse("en")
    patterns = tuple((parse_pattern(pattern), locale) for pattern in ("y", "MMMM d, y"))
    monkeypatch.setattr(module, "_patterns", lambda name: patterns)
    made = make_dates(5_000, seed=0)
    assert len(made) == 5_000
    assert not [source for source in made.sources if source.isdecimal()]


def test_a_seed_says_which():
    assert make_dates(300, seed=1) == make_dates(300, seed=1)
    assert not set(make_dates(300, seed=1).sources) & set(make_dates(300, seed=2).sources)


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_refused_counts(count):
    with pytest.raises(ValueError, match=f"count.*{count}"):
        make_dates(count, seed=0)


def test_the_registry_has_them_in_three_parts():
    corpus = load_corpus("translate", "dates")
    parts = [corpus.train, corpus.validation, corpus.held_out]
    assert [len(part) for part in parts] == [25_000, 500, 1_000]
    assert len({source for part in parts for source in part.sources}) == 26_500
    assert corpus.details == {"source": "text", "target": "iso", "dropped": 0}
