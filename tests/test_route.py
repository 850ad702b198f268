"""The URLs that are asked, whatever form the address of a service has."""

from __future__ import annotations

import pytest
from fault_server import FaultServer, answer, by_path, fine
from http_calls import ask, backend_for, generate
from test_detect import VLLM_MODELS, VLLM_TEXT
from test_dialects import LLAMA, models

from maze import GenerationOptions, Intent, Orchestrator
from maze.backends.base import Cancellation, Deadline
from maze.backends.http.backend import HttpBackend
from maze.backends.http.limits import Call
from maze.backends.http.route import Route
from maze.config import ModalConfig, config_from_environment
from maze.options import PromptForm

pytestmark = pytest.mark.usefixtures("backends_are_closed")


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("", ""),
        ("/v1", ""),
        ("/v1/", ""),
        ("/v1//", ""),
        ("/openai/v1", "/openai"),
        ("/api/v1/", "/api"),
        ("/v10", "/v10"),
    ],
)
def test_an_address_may_end_in_v1_as_openai_compatible_services_give_it(address: str, prefix: str) -> None:
    answers = {"v1/models": VLLM_MODELS, "version": answer(200, {"version": "0.32.0"}), "v1/completions": VLLM_TEXT}
    play = by_path(
        **{f"{prefix}/{path}".strip("/").replace("/", "_"): played for path, played in answers.items()},
        **{f"{prefix}/health".strip("/").replace("/", "_"): answer(200, b"")},
    )
    with FaultServer(play) as server:
        config = config_from_environment({"MODAL_ENDPOINT": server.url + address})
        assert config.modal is not None
        with Orchestrator(config, backend=HttpBackend(config.modal, is_proven=True)) as maze:
            result = maze.generate(Intent("x"), options=GenerationOptions(max_tokens=16, prompt_form=PromptForm.RAW))
            names = maze.models()
            health = maze.health()
    assert (result.code, names, health.ready) == ("hi", ("a/model",), True)
    assert {request.path for request in server.requests} == {
        f"{prefix}{path}" for path in ("/v1/models", "/version", "/v1/completions", "/health")
    }
    assert health.endpoints[0]["endpoint"] == (server.url + address).rstrip("/"), "as it was given"


def test_the_servers_of_llama_cpp_and_maze_are_found_from_such_an_address_too() -> None:
    play = by_path(v1_models=models("llamacpp", n_vocab=9), props=answer(200, {"build_info": "b7"}), completion=LLAMA)
    with FaultServer(play) as server:
        assert generate(backend_for(f"{server.url}/v1", dialect=None), ask())[0].text == "hey"
    play = by_path(models=answer(200, ["m"]), health=answer(200, {"status": "ok"}), generate_stream=fine())
    with FaultServer(play) as server:
        backend = backend_for(f"{server.url}/v1", dialect=None)
        assert generate(backend, ask())[0].text == "hello"
        assert backend.health(Deadline(10_000)).ready


def test_addresses_of_several_services_may_differ_in_form() -> None:
    with FaultServer(fine()) as one, FaultServer(fine()) as two:
        backend = backend_for(f"{one.url}/v1", two.url)
        assert [generate(backend, ask())[0].text for _ in range(4)] == ["hello"] * 4
    assert {request.path for request in (*one.requests, *two.requests)} == {"/generate/stream"}
    assert len(one.requests) == len(two.requests) == 2


def test_a_host_may_be_called_v1() -> None:
    call = Call(Deadline(1000), Cancellation())
    for url in ("http://v1", "http://v1/v1"):
        route = Route(url, ModalConfig(endpoints=(url,)))
        assert str(route.get("/v1/models", call).url) == "http://v1/v1/models"
