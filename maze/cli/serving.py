"""`maze serve`."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Annotated

import typer
from rich.text import Text

from maze.cli.exit_codes import INTERRUPTED
from maze.cli.inputs import Json
from maze.cli.output import failing, print_json, stderr
from maze.config import (
    MazeConfig,
    read_config,
    service_key_from_environment,
)
from maze.errors import ConfigurationError, Status
from maze.report import report_call
from maze.service.settings import EMBEDDED_CONCURRENCY, UPSTREAM_CONCURRENCY, ServiceSettings

_SERVICE = ServiceSettings()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; one that others reach needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name in the Host header to answer to, beside this machine's own; also MAZE_ALLOW_HOST with "
            "commas. Without it, a service with a key answers to all.",
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            help="URL of the engine to offer (vLLM, SGLang, llama.cpp, Maze), or several with commas between."
        ),
    ] = None,
    max_concurrent: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Generations at once.",
            show_default=f"{EMBEDDED_CONCURRENCY} embedded, {UPSTREAM_CONCURRENCY} upstream",
        ),
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=0, help="Generations that may wait; more get 429.")
    ] = _SERVICE.max_queue,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most one request may ask for.")] = _SERVICE.max_tokens,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds for one request, waiting included.")
    ] = _SERVICE.request_timeout_secs,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds for requests to end when the service stops.")
    ] = _SERVICE.stop_grace_secs,
    as_json: Json = False,
) -> None:
    """Offer the embedded engine, or an upstream, over HTTP.

    The key that clients must send comes from MAZE_API_KEY; the key for an upstream from MODAL_API_KEY, as for a client.
    MODAL_ENDPOINT is not looked at: a service that offers itself would go round in circles.
    """
    with failing(as_json):
        try:
            from maze.service.server import allowed_hosts, require_key, run_service
        except ImportError as error:
            raise ConfigurationError(f"maze serve needs a package ({error}): install libmaze[service]") from None

        key = service_key_from_environment()
        require_key(key, host)
        allowed = allowed_hosts(allow_host or (), key, host)
        config = _config_for(upstream)
        settings = ServiceSettings(
            api_key=key,
            allow_hosts=allowed,
            max_concurrent=max_concurrent or (EMBEDDED_CONCURRENCY if upstream is None else UPSTREAM_CONCURRENCY),
            max_queue=max_queue,
            max_tokens=max_tokens,
            request_timeout_secs=timeout,
            stop_grace_secs=grace,
        )

        def announce(url: str, backend: str | None) -> None:
            engine = "the embedded engine" if upstream is None else f"{backend or 'not reached yet'}: {upstream}"
            if as_json:
                print_json(report_call(Status.OK, url=url, backend=backend, pid=os.getpid()))
            else:
                stderr().print(Text(f"Maze service at {url}, in front of {engine}; Ctrl-C stops"))

        stopped_by = run_service(host, port, config, settings, announce)
    raise typer.Exit(INTERRUPTED if stopped_by is signal.SIGINT else 0)


def _config_for(upstream: str | None) -> MazeConfig:
    try:
        config = read_config({"endpoint": upstream or ""})
    except ConfigurationError as error:
        raise error.naming(error.field.replace("config.endpoint", "--upstream")) from None
    if upstream is not None and config.modal is None:
        raise ConfigurationError("names no URL; give one such as http://127.0.0.1:8000", field="--upstream")
    # A service is watched through its log, so it has one unless the environment says otherwise.
    return replace(config, log_filter=config.log_filter or "info")
