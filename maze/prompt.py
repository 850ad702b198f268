"""From an intent to the text that the model is asked."""

from __future__ import annotations

from maze.errors import InvalidArgumentError
from maze.types import Intent


def build_prompt(intent: Intent) -> str:
    """Return what to ask the model: the prompt, or what the user said, with the language and file it is for.

    Raises InvalidArgumentError if there is nothing to ask.
    """
    wanted = intent.prompt if intent.prompt is not None else intent.raw_input
    if not wanted.strip():
        field = "intent.raw_input" if intent.prompt is None else "intent.prompt"
        raise InvalidArgumentError(f"{field} is empty; say what to generate")
    context = []
    if intent.language:
        context.append(f"Language: {intent.language}")
    if intent.current_file:
        context.append(f"File: {intent.current_file}")
    return "\n\n".join([wanted, "\n".join(context)]) if context else wanted
