"""Whether a server obeys grammars, found out once by having it generate under one that has a single text.

Every engine can ignore a grammar or refuse the form in which we send it, by how it was built or started, and call
itself ready all the same.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

from maze.backends.base import Completion, OnText, Prompt, Request
from maze.backends.dialects.base import Dialect
from maze.backends.endpoints import Endpoint
from maze.backends.http.asking import Asker
from maze.backends.http.failures import Failures
from maze.backends.http.limits import Call
from maze.backends.http.retry import Again, FailedAttempt, error_in
from maze.compiled import EngineGrammar
from maze.errors import (
    BadResponseError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    TimedOutError,
    TruncatedError,
)

_log = logging.getLogger(__name__)

PROOF_TEXT = "maze"
PROOF_TOKENS = 16

_GRAMMAR = EngineGrammar(f'start: "{PROOF_TEXT}"\n')


def prove(
    asker: Asker,
    endpoint: Endpoint,
    dialect: Dialect,
    failures: Failures,
    call: Call,
) -> None:
    """Make sure that the endpoint obeys grammars. Raises FailedAttempt, which says how the server must be started.

    Of a dialect that may be unproven, note it there instead.
    """
    if endpoint.is_proven or dialect.remedy is None or dialect.unproven:
        return
    if not endpoint.asking.acquire(call.deadline, call.cancellation):
        call.cancellation.raise_if_cancelled()
        raise TimedOutError(
            f"{endpoint.url} did not show within {call.deadline.timeout_ms:.0f} ms that it obeys grammars"
        )
    try:
        if not endpoint.is_proven and not dialect.unproven:
            problem = _problem_of(asker, failures, call)
            if problem is None:
                endpoint.is_proven = True
                _log.info("%s obeys grammars", endpoint.url)
            elif dialect.may_be_unproven:
                dialect.unproven = f"the service {problem}; {dialect.remedy}"
                _log.warning("%s %s: its texts are only checked", endpoint.url, problem)
            else:
                raise failures.unusable(f"{endpoint.url} ({dialect.name}) {problem}; {dialect.remedy}")
    except (FailedAttempt, MazeError) as caught:
        error = error_in(caught)
        if isinstance(caught, FailedAttempt) and error.partial_text:
            caught.again = Again.ELSEWHERE  # nobody got that text
        # What was generated here is not what the caller asked for.
        error.partial_text, error.tokens_generated, error.prompt_tokens, error.first_token_ms = "", None, None, None
        error.reasoning, error.reasoning_tokens, error.engine = None, None, {}
        raise
    finally:
        endpoint.asking.release()


def _problem_of(asker: Asker, failures: Failures, call: Call) -> str | None:
    """What speaks against it that grammars are obeyed, where need be by a model whose thoughts are ended at once.

    A model that always thinks is under no grammar before, behind the reasoning parser of a server.
    """
    failure: FailedAttempt | None = None
    problem: str | None = None
    try:
        problem = _problem(asker.generate, failures, call)
    except FailedAttempt as failed:
        if not _may_be_refusal(failed):
            raise
        failure = failed
    if failure is None and problem is None:
        return None
    with contextlib.suppress(FailedAttempt):
        if asker.end_thoughts() and _problem(asker.generate, failures, call) is None:
            return None
    asker.let_think()
    if failure is not None:
        raise failure
    return problem


def _problem(generate: Callable[[Request, OnText], Completion], failures: Failures, call: Call) -> str | None:
    """What speaks against it that grammars are obeyed; None if nothing does."""
    request = _request(call)
    try:
        text = generate(request, lambda _: True).text
    except FailedAttempt as failed:
        if not _may_be_refusal(failed):
            raise
        _generate_without(generate, request, failed)
        return f"cannot generate under a grammar: {failed}"
    except TruncatedError as error:
        return f"cannot generate under a grammar: {error}"
    if text == PROOF_TEXT:
        return None
    shown = failures.redaction.quoted(text)
    return f"ignores grammars: it answered {shown} where the grammar allows {PROOF_TEXT!r} alone"


def make_it_generate(asker: Asker, call: Call) -> None:
    """Make sure that the endpoint generates anything at all. Raises FailedAttempt and MazeError."""
    with contextlib.suppress(TruncatedError):
        asker.generate(replace(_request(call), grammar=None, is_constrained=True, max_tokens=1), lambda _: True)


def _request(call: Call) -> Request:
    return Request(
        prompt=Prompt(f"Say {PROOF_TEXT}."),
        grammar=_GRAMMAR,
        token_mask=None,
        max_tokens=PROOF_TOKENS,
        temperature=0.0,
        top_p=1.0,
        top_k=0,
        seed=0,
        stop=(),
        model=None,
        request_id="maze-proof",
        deadline=call.deadline,
        cancellation=call.cancellation,
    )


def _may_be_refusal(failed: FailedAttempt) -> bool:
    """Whether it may be the grammar that a server does not take."""
    if isinstance(failed.error, RequestRejectedError | BadResponseError):
        return True
    # vLLM answers 500 where another backend of its own does not know the form of the grammar.
    return isinstance(failed.error, EngineUnavailableError) and failed.status == 500


def _generate_without(
    generate: Callable[[Request, OnText], Completion], request: Request, refusal: FailedAttempt
) -> None:
    """Make sure that the server refuses the grammar: raises the refusal where it takes nothing else either."""
    try:
        generate(replace(request, grammar=None, prompt=Prompt("Say yes.")), lambda _: True)
    except FailedAttempt as failed:
        if not _may_be_refusal(failed):
            raise
        # As it is told by each call without constraints, to which no other way of starting the server helps.
        refusal.again, refusal.blames_endpoint = Again.ELSEWHERE, True
        raise refusal from None
    except TruncatedError:
        pass  # it generated
