import pytest

from keras_seq.errors import UserError
from keras_seq.tasks import load_corpus
from keras_seq.tasks.language_modeling.data import select_pieces


def test_a_file_a_folder_and_a_table(tmp_path):
    (tmp_path / "a.txt").write_text("0123456789" * 10, encoding="utf-8")
    one = load_corpus("generate", str(tmp_path / "a.txt"))
    assert [one.train.texts, one.held_out.texts] == [["0123456789" * 9], ["0123456789"]]
    folder = tmp_path / "many"
    (folder / "below").mkdir(parents=True)
    for i in range(30):
        (folder / "below" / f"{i}.md").write_text(f"text {i}", encoding="utf-8")
    (folder / "image.png").write_bytes(b"\x89PNG")
    (folder / "blank.txt").write_bytes(b" \n")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.txt").write_text("hidden", encoding="utf-8")
    many = load_corpus("generate", str(folder))
    assert (len(many.train), len(many.held_out)) == (27, 3)
    assert sorted(many.train.texts + many.held_out.texts) == sorted(f"text {i}" for i in range(30))
    (tmp_path / "t.jsonl").write_text('{"body": "hello there, you"}\n', encoding="utf-8")
    table = load_corpus("generate", str(tmp_path / "t.jsonl"), text_column="body")
    assert table.train.texts[0] + table.held_out.texts[0] == "hello there, you"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "is empty"),
        ("b.txt", b"x", "1 characters of text: too few"),
        ("c.txt", b"caf\xe9", "not UTF-8"),
        ("d.csv", b"a,b\n1,2\n", "no column 'text'.*text_column"),
    ],
)
def test_refused_files(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_corpus("generate", str(tmp_path / name))


def test_a_text_that_is_not_utf8_is_not_passed_over(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_text("good", encoding="utf-8")
    with pytest.raises(UserError, match="a.txt, line 1.*not UTF-8"):
        load_corpus("generate", str(tmp_path))


def test_refused_names(tmp_path):
    with pytest.raises(UserError, match="neither a data set nor.*tinyshakespeare"):
        load_corpus("generate", "tinyshakespear")
    with pytest.raises(UserError, match="has no texts"):
        load_corpus("generate", str(tmp_path))


def test_the_sets_of_the_registry():
    python = load_corpus("generate", "python")
    assert sum(map(len, python.train.texts)) > 1_000_000
    assert not set(python.train.texts) & set(python.held_out.texts)
    plays = load_corpus("generate", "tinyshakespeare")
    assert [len(plays.train.texts[0]), len(plays.held_out.texts[0])] == [1_003_854, 111_540]
    assert plays.train.texts[0].startswith("First Citizen:")


def test_pieces_are_spread_over_all():
    found = select_pieces(["a" * 100, "b" * 100], 4, 10)
    assert [piece[0] for piece in found] == ["a", "a", "b", "b"]
    assert all(len(piece) == 10 for piece in found)
    assert select_pieces(["abc"], 5, 10) == ["abc"]
