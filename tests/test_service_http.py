"""maze.service: what is wrong with a request as HTTP is told in the one shape of errors, and costs nobody else."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from scripted_backend import Gate, ScriptedBackend, reached
from service_runner import POST_HEAD, RunningService, post, running_service

from maze.service.settings import ServiceSettings

SHAPE = {"code", "message", "type", "param", "retryable"}


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    settings = ServiceSettings(max_body_bytes=100_000, client_timeout_secs=1, stop_grace_secs=0)
    with running_service(ScriptedBackend(["x"]), settings) as running:
        yield running


def answer_to(service: RunningService, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Status and error of the answer to these bytes."""
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
            connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.getheader("Content-Type") == "application/json"
        error = json.loads(response.read())["error"]
    assert set(error) == SHAPE
    assert error["type"] == ("server_error" if response.status >= 500 else "invalid_request_error")
    assert error["message"]
    return response.status, error


CHUNKED = POST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "invalid_argument"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health\r\n\r\n", 400, "invalid_argument"),
        (b"GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_argument"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", 505, "invalid_argument"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "invalid_argument"),
        (b"GET /health HTTP/1.1\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400, "invalid_argument"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", 431, "limit_exceeded"),
        (b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "limit_exceeded"),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "not_found"),
        (b"GET http://localhost/nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "not_found"),
        (b"GET http:///health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_argument"),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "not_found"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "not_found"),
        (b"POST /generate/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 404, "not_found"),
        (b"OPTIONS /generate HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"),
        (b"PUT /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405, "method_not_allowed"),
        (b"BREW /generate HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"),
        (POST_HEAD + b"Content-Length: 1000000\r\n\r\n", 413, "limit_exceeded"),
        (POST_HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, "invalid_argument"),
        (POST_HEAD + b"Content-Length: -1\r\n\r\n", 400, "invalid_argument"),
        (POST_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "invalid_argument"),
        (POST_HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "invalid_argument"),
        (POST_HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "invalid_argument"),
        (CHUNKED + b"nonsense\r\n", 400, "invalid_argument"),
        (CHUNKED + b"5\r\nhelloworld\r\n", 400, "invalid_argument"),
        (CHUNKED + b"f" * 100 + b"\r\n", 400, "invalid_argument"),
        (CHUNKED + b"-5\r\nhello\r\n", 400, "invalid_argument"),
        (CHUNKED + b"1" + b";x" * 500_000 + b"\r\n", 431, "limit_exceeded"),
        (POST_HEAD + b"Content-Length: 9\r\n\r\n{", 408, "timed_out"),
        (POST_HEAD + b"Content-Length: 2\r\n\r\n{]", 400, "invalid_argument"),
        (POST_HEAD + b"Content-Length: 2\r\n\r\n\xff\xff", 400, "invalid_argument"),
        (POST_HEAD + b"Content-Length: 2\r\n\r\n[]", 400, "invalid_argument"),
        (b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415, "unsupported_media_type"),
    ],
)
def test_what_is_no_request_has_an_error_of_the_same_shape_and_its_status(
    sent: bytes, status: int, code: str, service: RunningService
) -> None:
    found_status, error = answer_to(service, sent)
    assert (found_status, error["code"]) == (status, code), error
    assert httpx.get(service.url + "/health").status_code == 200


def test_nonsense_after_a_request_has_begun_ends_that_connection_alone() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend(["a", gate])) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        body = b'{"prompt":"x"}'
        connection.sendall(POST_HEAD.replace(b"/generate", b"/generate/stream"))
        connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert reached(gate.entered)
        connection.sendall(b"nonsense\r\n\r\n" * 10)
        gate.opened.set()
        received = b""
        while piece := connection.recv(65536):
            received += piece
        assert b"[DONE]" in received
        assert received.count(b"HTTP/1.1 ") == 2
        assert b"no request of HTTP/1.1" in received.rpartition(b"HTTP/1.1 ")[2]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_sent_as_json_is_refused(media_type: str, service: RunningService) -> None:
    for path in ("/generate", "/generate/stream"):
        response = httpx.post(service.url + path, content=b'{"prompt":"x"}', headers={"Content-Type": media_type})
        assert response.status_code == 415
        assert "application/json" in response.json()["error"]["message"]


def test_a_body_that_is_compressed_is_refused_as_such(service: RunningService) -> None:
    for path in ("/generate", "/generate/stream"):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        response = httpx.post(service.url + path, content=gzip.compress(b'{"prompt":"x"}'), headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")
        assert "Content-Encoding" in response.json()["error"]["message"]
    headers = {"Content-Type": "application/json", "Content-Encoding": "Identity"}
    assert httpx.post(service.url + "/generate", content=b'{"prompt":"x"}', headers=headers).status_code == 200


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
def test_json_may_be_called_so_in_every_spelling(media_type: str, service: RunningService) -> None:
    headers = {"Content-Type": media_type}
    assert httpx.post(service.url + "/generate", content=b'{"prompt":"x"}', headers=headers).status_code == 200


@pytest.mark.parametrize("prompt", ["", " \n\t", "\u3000"])
@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_an_empty_prompt_is_refused_before_anything_is_compiled(
    prompt: str, path: str, service: RunningService
) -> None:
    body = {"prompt": prompt, "constraints": {"regex_patterns": ["("]}, "context": {"language": "python"}}
    response = post(service, body, path)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_argument", "prompt")
    assert error["retryable"] is False
