"""Thoughts that come as a part of the text, `<think>...</think>`, from services that do not tell them apart."""

from __future__ import annotations

THINK, END_OF_THOUGHT = "<think>", "</think>"
_TAGS = (
    (THINK, END_OF_THOUGHT),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
)
"""As DeepSeek, Qwen and most others have them; Claude's habit in prompts; Gemini's; Seed's; Mistral's."""
_UNOPENED = END_OF_THOUGHT
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
        self._held: list[str] = []
        self._begun = ""
        """The text without space before it, until it is known how its thoughts end."""
        self._closing: str | None = None
        self._tail = ""
        """The end of what is held, in which the end of the thoughts may begin."""
        self._is_over = self._skips_lines = False
        self.thoughts: str | None = None
        """None where there are none, or as long as that is not known."""
        self.were_unopened = False

    def take(self, piece: str) -> str:
        """What is known to be no thought once `piece` has come."""
        if self._is_over:
            return self._behind(piece)
        self._held.append(piece)
        if self._closing is None:
            self._begun += piece if self._begun else piece.lstrip()
            if any(opening.startswith(self._begun) for opening, _ in _TAGS if opening != self._begun):
                return ""
            self._closing = next((closing for opening, closing in _TAGS if self._begun.startswith(opening)), None)
            self.were_unopened = self._closing is None
            if self.were_unopened and not self._may_be_unopened:
                return self.rest()
            self._closing = self._closing or _UNOPENED
            piece = self._begun
        self._tail += piece
        if self._closing not in self._tail:
            self._tail = self._tail[1 - len(self._closing) :]
            return ""
        thoughts, _, answer = "".join(self._held).partition(self._closing)
        if self.were_unopened and THINK in thoughts:
            return self.rest()  # it ends what was begun within the text
        self._set_thoughts(thoughts)
        self._held = []
        self._is_over = self._skips_lines = True
        return self._behind(answer)

    def rest(self) -> str:
        """What was held back, as no more will come, without thoughts that have not ended."""
        if self._is_over:
            return ""
        self._is_over = True
        text, self._held = "".join(self._held), []
        self.were_unopened = False
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
