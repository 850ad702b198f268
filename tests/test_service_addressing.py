"""maze.service: pages in a browser cannot make a service without a key do anything, by whatever name they call it."""

from __future__ import annotations

import http.client
import json
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import httpx
import pytest
from scripted_backend import ScriptedBackend
from service_runner import RunningService, post, running_service

from maze.backends.base import Deadline, Health
from maze.errors import InvalidArgumentError
from maze.secret import NO_SECRET, Secret
from maze.service.server import allowed_hosts
from maze.service.settings import ServiceSettings


class WatchedBackend(ScriptedBackend):
    """Counts every call of whatever kind."""

    def __init__(self) -> None:
        super().__init__(["x"])
        self.asked = 0

    def health(self, deadline: Deadline) -> Health:
        self.asked += 1
        return super().health(deadline)

    def models(self, deadline: Deadline) -> tuple[str, ...]:
        self.asked += 1
        return super().models(deadline)


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[RunningService, WatchedBackend]]:
    backend = WatchedBackend()
    settings = ServiceSettings(allow_hosts=("maze.example", "10.0.0.7"), stop_grace_secs=0)
    with running_service(backend, settings) as service:
        assert httpx.get(service.url + "/health").status_code == 200
        yield service, backend


def status_of(service: RunningService, head: str) -> int:
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        connection.sendall(head.encode("latin-1"))
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.getheader("Access-Control-Allow-Origin") is None
        assert response.getheader("Location") is None
        body = response.read()
        if response.status not in (200, 400):
            assert json.loads(body)["error"]["code"] in ("forbidden", "not_found", "method_not_allowed")
        return response.status


NAMES = """localhost LOCALHOST:8000 localhost. 127.0.0.1:1 127.9.9.9 [::1] [::1]:80 [0:0:0:0:0:0:0:1]
    maze.example Maze.Example.:443 10.0.0.7:8000"""
FOREIGN_NAMES = """evil.test evil.test:8000 localhost.evil.test 127.0.0.1.evil.test evil.localhost 0.0.0.0 [::] 10.0.0.8
    192.168.0.1 [::ffff:10.0.0.1] 2130706433 127.1 0x7f.1 localhost:80:80 [::1 user@localhost localhost@evil.test
    localhost/evil xn--e1aybc loc%61lhost"""


@pytest.mark.parametrize("host", NAMES.split())
def test_it_answers_to_the_names_of_its_machine_and_those_it_was_given(
    host: str, watched: tuple[RunningService, WatchedBackend]
) -> None:
    assert status_of(watched[0], f"GET /models HTTP/1.1\r\nHost: {host}\r\n\r\n") == 200


@pytest.mark.parametrize("host", [*FOREIGN_NAMES.split(), "", "localhost, evil.test"])
@pytest.mark.parametrize("path", ["/health", "/models", "/metrics", "/generate", "/nowhere", "/models/"])
def test_it_answers_to_no_other_name_and_sends_nobody_there(
    host: str, path: str, watched: tuple[RunningService, WatchedBackend]
) -> None:
    service, backend = watched
    asked = backend.asked
    head = f"{'POST' if path == '/generate' else 'GET'} {path} HTTP/1.1\r\nHost: {host}\r\n"
    assert status_of(service, head + "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n") in (400, 403)
    assert (backend.asked, backend.requests) == (asked, [])


def test_a_target_in_absolute_form_does_not_stand_for_another_host(
    watched: tuple[RunningService, WatchedBackend],
) -> None:
    service, _ = watched
    assert status_of(service, "GET http://evil.test/models HTTP/1.1\r\nHost: localhost\r\n\r\n") == 403
    assert status_of(service, "GET http://evil.test HTTP/1.1\r\nHost: localhost\r\n\r\n") == 403
    assert status_of(service, "GET http://localhost@evil.test/models HTTP/1.1\r\nHost: localhost\r\n\r\n") == 400
    assert status_of(service, "GET http:///models HTTP/1.1\r\nHost: localhost\r\n\r\n") == 400
    assert status_of(service, "GET http://localhost/models HTTP/1.1\r\nHost: evil.test\r\n\r\n") == 403
    assert status_of(service, "GET //evil.test/models HTTP/1.1\r\nHost: localhost\r\n\r\n") == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/models", 200),
        ("http://Maze.Example:443/models?x=/y", 200),
        ("HTTPS://[::1]:80/models", 200),
        ("http://localhost/mod%65ls", 200),
        ("http://localhost", 405),  # which takes a POST of Ananke
        ("http://localhost?x", 405),
        ("http://localhost//models", 404),
        ("http:/models", 404),
        ("ftp://localhost/models", 404),
    ],
)
def test_a_target_in_absolute_form_is_taken_for_what_it_means(
    target: str, status: int, watched: tuple[RunningService, WatchedBackend]
) -> None:
    assert status_of(watched[0], f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n") == status
    assert status_of(watched[0], f"GET {target} HTTP/1.0\r\n\r\n") == status


def test_with_a_key_a_target_in_absolute_form_needs_it_too() -> None:
    with running_service(ScriptedBackend(["x"]), ServiceSettings(api_key=Secret("k"), stop_grace_secs=0)) as service:
        head = "GET http://elsewhere.example/models HTTP/1.1\r\nHost: elsewhere.example\r\n"
        assert status_of(service, head + "Authorization: Bearer k\r\n\r\n") == 200
        with pytest.raises(AssertionError, match="unauthorized"):
            status_of(service, head + "\r\n")


def test_a_request_without_a_host_is_from_no_browser(watched: tuple[RunningService, WatchedBackend]) -> None:
    assert status_of(watched[0], "GET /models HTTP/1.0\r\n\r\n") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},  # another port of this machine
        {"Origin": "http://localhost:3000"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/health", "/models", "/metrics", "/generate"])
def test_pages_of_other_origins_get_nothing(
    headers: dict[str, str], path: str, watched: tuple[RunningService, WatchedBackend]
) -> None:
    service, backend = watched
    asked = backend.asked
    method = "POST" if path == "/generate" else "GET"
    body = {"prompt": "x"} if method == "POST" else None
    response = httpx.request(method, service.url + path, json=body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
    assert (backend.asked, backend.requests) == (asked, [])


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_page_of_the_same_origin_and_the_user_are_no_strangers(
    site: str, watched: tuple[RunningService, WatchedBackend]
) -> None:
    service, _ = watched
    headers = {"Origin": service.url, "Sec-Fetch-Site": site}
    assert httpx.get(service.url + "/models", headers=headers).status_code == 200


def test_with_a_key_it_answers_to_every_name_unless_it_was_given_some() -> None:
    bearer = {"Authorization": "Bearer k", "Host": "maze.example", "Origin": "https://app.example"}
    for allow_hosts, status in (((), 200), (("maze.example",), 200), (("other.example",), 403)):
        settings = ServiceSettings(api_key=Secret("k"), allow_hosts=allow_hosts, stop_grace_secs=0)
        with running_service(ScriptedBackend(["x"]), settings) as service:
            assert post(service, {"prompt": "p"}, headers=bearer).status_code == status
            assert httpx.get(service.url + "/health", headers={"Host": "maze.example"}).status_code == status


def test_the_names_come_from_the_command_line_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAZE_ALLOW_HOST", raising=False)
    assert allowed_hosts((), Secret("k"), "0.0.0.0") == ()
    assert allowed_hosts((), NO_SECRET, "127.0.0.1") == ("127.0.0.1",)
    monkeypatch.setenv("MAZE_ALLOW_HOST", "a.example, b.example")
    assert allowed_hosts(("C.example.",), Secret("k"), "::") == ("c.example", "a.example", "b.example", "::")
    assert allowed_hosts(("fd00::7",), NO_SECRET, "localhost")[0] == "fd00::7"
    for wrong in ("http://a", "a:80", "a/b", "*", "a b", "[::1]"):
        with pytest.raises(InvalidArgumentError, match="without a port"):
            allowed_hosts((wrong,), NO_SECRET, "127.0.0.1")


# ------------------------------------------------------------------------------------------------ a real browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PAGE = """<!doctype html><title>page</title><body>
<iframe name=sink></iframe>
<script>
const at = SERVICE, body = JSON.stringify({prompt: "from a page"});
const said = [];
async function attempt(name, make) {
  try { const answer = await make(); said.push(name + "=" + answer.type + answer.status); }
  catch (error) { said.push(name + "=blocked"); }
}
function load(tag, path) {
  return new Promise(done => {
    const element = document.createElement(tag);
    element.onload = () => done({type: "load", status: ""}); element.onerror = () => done({type: "error", status: ""});
    element.src = at + path; document.body.append(element);
  });
}
function form(kind) {
  const form = document.createElement("form");
  form.method = "POST"; form.action = at + "/generate"; form.enctype = kind; form.target = "sink";
  const field = document.createElement("input");
  field.name = '{"prompt":"x","context":{"language":"'; field.value = '"}}';
  form.append(field); document.body.append(form); form.submit();
}
(async () => {
  for (const path of ["/health", "/models", "/metrics"])
    await attempt("get " + path, () => fetch(at + path, {mode: "no-cors"}));
  await attempt("cors get", () => fetch(at + "/models"));
  for (const kind of ["text/plain", "application/json", "application/x-www-form-urlencoded"]) {
    await attempt("no-cors " + kind, () => fetch(at + "/generate",
      {method: "POST", mode: "no-cors", body, headers: {"Content-Type": kind}}));
    await attempt("cors " + kind, () => fetch(at + "/generate",
      {method: "POST", body, headers: {"Content-Type": kind}}));
  }
  navigator.sendBeacon(at + "/generate", body);
  for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) form(kind);
  for (const tag of ["img", "script", "iframe"]) await attempt(tag, () => load(tag, "/models"));
  await attempt("socket", () => new Promise((done, fail) => {
    const socket = new WebSocket(at.replace("http", "ws") + "/models");
    socket.onopen = () => done({type: "open", status: ""}); socket.onerror = fail;
  }));
  await attempt("events", () => new Promise((done, fail) => {
    const source = new EventSource(at + "/models");
    source.onmessage = () => done({type: "message", status: ""}); source.onerror = fail;
  }));
  await new Promise(done => setTimeout(done, 500));
  fetch("/told", {method: "POST", body: said.join(" | ")});
})();
</script>"""

REBOUND = """<!doctype html><title>rebound</title>
<script>
(async () => {
  const said = [];
  for (const [path, options] of [["/models", {}], ["/metrics", {}], ["/health", {}],
      ["/generate", {method: "POST", body: '{"prompt":"x"}', headers: {"Content-Type": "application/json"}}]]) {
    try { said.push(path + "=" + (await fetch(SERVICE + path, options)).status); }
    catch (error) { said.push(path + "=blocked"); }
  }
  fetch("/told", {method: "POST", body: said.join(" | ")});
})();
</script>"""


class PageServer(ThreadingHTTPServer):
    """Serves one page at every path, and is told by it what it found out."""

    def __init__(self, page: str) -> None:
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(page.encode())

            def do_POST(self) -> None:
                told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def browse(pages: PageServer, host: str, profile: Path, *options: str) -> str:
    """What the page found out, called by that name of this machine."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += [f"--user-data-dir={profile}", *options, f"http://{host}:{pages.server_port}/"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            return pages.told.get(timeout=100)
        finally:
            browser.terminate()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian, Ubuntu: apt-get install chromium)")
def test_a_page_in_a_browser_cannot_use_a_service_without_a_key(tmp_path: Path) -> None:
    backend = WatchedBackend()
    with running_service(backend) as service:
        assert httpx.get(service.url + "/health").status_code == 200
        asked = backend.asked
        for name in (service.url, f"http://localhost:{service.port}"):
            with PageServer(PAGE.replace("SERVICE", json.dumps(name))) as pages:
                said = browse(pages, "127.0.0.1", tmp_path)
                assert "cors get=blocked" in said
                assert "cors application/json=blocked" in said
                assert "socket=blocked" in said
                assert "img=error" in said
        assert (backend.asked, backend.requests) == (asked, [])
        counted = httpx.get(service.url + "/metrics").text
        assert 'status="403"' in counted, "the page did not reach the service at all"
        assert 'route="/generate",status="200"' not in counted


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian, Ubuntu: apt-get install chromium)")
def test_a_name_that_comes_to_mean_this_machine_reaches_nothing(tmp_path: Path) -> None:
    """After DNS rebinding both are one origin, and the browser holds nothing back; here it is told not to."""
    backend = WatchedBackend()
    with running_service(backend) as service:
        assert httpx.get(service.url + "/health").status_code == 200
        asked = backend.asked
        rebound = REBOUND.replace("SERVICE", json.dumps(f"http://evil.test:{service.port}"))
        options = ("--host-resolver-rules=MAP evil.test 127.0.0.1", "--disable-web-security")
        with PageServer(rebound) as pages:
            said = browse(pages, "evil.test", tmp_path, *options)
        assert said == "/models=403 | /metrics=403 | /health=403 | /generate=403"
        assert (backend.asked, backend.requests) == (asked, [])
