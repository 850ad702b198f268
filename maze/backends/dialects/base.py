"""What tells one inference service from another: how a request is written and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.compiled import EngineGrammar, TokenMask
from maze.errors import TruncatedError, UnsupportedConstraintError
from maze.options import PromptForm
from maze.result import TokenLogprob

Event = dict[str, Any]
"""One JSON object of an answer."""


class MalformedError(Exception):
    """An answer is not what the protocol says; `problem` is the end of "the answer of <endpoint> is wrong: ...".

    What it quotes of the answer is `quoted`, for which {} stands in the problem: whoever shows it hides the keys in it.
    """

    def __init__(self, problem: str, quoted: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.quoted = quoted


class DeclinedError(MalformedError):
    """The answer is that there will be none: the model refuses, or a filter of the service does."""


class Dialect(Protocol):
    """One way to speak to an inference service."""

    name: str
    """As in MAZE_DIALECT; provenance calls the engine so."""
    generate_path: str
    """Where a request is posted to; its answer is a stream of server-sent events."""
    chat_path: str | None = None
    """Where a conversation is posted to, of which the service makes a prompt by its model's template."""
    template_path: str | None = None
    """Where a conversation is posted to, to be given back as the text that the model's template makes of it."""
    count_path: str | None = None
    """Where the tokens of a prompt are counted, in services that refuse more max_tokens than the context leaves."""
    text_path: str | None = None
    """Where tokens of `count_path` are made a text again."""
    remedy: str | None = None
    """How a server must be started that does not obey grammars; None for services that are no server of a model."""
    takes_any_model: bool = False
    """Whether it answers with the model that it has, whatever model is asked for."""
    whole_path: str | None = None
    """Where services that do not stream take the same request, if there are such."""
    may_be_unproven: bool = False
    """Whether a service that does not show that it obeys grammars is used all the same, and its texts only checked."""
    unproven: str = ""
    """Why it is used so; empty as long as it is not. Set for an endpoint's own dialect."""
    ready_path: str | None = "/health"
    """Where a service that is ready answers a GET; empty where it has but one function, which answers with a 405; None
    where its list of models is all that it says."""
    models_path: str = "/v1/models"
    """Empty where it lists none."""
    page_parameter: str = "after"
    """What takes the last model of a page, for the next one, where that is no link."""
    version_path: str | None = None
    """Where the service tells its version, in the field `version_field`."""
    version_field: str = "version"
    describes_models: bool = True
    """Whether its list of models is needed before the first request: for a default, or for the vocabulary."""
    may_lack_models: bool = False
    """Whether a service without such a list is one all the same."""
    needs_model: bool
    """Whether a request must name its model."""
    takes_first_model: bool = True
    """Whether the first model that is listed is the one to ask where none is named; else it must be the only one."""
    tells_tokens_in_chats: bool = True
    """Whether a token mask can be checked at `chat_path`, where it can be at all."""
    can_go_on: bool = False
    """Whether an answer goes on from `continue_from` of a request."""
    may_repeat_beginning: bool = False
    """Whether `continue_from` may stand in an answer once more, as the model is only told to go on from it."""
    ends_with_done: bool = True
    """Whether `data: [DONE]` ends a stream; otherwise the event that finishes the answer does."""
    may_think_in_text: bool = False
    """Whether thoughts may come as a part of the text, as a server sends them that knows nothing of them."""
    may_lack_done: bool = False
    """Whether a stream may end in order without it."""

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The JSON object of a request. `vocabulary` is the size of the model's, where the service told it.

        Raises UnsupportedConstraintError if the service cannot enforce the grammar or the mask.
        """

    def counting_fields(self, request: Request, model: str | None) -> dict[str, Any]:
        """What is posted to `count_path`; the answer has a field `count`."""
        del request, model
        return {}

    def vocabulary_question(self, model: str | None) -> dict[str, Any] | None:
        """A request whose refusal names the size of the vocabulary, where nothing else does."""
        del model
        return None

    def reader(self, request: Request) -> AnswerReader:
        """A reader for the answer to that request."""

    def path(self, request: Request) -> str:
        """Where that request is posted to."""
        if self.chat_path is not None and request.prompt.form is PromptForm.CHAT:
            return self.chat_path
        return self.generate_path

    def for_endpoint(self) -> Dialect:
        """The dialect to use for one endpoint: one of its own, if it learns of it."""
        return self

    def concede(
        self, request: Request, model: str | None, sent: Mapping[str, Any], status: int | None, said: str
    ) -> bool:
        """Take account of a refusal of what was `sent`; returns whether the request is worth another try, changed.

        `status` is that of HTTP, and `said` what the service says.
        """
        del request, model, sent, status, said
        return False

    def succeeded(self, request: Request, model: str | None) -> None:
        """Take account of a request that was answered."""
        del request, model

    def unenforced(self, request: Request, model: str | None) -> str:
        """Why the engine is not known to enforce what the request demands; empty if it does, or nothing is."""
        del model
        return self.unproven if request.grammar is not None else ""

    def told(self, request: Request, model: str | None) -> dict[str, Any]:
        """What else there is to say of how the service was asked, for the provenance."""
        del request, model
        return {}

    def model_names(self, answer: object) -> tuple[str, ...]:
        """The models that the answer of `models_path` names."""


class AnswerReader:
    """Reads one answer, event by event. What it learns stays in its attributes."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        """None until the answer says that the text is finished."""
        self.tokens_generated: int | None = None
        self.prompt_tokens: int | None = None
        self.model: str | None = None
        self.stopped_by_text = False
        """Whether the engine says that one of the stop texts ended the generation."""
        self.reasoning: str | None = None
        """What the model thought, where the answer tells that apart."""
        self.reasoning_tokens: int | None = None
        self.logprobs: list[TokenLogprob] = []
        self.token_ids: tuple[int, ...] | None = None
        """See `Completion.token_ids`."""
        self.may_be_empty = False
        """Whether there may be nothing to add to the text that is continued, or no thought."""
        self.problem: MalformedError | None = None
        """What is wrong with the answer behind the text that was read of it."""
        self.engine: dict[str, Any] = {}
        """What else the service said of this call, for the provenance."""

    def read_counts(self, event: Event) -> None:
        """Take what an event, also one that tells of an error, says of tokens. Raises MalformedError."""
        raise NotImplementedError

    def take_counts(self, generated: int | None, prompt: int | None) -> None:
        """Take counts; what was told once stays where an event does not tell it again."""
        self.tokens_generated = self.tokens_generated if generated is None else generated
        self.prompt_tokens = self.prompt_tokens if prompt is None else prompt

    def feed(self, event: Event) -> str:
        """Read an event of the stream; returns the text in it. Raises MalformedError."""
        del event
        raise MalformedError("it is a stream of events, not one JSON object")

    def feed_whole(self, answer: Event) -> str:
        """Read an answer that is one JSON object, not a stream; returns its text. Raises MalformedError."""
        del answer
        raise MalformedError("it is one JSON object, not a stream of events")

    def end(self) -> None:
        """Take account of the end of an answer that came in order."""

    def check(self, text: str) -> None:
        """Look at the whole: raises MalformedError or a MazeError if what was read cannot be trusted."""
        if self.finish_reason is None:
            raise MalformedError("it ended without saying that the text is finished")
        if not text and self.finish_reason == FINISHED_STOP and not self.stopped_by_text and not self.may_be_empty:
            # What vLLM does when a grammar dies inside it.
            raise MalformedError("it is an empty text, and claims to be finished")
        if not text and self.finish_reason == FINISHED_LENGTH:
            if self.reasoning:
                problem = "the thoughts of the model took all tokens, so that none was left for its answer"
                raise TruncatedError(f"{problem}; raise max_tokens, or reasoning_tokens")
            raise TruncatedError("the engine used up max_tokens, or its context, without any text; raise max_tokens")


# ------------------------------------------------------------------------------------------------ reading fields


def text_of(event: Event, field: str) -> str:
    """A field that must be a text."""
    value = event.get(field)
    if type(value) is not str:
        raise MalformedError(f"its field {field!r} is {_kind(value)}, not a text")
    return value


def count_of(event: Event, field: str) -> int | None:
    """A field that must be a whole number from 0, or absent."""
    value = event.get(field)
    if value is not None and (type(value) is not int or value < 0):
        raise MalformedError(f"its field {field!r} is {_kind(value)}, not a count")
    return value


def optional_text_of(event: Event, field: str) -> str | None:
    """A field that must be a text, or absent."""
    return None if event.get(field) is None else text_of(event, field)


def finish_reason_of(value: object) -> str:
    """A finish reason that can be one of a finished text."""
    if value in (FINISHED_STOP, FINISHED_LENGTH):
        return str(value)
    shown = "{}" if isinstance(value, str) else _kind(value)
    raise MalformedError(f"its finish reason is {shown}, neither 'stop' nor 'length'", str(value))


def _kind(value: object) -> str:
    kinds = {str: "a text", int: "a number", float: "a number", bool: "a boolean", list: "an array", dict: "an object"}
    return "missing" if value is None else kinds.get(type(value), "something else")


# ------------------------------------------------------------------------------------------------ token masks


def mask_grammar(allowed: frozenset[int]) -> EngineGrammar:
    """A grammar whose texts consist of the allowed tokens only."""
    if not allowed:
        raise UnsupportedConstraintError("token_masks forbids every token that it allows; no text can be generated")
    return EngineGrammar(f"start: <[{id_ranges(allowed)}]>*\n")


def id_ranges(ids: frozenset[int]) -> str:
    """Ids as llguidance writes them: `1-3,7`."""
    ranges: list[list[int]] = []
    for token in sorted(ids):
        if ranges and ranges[-1][1] == token - 1:
            ranges[-1][1] = token
        else:
            ranges.append([token, token])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def check_tokens(ids: list[int], mask: TokenMask) -> None:
    """Raise if a token that the engine says it generated breaks the mask: the engine then ignored it."""
    for token in ids:
        if token in mask.forbidden or (mask.allowed is not None and token not in mask.allowed):
            raise MalformedError(
                f"it holds token {token}, which token_masks does not allow: the engine ignored the mask"
            )


def token_ids_of(event: Event, field: str) -> list[int]:
    """A field that must be an array of token ids; without it a mask cannot be checked."""
    value = event.get(field)
    if type(value) is not list or not all(type(token) is int for token in value):
        raise MalformedError(f"it does not tell its token ids ({field!r}), so token_masks cannot be checked")
    return value
