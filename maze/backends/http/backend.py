"""The backend for services over HTTP.

A call takes its turn, goes to an endpoint whose dialect is detected once, and is retried there or elsewhere; what
fails on the way is a FailedAttempt, which knows whether another attempt can help.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from maze.backends.base import Cancellation, Completion, Deadline, Health, ModelNames, OnText, Request
from maze.backends.dialects.base import Dialect
from maze.backends.endpoints import Endpoint, Endpoints
from maze.backends.http.asking import Asker
from maze.backends.http.client import Client
from maze.backends.http.detect import DIALECTS, detect
from maze.backends.http.failures import Failures
from maze.backends.http.limits import Call, Limits
from maze.backends.http.model_pages import list_models
from maze.backends.http.proof import make_it_generate, prove
from maze.backends.http.proxy import secrets_of
from maze.backends.http.recognition import recognise
from maze.backends.http.redaction import Redaction
from maze.backends.http.retry import Again, FailedAttempt, error_in, retry
from maze.backends.http.route import Route
from maze.backends.http.template import Template
from maze.backends.http.transport import SocketTransport
from maze.backends.semaphore import Semaphore
from maze.config import ModalConfig
from maze.errors import MazeError, OutOfMemoryError, RequestRejectedError, TimedOutError
from maze.memory import THREAD_BYTES, memory_for
from maze.options import PromptForm
from maze.threads import leave_signals_to_the_host

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

MAX_LISTED_MODELS = 10
"""How many models an error names."""


class HttpBackend:
    """An inference service, or several of the same kind, over HTTP. Safe for use from many threads at once."""

    def __init__(
        self,
        config: ModalConfig,
        *,
        dialect: Dialect | None = None,
        limits: Limits | None = None,
        is_proven: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`dialect` is one of a server that is known already, in place of the one that `config` names.

        A server that `is_proven` was seen to obey grammars; others have to show it before their first one.
        """
        self._limits = limits or Limits()
        dialect = dialect or (DIALECTS[config.dialect] if config.dialect else None)
        self._endpoints = Endpoints(
            [Endpoint(url, dialect and dialect.for_endpoint(), is_proven=is_proven) for url in config.endpoints]
        )
        self._model = config.model
        self._turns = Semaphore(self._limits.calls_under_way)
        self._closing = Cancellation()
        """Ends questions about health and models, which have no caller's cancellation, when the backend is closed."""
        keys = [key.reveal() for key in (config.api_key, config.proxy_key, config.proxy_secret) if key]
        self._redaction = Redaction([*keys, *secrets_of(config.proxies)])
        self._failures = Failures(self._redaction, has_key=bool(keys))
        routes = {url: Route(url, config) for url in config.endpoints}
        by_address = next(iter(routes.values())).address.dialect
        self.name: str | None = dialect.name if dialect else by_address
        self._client = Client(transport or SocketTransport(proxies=config.proxies), routes, self._failures)

    def can_go_on(self, request: Request) -> bool:
        """Of several endpoints, which are of one kind, those count that are known. See `Backend.can_go_on`."""
        only = self._endpoints.all[0] if len(self._endpoints.all) == 1 else None
        if only is not None and only.dialect is None:
            try:
                self._detect(only, Call(request.deadline, request.cancellation))
            except (FailedAttempt, MazeError) as failed:
                _log.debug("it is not known whether %s can go on: %s", only.url, failed)
        dialects = [endpoint.dialect for endpoint in self._endpoints.all if endpoint.dialect is not None]
        if not dialects or not all(dialect.can_go_on for dialect in dialects):
            return False
        # Only a thought that was asked for in a request of its own can be shown to the model again.
        return (
            request.reasoning_tokens == 0
            or request.prompt.form is PromptForm.RAW
            or all(self._thinks_apart(endpoint, request) for endpoint in self._endpoints.all)
        )

    def _thinks_apart(self, endpoint: Endpoint, request: Request) -> bool:
        if endpoint.dialect is None:
            return True
        call = Call(request.deadline, request.cancellation)
        try:
            model = self._model_at(endpoint, endpoint.dialect, request.model, call)
            return Template(self._client, endpoint, endpoint.dialect, model, call).thinks_apart()
        except (FailedAttempt, MazeError) as failed:
            _log.debug("it is not known whether %s thinks apart: %s", endpoint.url, failed)
            return False

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate at one of the endpoints. See `Backend.generate`."""
        if not self._turns.acquire(request.deadline, request.cancellation):
            request.cancellation.raise_if_cancelled()
            raise TimedOutError(
                f"no turn within {request.deadline.timeout_ms:.0f} ms: {self._limits.calls_under_way} calls were under "
                "way all the time; raise timeout_ms or send fewer calls at once"
            )
        try:
            whole = Call(request.deadline, request.cancellation)
            return retry(lambda each: self._generate_at(each, request, on_text), self._endpoints, self._limits, whole)
        except MazeError as error:
            error.model = error.model or request.model or self._model
            raise
        finally:
            self._turns.release()

    def health(self, deadline: Deadline) -> Health:
        """Ask every endpoint at once, each with one attempt. One that is ready is enough to generate."""
        deadline = deadline.of_question()
        shortages: list[OutOfMemoryError] = []
        reports = tuple(
            self._ask_each(lambda endpoint, asking: self._report(endpoint, Call(deadline, asking), shortages))
        )
        ready = any(report["ready"] for report in reports)
        if shortages and not ready:
            raise shortages[0]
        return Health(ready, self.name, reports)

    def models(self, deadline: Deadline) -> ModelNames:
        """The models of all endpoints together, which are asked at once. Fails only if no endpoint answers."""
        deadline = deadline.of_question()

        def list_at(endpoint: Endpoint, asking: Cancellation) -> ModelNames | MazeError:
            try:
                call = Call(deadline, asking)
                only = Endpoints([endpoint])
                return retry(lambda each: self._list_models(each, call), only, self._limits, call)
            except MazeError as error:
                return error

        answers = self._ask_each(list_at)
        lists = [names for names in answers if not isinstance(names, MazeError)]
        names = dict.fromkeys(name for names in lists for name in names)
        failure = next((failure for failure in answers if isinstance(failure, MazeError)), None)
        if failure is not None and not names:
            raise failure
        return ModelNames(names, is_cut=any(each.is_cut for each in lists))

    def close(self) -> None:
        """Close the idle connections, and end what is asked of the endpoints."""
        self._closing.cancel("cancelled: libmaze was shut down during the call")
        self._client.close()

    def _ask_each(self, ask: Callable[[Endpoint, Cancellation], _Result]) -> list[_Result]:
        """Ask every endpoint at once; close() ends it."""
        asking = Cancellation()
        forget = self._closing.on_cancel(lambda: asking.cancel("cancelled: libmaze was shut down during the call"))
        endpoints = self._endpoints.all
        with (
            memory_for(len(endpoints) * THREAD_BYTES),
            ThreadPoolExecutor(len(endpoints), "maze-ask", initializer=leave_signals_to_the_host) as pool,
        ):
            try:
                answers = list(pool.map(lambda endpoint: ask(endpoint, asking), endpoints))
            finally:
                asking.cancel("cancelled: nobody waits for the answer")  # after Ctrl-C, when the pool would wait for it
                forget()
        self._closing.raise_if_cancelled()
        return answers

    def _detect(self, endpoint: Endpoint, call: Call) -> Dialect:
        dialect = detect(self._client, endpoint, call)
        self.name = dialect.name
        return dialect

    def _generate_at(self, endpoint: Endpoint, request: Request, on_text: OnText) -> Completion:
        try:
            return self._generate_there(endpoint, request, on_text)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.engine = endpoint.facts() | error.engine
            raise

    def _generate_there(self, endpoint: Endpoint, request: Request, on_text: OnText) -> Completion:
        call = Call(request.deadline, request.cancellation)
        dialect = self._detect(endpoint, call)
        model = self._model_at(endpoint, dialect, request.model, call)
        asker = Asker(self._client, self._limits, endpoint, dialect, model, call)
        if request.grammar is not None or request.token_mask is not None:
            prove(asker, endpoint, dialect, self._failures, call)
        return asker.generate(request, on_text)

    def _model_at(self, endpoint: Endpoint, dialect: Dialect, wanted: str | None, call: Call) -> str | None:
        """The model to ask for; None for the service's own. Raises FailedAttempt for one that it does not have."""
        model = wanted or self._model or self._client.route(endpoint).address.deployment
        if model is not None and dialect.takes_any_model and endpoint.models and model not in endpoint.models:
            endpoint.models = self._list_models(endpoint, call)
            if model not in endpoint.models:
                problem = f"{endpoint.url} has no model {model[:200]!r}; it has: {self._listed(endpoint)}"
                raise FailedAttempt(RequestRejectedError(problem), Again.ELSEWHERE)
        if model is not None or not dialect.needs_model:
            return model
        if not endpoint.models:
            raise self._failures.unusable(f"{endpoint.url} lists no model; name one with MODAL_MODEL")
        if (len(endpoint.models) > 1 or endpoint.lists_more) and not dialect.takes_first_model:
            count = "more models than it lists at once" if endpoint.lists_more else f"{len(endpoint.models)} models"
            raise self._failures.unusable(
                f"{endpoint.url} has {count}; name one with MODAL_MODEL: {self._listed(endpoint)}"
            )
        return endpoint.models[0]

    def _listed(self, endpoint: Endpoint) -> str:
        """The first of its models."""
        more = ", ..." if len(endpoint.models) > MAX_LISTED_MODELS else ""
        return self._redaction.line(", ".join(endpoint.models[:MAX_LISTED_MODELS])) + more

    def _list_models(self, endpoint: Endpoint, call: Call) -> ModelNames:
        dialect = self._detect(endpoint, call)
        if not dialect.models_path:
            return ModelNames(())
        listed = list_models(self._client, endpoint, dialect, call)
        return ModelNames(map(self._redaction.text, listed), is_cut=listed.is_cut)

    def _report(self, endpoint: Endpoint, call: Call, shortages: list[OutOfMemoryError]) -> dict[str, Any]:
        """What `Health` says of an endpoint; what this process is short of for asking it, is added to `shortages`."""
        report: dict[str, Any] = {"endpoint": endpoint.url, "ready": False, "detail": "", "failures": endpoint.failures}
        try:
            dialect = self._detect(endpoint, call)
            report |= {"dialect": dialect.name, "version": endpoint.version, "models": []}
            said = self._said_at(dialect.ready_path, endpoint, dialect, call)
            is_sure = recognise(self._client, endpoint, dialect, call) if dialect.models_path else True
            report["models"] = list(map(self._redaction.text, endpoint.models))
            model = self._model_at(endpoint, dialect, None, call)
            asker = Asker(self._client, self._limits, endpoint, dialect, model, call)
            prove(asker, endpoint, dialect, self._failures, call)
            if not is_sure:
                make_it_generate(asker, call)
        except (FailedAttempt, MazeError) as failed:
            report["detail"] = str(failed)
            if isinstance(failed, OutOfMemoryError):
                shortages.append(failed)
        else:
            report["ready"] = True
            report["detail"] = said or "ready"
            if dialect.unproven:
                report["detail"] += f"; constraints are only checked: {dialect.unproven}"
        return report

    def _said_at(self, ready_path: str | None, endpoint: Endpoint, dialect: Dialect, call: Call) -> str:
        """What a service that is ready says of that. Raises FailedAttempt."""
        if ready_path is None:
            return ""
        if ready_path:
            try:
                return self._redaction.line(self._client.get(endpoint, ready_path, call).decode(errors="replace"))
            except FailedAttempt as failed:
                if failed.status not in (404, 405):
                    raise
                return ""  # SGLang's of old has no such path; what it lists and generates says enough
        functions = (dialect.generate_path, *([dialect.whole_path] if dialect.whole_path else []))
        if not any(self._client.takes_posts(endpoint, path, call) for path in functions):
            raise self._failures.unusable(f"{endpoint.url} has no function that takes a POST; check the URL")
        return ""
