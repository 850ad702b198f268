"""Thoughts that come as a part of the text, `<think>...</think>`, from services that do not tell them apart."""

from __future__ import annotations

_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
)
"""As DeepSeek, Qwen and most others have them; Claude's habit in prompts; Gemini's; Seed's; Mistral's."""
_UNOPENED = "</think>"
"""Ends thoughts that the chat template has opened itself, as those of DeepSeek R1 and QwQ do."""


def opening_of_thoughts(text: str) -> str | None:
    """What opens thoughts at the beginning of a text; None if nothing does."""
    begun = text.lstrip()
    return next((opening for opening, _ in _TAGS if begun.startswith(opening)), None)


class ThoughtsInText:
    """Takes a text piece by piece and gives back what stands behind the thoughts, without the lines between.

    What may be a thought is held back until more of the text decides.
    """

    def __init__(self, *, may_be_unopened: bool) -> None:
        """`may_be_unopened`: whether they may begin without a word, so that all text may be one until it has ended."""
        self._may_be_unopened = may_be_unopened
        self._held = ""
        self._searched = 0
        """Characters in which the end of the thoughts cannot begin."""
        self._is_over = self._skips_lines = False
        self.thoughts: str | None = None
        """None where there are none, or as long as that is not known."""
        self.were_unopened = False

    def take(self, piece: str) -> str:
        """What is known to be no thought once `piece` has come."""
        if self._is_over:
            return self._behind(piece)
        self._held += piece
        begun = self._held.lstrip()
        closing = next((closing for opening, closing in _TAGS if begun.startswith(opening)), None)
        if closing is None and any(opening.startswith(begun) for opening, _ in _TAGS):
            return ""
        if closing is None and not self._may_be_unopened:
            return self.rest()
        end = self._held.find(closing or _UNOPENED, self._searched)
        if end < 0:
            self._searched = max(0, len(self._held) - len(closing or _UNOPENED))
            return ""
        if closing is None and _TAGS[0][0] in self._held[:end]:
            return self.rest()  # it ends what was begun within the text
        self.were_unopened = closing is None
        self._set_thoughts(self._held[:end])
        answer, self._held = self._held[end + len(closing or _UNOPENED) :], ""
        self._is_over = self._skips_lines = True
        return self._behind(answer)

    def rest(self) -> str:
        """What was held back, as no more will come, without thoughts that have not ended."""
        if self._is_over:
            return ""
        self._is_over = True
        text, self._held = self._held, ""
        if opening_of_thoughts(text) is None:
            return text
        self._set_thoughts(text)
        return ""

    def _set_thoughts(self, text: str) -> None:
        self.thoughts = text.strip().removeprefix(opening_of_thoughts(text) or "").strip()

    def _behind(self, piece: str) -> str:
        if self._skips_lines:
            piece = piece.lstrip("\r\n")
            self._skips_lines = not piece
        return piece
