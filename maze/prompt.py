"""From an intent to what the model is asked."""

from __future__ import annotations

from maze.backends.base import Prompt
from maze.errors import InvalidArgumentError
from maze.types import CompiledConstraints, GenerationOptions, Intent, PromptForm

_DEFAULT_OPTIONS = GenerationOptions()

DESCRIBES_CONSTRAINTS = True
"""Whether the model is told what the constraints demand where the options do not say."""


def build_prompt(
    intent: Intent,
    options: GenerationOptions = _DEFAULT_OPTIONS,
    compiled: CompiledConstraints | None = None,
    form: PromptForm = PromptForm.CHAT,
) -> Prompt:
    """What to ask the model: the prompt, or what the user said, with the language and file it is for.

    Beside it stand the system prompt and the earlier turns of the options, and what the constraints demand. `form` is
    for options that do not say.

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
    form = form if options.prompt_form is None else options.prompt_form
    describe = DESCRIBES_CONSTRAINTS if options.describe_constraints is None else options.describe_constraints
    return Prompt(
        text="\n\n".join([wanted, "\n".join(context)]) if context else wanted,
        form=form,
        system=options.system,
        messages=options.messages,
        demands=compiled.demands if describe and compiled is not None and form is PromptForm.CHAT else (),
    )
