"""A request's id, its line in the log, and its end where the code fails."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.problems import problem

HEADER = "X-Request-ID"
logger = logging.getLogger(__name__)
_VALID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = "/health/"  # probes come every few seconds


class RequestContext:
    """Takes the client's id where it is harmless (1 to 64 letters, digits, `.`, `_`, `-`), else makes one.

    An exception that nobody handled becomes a 500 that names the id; its traceback goes to the log only.
    Routes may put `run_id` and `model_version` into `request.state` for the log line.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _VALID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, started = 0, time.perf_counter()

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        facts = {"request_id": request_id, "method": scope["method"], "path": scope["path"]}
        try:
            await self.app(scope, receive, with_id)
        except Exception:
            logger.exception("a request failed", extra=facts)
            if status:
                raise  # half an answer is out: the connection must break
            detail = f"The service failed. Its log says why, under the id {request_id}."
            await problem(request_id, 500, detail)(scope, receive, with_id)
        finally:
            if not scope["path"].startswith(_QUIET):
                facts |= {"status": status, "ms": round(1000 * (time.perf_counter() - started), 1)}
                facts |= {key: state.get(key) for key in ("model_version", "run_id")}
                logger.info("request", extra=facts)
