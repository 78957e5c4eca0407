"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medexp.types import Estimate

NOTHING = "–"  # noqa: RUF001, a dash where a number is not defined


def number(value: float | None, digits: int = 3) -> str:
    """Return such as `0.965`; a dash for what is not defined."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.{digits}f}"


def has_interval(estimate: Estimate) -> bool:
    """Whether there is more than the value."""
    return math.isfinite(estimate.low) and math.isfinite(estimate.high) and estimate.high > estimate.low


def interval(estimate: Estimate, digits: int = 3) -> str:
    """Return such as `0.951 to 0.977`; nothing where there is no interval."""
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}" if has_interval(estimate) else ""


def estimated(estimate: Estimate, digits: int = 3) -> str:
    """Return such as `0.965 (0.951 to 0.977)`."""
    around = interval(estimate, digits)
    return f"{number(estimate.value, digits)} ({around})" if around else number(estimate.value, digits)


def of_hundred(estimate: Estimate) -> str:
    """Return such as `96 of 100 (93 to 98)`, of a share."""
    around = f" ({_hundredths(estimate.low)} to {_hundredths(estimate.high)})" if has_interval(estimate) else ""
    return f"{_hundredths(estimate.value)} of 100{around}"


def percent(share: float, digits: int = 0) -> str:
    """Return such as `90 %`."""
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else NOTHING


def counted(count: int | None, one: str, many: str | None = None) -> str:
    """Return such as `1 image` or `1,204 images`; `images` where nobody counted."""
    if count is None:
        return many or one + "s"
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], joint: str = "and", limit: int = 6) -> str:
    """Return such as `a, b and c`, or `a, b, c and 11 more`."""
    shown = [*names[:limit], f"{len(names) - limit} more"] if len(names) > limit + 1 else list(names)
    joint = "and" if len(names) > limit + 1 else joint
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {joint} {shown[-1]}" if shown else ""


def aim_in_words(aim: str) -> str:
    """Return such as `sensitivity at least 0.95` of the aim of an operating point."""
    what, at_least, share = aim.partition(">=")
    if at_least:
        return f"{what} at least {share}"
    if aim.startswith("cost="):
        return f"a missed finding costs {aim.removeprefix('cost=')} false alarms"
    return {"youden": "Youden's index", "most_probable": "the most probable class"}.get(aim, aim.replace("_", " "))


def _hundredths(share: float) -> str:
    """Nearly all is not all, and hardly any is not none."""
    if not math.isfinite(share):
        return NOTHING
    text = f"{100 * share:.0f}"
    if text == "100" and share < 1:
        return f"{math.floor(1000 * share) / 10:.1f}"
    if text == "0" and share > 0:
        return f"{math.ceil(1000 * share) / 10:.1f}"
    return text
