"""Runs of one variant, which differ in their seed alone, and names that tell variants apart."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from medexp.config.places import is_place
from medexp.evaluation.comparison.variant import Repetition, Variant
from medexp.experiment.proof.tested_run import TestedRun

logger = logging.getLogger(__name__)
_REPEATED = ("seed", "data.fold")  # what repetitions of a variant differ in
_NO_PART = ("paths", "tracking", "logger", "runtime", "sweep", "card", "search", "resume", "evaluation")
_PART = ("evaluation.calibration", "evaluation.operating_point")  # they change what is said of an image
_NAMED_BY = {  # a key that says what a whole group is
    "model": ("model.name", "model._target_"),
    "augmentation": ("data.aug", "augmentation.name"),
    "optimizer": ("optimizer._target_",),
    "schedule": ("schedule._target_",),
    "loss": ("loss._target_",),
}
_USUAL = ("model.name", "data.aug")  # what the only variant is called by
_MOST = 4  # keys in a name


def pooled(runs: Sequence[TestedRun], *, pool: bool = True, most: int | None = None) -> tuple[Variant, ...]:
    """Return the variants that runs are of, in the order they first appear.

    Runs with the same configuration but for seed and fold are repetitions; of two that are the same network (an
    evaluation and the training that it is of) one is left. The best by validation (mean over repetitions of the
    objective, where all runs have the same one) is marked: test images did not choose it.

    Args:
        runs: tested ones.
        pool: False makes each run a variant of its own.
        most: how many variants are kept, the best by validation; None: all.
    """
    groups: dict[object, list[TestedRun]] = {}
    for run in runs:
        key = tuple(sorted(_identity(run.params).items())) if pool and run.params else run.run_id
        groups.setdefault(key, []).append(run)
    members = [_different(group) for group in groups.values()]
    validated = _validated(members)
    order = sorted(range(len(members)), key=lambda place: validated[place]) if validated else range(len(members))
    kept = sorted(list(order)[:most])
    if len(kept) < len(members):
        logger.warning("of %d tested variants the best %d by validation are compared. Override: proof.most=%d",
                       len(members), len(kept), len(members))  # fmt: skip
    chosen = order[0] if validated and len(members) > 1 else None
    members = [members[place] for place in kept]
    chosen = kept.index(chosen) if chosen is not None else None
    names = _names(members, pool=pool)
    return tuple(
        Variant(
            name,
            tuple(Repetition(r.run_id, r.predictions, r.thresholds, r.params.get("seed", "")) for r in group),
            chosen=place == chosen,
        )
        for place, (name, group) in enumerate(zip(names, members, strict=True))
    )


def _identity(params: Mapping[str, str]) -> dict[str, str]:
    """What makes a variant: no seeds, no places, nothing that changes no prediction."""
    return {
        key: value
        for key, value in params.items()
        if key in _PART
        or (key not in (*_REPEATED, "name") and key.partition(".")[0] not in _NO_PART and not is_place(key, value))
    }


def _different(group: Sequence[TestedRun]) -> list[TestedRun]:
    kept: list[TestedRun] = []
    for run in group:
        same = next((one for one in kept if _same_network(one, run)), None)
        if same is None:
            kept.append(run)
        else:
            logger.warning("%s says what %s says, to the last digit: it is no repetition, and left out", run.run_id,
                           same.run_id)  # fmt: skip
    return kept


def _same_network(a: TestedRun, b: TestedRun) -> bool:
    return a.predictions.keys == b.predictions.keys and np.array_equal(
        a.predictions.probabilities, b.predictions.probabilities
    )


def _names(members: Sequence[Sequence[TestedRun]], *, pool: bool) -> list[str]:
    """Names by what differs between the variants, as overrides; where that is not enough, with the id of a run."""
    own = [_identity(group[0].params) | ({} if pool else _seeds(group[0].params)) for group in members]
    keys = list(dict.fromkeys(key for params in own for key in params))
    differing = [key for key in keys if len({params.get(key) for params in own}) > 1]
    shown = _telling(differing)
    names = [_name(params, shown[:_MOST]) for params in own]
    if len(set(names)) < len(names):
        names = [_name(params, shown) for params in own]
    if len(names) == 1 and not names[0]:
        return [_name(own[0], _USUAL) or members[0][0].run_id]
    return [
        f"{name} ({group[0].run_id[:8]})".strip() if names.count(name) > 1 or not name else name
        for name, group in zip(names, members, strict=True)
    ]


def _seeds(params: Mapping[str, str]) -> dict[str, str]:
    return {key: params[key] for key in _REPEATED if key in params}


def _telling(differing: Sequence[str]) -> list[str]:
    """Of keys that differ together one: `model.name` says what `model.blocks` and all others do."""
    by_group = {group: next((key for key in keys if key in differing), None) for group, keys in _NAMED_BY.items()}
    return [
        key
        for key in differing
        if (by_group.get(_group(key)) in (None, key)) and (key != "augmentation.name" or "data.aug" not in differing)
    ]


def _group(key: str) -> str:
    head = key.partition(".")[0]
    return "augmentation" if key == "data.aug" else head if head != "data" else ""


def _name(params: Mapping[str, str], keys: Iterable[str]) -> str:
    return " ".join(f"{_short_key(key)}={_short_value(key, params[key])}" for key in keys if key in params)


def _short_key(key: str) -> str:
    return {"model.name": "model", "augmentation.name": "augmentation"}.get(key, key.removesuffix("._target_"))


def _short_value(key: str, value: str) -> str:
    return value.rpartition(".")[2] if key.endswith("._target_") else value


def _validated(members: Sequence[Sequence[TestedRun]]) -> list[float] | None:
    """The mean objective of each variant on validation, smaller is better.

    None where runs have different objectives, or one that looked at test images.
    """
    objectives = {run.result.objective for group in members for run in group}
    if len(objectives) != 1:
        return None
    (objective,) = objectives
    if not objective.metric.startswith("val_"):
        return None
    try:
        means = [statistics.fmean(run.result.score for run in group) for group in members]
    except KeyError:  # an evaluation on other data has no validation
        return None
    return [-mean for mean in means] if objective.mode == "max" else means
