"""The error a person can mend."""


class UserError(ValueError):
    """Input or use that the reader of the message can put right.

    The message says what was received and what to do. The command lines print it without a
    traceback and exit with 2.
    """
