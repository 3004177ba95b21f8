"""The error a person can mend, and the checks of arguments that many parts share."""


class UserError(ValueError):
    """Input or use that the reader of the message can put right.

    The message says what was received and what to do. The command lines print it without a
    traceback and exit with 2.
    """


class OutOfMemoryError(UserError):
    """The memory did not suffice. What allocated it may be unsound now: end the process."""


def require_positive(**sizes: object) -> None:
    """Raises ValueError, naming it, if one of `sizes` is not a whole number of 1 or more."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is a whole number, 1 or more. Received: {value!r}")


def require_share(**shares: float) -> None:
    """Raises ValueError, naming it, if one of `shares` is not in [0, 1)."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is a share in [0, 1). Received: {value!r}")
