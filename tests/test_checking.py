"""Wrong arguments: each public function names the one that is wrong, and what it takes."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import export
import keras_seq
from export.runtime.loaded import LoadedBundle
from keras_seq.checking import check_arguments, describe_unknown, require_type
from keras_seq.errors import ArgumentError, describe
from keras_seq.options import option_names
from keras_seq.tasks.generate.model import TextGenerator
from keras_seq.tasks.registry import all_tasks
from keras_seq.tasks.translate.model import Translator
from keras_seq.text import SentencePieceTokenizer, Tokenizer

PUBLIC = (
    export.export,
    export.load,
    keras_seq.load,
    keras_seq.tasks.load_corpus,
    keras_seq.train,
    LoadedBundle.count_tokens,
    LoadedBundle.read_texts,
    SentencePieceTokenizer,
    SentencePieceTokenizer.train,
    TextGenerator.beam_search,
    TextGenerator.generate,
    TextGenerator.stream,
    Tokenizer.decode,
    Tokenizer.decode_bytes,
    Translator.attention,
    Translator.hypotheses,
)


def typed_arguments():
    for function in PUBLIC:
        hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
        for parameter in inspect.signature(function).parameters.values():
            single = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            if single and hints.get(parameter.name, Any) is not Any:
                yield pytest.param(
                    function, parameter.name, id=f"{function.__qualname__}-{parameter.name}"
                )


def test_there_are_arguments_to_check():
    assert len(list(typed_arguments())) > 40


@pytest.mark.parametrize(("function", "name"), typed_arguments())
def test_every_typed_argument_refuses_what_it_is_not(function, name):
    with pytest.raises(ArgumentError, match=rf"^{name} is .* Received: <object"):
        function(**{name: object()})


@pytest.mark.parametrize("task", [task.name for task in all_tasks()])
def test_every_setting_refuses_another_type(task):
    settings = next(t for t in all_tasks() if t.name == task).settings_class
    for name in option_names(settings).values():
        with pytest.raises(ArgumentError, match=f"^{name} is .* Received: an empty dict"):
            settings(**{name: {}})


@pytest.mark.parametrize(
    ("kind", "fits", "fits_not"),
    [
        (int, [3, np.int64(3)], [True, 3.0, "3", None]),
        (float, [3, 0.5, np.float32(1)], [True, "0.5", None, [1.0]]),
        (bool, [True, np.bool_(False)], [0, 1, "yes", None]),
        (str, ["a"], [b"a", 1, None, Path("a")]),
        (str | Path, ["a", Path("a")], [None, 5, b"a"]),
        (int | None, [None, 3], [True, "3"]),
        (Sequence[str], [["a"], ("a",), np.array(["a"]), pd.Series(["a"])], ["a", {"a": 1}, 5]),
        (str | Sequence[str], ["a", ["a"]], [5, None]),
        (Mapping[str, Any], [{}], [[], "a"]),
        (Callable[[str], None], [print], ["print", None]),
        (Any, [None, 5, object()], []),
    ],
)  # fmt: skip
def test_types(kind, fits, fits_not):
    for value in fits:
        require_type("x", value, kind)
    for value in fits_not:
        with pytest.raises(ArgumentError, match="^x is .* Received: "):
            require_type("x", value, kind)


def test_unknown_names_are_answered_with_the_one_that_was_meant():
    @check_arguments
    def brew(leaf: str, *, minutes: int = 3) -> str:
        return f"{leaf} for {minutes}"

    assert brew("tea", minutes=2) == "tea for 2"
    with pytest.raises(ArgumentError, match="no argument 'minute'. Did you mean minutes. The"):
        brew("tea", minute=2)
    with pytest.raises(ArgumentError, match="no argument 'sugar'. The arguments are leaf, minutes"):
        brew("tea", sugar=2)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'leaf'"):
        brew()
    assert describe_unknown("a", ["text"], "input") == "There is no input 'a'. The input is text."


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        ([], "an empty list"),
        ({}, "an empty dict"),
        ([1, 2], "a list of 2, the first one 1 (int)"),
        (np.zeros((2, 3), "float32"), "ndarray float32 [2, 3]"),
        (pd.DataFrame({"a": [1], "b": [2]}), "a table with the columns a, b"),
        ("x" * 100, f"'{'x' * 39}… (str)"),
        (5, "5 (int)"),
    ],
)
def test_what_was_received_is_told_in_few_words(value, words):
    assert describe(value) == words
