"""The trials of a study as a table: what pictures, importances and files are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from medexp.sweep.records import Record
from medexp.types import Objective

PLOTTED = 1000  # trials, of more a part is drawn
_FEW = 8  # different numbers, up to which they are a choice where nothing else is known
_INTERVAL = re.compile(r"(tag\([^(]*)?(int\()?interval\(")
_DECADES = 30.0  # the largest over the smallest, from which numbers were probably chosen by their logarithm


@dataclass(frozen=True)
class Parameter:
    """One column: a parameter that was searched.

    Args:
        key: its dotted key.
        label: the shortest end of the key that no other parameter has.
        kind: `number` on a linear, `log` on a logarithmic axis, `choice` one of `choices`.
        texts: what each trial had, as Hydra's text; None where a trial did not have the parameter.
        choices: the different texts, numbers in their order; of a number empty.
    """

    key: str
    label: str
    kind: Literal["number", "log", "choice"]
    texts: tuple[str | None, ...]
    choices: tuple[str, ...]

    @property
    def places(self) -> tuple[float | None, ...]:
        """Where each trial is on an axis: the number itself, its logarithm to base 10, or the place of its choice."""
        if self.kind == "choice":
            where = {text: float(place) for place, text in enumerate(self.choices)}
            return tuple(None if text is None else where[text] for text in self.texts)
        numbers = [None if text is None else number(text) for text in self.texts]
        if self.kind == "log":
            return tuple(None if value is None else math.log10(value) for value in numbers)
        return tuple(numbers)


@dataclass(frozen=True)
class TrialTable:
    """The trials of a study by their index, and the parameters that not all of them share.

    Args:
        records: of the trials.
        parameters: their columns, in the order of the search space.
        objectives: of the study.
    """

    records: tuple[Record, ...]
    parameters: tuple[Parameter, ...]
    objectives: tuple[Objective, ...]

    @classmethod
    def of(
        cls, records: Sequence[Record], objectives: Sequence[Objective], *, described: Mapping[str, str] | None = None
    ) -> TrialTable:
        """Make the table.

        Args:
            records: of all trials.
            objectives: of the study.
            described: the text of each parameter in the search space, where it is known: it says which numbers are an
                interval, and which interval is logarithmic.
        """
        ordered = tuple(sorted(records, key=lambda record: record.index))
        keys = list(dict.fromkeys(key for record in ordered for key in record.params))
        labels = short_labels(keys)
        texts = {key: tuple(_text(record.params.get(key)) for record in ordered) for key in keys}
        parameters = tuple(
            _parameter(key, labels[key], texts[key], (described or {}).get(key, ""))
            for key in keys
            if _varies(texts[key])
        )
        return cls(ordered, parameters, tuple(objectives))

    @property
    def complete(self) -> tuple[Record, ...]:
        """The trials that have a result: not pruned, not failed."""
        return tuple(record for record in self.records if record.state == "complete" and record.values)

    @property
    def best(self) -> Record | None:
        """The best trial: of several objectives, on the Pareto front the best by the first."""
        objective = self.objectives[0]
        sign = -1 if objective.mode == "max" else 1
        finite = [record for record in self.complete if math.isfinite(record.values[0])]
        return min(finite, key=lambda record: (sign * record.values[0], record.index), default=None)

    def count(self, state: str) -> int:
        """How many trials are in a state."""
        return sum(record.state == state for record in self.records)

    def rows(self, chosen: Sequence[int]) -> TrialTable:
        """The table of some of its rows, named by their places."""
        parameters = tuple(
            replace(parameter, texts=tuple(parameter.texts[row] for row in chosen)) for parameter in self.parameters
        )
        return replace(self, records=tuple(self.records[row] for row in chosen), parameters=parameters)

    def thinned(self, most: int) -> TrialTable:
        """At most so many trials: the best tenth of that number, and the others at equal distances."""
        if len(self.records) <= most:
            return self
        sign = -1 if self.objectives[0].mode == "max" else 1
        ended = [row for row, record in enumerate(self.records) if record.state == "complete" and record.values]
        best = sorted(ended, key=lambda row: sign * self.records[row].values[0])[: most // 10]
        step = len(self.records) / (most - len(best))
        spread = {int(place * step) for place in range(most - len(best))}
        return self.rows(sorted({*best, *spread}))


def number(text: str) -> float:
    """Read Hydra's text of a number (ValueError: it is none)."""
    return float(text)


def short_labels(keys: Sequence[str]) -> dict[str, str]:
    """Name each dotted key by its shortest end that no other has."""
    labels = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        labels[key] = next(
            end for end in (*ends, key) if end == key or not any(o != key and f".{o}".endswith(f".{end}") for o in keys)
        )
    return labels


def best_so_far(records: Sequence[Record], objective: Objective, place: int = 0) -> dict[int, float]:
    """Return the best value among the complete trials up to each index; trials that have not ended end the series.

    Args:
        records: by their index.
        objective: its direction.
        place: of the objective among several.
    """
    found: dict[int, float] = {}
    best: float | None = None
    for expected, record in enumerate(records):
        if record.index != expected or not record.ended:
            break
        if record.state == "complete" and record.values and math.isfinite(value := record.values[place]):
            best = value if best is None or objective.better(value, best) else best
        if best is not None:
            found[record.index] = best
    return found


def improvements(series: Mapping[int, float]) -> dict[int, float]:
    """Return the points of a series where it changes, and its last one: all that draws it."""
    found: dict[int, float] = {}
    last: float | None = None
    for index, value in series.items():
        if value != last:
            found[index] = last = value
    if series:
        index = max(series)
        found[index] = series[index]
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _varies(texts: Sequence[str | None]) -> bool:
    return len({text for text in texts if text is not None}) > 1


def _parameter(key: str, label: str, texts: tuple[str | None, ...], described: str) -> Parameter:
    different = list(dict.fromkeys(text for text in texts if text is not None))
    numbers = _numbers(different)
    if numbers is not None:
        if _INTERVAL.match(described) or (not described and len(different) > _FEW):
            low, high = min(numbers), max(numbers)
            log = bool(re.search(r"\blog\b", described)) if described else low > 0 and high / low >= _DECADES
            return Parameter(key, label, "log" if log and low > 0 else "number", texts, ())
        different = [text for _, text in sorted(zip(numbers, different, strict=True))]
    elif described:  # in the order in which they are given
        different.sort(key=lambda text: f",{described},".find(f",{text},"))
    return Parameter(key, label, "choice", texts, tuple(different))


def _numbers(texts: Sequence[str]) -> list[float] | None:
    try:
        numbers = [number(text) for text in texts]
    except ValueError:
        return None
    return numbers if all(math.isfinite(value) for value in numbers) else None
