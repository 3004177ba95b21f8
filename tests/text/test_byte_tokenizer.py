from keras_seq.text import ByteTokenizer


def test_bytes_are_cut_in_one_way():
    ids = ByteTokenizer().sample(["é", "", b"\xff a"], alpha=0.1, seed=1)
    assert ids == [[0xC3 + 4, 0xA9 + 4], [], [0xFF + 4, 0x20 + 4, 0x61 + 4]]
