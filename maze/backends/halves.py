"""Characters that a service sends as two halves of a surrogate pair, each an escape of JSON.

Services that cut their text by UTF-16 units send the halves in two events.
"""

from __future__ import annotations

import re

from maze.backends.dialects.base import MalformedError
from maze.check.cut_off import HALF_A_CHARACTER

_HALF = re.compile("[\ud800-\udfff]")
_FIRST_HALF = re.compile("[\ud800-\udbff]")
_ENCODING = "utf-16-le"


class Halves:
    """Takes a text piece by piece and gives back whole characters: a first half is held until the second comes."""

    def __init__(self) -> None:
        self._held = ""
        self.problem: MalformedError | None = None
        """What is wrong behind the text that was given back: a half without the other."""

    def take(self, piece: str) -> str:
        """What is whole once `piece` has come."""
        if not piece:
            return ""
        text, self._held = self._held + piece, ""
        if _HALF.search(text) is None:
            return text
        text = _joined(text, errors="surrogatepass")
        if ends_with_first_half(text):
            text, self._held = text[:-1], text[-1]
        if lone := _HALF.search(text):
            self._refuse(lone[0])
            return text[: lone.start()]
        return text

    def rest(self, *, was_cut_off: bool) -> str:
        """What stands at the end of the text for a half that is held."""
        held, self._held = self._held, ""
        if held and was_cut_off:
            return HALF_A_CHARACTER
        if held:
            self._refuse(held)
        return ""

    def _refuse(self, half: str) -> None:
        self.problem = MalformedError(f"its text has half of a surrogate pair, U+{ord(half):04X}, without the other")


def together(text: str) -> str:
    """A text that was put together from pieces, with the sign for half a character where a half is alone."""
    return text if _HALF.search(text) is None else _joined(text, errors="replace")


def ends_with_first_half(text: str) -> bool:
    """Whether the rest of the last character is still to come."""
    return _FIRST_HALF.match(text[-1:]) is not None


def _joined(text: str, *, errors: str) -> str:
    return text.encode(_ENCODING, errors="surrogatepass").decode(_ENCODING, errors=errors)
