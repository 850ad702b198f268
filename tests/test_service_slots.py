"""maze.service: who gets a slot, who waits, and what happens when clients leave or the service stops."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from scripted_backend import Gate, ScriptedBackend, reached
from service_runner import POST_HEAD, metric, post, raw_request, running_service, wait_until

from maze.engine import EmbeddedEngine
from maze.service.settings import ServiceSettings


def test_who_finds_slot_and_queue_full_is_told_to_come_again() -> None:
    gate = Gate()
    backend = ScriptedBackend(["a", gate, "b"])
    settings = ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(2) as clients:
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        waiting = clients.submit(post, service, {"prompt": "2"})
        wait_until(lambda: metric(service, "maze_queue_depth") == 1)
        assert metric(service, "maze_generations_running") == 1
        refused = post(service, {"prompt": "3"})
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        gate.opened.set()
        assert [running.result().status_code, waiting.result().status_code] == [200, 200]
    assert [request.prompt.text for request in backend.requests] == ["1", "2"]


def test_no_more_generations_run_at_once_than_there_are_slots() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=2, max_queue=10, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(6) as clients:
        answers = [clients.submit(post, service, {"prompt": "p"}) for _ in range(6)]
        wait_until(lambda: metric(service, "maze_queue_depth") == 4)
        assert len(backend.requests) == 2
        gate.opened.set()
        assert [answer.result().status_code for answer in answers] == [200] * 6


def test_waiting_in_the_queue_counts_towards_the_time_of_a_request() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=1, request_timeout_secs=0.5, stop_grace_secs=0)
    with running_service(backend, settings) as service, raw_request(service, "/generate", {"prompt": "1"}):
        assert reached(gate.entered)
        response = post(service, {"prompt": "2"})
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timed_out")
        assert [request.prompt.text for request in backend.requests] == ["1"]


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("script", [["a"], []], ids=["after text", "before text"])
def test_a_client_that_leaves_cancels_its_generation_and_frees_the_slot(path: str, script: list[str]) -> None:
    gate = Gate()
    backend = ScriptedBackend([*script, gate, "b"])
    with running_service(backend, ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)) as service:
        with raw_request(service, path, {"prompt": "1"}):
            assert reached(gate.entered)
        assert reached(gate.cancelled)
        wait_until(lambda: metric(service, f'maze_requests_total{{route="{path}",status="499"}}') == 1)
        wait_until(lambda: metric(service, "maze_generations_running") == 0)
        gate.opened.set()
        assert post(service, {"prompt": "2"}).status_code == 200


def test_a_client_that_leaves_before_its_body_has_come_is_no_error_of_the_service() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        with socket.create_connection((service.host, service.port), timeout=30) as connection:
            connection.sendall(POST_HEAD + b'Content-Length: 100\r\n\r\n{"p')
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate",status="499"}') == 1)
    assert backend.requests == []


def test_a_client_that_does_not_read_is_given_up() -> None:
    settings = ServiceSettings(client_timeout_secs=0.2, stop_grace_secs=0)
    with (
        running_service(ScriptedBackend(["x" * 1_000_000] * 20), settings) as service,
        raw_request(service, "/generate/stream", {"prompt": "p"}),
    ):
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="499"}') == 1)


def test_a_client_that_leaves_the_queue_is_never_generated_for() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(1) as clients:
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        with raw_request(service, "/generate", {"prompt": "2"}):
            wait_until(lambda: metric(service, "maze_queue_depth") == 1)
        wait_until(lambda: metric(service, "maze_queue_depth") == 0)
        gate.opened.set()
        assert running.result().status_code == 200
        assert post(service, {"prompt": "3"}).status_code == 200
    assert [request.prompt.text for request in backend.requests] == ["1", "3"]


def test_a_service_that_stops_finishes_what_it_began_and_refuses_what_is_new() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend(["a", gate, "b"]), ServiceSettings(stop_grace_secs=60)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        service.server.stop()
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 503)
        assert httpx.get(service.url + "/health").json()["status"] == "stopping"
        refused = post(service, {"prompt": "2"})
        assert (refused.status_code, refused.json()["error"]["retryable"]) == (503, True)
        assert refused.headers["Retry-After"] == "1"
        gate.opened.set()
        assert running.result().json()["generated_text"] == "ab"
        service.thread.join(30)
        assert not service.thread.is_alive()


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_what_does_not_end_within_the_grace_time_is_cancelled_and_told_so(path: str) -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=0.05)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"}, path)
        assert reached(gate.entered)
        service.server.stop()
        assert reached(gate.cancelled)
        response = running.result()
        assert response.status_code == 503
        assert "stopping" in response.json()["error"]["message"]
        service.thread.join(30)
        assert not service.thread.is_alive()


def test_a_body_that_arrives_after_the_stop_has_begun_is_refused() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=60)) as service,
        raw_request(service, "/generate", {"prompt": "1"}),
        socket.create_connection((service.host, service.port), timeout=30) as late,
    ):
        assert reached(gate.entered)
        late.sendall(POST_HEAD + b"Content-Length: 14\r\n\r\n")
        wait_until(lambda: len(service.server.server_state.tasks) == 2)
        service.server.stop()
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 503)
        late.sendall(b'{"prompt":"2"}')
        response = http.client.HTTPResponse(late)
        response.begin()
        assert response.status == 503
        gate.opened.set()


def test_the_second_wish_to_stop_does_not_wait_for_the_grace_time() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=600)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        service.server.stop()
        service.server.stop()
        assert reached(gate.cancelled)
        assert running.result().status_code == 503


def test_leaving_a_stream_stops_the_real_model(embedded_backend: EmbeddedEngine) -> None:
    with running_service(embedded_backend, ServiceSettings(max_concurrent=1, stop_grace_secs=0)) as service:
        body = {
            "prompt": "Count to ten thousand.",
            "max_tokens": 4000,
            "constraints": {"regex_patterns": ["^[0-9 ]{900}$"]},
        }
        with httpx.stream("POST", service.url + "/generate/stream", json=body, timeout=60) as response:
            next(response.iter_lines())
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="499"}') == 1)
        wait_until(lambda: metric(service, "maze_generations_running") == 0)
        assert metric(service, "maze_tokens_generated_total") == 0
