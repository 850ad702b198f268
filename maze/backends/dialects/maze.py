"""The Maze service contract: the app that runs on Modal, `maze serve`, and the services that Ananke deploys."""

from __future__ import annotations

from typing import Any

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.backends.dialects.base import (
    AnswerReader,
    Dialect,
    Event,
    MalformedError,
    count_of,
    finish_reason_of,
    optional_text_of,
    text_of,
)
from maze.config import DEFAULT_MODAL_MODEL
from maze.errors import ConstraintViolatedError, TruncatedError
from maze.grammar.llguidance import engine_text
from maze.options import PromptForm
from maze.shown import tokens_in_words


class MazeDialect(Dialect):
    """`POST /generate/stream` of the Maze service, or `POST /generate` where the service is older."""

    name = "maze"
    generate_path = "/generate/stream"
    whole_path = "/generate"
    models_path = "/models"
    describes_models = False
    may_lack_models = True
    needs_model = False

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The service knows its vocabulary and refuses what it cannot enforce."""
        del vocabulary
        fields: dict[str, Any] = {
            "prompt": request.prompt.turn(),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "seed": request.seed,
            "stop_sequences": request.stop,
            "model": model or DEFAULT_MODAL_MODEL,
            "request_id": request.request_id,
        }
        fields |= _of_the_conversation(request)
        constraints: dict[str, Any] = {}
        grammar = request.whole_grammar if request.continue_from else request.grammar
        if grammar is not None:
            constraints["grammar"] = engine_text(grammar)
        if request.token_mask is not None:
            mask = request.token_mask
            constraints["token_mask"] = {
                "allowed": None if mask.allowed is None else sorted(mask.allowed),
                "forbidden": sorted(mask.forbidden),
            }
        if constraints:
            fields["constraints"] = constraints
        return fields

    def reader(self, request: Request) -> AnswerReader:
        return _MazeReader(request)

    def model_names(self, answer: object) -> tuple[str, ...]:
        """A bare array of texts."""
        if type(answer) is not list or not all(type(name) is str for name in answer):
            raise MalformedError("its list of models is not an array of texts")
        return tuple(answer)


def _of_the_conversation(request: Request) -> dict[str, Any]:
    """What older services do not know, where there is something to say."""
    prompt = request.prompt
    said: dict[str, Any] = {
        "prompt_form": None if prompt.form is PromptForm.CHAT else prompt.form,
        "system": prompt.system,
        "messages": [{"role": message.role, "text": message.text} for message in prompt.messages],
        "continue_from": request.continue_from,
        "reasoning_tokens": request.reasoning_tokens or None,
        "top_logprobs": request.top_logprobs,
    }
    return {field: value for field, value in said.items() if value not in (None, "", [])}


class _MazeReader(AnswerReader):
    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._satisfied: bool | None = None
        self._claimed_text: str | None = None

    def read_counts(self, event: Event) -> None:
        self.take_counts(count_of(event, "tokens_generated"), count_of(event, "prompt_tokens"))

    def feed(self, event: Event) -> str:
        if self.finish_reason is not None:
            raise MalformedError("an event follows the one that finished it")
        done = event.get("done")
        if type(done) is not bool:
            raise MalformedError("its field 'done' is not a boolean")
        if done:
            self._read_summary(event)
            self._claimed_text = optional_text_of(event, "generated_text")
        return text_of(event, "token")

    def feed_whole(self, answer: Event) -> str:
        self._read_summary(answer)
        text = text_of(answer, "generated_text")
        return text.removeprefix(self._request.continue_from)

    def _read_summary(self, answer: Event) -> None:
        self.read_counts(answer)
        self.model = optional_text_of(answer, "model") or optional_text_of(answer, "model_name")
        satisfied = answer.get("constraint_satisfied")
        if satisfied is not None and type(satisfied) is not bool:
            raise MalformedError("its field 'constraint_satisfied' is not a boolean")
        self._satisfied = satisfied
        self.reasoning = optional_text_of(answer, "reasoning")
        self.reasoning_tokens = count_of(answer, "reasoning_tokens")
        if answer.get("finish_reason") is not None:
            self.finish_reason = finish_reason_of(answer["finish_reason"])
        else:  # the services that Ananke deploys
            used_up = self.tokens_generated is not None and self.tokens_generated >= self._request.max_tokens
            self.finish_reason = FINISHED_LENGTH if used_up else FINISHED_STOP
        # The contract does not tell which of them it was, so an empty text needs the word of the service.
        self.stopped_by_text = bool(self._request.stop) and satisfied is True
        stats = answer.get("stats")
        if type(stats) is dict:
            self.engine["stats"] = stats
        elif type(answer.get("generation_time_ms")) in (int, float):
            self.engine["stats"] = {"total_time_ms": answer["generation_time_ms"]}

    def _answered(self) -> int:
        """Tokens without those of its thoughts."""
        return max(0, (self.tokens_generated or 0) - (self.reasoning_tokens or 0))

    def check(self, text: str) -> None:
        super().check(text)
        whole = self._request.continue_from + text
        if self._claimed_text not in (None, text, whole):
            raise MalformedError("its pieces together are not the text that it claims to have generated")
        request = self._request
        if request.grammar is None and request.token_mask is None:
            return
        if self._satisfied is False and self.finish_reason == FINISHED_LENGTH:
            tokens = tokens_in_words(self._answered() or request.max_tokens)
            raise TruncatedError(
                f"the text was cut off after {tokens}, before it satisfied its constraints, says the service; raise "
                "max_tokens"
            )
        if self._satisfied is False:
            raise ConstraintViolatedError("the service itself says that the text does not satisfy its constraints")
        if request.token_mask is not None and self._satisfied is None:
            raise MalformedError("it does not say whether token_masks was enforced, and that cannot be checked here")
