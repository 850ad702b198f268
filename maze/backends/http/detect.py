"""Which service an endpoint is: found by asking it, once, together with its models and its version."""

from __future__ import annotations

import logging

from maze.backends.dialects.ananke import (
    AnankeChatDialect,
    AnankeEvalDialect,
    AnankeModalDialect,
    AnankeSglangDialect,
)
from maze.backends.dialects.anthropic import AnthropicDialect
from maze.backends.dialects.base import Dialect, MalformedError
from maze.backends.dialects.llama_cpp import LlamaCppDialect
from maze.backends.dialects.maze import MazeDialect
from maze.backends.dialects.openai import OpenAiDialect
from maze.backends.dialects.sglang import SglangDialect
from maze.backends.dialects.vllm import VllmDialect
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client
from maze.backends.http.limits import Call
from maze.backends.http.recognition import reports_health_as_maze
from maze.backends.http.retry import Again, FailedAttempt
from maze.errors import TimedOutError
from maze.native_json import dumps

_log = logging.getLogger(__name__)

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        MazeDialect(),
        VllmDialect(),
        SglangDialect(),
        LlamaCppDialect(),
        OpenAiDialect(),
        AnthropicDialect(),
        AnankeSglangDialect(),
        AnankeChatDialect(),
        AnankeModalDialect(),
        AnankeEvalDialect(),
    )
}
"""By the names of MAZE_DIALECT."""
VERSION_SECS = 2.0
"""Longest wait for the version of a service, which is only nice to have."""

_DIALECT_OF_OWNER = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}
"""`owned_by` in the answer of /v1/models."""


def detect(client: Client, endpoint: Endpoint, call: Call) -> Dialect:
    """The dialect of an endpoint, which is filled in. Only the first call asks, the others wait for it."""
    if endpoint.dialect is not None and endpoint.described:
        return endpoint.dialect
    if not endpoint.asking.acquire(call.deadline, call.cancellation):
        call.cancellation.raise_if_cancelled()
        raise TimedOutError(f"{endpoint.url} did not say what it is within {call.deadline.timeout_ms:.0f} ms")
    try:
        if endpoint.dialect is None or not endpoint.described:
            endpoint.dialect = _ask(client, endpoint, call)
            endpoint.described = True
            _log.info("%s speaks %s", endpoint.url, endpoint.dialect.name)
        return endpoint.dialect
    finally:
        endpoint.asking.release()


def _ask(client: Client, endpoint: Endpoint, call: Call) -> Dialect:
    route = client.route(endpoint)
    dialect = endpoint.dialect
    if dialect is None and route.address.dialect is not None:
        dialect = DIALECTS[route.address.dialect].for_endpoint()
    models: object = None
    if dialect is None:
        models = client.get_json(endpoint, "/v1/models", call, may_lack=True)
        if models is not None:
            dialect = _dialect_of(models)
        elif _listed(below := client.get_json(endpoint, "/models", call, may_lack=True)):
            # An address that has the version in it, or none, such as .../v1beta/openai.
            route.has_version, models = False, below
            dialect = DIALECTS[OpenAiDialect.name].for_endpoint()
        else:
            dialect = _without_openais_list(client, endpoint, call, below)
    elif dialect.describes_models and route.address.deployment is None:
        models = client.get_json(endpoint, dialect.models_path, call, may_lack=dialect.may_lack_models)
        if models is None and dialect.models_path.startswith("/v1/") and route.address.has_path:
            route.has_version = False
            models = client.get_json(endpoint, dialect.models_path, call, may_lack=True)
    if models is not None:
        try:
            endpoint.take_models(dialect, models)
        except MalformedError as error:
            failed = client.failures.bad(endpoint.url, error)
            failed.again, failed.blames_endpoint = Again.ELSEWHERE, True  # nothing was generated yet
            raise failed from None
        size = _of_first_model(models, "meta", "n_vocab")  # llama.cpp
        endpoint.vocabulary = size if type(size) is int and size > 0 else None
        context = _of_first_model(models, "max_model_len") or _of_first_model(models, "meta", "n_ctx")
        endpoint.context = context if type(context) is int and context > 0 else None
    if dialect.version_path is not None:
        told = _told_of_version(client, endpoint, dialect.version_path, call)
        version = told.get(dialect.version_field) if type(told) is dict else None
        endpoint.version = client.failures.redaction.text(version[:100]) if type(version) is str else None
        if endpoint.dialect is None and dialect.name == SglangDialect.name and _has_anankes_backend(told):
            dialect = DIALECTS[AnankeSglangDialect.name].for_endpoint()
    return dialect


def _dialect_of(models: object) -> Dialect:
    """Of an engine that says what it is; else it is one of the many that speak as OpenAI does."""
    owner = _of_first_model(models, "owned_by")
    name = _DIALECT_OF_OWNER.get(owner) if type(owner) is str else None
    return DIALECTS[OpenAiDialect.name if name is None else name].for_endpoint()


def _listed(models: object) -> bool:
    """Whether it is a list of models as OpenAI and others have it, and not one of texts as a Maze service has it."""
    entries = models
    if type(models) is dict:
        entries = models.get("data", models.get("models"))
    return type(entries) is list and (type(models) is dict or any(type(entry) is dict for entry in entries))


def _has_anankes_backend(server_info: object) -> bool:
    """Whether a server of SGLang was started with `--grammar-backend ananke`."""
    return type(server_info) is dict and server_info.get("grammar_backend") == "ananke"


def _without_openais_list(client: Client, endpoint: Endpoint, call: Call, models: object) -> Dialect:
    """The dialect of what has no list of models as OpenAI has it, but perhaps `models` at /models.

    A Maze service lists them as texts, or at least reports its health, as Ananke's eval service does. Other services of
    Ananke are nothing but a function, of which one short answer tells which it is.
    """
    maze = DIALECTS[MazeDialect.name]
    if type(models) is list and all(type(name) is str for name in models):
        return maze
    if reports_health_as_maze(client, endpoint, call):
        is_eval = client.takes_posts(endpoint, AnankeEvalDialect.constrained_path, call)
        return DIALECTS[AnankeEvalDialect.name].for_endpoint() if is_eval else maze
    if client.takes_posts(endpoint, "", call):
        answer = client.post_json(endpoint, "", dumps(_SHORT_QUESTION), call, may_lack=True)
        for name, field in _FIELD_OF_FUNCTION.items():
            if type(answer) is dict and field in answer:
                return DIALECTS[name].for_endpoint()
    if client.takes_posts(endpoint, AnankeModalDialect.whole_path, call):
        return DIALECTS[AnankeModalDialect.name].for_endpoint()
    raise client.failures.unusable(
        f"{endpoint.url} is no inference service that libmaze knows: it has neither /v1/models, nor /models or "
        "/health of a Maze service, and is no function of Ananke's; check the URL, or set MAZE_DIALECT"
    )


_SHORT_QUESTION = {
    "prompt": "Hello.",
    "messages": [{"role": "user", "content": "Hello."}],
    "max_tokens": 1,
    "temperature": 0.0,
}
"""For each of the functions."""
_FIELD_OF_FUNCTION = {AnankeChatDialect.name: "choices", AnankeModalDialect.name: "generated_text"}
"""In its answer."""


def _told_of_version(client: Client, endpoint: Endpoint, path: str, call: Call) -> object:
    """What the service has there; None if it does not tell in time."""
    short = Call(call.deadline, call.cancellation)
    short.allow_silence(VERSION_SECS)
    try:
        return client.get_json(endpoint, path, short)
    except FailedAttempt:
        return None


def _of_first_model(models: object, *names: str) -> object:
    """What a list of models tells of the first one; None if it is no such list, or does not tell."""
    try:
        value = models["data"][0]  # type: ignore[index] # what is no such thing is caught
        for name in names:
            value = value[name]
    except (KeyError, IndexError, TypeError):
        return None
    return value
