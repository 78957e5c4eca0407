"""Overrides as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

_LONG = 8  # characters of a number that nobody typed


def brief(overrides: Iterable[str]) -> str:
    """Return overrides in one line, long numbers with four significant digits; for the eye, not for a command."""
    return " ".join(
        f"{key}={_number(text)}" if sign else key for key, sign, text in (o.partition("=") for o in overrides)
    )


def _number(text: str) -> str:
    try:
        return f"{float(text):.4g}" if len(text) > _LONG else text
    except ValueError:
        return text
