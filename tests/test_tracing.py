"""maze.tracing: what a host that traces with OpenTelemetry sees of a call, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from scripted_backend import ScriptedBackend, raising

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Message, Orchestrator, Role
from maze.errors import RateLimitedError

COLOUR = [ConstraintIR(regex_patterns=("^(red|blue)$",))]
INTENT = Intent("SECRETPROMPT")
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(scope="module")
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # once in a process
    yield exporter
    exporter.shutdown()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_call_has_spans_of_its_compilation_request_and_validation(spans: InMemorySpanExporter) -> None:
    options = GenerationOptions(model="a-model", seed=7, max_tokens=9, stop=("END",), temperature=0.5, top_k=3)
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["red"])) as maze:
        result = maze.generate(INTENT, COLOUR, options)
    assert result.success
    found = by_name(spans)
    assert set(found) == {"maze.generate", "maze.compile", "chat a-model", "maze.validate"}
    call = found.pop("maze.generate")
    assert call.parent is None
    assert all(span.parent == call.context for span in found.values())
    request = found["chat a-model"]
    assert request.kind is SpanKind.CLIENT
    assert result.provenance is not None
    assert dict(request.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "a-model",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.top_k": 3,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.output.type": "text",
        "gen_ai.response.model": "a-model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
        "maze.request_id": result.provenance.parameters["request_id"],
    }
    assert (call.attributes or {})["maze.status"] == "MAZE_OK"
    assert (found["maze.compile"].attributes or {})["maze.cache_hit"] is False


def test_prompts_and_code_are_in_no_span_unless_that_is_switched_on(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = GenerationOptions(system="SECRETSYSTEM", messages=(Message(Role.USER, "SECRETTURN"),), max_attempts=1)
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["SECRETCODE"])) as maze:
        monkeypatch.delenv(CONTENT, raising=False)
        maze.generate(INTENT, COLOUR, options)
        assert "SECRET" not in "".join(span.to_json() for span in spans.get_finished_spans())
        spans.clear()
        monkeypatch.setenv(CONTENT, "true")
        maze.generate(INTENT, COLOUR, options)
    attributes = by_name(spans)["chat scripted"].attributes or {}
    told = json.loads(str(attributes["gen_ai.input.messages"]))
    assert [message["parts"][0]["content"][:12] for message in told] == ["SECRETTURN", "SECRETPROMPT"]
    assert json.loads(str(attributes["gen_ai.system_instructions"])) == [{"type": "text", "content": "SECRETSYSTEM"}]
    (answer,) = json.loads(str(attributes["gen_ai.output.messages"]))
    assert answer["parts"] == [{"type": "text", "content": "SECRETCODE"}]


def test_a_failure_is_told_by_its_kind_alone(spans: InMemorySpanExporter) -> None:
    script = [raising(RateLimitedError("SECRETREASON"))]
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(script)) as maze:
        assert not maze.generate(INTENT)
    found = by_name(spans)
    for name in ("maze.generate", "chat scripted"):
        assert found[name].status.status_code is StatusCode.ERROR
        assert (found[name].attributes or {})["error.type"] == "rate_limited"
    assert "SECRET" not in "".join(span.to_json() for span in found.values())


def test_a_request_that_failed_has_what_is_known_of_its_answer(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "true")

    def fails(_: object) -> None:
        error = RateLimitedError("slow", partial_text="re")
        error.tokens_generated, error.prompt_tokens, error.model = 2, 3, "b-model"
        error.engine = {"endpoint": "http://localhost:81"}
        raise error

    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["re", fails])) as maze:
        assert maze.generate(INTENT, COLOUR).code == "re"
    told = by_name(spans)["chat scripted"].attributes or {}
    assert (told["gen_ai.usage.output_tokens"], told["gen_ai.usage.input_tokens"]) == (2, 3)
    assert (told["gen_ai.response.model"], told["server.port"]) == ("b-model", 81)
    assert (told["error.type"], told["gen_ai.provider.name"]) == ("rate_limited", "scripted")
    assert json.loads(str(told["gen_ai.output.messages"]))[0]["parts"][0]["content"] == "re"
    assert "gen_ai.response.finish_reasons" not in told


def test_calls_of_a_batch_and_of_a_stream_belong_to_the_span_of_their_caller(spans: InMemorySpanExporter) -> None:
    with (
        Orchestrator(MazeConfig(), backend=ScriptedBackend(["red"])) as maze,
        trace.get_tracer("host").start_as_current_span("host") as host,
    ):
        maze.generate_batch([INTENT, INTENT], COLOUR)
        assert maze.stream(INTENT, COLOUR).result
    calls = [span for span in spans.get_finished_spans() if span.name == "maze.generate"]
    assert len(calls) == 3
    assert all(span.parent == host.get_span_context() for span in calls)


def test_nothing_is_imported_where_nobody_traces() -> None:
    program = (
        "import sys\n"
        "from maze import *\n"
        "with Orchestrator(MazeConfig()) as maze:\n"
        "    assert maze.validate('a', [ConstraintIR(regex_patterns=('^a$',))])\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
