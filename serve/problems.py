"""Every error as application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from medexp.errors import DataError
from serve.errors import NotReadyError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}
_FORM = "Send multipart/form-data with one file named `image`."
_TITLES = {
    400: ("unusable-image", "The image cannot be used"),
    413: ("too-large", "The request is too large"),
    422: ("invalid-request", "The request lacks something"),
    500: ("internal", "The service failed"),
    503: ("not-ready", "No model is ready"),
}


class Problem(BaseModel):
    """Why a request was refused. `type` is stable and meant for programs, `detail` is a sentence for people."""

    type: str = Field(examples=["urn:medexp:problem:unusable-image"])
    title: str = Field(examples=["The image cannot be used"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["The file is empty. Received: scan.png with 0 bytes. Send a PNG image."])
    instance: str = Field(examples=["urn:medexp:request:0f4c2a"], description="This very occurrence.")
    request_id: str = Field(examples=["0f4c2a"], description="As in the header X-Request-ID and the service's log.")


def problem(
    request_id: str, status: int, detail: str, *, headers: Mapping[str, str] | None = None, known: bool = True
) -> JSONResponse:
    """Return a problem response; `known` is False where the status is all that its type says."""
    if known and status in _TITLES:
        slug, title = _TITLES[status]
        kind = f"urn:medexp:problem:{slug}"
    else:
        kind, title = "about:blank", HTTPStatus(status).phrase
    body = Problem(
        type=kind,
        title=title,
        status=status,
        detail=detail,
        instance=f"urn:medexp:request:{request_id}",
        request_id=request_id,
    )
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


def handlers() -> dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    """Return the exception handlers of the application."""
    return {HTTPException: _http, RequestValidationError: _invalid, DataError: _unusable, NotReadyError: _not_ready}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return `app.openapi`, with errors under their own media type: FastAPI gives them that of the answer."""
    stock = app.openapi

    def openapi() -> dict[str, Any]:
        schema = stock()
        for path in schema["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if status >= "4" and "application/json" in content:
                        content[MEDIA_TYPE] = content.pop("application/json")
        return schema

    return openapi


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    detail, known = str(error.detail), error.status_code == 413
    if error.status_code == 404:
        detail = f"There is nothing here. Received: {request.method} {request.url.path}. /openapi.json lists what is."
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"This method is not for this path. Received: {request.method} {request.url.path}. Use {allowed}."
    elif error.status_code == 400:
        detail = f"The form cannot be read. Received: {detail.rstrip('.')}. {_FORM}"
    return problem(_id(request), error.status_code, detail, headers=error.headers, known=known)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    found = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    if all(e["loc"][0] == "query" for e in error.errors()):
        return problem(_id(request), 422, f"The address has a wrong value. Received: {found}. Use true or false.")
    kind = request.headers.get("content-type", "no content type").partition(";")[0]
    return problem(_id(request), 422, f"The image is missing. Received: {kind} ({found}). {_FORM}")


async def _unusable(request: Request, error: DataError) -> JSONResponse:
    return problem(_id(request), 400, str(error))


async def _not_ready(request: Request, error: NotReadyError) -> JSONResponse:
    return problem(_id(request), 503, str(error), headers=RETRY_AFTER)


def _id(request: Request) -> str:
    return str(request.state.request_id)
