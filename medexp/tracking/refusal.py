"""Tell a store that is not there from one that refuses."""

from __future__ import annotations

from collections.abc import Iterator

from medexp.redact import redact

_WAIT = {
    "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "REQUEST_LIMIT_EXCEEDED", "CANCELLED",
    "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED", "ENDPOINT_NOT_FOUND",
}  # fmt: skip


def is_outage(error: BaseException) -> bool:
    """Whether an error of MLflow, its database or its server will pass, so that the same may be sent again later.

    A password that expired counts as such; False where it cannot be told from the error alone.
    """
    import requests
    import sqlalchemy.exc

    gone = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, requests.ConnectionError, requests.Timeout)
    return any(isinstance(e, gone) or getattr(e, "error_code", None) in _WAIT for e in _chain(error))


def reason(error: BaseException) -> str:
    """Say in one line, without passwords, what went wrong."""
    text = redact(str(error)).strip().partition("\n")[0][:300]
    return f"{type(error).__name__}: {text}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
