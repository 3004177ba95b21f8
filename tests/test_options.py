"""Options: one declaration gives the default, the check, the command line and its help."""

import argparse
import dataclasses
import re

import pytest

from keras_seq.arguments import add_options, read_options
from keras_seq.cli import make_parser
from keras_seq.errors import UserError
from keras_seq.options import Options, flag_of, option, option_names, override
from keras_seq.tasks import all_tasks, get_task

TASKS = [task.name for task in all_tasks()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base(Options):
    depth: int = option(2, "number of floors", check=("at least 1", lambda n: n >= 1))
    color: str = option("red", "paint", choices=("red", "blue"), aliases=("colour",))
    lift: bool = option(False, "build a lift", applies="color=blue")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tall(Base):
    depth: int = 9
    color: str = override(Base, "color", "blue", help="paint of the walls")


def help_of(kind):
    parser = argparse.ArgumentParser(prog="x")
    add_options(parser, [kind])
    return parser, re.sub(r"\s+", " ", parser.format_help())


def test_a_plain_default_keeps_help_and_check():
    assert Tall().depth == 9
    assert "--depth N number of floors (default: 9)" in help_of(Tall)[1]
    assert "--color {red,blue} paint of the walls (default: blue)" in help_of(Tall)[1]
    with pytest.raises(UserError, match="depth is at least 1. Received: 0"):
        Tall(depth=0)


def test_earlier_names_are_read_and_not_shown():
    parser, shown = help_of(Base)
    assert "colour" not in shown
    given = read_options(parser.parse_args(["--colour", "blue", "--lift"]), Base)
    assert given == {"color": "blue", "lift": True}
    assert Base.from_mapping({"colour": "blue", "other": 1}) == Base(color="blue")


def subcommand(parser, *names):
    for name in names:
        (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        parser = action.choices[name]
    return parser


@pytest.mark.parametrize("task", TASKS)
def test_help_says_the_default_of_every_setting(task):
    parser = subcommand(make_parser(), "train", task)
    shown = {flag: action for action in parser._actions for flag in action.option_strings}
    for field in dataclasses.fields(get_task(task).settings_class):
        action = shown[flag_of(field)]
        assert action.default is None, field.name
        default = field.default
        if default not in (None, "", True, False) and not field.metadata["default_text"]:
            text = f"{default:g}" if isinstance(default, float) else str(default)
            assert re.search(rf"\(default: .*{re.escape(text)}", action.help), field.name


@pytest.mark.parametrize("task", TASKS)
def test_every_earlier_name_is_accepted_and_hidden(task):
    record = get_task(task)
    kinds = [(("train", task), record.settings_class), (("train", task), record.data)]
    for names, kind in [*kinds, *[(("predict",), record.prediction)] * bool(record.prediction)]:
        parser = subcommand(make_parser(), *names)
        flags = {flag: action for action in parser._actions for flag in action.option_strings}
        for earlier, name in option_names(kind).items():
            if earlier != name:
                action = flags[f"--{earlier.replace('_', '-')}"]
                assert action.help is argparse.SUPPRESS
                assert action.dest == name
