"""The Maze service as an ASGI app: offers an Orchestrator over HTTP, by the Maze contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from maze.orchestrator import Orchestrator
from maze.service.middleware import RequestBoundary
from maze.service.refusal import Refusal
from maze.service.routes import Service
from maze.service.settings import ServiceSettings


def create_app(orchestrator: Orchestrator, settings: ServiceSettings) -> Starlette:
    """Make the ASGI app that offers `orchestrator`, which the caller closes after the app has shut down.

    `app.state.service` is the Service, for whoever runs the app: begin_stop() and drained() make a graceful stop.
    """
    service = Service(orchestrator, settings)
    paths = tuple(route.path for route in service.routes)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.begin_stop()
            await service.drained()
            service.close()

    def refuse_route(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        code, message = {
            404: ("not_found", f"there is no such path; the paths are {', '.join(paths)}"),
            405: ("method_not_allowed", "this path does not take this method"),
        }.get(error.status_code, ("invalid_argument", error.detail))
        return Refusal(error.status_code, code, message, headers=error.headers).response()

    boundary = Middleware(RequestBoundary, settings=settings, metrics=service.metrics, routes=paths)
    app = Starlette(
        routes=service.routes,
        middleware=[boundary],
        exception_handlers={HTTPException: refuse_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # the address would be made of what the client says the host is
    app.state.service = service
    return app
