"""A beginning that a model was told to go on from, and that it writes once more before it does."""

from __future__ import annotations

LEAST_CHARACTERS = 8
"""What begins with fewer again may well be what comes next: `[` behind `[`."""


class RepeatedBeginning:
    """Takes a text piece by piece and gives it back without the beginning that it repeats, and space before that.

    As long as it may be that, it is held back.
    """

    def __init__(self, beginning: str) -> None:
        self._beginning = beginning.lstrip()
        self._held = ""
        self._is_decided = len(beginning.strip()) < LEAST_CHARACTERS
        self.found = False

    def take(self, piece: str) -> str:
        """What is known not to repeat the beginning once `piece` has come."""
        if self._is_decided:
            return piece
        self._held += piece
        text = self._held.lstrip()
        self.found = text.startswith(self._beginning)
        if not self.found and self._beginning.startswith(text):
            return ""
        self._is_decided = True
        given = text.removeprefix(self._beginning) if self.found else self._held
        self._held = ""
        return given

    def rest(self, *, is_finished: bool) -> str:
        """What was held back, as nothing more will come; of a text that was cut off, nothing that began to repeat."""
        held, self._held = self._held, ""
        return held if is_finished or len(held.strip()) < LEAST_CHARACTERS else ""
