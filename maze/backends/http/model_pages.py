"""The models of a service, page by page where it lists them so."""

from __future__ import annotations

import logging

from maze.backends.base import ModelNames
from maze.backends.dialects.base import Dialect, MalformedError
from maze.backends.dialects.words import lists_more, next_page
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client
from maze.backends.http.limits import Call
from maze.backends.http.retry import FailedAttempt

MAX_PAGES = 20
"""How many pages of a list of models are asked for. Anthropic has 20 models on each, others up to 1000."""

_log = logging.getLogger(__name__)


def list_models(client: Client, endpoint: Endpoint, dialect: Dialect, call: Call) -> ModelNames:
    """The models of all pages, of the service's origin alone. Raises FailedAttempt if there is not even the first.

    A list is cut where a further page does not come, tells nothing new, or is one too many.
    """
    answer = client.get_json(endpoint, dialect.models_path, call)
    try:
        names = dict.fromkeys(dialect.model_names(answer))
    except MalformedError as error:
        raise client.failures.bad(endpoint.url, error) from None
    for _ in range(MAX_PAGES - 1):
        if not lists_more(answer):
            break
        try:
            answer = client.get_page(endpoint, dialect.models_path, next_page(answer, dialect.page_parameter), call)
            more = dict.fromkeys(dialect.model_names(answer))
        except MalformedError as error:
            return _cut(endpoint, names, str(client.failures.bad(endpoint.url, error)))
        except FailedAttempt as failed:
            return _cut(endpoint, names, str(failed))
        if more.keys() <= names.keys():
            return _cut(endpoint, names, "its next page has no other models")
        names |= more
    if lists_more(answer):
        return _cut(endpoint, names, f"it has more than {MAX_PAGES} pages")
    return ModelNames(names)


def _cut(endpoint: Endpoint, names: dict[str, None], reason: str) -> ModelNames:
    _log.warning("%s has more models than are listed here: %s", endpoint.url, reason)
    return ModelNames(names, is_cut=True)
