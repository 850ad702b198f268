"""Whether an engine held to max_tokens: by the tokens that it says it generated, and else by the size of the text.

Pieces of a text are no tokens: one may hold several, and a service may cut one into pieces.
"""

from __future__ import annotations

from maze.backends.dialects.base import MalformedError

MAX_TOKEN_BYTES = 256
"""Twice the longest token of the vocabularies of GPT-2, GPT-4 and GPT-4o (128 bytes each) and SmolLM2 (81)."""


def check_token_limit(max_tokens: int, told: int | None, text_bytes: int) -> None:
    """Raise MalformedError if so many tokens (None: not told), or a text of so many bytes, are over the limit."""
    if told is not None and told > max_tokens:
        raise MalformedError(
            f"it has {told} tokens, by its own count, where max_tokens is {max_tokens}: the service ignores the limit"
        )
    if text_bytes > max_tokens * MAX_TOKEN_BYTES:
        raise MalformedError(
            f"its text has over {max_tokens * MAX_TOKEN_BYTES} bytes, which no {max_tokens} tokens (max_tokens) have: "
            "the service ignores the limit"
        )
