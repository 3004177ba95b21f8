"""A text that arrives in pieces: whole characters, up to a stop text. Imports nothing heavy."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns bytes into the text that is certain.

    The possible beginning of a character or of a stop text is held back until it is known.

    Args:
        stop: Texts that end the output; they are not part of it.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stop = stop
        self.stopped = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """Adds bytes and returns the text that is certain now; none after a stop text."""
        return self._add(self._decoder.decode(piece))

    def finish(self) -> str:
        """Returns the text that was held back; no more bytes follow."""
        if self.stopped:
            return ""
        certain = self._add(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return certain if self.stopped else certain + rest

    def _add(self, text: str) -> str:
        if self.stopped:
            return ""
        held = self._held + text
        # The stop text that is complete first ends the output, however the pieces arrive.
        matches = [(held.index(s) + len(s), held.index(s)) for s in self.stop if s in held]
        if matches:
            self.stopped, self._held = True, ""
            return held[: min(matches)[1]]
        open_end = max((_overlap(held, stop) for stop in self.stop), default=0)
        certain = len(held) - open_end
        self._held = held[certain:]
        return held[:certain]


def _overlap(text: str, stop: str) -> int:
    """Returns how many characters at the end of `text` may be the beginning of `stop`."""
    sizes = range(min(len(text), len(stop) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
