"""What a label may be: a name that is shown, compared and written into files."""

import unicodedata
from collections.abc import Iterable

from keras_seq.errors import UserError, describe

LONGEST_LABEL = 1000  # characters


def describe_fault(label: str) -> str:
    """Returns what makes a text no label: "has a line break in it"; "" where nothing does."""
    if len(label) > LONGEST_LABEL:
        return f"has {len(label):,} characters, and {LONGEST_LABEL:,} are the most"
    for char in label:
        kind = unicodedata.category(char)
        if kind == "Cs":
            return f"has half of a character in it, the surrogate \\u{ord(char):04x}"
        if kind == "Cc":
            return f"has the control character 0x{ord(char):02x} in it"
    return ""


def require_labels(labels: Iterable[str]) -> None:
    """Raises UserError if one of the texts is no label."""
    for label in labels:
        fault = describe_fault(label)
        if fault:
            raise UserError(f"The label {describe(label)} {fault}. Give it another name.")
