"""A stand-in for the program `vllm`: takes its command line and speaks its protocol, without a GPU.

It writes its arguments and the names of its environment variables to the file FAKE_VLLM_RECORD. FAKE_VLLM_FAULT makes
it "ignore" grammars, as a vLLM without the guidance backend would, or "die" at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ANSWER = '{"n":1}'


class Handler(BaseHTTPRequestHandler):
    model = ""
    fault = os.environ.get("FAKE_VLLM_FAULT", "")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": self.model, "object": "model", "max_model_len": 4096}]})
        elif self.path == "/version":
            self.answer({"version": "0.32.0"})
        else:
            self.answer({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path in ("/sleep?level=1", "/wake_up"):
            with Path(os.environ["FAKE_VLLM_RECORD"]).open("a") as record:
                record.write(json.dumps(self.path) + "\n")
            self.answer({})
            return
        self.stream(json.loads(content))

    def stream(self, request: dict[str, Any]) -> None:
        grammar = request.get("structured_outputs", {}).get("grammar", "")
        literal = re.search(r'^start\w*: "(\w+)"$', grammar, re.MULTILINE)
        text = literal.group(1) if literal and self.fault != "ignore" else ANSWER
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        common = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": self.model}
        for piece, reason in ((text[:1], None), (text[1:], "stop")):
            said = {"delta": {"content": piece}} if self.path.endswith("/chat/completions") else {"text": piece}
            choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason, "stop_reason": None}
            self.send_event({**common, "choices": [choice], "usage": None})
        usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
        self.send_event({**common, "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def send_event(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")


def main() -> None:
    arguments = sys.argv[1:]
    with Path(os.environ["FAKE_VLLM_RECORD"]).open("a") as record:
        record.write(json.dumps({"arguments": arguments, "environment": sorted(os.environ)}) + "\n")
    if Handler.fault == "die":
        sys.exit(3)
    Handler.model = arguments[1]
    port = next(int(argument.partition("=")[2]) for argument in arguments if argument.startswith("--port="))
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
