"""Stop texts: the text ends where the first of them begins, also where an engine goes on or leaves them in."""

from __future__ import annotations

from collections.abc import Sequence


class StopTexts:
    """Takes a text piece by piece and gives back what stands before the first stop text.

    What may be the beginning of one is held back until more of the text decides. So the outcome does not depend on how
    the text is cut into pieces.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._longest = max(map(len, stop), default=0)
        self._held = ""
        self.found = False
        """Whether a stop text came: nothing is given back any more."""

    def take(self, piece: str) -> str:
        """What is known to stand before all stop texts once `piece` has come."""
        if not self._longest:
            return piece
        if self.found:
            return ""
        text = self._held + piece
        first = self._first(text)
        open_from = self._may_begin_at(text)
        self.found = first <= open_from and first < len(text)
        given = min(first, open_from)
        self._held = text[given:]
        return text[:given]

    def rest(self) -> str:
        """What was held back, as nothing more will come."""
        if self.found:
            return ""
        text, self._held = self._held, ""
        first = self._first(text)
        self.found = first < len(text)
        return text[:first]

    def _first(self, text: str) -> int:
        """Where the first stop text begins; the end of the text if there is none."""
        return min((at for stop in self._stop if (at := text.find(stop)) >= 0), default=len(text))

    def _may_begin_at(self, text: str) -> int:
        """Where a stop text may begin that has not come to its end; the end of the text if nowhere."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            beginning = text[start:]
            if any(len(stop) > len(beginning) and stop.startswith(beginning) for stop in self._stop):
                return start
        return len(text)
