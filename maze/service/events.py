"""Answering with server-sent events."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope, Send

from maze.service.ananke_answers import ChatChunks, MazeEvents
from maze.service.refusal import refusal_of
from maze.service.slots import Generation


async def send_events(
    generation: Generation,
    shape: MazeEvents | ChatChunks,
    request_id: str,
    scope: Scope,
    send: Send,
    client_timeout_secs: float,
) -> None:
    """Send each piece of text as it arrives, and the answer at last, as events of that `shape`.

    The answer begins with the first piece of text, so a failure before it is still a plain error with its own status.
    """
    pieces = generation.pieces()
    first = await anext(pieces, None)
    if first is None:
        await generation.answer()  # raises before anything is sent if there is no answer

    async def send_body(body: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(client_timeout_secs):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise ClientDisconnect from None  # it is there, but does not read

    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),  # nginx would collect the pieces otherwise
            ],
        }
    )
    try:
        if first is not None:
            await send_body(_event(shape.piece(first)))
            async for piece in pieces:
                await send_body(_event(shape.piece(piece)))
        ending = list(shape.ending(await generation.answer()))
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - the status is sent; the error must travel as an event
        refusal = refusal_of(error, request_id)
        Request(scope).state.failure = refusal
        ending = [{"error": refusal.shape(), "done": True}]
    await send_body(b"".join(map(_event, ending)) + b"data: [DONE]\n\n", more=False)


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"
