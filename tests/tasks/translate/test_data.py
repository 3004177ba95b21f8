import json

import pytest

from keras_seq.data import Pairs
from keras_seq.data.reading import read_columns
from keras_seq.errors import UserError
from keras_seq.tasks import load_corpus
from keras_seq.tasks.translate.data import PairSource

ROWS = [(f"sentence {i}", f"Satz {i}") for i in range(200)]


def parts(corpus):
    return [corpus.train, corpus.validation, corpus.held_out]


def rows(corpus):
    return [row for part in parts(corpus) for row in zip(part.sources, part.targets, strict=True)]


@pytest.fixture
def aligned(tmp_path):
    """`aligned(one, other)` writes two files and names them as a user does."""

    def write(one, other):
        files = tmp_path / "corpus.en", tmp_path / "corpus.de"
        for file, content in zip(files, (one, other), strict=True):
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"{files[0]},{files[1]}"

    return write


def test_equal_sources_stay_on_one_side_with_their_targets():
    pairs = Pairs([f"s{i // 4}" for i in range(80)], [f"t{i}" for i in range(80)])
    rest, held_out = pairs.hold_out(10)
    assert len(held_out) == 12
    assert not set(rest.sources) & set(held_out.sources)
    both = [
        pair for side in (rest, held_out) for pair in zip(side.sources, side.targets, strict=True)
    ]
    assert sorted(both) == sorted(zip(pairs.sources, pairs.targets, strict=True))


def test_fewer_pairs_are_part_of_more():
    pairs = Pairs(*map(list, zip(*ROWS, strict=True)))
    few, more = pairs.at_most(10), pairs.at_most(50)
    assert [len(few), len(more)] == [10, 50]
    assert set(few.targets) < set(more.targets)
    assert len(pairs.at_most(1_000)) == 200


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="2 sources and 1 targets"):
        Pairs(["a", "b"], ["c"])


def test_multi30k_has_its_usual_splits():
    corpus = load_corpus("translate", "multi30k")
    assert (corpus.details["source"], corpus.details["target"]) == ("en", "de")
    assert [len(part) for part in parts(corpus)] == [29_000, 1_014, 1_000]
    assert corpus.train.sources[0] == "Two young, White males are outside near many bushes."
    assert corpus.train.targets[0].startswith("Zwei junge weiße Männer sind im Freien")
    assert corpus.held_out.sources[-1].endswith("in the distance.")
    assert corpus.held_out.targets[-1].endswith("im Hintergrund.")
    assert corpus.details["dropped"] == 0


def test_multi30k_between_any_two_languages():
    corpus = load_corpus("translate", "multi30k", source="fr", target="de")
    assert corpus.train.sources[0].startswith("Deux jeunes hommes blancs")
    assert corpus.train.targets[0].startswith("Zwei junge weiße Männer")
    into_german = load_corpus("translate", "multi30k", target="de")
    assert (into_german.details["source"], into_german.details["target"]) == ("en", "de")
    from_german = load_corpus("translate", "multi30k", source="de")
    assert (from_german.details["source"], from_german.details["target"]) == ("de", "en")
    into_english = load_corpus("translate", "multi30k", target="en")
    assert (into_english.details["source"], into_english.details["target"]) == ("de", "en")
    assert into_english.train.targets[0].startswith("Two young, White males")


def test_tatoeba_has_no_english_sentence_in_two_splits():
    there, back = (
        load_corpus("translate", "tatoeba"),
        load_corpus("translate", "tatoeba", source="zh", target="en"),
    )
    assert [len(part) for part in parts(there)] == [18_055, 1_000, 1_005]
    english = [set(part.sources) for part in parts(there)]
    assert sum(map(len, english)) == len(set.union(*english))
    assert [(target, source) for source, target in rows(there)] == rows(back)
    assert ("Hi.", "嗨。") in rows(there)


def test_tatoeba_cannot_be_downloaded(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_SEQ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"eng-cmn\.train\.tsv\.gz.*no download.*data_dir"):
        load_corpus("translate", "tatoeba")
    (tmp_path / "tatoeba").mkdir()
    (tmp_path / "tatoeba" / "eng-cmn.train.tsv.gz").write_bytes(b"another")
    with pytest.raises(UserError, match=r"public file tatoeba/eng-cmn\.train.*Remove this copy"):
        load_corpus("translate", "tatoeba", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "source", "target", "words"),
    [
        ("multi30k", "de", "de", "both 'de'"),
        ("multi30k", "es", "", "multi30k has no 'es'.*en, de, fr"),
        ("tatoeba", "en", "cmn", "tatoeba has no 'cmn'.*en, zh"),
        ("tatoeba", "zh", "zh", "both 'zh'"),
        ("dates", "iso", "text", '"text" to "iso" only'),
        ("dates", "", "de", "dates has no 'de'.*text, iso"),
    ],
)
def test_refused_languages(name, source, target, words):
    with pytest.raises(UserError, match=words):
        load_corpus("translate", name, source=source, target=target)


def test_tables(tmp_path):
    csv, tsv, jsonl = (tmp_path / f"own.{ending}" for ending in ("csv", "tsv", "jsonl"))
    csv.write_text("source,target\n" + "".join(f"{s},{t}\n" for s, t in ROWS))
    tsv.write_text("de\tid\ten\n" + "".join(f"{t}\t7\t{s}\n" for s, t in ROWS[::-1]))
    jsonl.write_text("".join(json.dumps({"source": s, "to": t}) + "\n" for s, t in ROWS))
    one = load_corpus("translate", str(csv))
    two = load_corpus("translate", str(tsv), source="en", target="de")
    three = load_corpus("translate", str(jsonl), target="to")
    assert [len(part) for part in parts(one)] == [180, 10, 10]
    for corpus, columns in ((one, "source target"), (two, "en de"), (three, "source to")):
        assert sorted(rows(corpus)) == sorted(ROWS)
        assert f"{corpus.details['source']} {corpus.details['target']}" == columns
        assert set(corpus.held_out.sources) == set(one.held_out.sources)
        assert set(corpus.validation.sources) == set(one.validation.sources)
    assert two.name == "own.tsv"


def test_aligned_files(aligned):
    one = "\ufeffone\u2028line\r\n\r\nthree\r\nfour\r\nfive\r\n"
    other = "eine\x85Zeile\nzwei\n \ndrei\x0bvier\nfünf"
    corpus = load_corpus("translate", aligned(one, other), source="en")
    expected = [("one\u2028line", "eine\x85Zeile"), ("four", "drei\x0bvier"), ("five", "fünf")]
    assert sorted(rows(corpus)) == sorted(expected)
    assert [len(part) for part in parts(corpus)] == [1, 1, 1]
    assert corpus.details["dropped"] == 2
    assert (corpus.name, corpus.details["source"], corpus.details["target"]) == (
        "corpus.en,corpus.de",
        "en",
        "de",
    )


def test_aligned_files_below_a_folder_with_a_comma(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    for name in ("x.en", "x.de"):
        (folder / name).write_text("one\ntwo\nthree\n")
    assert len(load_corpus("translate", f"{folder}/x.en,{folder}/x.de").train) == 1


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("a\nb\nc\n", "A\nB\n", r"en has 3 lines and .*de has 2: line 3 of .*corpus\.en has no"),
        ("a\n", "A\n\nC\nD", r"en has 1 lines and .*de has 4: line 2 of .*corpus\.de has no"),
        ("a\n \n", "\t\nB\n", "none of its 2 pairs"),
        ("a\nb\nc\n", b"A\nB\ncaf\xe9\n", r"corpus\.de, line 3.*not UTF-8"),
        ("a\nb\n", "A\nB\n", "cannot be held out. Give more"),
        ("a\na\na\n", "A\nB\nC\n", r"1 different texts.*Give more"),
        ("", "A\n", r"corpus\.en is empty"),
    ],
)
def test_refused_aligned_files(aligned, one, other, words):
    with pytest.raises(UserError, match=words):
        load_corpus("translate", aligned(one, other))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tsv", b"Hi.\tHallo.\nYes.\tJa.\n", "'source'.*'Hi.', 'Hallo.'.*source and target"),
        ("b.csv", b"source,de\na,b\n", "'target'.*'source', 'de'.*source and target"),
        ("c.csv", b"source,target\n", "none of its 0 pairs"),
        ("d.csv", b"source,target\na,b\nc\n", "line 3.*nothing in the column 'target'"),
        ("h.tsv", b"source\ttarget\na\tb\nA man,\twith a tab\tEin\n", "line 3.*more cells.*'Ein'"),
        ("e.tsv", b"source\ttarget\ncaf\xe9\tb\n", "line 2.*not UTF-8"),
        ("f.jsonl", b'["a", "b"]\n', 'such as {"source": …, "target": …}'),
        ("g.txt", b"a\nb\n", r"nor a \.csv.*nor two text files.*multi30k"),
    ],
)
def test_refused_tables(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_corpus("translate", str(tmp_path / name))


def test_columns_in_the_order_asked_for(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    assert read_columns(path, ("c", "a"), ("--x", "--y")) == [["3", "6"], ["1", "4"]]
    with pytest.raises(UserError, match="no column 'd'.*'a', 'b', 'c'. Name yours with x."):
        read_columns(path, ("d",), ("--x",))


def test_refused_names(tmp_path):
    with pytest.raises(UserError, match="neither a data set.*multi30k: .*tatoeba: .*dates: "):
        load_corpus("translate", "multi3k")
    (tmp_path / "corpus.en").write_text("a\n")
    with pytest.raises(UserError) as error:
        load_corpus("translate", f"{tmp_path}/corpus.en,{tmp_path}/corpus.de")
    assert f"There is no file '{tmp_path}/corpus.de'." in str(error.value)
    assert f"There is no file '{tmp_path}/corpus.en'." not in str(error.value)


def test_the_case_of_a_language_is_no_other_name(aligned):
    with pytest.raises(UserError, match="languages are en and de. Received: 'DE'"):
        load_corpus("translate", aligned("a\nb\n", "A\nB\n"), source="DE")


def test_all_pairs_of_what_the_user_has(aligned):
    found = PairSource(aligned("a\n\nc\n", "A\nB\nC\n"), source="de").read()
    assert (found.sources, found.targets) == (["A", "C"], ["a", "c"])


def test_descriptions_count_what_there_is():
    for name, source in PairSource.data_sets.items():
        train, validation, held_out = map(len, parts(load_corpus("translate", name)))
        for count in (train, validation, held_out):
            assert f"{count:,} " in source.description


def test_the_endings_of_two_files_say_which_is_which(tmp_path):
    en, de = tmp_path / "c.en", tmp_path / "c.de"
    en.write_text("".join(f"one {i}\n" for i in range(40)))
    de.write_text("".join(f"eins {i}\n" for i in range(40)))
    for given, expected in (
        ({}, ("en", "de")),
        ({"source": "de"}, ("de", "en")),
        ({"target": "en"}, ("de", "en")),
        ({"source": "en", "target": "de"}, ("en", "de")),
        ({"source": "English", "target": "German"}, ("English", "German")),
    ):
        corpus = load_corpus("translate", f"{en},{de}", **given)
        assert (corpus.details["source"], corpus.details["target"]) == expected
        assert corpus.train.sources[0].startswith("eins" if expected[0] == "de" else "one")
    with pytest.raises(UserError, match="given twice"):
        load_corpus("translate", f"{en},{en}")
