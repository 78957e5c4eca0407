"""What a report says of data and training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medexp.evaluation.report.checklist import Answer
from medexp.evaluation.report.curves import best_epoch
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.settings import class_weighting, initial_weights, pixels, settings
from medexp.evaluation.report.wording import counted, listed, percent


def data_answers(facts: Facts) -> dict[str, Answer]:
    """Return answers by topic, only those that something in the run fills."""
    found = (*_data(facts), *_audit(facts), *_training(facts), *_code(facts))
    return {topic: Answer(text, anchor) for topic, text, anchor in found if text}


def _data(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    data = facts.data
    source = f" from {data['source']}" if data.get("source") else ""
    yield "sources", f"{facts.data_name}{source}", "data"
    if facts.external and facts.trained_data:
        yield "sources", f"{facts.data_name}{source}; trained on {facts.trained_data.get('name')}", "data"
    counts = facts.counts(data)
    if counts:
        yield "counts", "; ".join(f"{split}: {_classes(classes)}" for split, classes in counts.items()), "data"
        yield "size", f"{counted(facts.images(data, 'test'), 'test image')}: {_classes(counts.get('test', {}))}", "data"
    yield "shares", _shares(facts), "data"
    yield "division", _division(facts), "data"
    if facts.groups is not None:
        yield "disjoint", f"by group (such as patients): {facts.groups:,} in test", "data"
    else:
        yield (
            "disjoint",
            "by image: the data names no groups, so nobody can say whether a patient is in two splits",
            "data",
        )
    if facts.external:
        yield "difference", f"another data set: digest {data.get('digest')}, not {facts.evidence.trained_on}", "data"
    else:
        yield "difference", "one data set, divided into splits", "data"
    if data.get("digest"):
        identity = f"digest {data['digest']} of content, labels and splits"
        yield "data_identity", f"{identity}; of the splits {data['split']}" if data.get("split") else identity, "data"


def _division(facts: Facts) -> str | None:
    data = facts.trained_data
    sizes = {split: facts.images(data, split) for split in ("train", "val", "test")} if data else {}
    told = ", ".join(f"{size:,} {split}" for split, size in sizes.items() if size)
    if not told:
        return None
    digest = f" (split {data['split']})" if data.get("split") else ""
    return f"{told} images{digest}; fitted on train, chosen on val, measured on test"


def _shares(facts: Facts) -> str | None:
    """The classes of development and evaluation, side by side."""
    parts = []
    for split in ("train", "test"):
        data = facts.data if split == "test" else facts.trained_data
        classes, images = facts.counts(data).get(split), facts.images(data, split)
        total = images or sum((classes or {}).values())
        if classes and total:
            parts.append(f"{split}: " + ", ".join(f"{n} {percent(c / total, 1)}" for n, c in classes.items()))
    return "; ".join(parts) if len(parts) == 2 else None


def _audit(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    if facts.audit is None:
        return
    checks: list[Mapping[str, Any]] = list(facts.audit.get("checks", ()))
    numbers = ", ".join(f"{facts.audit.get(key, 0)} {word}" for key, word in _OUTCOMES)
    yield "quality", f"{counted(len(checks), 'check')} of the audit: {numbers}", "audit"
    for check in checks:
        if check.get("name") == "files":
            yield "unreadable", str(check.get("result")), "audit"


_OUTCOMES = (("refused", "refused"), ("accepted", "accepted"), ("warnings", "warnings"))


def _training(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    chosen = {setting.name: setting.value for setting in settings(facts)}
    seen = pixels(facts)
    yield "preparation", seen and f"{seen}; the same for every image", "configuration"
    yield "predictors", seen and f"the pixels of one image and nothing else: {seen}", "configuration"
    if "Augmentation" in chosen:
        yield "augmentation", f"augmentation {chosen['Augmentation']}", "configuration"
    yield "model", f"{facts.model}, a neural network" if facts.setting("model") else None, "configuration"
    parts = [f"{n.lower()} {chosen[n]}" for n in ("Loss", "Optimizer", "Schedule", "Phases") if n in chosen]
    yield "training", "; ".join(parts), "configuration"
    weights = initial_weights(facts)
    yield "initial", weights and f"initial weights {weights}", "configuration"
    yield "imbalance", class_weighting(facts), "configuration"
    yield "configuration", "every parameter, with the seed" if facts.config else None, "configuration"
    metric, mode = facts.setting("objective.metric"), facts.setting("objective.mode")
    if metric and mode:
        best = best_epoch(facts.history, metric=metric, mode=mode)
        which = f"; epoch {best} of {len(facts.history)}" if best else ""
        yield "selection", f"the epoch with the best {metric} ({mode}) on validation{which}", "training"
    if facts.history:
        yield "epochs", counted(len(facts.history), "epoch"), "training"
    averaged = facts.setting("trainer.average_best")
    if facts.setting("trainer") is not None:
        many = isinstance(averaged, int) and averaged > 1
        yield (
            "ensemble",
            f"weights of up to {averaged} epochs averaged" if many else "none: one network",
            "configuration",
        )


def _code(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    environment = facts.environment
    versions = environment.get("versions") or {}
    yield "software", listed([f"{name} {version}" for name, version in versions.items()], limit=20), "provenance"
    if environment.get("git_commit"):
        changed = ", with changes that code.patch has" if environment.get("git_dirty") else ""
        yield "code", f"commit {environment['git_commit']}{changed}", "provenance"


def _classes(classes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in classes.items())
