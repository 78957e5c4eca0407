"""Refuse a large request while it arrives, before it is parsed or written to disk."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.problems import problem

_CLOSE = {"Connection": "close"}


class BodyLimit:
    """Answers 413 to a body of more than `max_bytes`, announced (Content-Length) or not (chunked).

    Up to as much again is read and dropped first: a client that is still sending would meet a reset connection,
    not the answer. FastAPI's own `max_body_size` answers in plain text.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self._limit = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        announced = int(length) if length.isdecimal() else 0
        seen = 0

        async def drop_the_rest(message: Message) -> None:
            nonlocal seen
            while message.get("more_body") and seen <= 2 * self._limit:
                message = await receive()
                seen += len(message.get("body", b""))

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                await drop_the_rest(message)
                raise HTTPException(413, self._detail(f"more than {self._limit:,}"), _CLOSE)
            return message

        if announced <= self._limit:
            await self.app(scope, limited, send)
            return
        if announced <= 2 * self._limit:
            await drop_the_rest({"more_body": True})
        refusal = problem(scope["state"]["request_id"], 413, self._detail(f"{announced:,}"), headers=_CLOSE)
        await refusal(scope, receive, send)

    def _detail(self, received: str) -> str:
        return f"The request is too large. Received: {received} bytes, at most {self._limit:,} are allowed."
