"""What was chosen for a training, in a few rows, and all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medexp.evaluation.report.facts import Facts
from medexp.redact import redact

_PLACES = ("paths", "tracking", "hydra", "sweep", "resume")  # where things lie, not what they are


@dataclass(frozen=True)
class Setting:
    """One row: what it is about, and what was chosen."""

    name: str
    value: str


def settings(facts: Facts) -> tuple[Setting, ...]:
    """Return what matters most, of what the configuration has."""
    return tuple(Setting(name, value) for name, value in _settings(facts) if value)


def as_yaml(facts: Facts) -> str:
    """Return the whole configuration but for the places of this machine; no password of a URL is in it."""
    import yaml

    kept = {key: value for key, value in facts.config.items() if key not in _PLACES}
    return str(yaml.safe_dump(_plain(kept), sort_keys=False, allow_unicode=True)) if kept else ""


def class_weighting(facts: Facts) -> str | None:
    """Return how rare classes are treated in training; None where the configuration does not say."""
    weights, sampling = facts.setting("loss.class_weights"), facts.setting("data.sampling")
    if facts.setting("loss") is None and sampling is None:
        return None
    ways = [f"class weights {_short(weights)}"] if weights is not None else []
    ways += ["balanced sampling"] if sampling == "balanced" else []
    return " and ".join(ways) or "none: every image counts the same"


def initial_weights(facts: Facts) -> str | None:
    """Return what the weights were before training; None where the configuration does not say."""
    if facts.setting("model") is None:
        return None
    weights = facts.setting("model.weights")
    return f"random, seed {facts.setting('seed')}" if weights is None else f"pre-trained: {weights}"


def pixels(facts: Facts) -> str | None:
    """Return what is made of an image before the network sees it; None where nothing says it."""
    spec: Mapping[str, Any] = (facts.passport or {}).get("input") or facts.setting("data.input") or {}
    if not {"height", "width", "channels"} <= spec.keys():
        return None
    bits = f", {spec['bits']} bit" if spec.get("bits") else ""
    colour = "grey" if spec["channels"] == 1 else "colour"
    return (
        f"{spec['height']} x {spec['width']} pixels, {colour}{bits}; aspect ratio: {spec.get('fit')}; "
        f"black and white: {spec.get('intensity')}"
    )


def _settings(facts: Facts) -> Iterator[tuple[str, str]]:
    get = facts.setting
    yield "Network", _named(facts.model, get("model"), ("dropout",))
    yield "Initial weights", initial_weights(facts) or ""
    yield "Pixels", pixels(facts) or ""
    yield "Augmentation", _short(get("augmentation.name") or get("data.aug"))
    yield "Loss", _named(_target(get("loss")), get("loss"), ("label_smoothing",))
    yield "Rare classes", class_weighting(facts) or ""
    yield "Optimizer", _named(_target(get("optimizer")), get("optimizer"), ("learning_rate", "weight_decay", "use_ema"))
    yield "Schedule", _named(_target(get("schedule")), get("schedule"), ("warmup",))
    phases = get("finetuning.phases")
    yield "Phases", ", ".join(phases) if isinstance(phases, Mapping) else ""
    yield "Epochs, at most", _short(get("trainer.max_epochs"))
    yield "Batch", _short(get("data.batch_size"))
    yield "Averaged epochs", _short(get("trainer.average_best"))
    yield "Precision", _short(get("trainer.precision"))
    yield "Selected by", " ".join(filter(None, (_short(get("objective.metric")), _short(get("objective.mode")))))
    yield "Seed", _short(get("seed"))


def _named(name: str, node: Any, keys: Sequence[str]) -> str:
    values = {key: node[key] for key in keys if isinstance(node, Mapping) and node.get(key) not in (None, False)}
    told = ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in values.items())
    return f"{name}; {told}" if name and told else name


def _target(node: Any) -> str:
    return str(node.get("_target_", "")).rpartition(".")[2] if isinstance(node, Mapping) else ""


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Only what YAML knows, passwords left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact(str(value))
