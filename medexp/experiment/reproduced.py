"""Compare what two trainings of one configuration left: history, best weights, predictions, metrics."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medexp.config.saved import RESULT
from medexp.experiment.shortened import shortened

_TIMES = re.compile(r"(^|_)(time|seconds?|duration|eta)(_|$)")


@dataclass(frozen=True)
class Part:
    """One thing that was compared.

    Args:
        name: of it.
        same: whether it is bit-identical.
        detail: what was compared, or how it differs.
        largest: absolute difference of a number in it; None where it has none, or numbers cannot be compared.
        by_layer: of weights, the largest absolute difference in each layer that differs.
    """

    name: str
    same: bool
    detail: str
    largest: float | None = None
    by_layer: Mapping[str, float] = field(default_factory=dict)


def compare_runs(old: Path, new: Path) -> tuple[Part, ...]:
    """Return how the run in folder `new` differs from that in `old`; times are not compared.

    What `old` does not have, such as the result of a run that failed after its training, is left out.
    """
    parts = [_history(old / "history.csv", new / "history.csv")]
    if (old / RESULT).is_file():
        before, after = (json.loads((folder / RESULT).read_text()) for folder in (old, new))
        epochs = [before["best_epoch"], after["best_epoch"]]
        parts.append(Part("best epoch", epochs[0] == epochs[1], _both(*epochs)))
    parts += [
        _weights(file, new / file.name) if (new / file.name).is_file() else Part(file.name, False, "is missing")
        for file in sorted(old.glob("*.weights.h5"))
    ]
    parts += [
        _predictions(old / "predictions" / f"{split}.csv", new / "predictions" / f"{split}.csv", split)
        for split in ("val", "test")
        if (old / "predictions" / f"{split}.csv").is_file()
    ]
    if (old / RESULT).is_file():
        parts.append(_metrics(before["metrics"], after["metrics"]))
    return tuple(parts)


def _history(old: Path, new: Path) -> Part:
    before, after = _table(old), _table(new)
    if len(before) != len(after):
        return Part("history", False, f"{len(before)} epochs, now {len(after)}")
    columns = [name for name in before[0] if not _TIMES.search(name)] if before else []
    others = [name for name in after[0] if not _TIMES.search(name)] if after else []
    if columns != others:
        return Part("history", False, f"other metrics: {shortened(sorted({*columns} ^ {*others}) or others)}")
    differences = {
        (epoch, name): _apart(row[name], again[name])
        for epoch, (row, again) in enumerate(zip(before, after, strict=True), 1)
        for name in columns
        if row[name] != again[name]
    }
    if not differences:
        return Part("history", True, f"{len(columns) - 1} metrics of {len(before)} epochs", 0.0)  # beside `epoch`
    names = list(dict.fromkeys(name for _, name in differences))
    first = min(epoch for epoch, _ in differences)
    return Part("history", False, f"from epoch {first} on: {shortened(names)}", _worst(differences))


def _weights(old: Path, new: Path) -> Part:
    import numpy as np

    before, after = _arrays(old), _arrays(new)
    if set(before) != set(after):
        return Part(old.name, False, f"other variables: {shortened(sorted({*before} ^ {*after}))}")
    numbers = sum(array.size for array in before.values())
    layers: dict[str, float] = {}
    for name, array in before.items():
        again = after[name]
        layer = re.sub(r"/vars/\d+$", "", name)
        if array.shape != again.shape:
            layers[layer] = math.inf
        elif array.dtype != again.dtype or array.tobytes() != again.tobytes():
            apart = np.abs(array.astype(np.float64) - again.astype(np.float64))
            layers[layer] = max(layers.get(layer, 0.0), float(np.nanmax(apart, initial=0.0)))
    if not layers:
        return Part(old.name, True, f"{numbers:,} numbers in {len(before)} variables", 0.0)
    said = f"in {len(layers)} layers: {shortened([f'{layer} {apart:.1e}' for layer, apart in layers.items()])}"
    return Part(old.name, False, said, max(layers.values()), layers)


def _predictions(old: Path, new: Path, split: str) -> Part:
    name = f"predictions of {split}"
    if not new.is_file():
        return Part(name, False, "are missing")
    before, after = _table(old), _table(new)
    if old.read_bytes() == new.read_bytes():
        return Part(name, True, f"{len(before)} images", 0.0)
    if [row["image"] for row in before] != [row["image"] for row in after]:
        return Part(name, False, f"other images: {len(before)}, now {len(after)}")
    columns = [column for column in before[0] if column in after[0]] if before else []
    different = [c for c in columns if any(a[c] != b[c] for a, b in zip(before, after, strict=True))]
    scores = [c for c in different if c.startswith("p(")]
    decided = [c for c in different if c.startswith("decision")]
    worst = _worst(
        {(i, c): _apart(a[c], b[c]) for i, (a, b) in enumerate(zip(before, after, strict=True)) for c in scores}
    )
    changed = sum(any(a[c] != b[c] for c in decided) for a, b in zip(before, after, strict=True))
    if not different:
        return Part(name, False, "other columns")
    return Part(name, False, f"{shortened(different)}; {changed} of {len(before)} decisions", worst)


def _metrics(old: Mapping[str, Any], new: Mapping[str, Any]) -> Part:
    before, after = ({k: v for k, v in m.items() if not _TIMES.search(k)} for m in (old, new))
    if "parameters" not in before:  # medexp did not count them yet
        after.pop("parameters", None)
    if set(before) != set(after):
        return Part("metrics", False, f"others: {shortened(sorted({*before} ^ {*after}))}")
    apart = {key: _apart(value, after[key]) for key, value in before.items() if not _equal(value, after[key])}
    if not apart:
        return Part("metrics", True, f"{len(before)} of validation and test", 0.0)
    return Part("metrics", False, f"{len(apart)} of {len(before)}: {shortened(list(apart))}", _worst(apart))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def _arrays(path: Path) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}

    def take(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    visit: Callable[[str, Any], None] = take
    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _apart(a: Any, b: Any) -> float:
    try:
        return abs(float(a) - float(b))
    except (TypeError, ValueError):
        return math.nan


def _worst(differences: Mapping[Any, float]) -> float | None:
    numbers = [value for value in differences.values() if not math.isnan(value)]
    return max(numbers) if numbers else None


def _both(old: Any, new: Any) -> str:
    return str(old) if old == new else f"{old}, now {new}"
