"""The error that a user can fix, and checks of arguments."""


class UserError(ValueError):
    """An error in the input or the use, which the reader of the message can fix.

    The message says what was received and what to do. The command lines print it without a
    traceback and exit with status 2.
    """


class OutOfMemoryError(UserError):
    """There is too little memory. End the process: its state may be inconsistent."""


def require_positive(**sizes: object) -> None:
    """Raises ValueError if one of `sizes` is not a whole number of 1 or more."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is a whole number, 1 or more. Received: {value!r}")


def require_share(**shares: float) -> None:
    """Raises ValueError if one of `shares` is not in [0, 1)."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is a share in [0, 1). Received: {value!r}")
