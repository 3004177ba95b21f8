"""The model card of a bundle."""

from export.card import model_card

MANIFEST = {
    "task": "tag",
    "backbone": "lstm",
    "parameters": 1234,
    "created_with": {"keras-seq": "0.1.0"},
    "trained_on": {"data": "corpus", "licence": "CC BY 4.0"},
    "labels": [],
    "metrics": {"data": "corpus", "words_correct": 0.98765, "examples": 12345, "by_label": {}},
    "parity": {
        "inputs": "16 random inputs",
        "variants": [
            {
                "format": "tflite",
                "precision": "int8",
                "signatures": {"tag_text": {"largest_difference": 0.5, "agreement": 0.75}},
            }
        ],
    },
    "signatures": {
        "tag_text": {
            "inputs": [
                {"name": "text", "dtype": "uint8", "shape": ["B", "L"]},
                {"name": "length", "dtype": "int32", "shape": ["B"]},
            ],
            "outputs": [{"name": "labels", "dtype": "int32", "shape": ["B", "N"]}],
        }
    },
    "dimensions": {"L": "max_bytes"},
    "limits": {"max_bytes": 300},
    "tokenizer": None,
    "entry": {"signature": "tag_text", "interactive": ["tag_text"], "defaults": {}},
    "variants": [
        {"format": "tflite", "precision": "int8", "sizes": {"B": 1, "L": 300}, "bytes": 4321}
    ],
}


def test_the_card_of_a_task_that_nobody_knows():
    """Every number among the metrics is shown, and the entry is what a user calls."""
    lines = model_card("tagger", MANIFEST).splitlines()
    assert lines[0] == "# tagger"
    assert "| words correct | 0.9877 |" in lines
    assert "| examples | 12,345 |" in lines
    assert not [line for line in lines if "by label" in line]
    assert "| tflite int8 | tag_text | 0.5 | 75.00% |" in lines
    assert "B is the number of rows; L (max_bytes) is at most 300." in lines
    assert 'export.load("tagger", "tflite", precision="int8").tag_text(["…"])' in lines
    assert "4,321 bytes; shapes fixed at B = 1, L = 300." in lines
