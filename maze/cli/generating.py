"""`maze generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from maze.cli.inputs import ConstraintInputs, Json, naming_options, read, taking_constraints
from maze.cli.output import Output, Progress, failing, print_json, say_error, stderr, write
from maze.config import DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE, DEFAULT_TIMEOUT_SECS
from maze.errors import InvalidArgumentError
from maze.json_text import parse
from maze.messages import messages_of
from maze.orchestrator import Orchestrator
from maze.ranges import MAX_STOP_TEXTS
from maze.report import report_of
from maze.shown import tokens_in_words
from maze.types import (
    OPTION_RANGES,
    GenerationMetadata,
    GenerationOptions,
    GenerationResult,
    Intent,
    Message,
    PromptForm,
    WhenCutOff,
)

MAX_TIMEOUT_SECS = 4_000_000
"""46 days; GenerationOptions.timeout_ms has 32 bits."""


@taking_constraints
def generate(
    given: ConstraintInputs,
    prompt: Annotated[str, typer.Argument(help="What to generate; - reads it from stdin.")],
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Most tokens to generate.", show_default=str(DEFAULT_MAX_TOKENS))
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="X", help=f"{OPTION_RANGES['temperature']}.".capitalize(), show_default=str(DEFAULT_TEMPERATURE)
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="X", help="Sample from the likeliest tokens that have so much probability together."),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="N", help="Sample from so many likeliest tokens; 0 for all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the sampler.", show_default="random")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECS",
            min=0.001,
            max=MAX_TIMEOUT_SECS,
            help="Seconds for everything.",
            show_default=str(DEFAULT_TIMEOUT_SECS),
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help=f"Text that ends the generation; up to {MAX_STOP_TEXTS} times."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Model to ask for.")] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="System prompt.")] = None,
    messages: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Earlier turns, as JSON: [{"role": "user", "text": "..."}, ...]; - for stdin.'
        ),
    ] = None,
    continue_from: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Text that the answer begins with, and the model goes on from.", show_default=False
        ),
    ] = "",
    prompt_form: Annotated[
        PromptForm | None,
        typer.Option(help="Through the model's chat template, or the prompt as it stands.", show_default="MAZE_PROMPT"),
    ] = None,
    describe_constraints: Annotated[
        bool | None,
        typer.Option(
            "--describe-constraints/--no-describe-constraints", help="Tell the model what the constraints are."
        ),
    ] = None,
    reasoning_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Most tokens to think before the answer; 0 for no thinking.")
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(
            "--attempts",
            "--max-attempts",
            metavar="N",
            help="Most generations until one satisfies what is only checked; over 1, the text appears when it is done.",
            show_default="1; with --json or -o 3 where a part is only checked",
        ),
    ] = None,
    when_cut_off: Annotated[
        WhenCutOff, typer.Option(help="What becomes of a constrained text that is cut off.")
    ] = WhenCutOff.ERROR,
    top_logprobs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Log-probabilities of each token and so many likeliest; shown with --json."),
    ] = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Generate text under constraints that all hold; it appears as it comes."""
    with failing(as_json):
        if [prompt, *map(str, (given.schema, given.grammar, messages))].count("-") > 1:
            raise InvalidArgumentError("only one of prompt, --schema, --grammar and --messages can come from stdin")
        if prompt == "-":
            prompt = read(Path("-"), "PROMPT")
        earlier = _messages(messages)
        with naming_options():
            options = GenerationOptions(
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                seed=seed,
                timeout_ms=None if timeout is None else round(timeout * 1000),
                stop=tuple(stop or ()),
                model=model,
                system=system,
                messages=earlier,
                continue_from=continue_from,
                prompt_form=prompt_form,
                describe_constraints=describe_constraints,
                reasoning_tokens=reasoning_tokens,
                max_attempts=max_attempts,
                when_cut_off=when_cut_off,
                top_logprobs=top_logprobs,
                **given.how_taken(),
            )
        intent = Intent(prompt, language=given.language)
        constraints = given.constraints()
        with Orchestrator() as maze, Progress(as_json) as progress:

            def show(piece: str) -> bool:
                progress.stop()
                sys.stdout.write(piece)
                sys.stdout.flush()
                return True

            as_it_comes = not as_json and output is None and (max_attempts or 1) == 1
            if progress.is_shown and maze.config.modal is None:
                progress.wait_for("loading the model")
                maze.health()
            progress.wait_for("waiting for the model")
            result = maze.generate(intent, constraints, options, on_text=show if as_it_comes else None)
        if output is not None and result.success:
            write(result.code, output)
    if as_json:
        print_json(report_of(result))
    else:
        text = "" if as_it_comes or (output is not None and result.success) else result.code
        if (text or as_it_comes) and result.code and not result.code.endswith("\n"):
            text += "\n"
        sys.stdout.write(text)
        _tell(result)
    raise typer.Exit(int(result.status))


def _tell(result: GenerationResult) -> None:
    """Tell on stderr what is to be said of the result beside its text."""
    console = stderr()
    for warning in () if result.validation is None else result.validation.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))
    if result.error is not None:
        say_error(result.error)
    elif console.is_terminal and (told := _speed(result.metadata)):
        console.print(Text(told, "dim"))


def _speed(metadata: GenerationMetadata) -> str:
    """How long it took, for a person: `42 tokens in 1.9 s, 31 per second`."""
    if not metadata.tokens_generated:
        return ""
    told = f"{tokens_in_words(metadata.tokens_generated)} in {metadata.total_time_ms / 1000:.1f} s"
    return told + (f", {1e6 / metadata.time_per_token_us:.0f} per second" if metadata.time_per_token_us else "")


def _messages(file: Path | None) -> tuple[Message, ...]:
    if file is None:
        return ()
    text = read(file, "--messages")
    try:
        turns = parse(text)
    except ValueError as error:
        raise InvalidArgumentError(f"is no JSON: {error}", field="--messages") from None
    with naming_options():
        return messages_of(turns)
