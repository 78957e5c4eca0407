"""Leave passwords out of what is written down. Standard library only."""

from __future__ import annotations

import re

_USER_INFO = re.compile(r"(://[^:/@\s]*):[^\s'\"]+@(?=[^@\s]*(?:[\s'\"]|$))")
_QUERY = re.compile(r"([?&](?:password|pwd|passfile)=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with the password of every URL in it replaced by `***`."""
    return _QUERY.sub(r"\1***", _USER_INFO.sub(r"\1:***@", text))
