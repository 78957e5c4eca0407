"""What the pictures of a study share: how a trial looks by its state, ticks of an axis, wrapped names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medexp.figure import COLOURS
from medexp.sweep.records import Record
from medexp.sweep.trial_table import Parameter

COMPLETE, BEST, PRUNED = COLOURS[0], COLOURS[1], "#8a939e"
MARKERS: Mapping[str, Mapping[str, Any]] = {
    "complete": {"marker": "o", "facecolors": COMPLETE, "edgecolors": "white", "linewidths": 0.5},
    "pruned": {"marker": "X", "facecolors": "none", "edgecolors": PRUNED, "linewidths": 0.9},
}
_TICKS = 6
_LINE = 16


@dataclass(frozen=True)
class Tick:
    """A place on an axis (`Parameter.places`) and its text."""

    place: float
    text: str


def ticks(parameter: Parameter, *, most: int = _TICKS, longest: int = 18) -> list[Tick]:
    """Return what is written on the axis of a parameter, at most about so many, each at most so long."""
    if parameter.kind == "choice":
        step = math.ceil(len(parameter.choices) / max(most, 12))
        texts = list(enumerate(parameter.choices))[::step]
        return [Tick(float(place), shortened(text, longest)) for place, text in texts]
    places = [place for place in parameter.places if place is not None]
    low, high = min(places), max(places)
    if parameter.kind == "log":
        return [Tick(math.log10(value), text_of(value)) for value in _round_numbers(10**low, 10**high, most)]
    from matplotlib.ticker import MaxNLocator

    inside = [float(value) for value in MaxNLocator(most - 1).tick_values(low, high) if low <= value <= high]
    return [Tick(value, text_of(value)) for value in inside]


def text_of(value: float) -> str:
    """Write a number of an axis short: 0.001, 1e-05, 20000."""
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e6 else f"{value:.0f}"


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of a long text."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[-tail:]}"


def wrapped(name: str, width: int = _LINE) -> str:
    """Break a long name after a dot or an underscore."""
    lines = [""]
    for part in re.findall(r"[^._]+[._]?|[._]", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(shortened(line, width + 4) for line in lines)


def limits(values: Sequence[float], best: float | None) -> tuple[float, float] | None:
    """Return the ends of an axis of values, where a few far ones would press the others together; None: all fit."""
    finite = sorted(value for value in values if math.isfinite(value))
    if len(finite) < 10:
        return None
    low, high = finite[len(finite) // 20], finite[-1 - len(finite) // 20]
    margin = 1.5 * (high - low)
    if margin <= 0 or (finite[0] >= low - margin and finite[-1] <= high + margin):
        return None
    ends = [max(low - margin, finite[0]), min(high + margin, finite[-1])]
    if best is not None and math.isfinite(best):
        ends = [min(ends[0], best), max(ends[1], best)]
    pad = 0.04 * (ends[1] - ends[0])
    return ends[0] - pad, ends[1] + pad


def value_of(record: Record, place: int) -> float | None:
    """The finite value of a trial in an objective, of a pruned one its last report; None where there is none."""
    if len(record.values) > place and math.isfinite(record.values[place]):
        return record.values[place]
    return None


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """1, 2 and 5 times powers of ten; of more than `most` the powers alone, of those every so many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    slack = 1 + 1e-9
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**e for e in range(first, last + 1) for f in factors]
        found = [value for value in found if low / slack <= value <= high * slack]
        if len(found) <= most and (len(found) > 1 or factors == (1, 2, 5)):
            return found if len(found) > 1 else sorted({low, high, *found})
    step = math.ceil(len(found) / most)
    return found[::step]
