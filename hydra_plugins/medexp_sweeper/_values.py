"""Values of overrides as text that Hydra reads back: the same value, of the same type."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

_PLAIN = set("_-./%+@*?")


def write(value: Any) -> str:
    """Return `value` (as Hydra's parser gave it) as the text of an override.

    `null` and booleans as YAML has them; text without quotes where it is plain and is no number, boolean or null.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, QuotedString):
        return write(value.text)
    if isinstance(value, str):
        return _write_text(value)
    if isinstance(value, list):
        return f"[{','.join(write(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{write(key)}:{write(item)}' for key, item in value.items())}}}"
    return repr(value)


def plain(value: Any) -> Any:
    """Return the value without the parser's marks of quotes."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def _write_text(text: str) -> str:
    if text and all(char.isalnum() or char in _PLAIN for char in text):
        try:
            read = OverridesParser.create().parse_rule(text, "primitive")
        except HydraException:
            read = None
        if isinstance(read, str) and read == text:
            return text
    return str(QuotedString(text, Quote.single).with_quotes())
