"""What a person watching a study is told, in as many columns as there are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from medexp.sweep.records import Record
from medexp.types import Objective


@dataclass(frozen=True)
class StudyMoment:
    """A study at one moment.

    Attributes:
        total: trials it is to have.
        complete: ended with a result.
        pruned: ended early as hopeless.
        failed: ended by an error, or killed too often.
        running: at the moment, on any machine.
        best: for each objective its name, the best value so far and the trial that has it; empty before the first.
        seconds_left: until all trials have ended; None before one has.
    """

    total: int
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    best: tuple[tuple[str, float, int], ...] = ()
    seconds_left: float | None = None

    @property
    def ended(self) -> int:
        """How many have a final result."""
        return self.complete + self.pruned + self.failed


def moment_of(records: Sequence[Record], objectives: Sequence[Objective], *, n_trials: int, slots: int) -> StudyMoment:
    """Return how far a study is.

    The time left is that of the trials that have not ended, each as long as those that have took on average, `slots` of
    them at once.
    """
    states = Counter(record.state for record in records)
    seconds = [record.seconds for record in records if record.ended]
    total = max(n_trials, len(records))
    left = None
    if seconds:
        mean = sum(seconds) / len(seconds)
        begun = sum(min(record.seconds, mean) for record in records if record.state == "running")
        at_once = max(slots, states["running"], 1)
        left = max((total - len(seconds)) * mean - begun, 0.0) / at_once
    return StudyMoment(
        total=total,
        complete=states["complete"],
        pruned=states["pruned"],
        failed=states["failed"],
        running=states["running"],
        best=_best(records, objectives),
        seconds_left=left,
    )


def study_line(moment: StudyMoment, *, width: int | None = None) -> str:
    """Return a study at a moment as one line of at most `width` columns; None for all there is to say."""
    counts = {"complete": moment.complete, "pruned": moment.pruned, "failed": moment.failed, "running": moment.running}
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "complete")
    best = ", ".join(f"{name} {_value(value)} (trial {index})" for name, value, index in moment.best)
    long = f"best {best}" if best else ""
    short = "best " + ", ".join(_value(value) for _, value, _ in moment.best) if best else ""
    left = "" if moment.seconds_left is None or moment.ended == moment.total else _left(moment.seconds_left)
    done = f"{moment.ended}/{moment.total} trials"
    forms = [
        f"{done}  {counted}" + "".join(f"   {part}" for part in (long, left) if part),
        f"{done}  {counted}" + "".join(f"   {part}" for part in (short, left) if part),
        done + "".join(f"   {part}" for part in (short, left) if part),
        done + (f"   {left}" if left else ""),
    ]
    if width is None:
        return forms[0]
    return next((form for form in forms if len(form) <= width), done[:width])


def ended_line(record: Record, objectives: Sequence[Objective], *, log: str | None) -> str:
    """Return how a trial ended; of a failed one the reason, and where its log is."""
    if record.state == "failed":
        where = f"\n  its log: {log}" if log is not None else ""
        return f"trial {record.index} failed: {record.error or 'nobody knows why'}{where}"
    values = "".join(
        f"  {objective.metric} {_value(value)}" for objective, value in zip(objectives, record.values, strict=False)
    )
    return f"trial {record.index} {record.state}{values}  {record.seconds:.0f} s"


def _best(records: Sequence[Record], objectives: Sequence[Objective]) -> tuple[tuple[str, float, int], ...]:
    best = []
    for place, objective in enumerate(objectives):
        found = [
            (record.values[place], record.index)
            for record in records
            if record.state == "complete" and len(record.values) > place and math.isfinite(record.values[place])
        ]
        if found:
            choose = max if objective.mode == "max" else min
            value, index = choose(found, key=lambda pair: pair[0])
            best.append((objective.metric, value, index))
    return tuple(best)


def _value(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4f}"


def _left(seconds: float) -> str:
    """As "about 4 min left": a mean of a few trials is not worth more digits."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"about {max(round(seconds / unit), 1)} {name} left"
    return f"about {round(seconds / 86400)} days left"
