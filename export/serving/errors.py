"""Why a request is not answered, beside what is wrong with it itself."""


class TokenError(Exception):
    """A request lacks the token."""


class SizeError(Exception):
    """A request is too large, or its answer would be."""


class SlowError(Exception):
    """A request does not arrive in time."""


class BusyError(Exception):
    """There is no room for a request now."""


class LateError(Exception):
    """A request takes longer than its deadline."""
