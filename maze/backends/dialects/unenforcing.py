"""Services that take no grammar: what they are asked for instead, and what each turned out not to take.

Nothing is trusted to be enforced: what a service is asked for only makes it likelier that a text passes the check.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from maze.backends.base import Prompt, Request
from maze.backends.dialects.base import Dialect
from maze.backends.dialects.concessions import Concessions
from maze.backends.dialects.strict_schema import StrictRules, may_be_object, strict_schema
from maze.backends.dialects.words import listed_models
from maze.errors import UnsupportedConstraintError
from maze.options import PromptForm

GO_ON = (
    "Your answer was cut off. Go on exactly where it ends: write only what comes next, without repeating anything and "
    "without comment."
)
"""What a model is told behind its unfinished answer, where it is not sure to go on from it by itself."""

REFUSED = frozenset((400, 422, 501))
"""Statuses of a refusal of something in the request."""
_NAMES_OF_FORMATS = ("response_format", "json_schema", "json_object", "output_config")
_FORMAT_WORDS = ("schema", "grammar", "structured")
"""What speaks of a format too, where no field is named."""


class ResponseFormat(NamedTuple):
    """What a service is asked to keep to."""

    kind: str
    """`json_schema`, `json_object with a schema` (as llama-cpp-python and Together have it) or `json_object`."""
    schema: str = ""
    """The schema that it is made of, by which its refusal is remembered."""
    strict: dict[str, Any] | None = None
    """The strict form of that schema; None where it has none."""


class UnenforcingDialect(Dialect):
    """A service that takes no grammar. Each endpoint has one of its own, which learns what its models do not take."""

    may_lack_models = True
    may_think_in_text = True
    may_repeat_beginning = True
    takes_first_model = False
    needs_model = True
    ready_path = None
    optional_fields: tuple[str, ...]
    """Fields of a request that are left out where the service refuses them."""
    strict_rules: StrictRules
    takes_any_schema: bool
    """Whether a schema without a strict form, and `json_object`, can be asked for as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._concessions: dict[str | None, Concessions] = {}

    def for_endpoint(self) -> Dialect:
        return type(self)()

    def model_names(self, answer: object) -> tuple[str, ...]:
        return listed_models(answer)

    def conceded(self, model: str | None) -> Concessions:
        """What that model does not take."""
        with self._lock:
            return self._concessions.setdefault(model, Concessions())

    def refuse_mask(self, request: Request) -> None:
        """Refuse what could be neither enforced nor checked."""
        if request.token_mask is not None:
            raise UnsupportedConstraintError(
                f"token_masks can be neither enforced nor checked by a service that speaks {self.name}; leave them "
                "out, or use the embedded engine"
            )

    def format_of(self, request: Request, model: str | None) -> ResponseFormat | None:
        """The most telling format that the service takes, as far as is known; None if there is none to ask for."""
        # What only goes on is no JSON text by itself.
        if not request.json_schemas or request.prompt.form is PromptForm.RAW or request.continue_from:
            return None
        conceded, schema = self.conceded(model), request.json_schemas[0]
        strict, is_object = _strict(schema, self.strict_rules)
        if conceded.takes("json_schema", schema) and (strict is not None or self.takes_any_schema):
            return ResponseFormat("json_schema", schema, strict)
        if self.takes_any_schema and is_object:
            if conceded.takes("json_object with a schema", schema):
                return ResponseFormat("json_object with a schema", schema, strict)
            if conceded.takes("json_object", ""):
                return ResponseFormat("json_object")
        return None

    def unenforced(self, request: Request, model: str | None) -> str:
        if request.grammar is None:
            return ""
        asked_for = self.format_of(request, model)
        if asked_for is None:
            return f"the service takes no grammar: {_told_instead(request.prompt)}"
        return f"the service takes no grammar: it was asked for {asked_for.kind}, which it is not known to enforce"

    def told(self, request: Request, model: str | None) -> dict[str, Any]:
        asked_for = self.format_of(request, model)
        told = {} if request.grammar is None else {"response_format": asked_for.kind if asked_for else "none"}
        left_out = self.conceded(model).left_out
        return told | ({"left_out": ", ".join(sorted(left_out))} if left_out else {})

    def concede(
        self, request: Request, model: str | None, sent: Mapping[str, Any], status: int | None, said: str
    ) -> bool:
        conceded = self.conceded(model)
        asked_for = self.format_of(request, model)
        speaks = said.lower()
        names_it = any(name in speaks for name in _NAMES_OF_FORMATS)
        if status in REFUSED and not names_it and conceded.leave_out(sent, said, self.optional_fields):
            return True
        names_it = names_it or any(word in speaks for word in _FORMAT_WORDS)
        # 500: llama-cpp-python. 404: OpenRouter, where no provider takes all that is asked for.
        refused = (names_it and status in (*REFUSED, 500)) or (status == 404 and "parameters" in speaks)
        if asked_for is not None and refused:
            conceded.refuse_format(asked_for.kind, asked_for.schema)
            return True
        return status in REFUSED and conceded.leave_out(sent, said, self.optional_fields)

    def succeeded(self, request: Request, model: str | None) -> None:
        asked_for = self.format_of(request, model)
        if asked_for is not None:
            self.conceded(model).taken(asked_for.kind)


def _told_instead(prompt: Prompt) -> str:
    if prompt.demands:
        return "they were described in the prompt"
    return "it was told what its last text broke" if prompt.corrects else "it was not told of them"


@lru_cache(maxsize=64)
def _strict(schema: str, rules: StrictRules) -> tuple[dict[str, Any] | None, bool]:
    """The strict form of a schema, and whether its texts are objects."""
    try:
        read = orjson.loads(schema)
    except orjson.JSONDecodeError:  # deeper than it goes, or numbers beyond what it knows
        return None, False
    return strict_schema(read, rules), may_be_object(read)
