"""Long lists, in a line."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(names: Sequence[str], *, most: int = 8) -> str:
    """Return the first names, and how many there are beside them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
