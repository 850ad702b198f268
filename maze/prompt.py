"""From an intent to what the model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maze.backends.base import Prompt
from maze.compiled import CompiledConstraints
from maze.errors import InvalidArgumentError
from maze.options import GenerationOptions, Message, PromptForm, Role
from maze.outcome import ConstraintOutcome, what_is_wrong
from maze.types import Intent

_DEFAULT_OPTIONS = GenerationOptions()

MAX_TOLD_VIOLATIONS = 16
"""Most things wrong with an answer that the model is told; the rest is counted."""
MAX_VIOLATION_CHARACTERS = 300
"""Most that is said of each."""
MAX_ANSWER_CHARACTERS = 8_000
"""Most of a wrong answer that the model is shown again."""

_WHOLE_AGAIN = "Give the whole answer again, and nothing but it, without that."
_WAS_EMPTY = "Your last answer to this was empty. Give the whole answer, and nothing but it."


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
    describe = options.describe_constraints is not False and form is PromptForm.CHAT
    return Prompt(
        text="\n\n".join([wanted, "\n".join(context)]) if context else wanted,
        form=form,
        system=options.system,
        messages=options.messages,
        demands=compiled.demands if describe and compiled is not None else (),
        demands_if_unenforced=options.describe_constraints is None,
    )


def corrected(prompt: Prompt, answer: str, violated: Sequence[ConstraintOutcome], *, continues: bool) -> Prompt:
    """The same conversation, with an answer behind it and what is wrong with it; a prompt that is no chat as it is.

    `continues`: whether the next answer is to go on from a text. A dialect may have to ask for what comes next and no
    more, which asking for the whole would contradict.
    """
    if prompt.form is not PromptForm.CHAT:
        return prompt
    if not answer.strip():  # services take no turn without text
        return replace(prompt, text=f"{prompt.turn()}\n\n{_WAS_EMPTY}", demands=(), corrects=True)
    wrong = [violation for outcome in violated for violation in outcome.violations]
    told = [
        f"- line {violation.line}, column {violation.column}"
        f"{f', at {violation.pointer}' if violation.pointer else ''}: {what_is_wrong(violation)}"[
            :MAX_VIOLATION_CHARACTERS
        ]
        for violation in wrong[:MAX_TOLD_VIOLATIONS]
    ]
    if len(wrong) > len(told):
        told.append(f"- and {len(wrong) - len(told)} more")
    turns = Message(Role.USER, prompt.turn()), Message(Role.ASSISTANT, answer[:MAX_ANSWER_CHARACTERS])
    wanted = "Begin as before, and go on without that." if continues else _WHOLE_AGAIN
    text = "\n".join(["This answer is wrong:", *told, wanted])
    return replace(prompt, text=text, messages=(*prompt.messages, *turns), demands=(), corrects=True)
