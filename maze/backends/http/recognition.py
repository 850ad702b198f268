"""Whether an endpoint is a service of its kind, found out without a generation: by what it lists and what it refuses.

Any web server answers a question for health, and calls itself well.
"""

from __future__ import annotations

from maze.backends.dialects.base import Dialect, MalformedError
from maze.backends.dialects.maze import MazeDialect
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client
from maze.backends.http.limits import Call
from maze.backends.http.retry import FailedAttempt

_NOTHING_THERE = (404, 405, 501)


def recognise(client: Client, endpoint: Endpoint, dialect: Dialect, call: Call) -> bool:
    """Look for a service of that dialect; returns whether it is there for sure, or only something that fails.

    Raises FailedAttempt, which says what is missing.
    """
    models = client.get_json(endpoint, dialect.models_path, call, may_lack=dialect.may_lack_models)
    if models is not None:
        try:
            endpoint.take_models(dialect, models)
        except MalformedError as error:
            raise client.failures.bad(endpoint.url, error) from None
    elif isinstance(dialect, MazeDialect) and not reports_health_as_maze(client, endpoint, call):
        raise client.failures.unusable(
            f"{endpoint.url} is no Maze service: it has no /models, and no /health with a 'status'; check the URL and "
            "MAZE_DIALECT"
        )
    if dialect.remedy is None and not endpoint.has_answered:
        return _refuses_an_empty_request(client, endpoint, dialect, call)
    return True


def reports_health_as_maze(client: Client, endpoint: Endpoint, call: Call) -> bool:
    """Whether a service without a list of models tells its health as the Maze contract has it."""
    health = client.get_json(endpoint, "/health", call, may_lack=True)
    return type(health) is dict and "status" in health


def _refuses_an_empty_request(client: Client, endpoint: Endpoint, dialect: Dialect, call: Call) -> bool:
    """A service that is asked for nothing says what is missing, where any other knows nothing at that path.

    One that answers 500 may do so because nothing was asked, or whatever is asked: then false is given back.
    """
    paths = [path for path in (dialect.chat_path or dialect.generate_path, dialect.whole_path) if path is not None]
    for path in paths:
        try:
            client.check_post(endpoint, path, b"{}", call)
        except FailedAttempt as failed:
            # Some name a model that they do not have with 404.
            if failed.status in _NOTHING_THERE and "model" not in failed.said.lower():
                continue
            if failed.status not in (400, 404, 409, 413, 415, 422, 500):
                raise
            return failed.status != 500
        return True
    raise client.failures.unusable(
        f"{endpoint.url} does not speak {dialect.name}: it has nothing at {' or '.join(paths)}; check the URL and "
        "MAZE_DIALECT"
    )
