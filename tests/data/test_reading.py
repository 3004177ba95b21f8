import json

import pytest

from keras_seq.data.reading import read_labelled_texts
from keras_seq.errors import UserError

ROWS = [("好看，值得再看一遍", "好"), ('said "no", then\nleft', "坏"), ("  spaces kept  ", "好")]


def expect_error(path, *words, **columns):
    with pytest.raises(UserError) as error:
        read_labelled_texts(path, **columns)
    for word in (str(path), *words):
        assert word in str(error.value)


def test_formats_agree(tmp_path):
    csv = tmp_path / "a.csv"
    csv.write_text(
        'text,label\n好看，值得再看一遍,好\n"said ""no"", then\nleft",坏\n  spaces kept  ,好\n'
    )
    tsv = tmp_path / "a.tsv"
    tsv.write_text(
        'label\ttext\n好\t好看，值得再看一遍\n坏\t"said ""no"", then\nleft"\n好\t  spaces kept  \n'
    )
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text("\n".join(json.dumps({"text": t, "label": x}) for t, x in ROWS) + "\n\n")
    for path in (csv, tsv, jsonl):
        read = read_labelled_texts(path)
        assert list(zip(read.texts, read.labels, strict=True)) == ROWS


@pytest.mark.parametrize(
    "text",
    ['"No," he said, and left', '"an opening one', 'an "inch" mark: 5"', '"a"b', '" \'", "x'],
)
def test_quotes_of_a_tsv_without_quoting(tmp_path, text):
    path = tmp_path / "a.tsv"
    path.write_text(f'label\ttext\n好\t{text}\n坏\tthe next\n好\tand a "last" one"\n')
    read = read_labelled_texts(path)
    assert read.texts == [text, "the next", 'and a "last" one"']


def test_own_columns_and_number_labels(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"review": "a", "stars": 10}\n{"review": "b", "stars": 9}\n')
    read = read_labelled_texts(path, "review", "stars")
    assert read.labels == ["10", "9"]
    assert read.classes() == ("9", "10")


def test_byte_order_mark_of_spreadsheets(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\r\na,x\r\nb,y\r\n".encode("utf-8-sig"))
    assert read_labelled_texts(path).texts == ["a", "b"]


def test_field_of_a_megabyte(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\n{'x' * 1_000_000},a\ny,b\n")
    assert len(read_labelled_texts(path).texts[0]) == 1_000_000


def test_missing(tmp_path):
    expect_error(tmp_path / "none.csv", "does not exist")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content)
    expect_error(path, "is empty")


def test_header_only(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    expect_error(path, "no examples")


def test_missing_column_names_those_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("review,label\na,x\nb,y\n")
    expect_error(path, "'text'", "'review'", "text_column")


def test_row_without_label(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb,\n")
    expect_error(path, "line 3", "label is empty")


def test_short_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb\n")
    expect_error(path, "line 3")


def test_one_class_only(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\nb,x\n")
    expect_error(path, "'x'", "two classes")


def test_not_utf8_names_line_and_byte(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nfine,x\ncaf\xe9,y\n")
    expect_error(path, "line 3", "0xe9", "iconv")


def test_broken_json_names_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": \n')
    expect_error(path, "line 2", "not JSON")
    path.write_text('{"text": "a", "label": "x"}\n["b", "y"]\n')
    expect_error(path, "line 2", "object")
    path.write_text('{"text": "a", "label": "x"}\n{"text": ["b", "c"], "label": "y"}\n')
    expect_error(path, "line 2", "'text'", "a list of 2", "one text")


def test_unknown_ending(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_text("x")
    expect_error(path, ".csv", ".xlsx")


def test_folder(tmp_path):
    path = tmp_path / "a.csv"
    path.mkdir()
    expect_error(path, "cannot be read")


def test_a_quotation_mark_that_is_never_closed_names_its_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n\n"one, of\ntwo lines",x\n"b,y\nc,y\nd,y\n')
    expect_error(path, "line 5", "never closed")
    path.write_text('text,label\na,x\n"b,y')
    expect_error(path, "line 3", "never closed")
    path.write_text('text,"label')
    expect_error(path, "line 1", "never closed")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, ending):
    path = tmp_path / "a.csv"
    path.write_bytes(
        ending.join(["", "text,label", "", '"a', 'b",x', "", "c,y"]).encode()[len(ending) :]
    )
    read = read_labelled_texts(path)
    assert (read.texts, read.labels) == ([f"a{ending}b", "c"], ["x", "y"])


@pytest.mark.parametrize("content", ["x" * 10_000_001, '"' + "y\n" * 6 + "z" * 10_000_000])
def test_a_row_has_a_limit(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\na,x\n{content},y\n")
    expect_error(path, "line 3", "more than 10,000,000 characters")
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n' + json.dumps({"text": content, "label": "y"}))
    expect_error(path, "line 2", "more than 10,000,000 characters")


def test_a_line_of_two_aligned_files_has_a_limit(tmp_path):
    from keras_seq.tasks import load_corpus

    (tmp_path / "a.en").write_text("a\n" + "x" * 10_000_001)
    (tmp_path / "a.de").write_text("a\nb")
    with pytest.raises(UserError, match=r"a\.en, line 2: the line has more than 10,000,000"):
        load_corpus("translate", f"{tmp_path}/a.en,{tmp_path}/a.de")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"text": "a", "label": ' + "9" * 5000 + "}", "4,300 digits"),
        ('{"text": "a", "label": "\\ud800"}', "half of a character in it, the surrogate \\ud800"),
        ('{"text": "a", "label": "\\u001b[31m"}', "the control character 0x1b"),
        ('{"text": "a", "label": "a\\nb"}', "the control character 0x0a"),
        ('{"text": "a", "label": "' + "x" * 1001 + '"}', "has 1,001 characters"),
        ('{"text": "a", "label": NaN}', "nothing in the column 'label'"),
        ('{"text": "a", "label": 1e999}', "nothing in the column 'label'"),
        ('{"text": ' + "[" * 900 + "]" * 900 + ', "label": "a"}', "which is not a text"),
        ('{"text": {"a": ' + "9" * 4000 + '}, "label": "a"}', "which is not a text"),
        ("{" + ", ".join(f'"column{i}": 1' for i in range(5000)) + "}", "and 4,980 more"),
    ],
)
def test_a_row_that_was_made_to_do_harm(tmp_path, row, words):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a", "label": "x"}}\n{row}\n')
    expect_error(path, "line 2", words)


def test_labels_that_are_whole_numbers_of_any_length(tmp_path):
    path = tmp_path / "a.csv"
    for labels, classes in (
        (("9" * 5000, "1"), None),
        (("9" * 45, "1"), ("1", "9" * 45)),
        (("--5", "1"), ("--5", "1")),
        (("01", "1"), ("01", "1")),
        (("-5", "10"), ("-5", "10")),
    ):
        path.write_text("text,label\n" + "".join(f"a,{label}\n" for label in labels))
        if classes is None:
            expect_error(path, "line 2", "5,000 characters")
        else:
            assert read_labelled_texts(path).classes() == classes


def test_lone_surrogates_in_a_text_are_question_marks(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "好\\ud83d", "label": "x"}\n{"text": "b", "label": "y"}\n')
    assert read_labelled_texts(path).texts == ["好?", "b"]


def test_a_column_that_is_there_twice(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,text,label\na,b,x\n")
    expect_error(path, "line 1", "2 columns 'text'")
