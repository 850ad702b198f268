"""What the service tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from maze.service.contract import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one service, in a registry of its own: two services in a process do not mix."""

    CONTENT_TYPE: ClassVar[str] = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "maze_requests", "Requests answered; 499: the client left.", ["route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "maze_request_seconds",
            "From the request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "maze_queue_seconds", "Wait for a free slot.", buckets=_SECONDS, registry=registry
        )
        self._first_token_seconds = Histogram(
            "maze_first_token_seconds", "From the slot to the first text.", buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("maze_tokens_generated", "Tokens of finished generations.", registry=registry)
        self._prompt_tokens = Counter("maze_prompt_tokens", "Tokens of their prompts.", registry=registry)
        self._unsatisfied = Counter(
            "maze_constraints_unsatisfied",
            "Finished generations that do not satisfy their constraints, by how they ended.",
            ["finish_reason"],
            registry=registry,
        )
        self._running = Gauge("maze_generations_running", "Generations under way.", registry=registry)
        self._queued = Gauge("maze_queue_depth", "Generations that wait for a slot.", registry=registry)

        self._compiling = Gauge("maze_compilations_running", "Compilations and checks under way.", registry=registry)
        self._to_compile = Gauge("maze_compilations_waiting", "Those that wait for their turn.", registry=registry)

    def watch(
        self,
        running: Callable[[], int],
        queued: Callable[[], int],
        compiling: Callable[[], int],
        to_compile: Callable[[], int],
    ) -> None:
        """Read the gauges from here whenever somebody asks."""
        self._running.set_function(running)
        self._queued.set_function(queued)
        self._compiling.set_function(compiling)
        self._to_compile.set_function(to_compile)

    def count(self, answer: Answer) -> None:
        """Count a finished generation."""
        self._tokens.inc(answer["tokens_generated"] or 0)
        self._prompt_tokens.inc(answer["prompt_tokens"] or 0)
        first_token_ms = answer["stats"]["first_token_ms"]
        if first_token_ms is not None:
            self._first_token_seconds.observe(first_token_ms / 1000)
        if answer["constraint_satisfied"] is False:
            self._unsatisfied.labels(answer["finish_reason"]).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
