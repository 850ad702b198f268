"""Keys in what a service says: never shown, also where the text is cut off within one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from maze.backends.halves import together

SHOWN_OF_SECRET = 6
"""Most characters of a key that an error may show: "sk-" and the like are no secret, and occur in other words."""
MAX_READ_CHARACTERS = 2000
"""How much of what a service says is looked at."""
MAX_REASON_CHARACTERS = 500
"""How much of an engine's own error text goes into ours."""
MAX_QUOTED_CHARACTERS = 200
"""How much of something that is wrong an error quotes."""
MAX_TOLD_VALUES = 64
MAX_TOLD_CHARACTERS = 200
"""How much of a service's own statistics goes into the provenance."""


class Redaction:
    """Services have been seen to repeat the key that they refuse; cutting what they say may leave its beginning.

    It is for the words of services alone: in our own sentences a key of one letter would be found everywhere.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        # As each is, as repr() shows it, and as it stands in URLs.
        self._shown = [shown for secret in secrets for shown in {secret, repr(secret)[1:-1], quote(secret, safe="")}]

    def text(self, text: str) -> str:
        """`text`, which a service said, with *** in place of every key, and of whole characters."""
        text = together(text)
        for shown in self._shown:
            text = _without(shown, text)
        return text

    def line(self, text: str) -> str:
        """The same, fit for a terminal: printable, in one line, and not long."""
        printable = "".join(c if c.isprintable() else " " for c in self.text(text[:MAX_READ_CHARACTERS]))
        return " ".join(printable.split())[:MAX_REASON_CHARACTERS]

    def quoted(self, text: str) -> str:
        """The same in quotation marks, to stand in a sentence."""
        return repr(self.text(text[:MAX_READ_CHARACTERS])[:MAX_QUOTED_CHARACTERS])

    def values(self, values: dict[str, Any]) -> dict[str, Any]:
        """What a service tells of a call; only what is flat and short, so that the record of it stays so."""
        return {
            self.text(name)[:MAX_TOLD_CHARACTERS]: self.text(value)[:MAX_TOLD_CHARACTERS]
            if type(value) is str
            else value
            for name, value in list(values.items())[:MAX_TOLD_VALUES]
            if type(value) in (str, int, float, bool)
        }


def _without(secret: str, text: str) -> str:
    """`text` with *** in place of `secret`, of its beginning where it was cut, and in whatever case."""
    found = re.compile(re.escape(secret[: SHOWN_OF_SECRET + 1]), re.IGNORECASE)
    parts: list[str] = []
    at = 0
    for match in found.finditer(text):
        if match.start() < at:
            continue
        end = match.end()
        while end - match.start() < len(secret) and text[end : end + 1].lower() == secret[end - match.start()].lower():
            end += 1
        parts += (text[at : match.start()], "***")
        at = end
    return "".join([*parts, text[at:]])
