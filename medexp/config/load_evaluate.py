"""The configuration of `scripts/evaluate.py`: the run's own, with what is asked for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig, OmegaConf

from medexp.config.find_run import find_run
from medexp.config.flatten import task_overrides
from medexp.config.load import load_data, report, values_of
from medexp.config.saved import load_saved
from medexp.config.schema import DataConfig, TrainConfig
from medexp.config.schema_evaluation import CardConfig, EvaluationConfig
from medexp.errors import ConfigError

_OWN = ("run", "images", "evaluation", "card")


@dataclass(frozen=True)
class Asked:
    """What is to be evaluated.

    Args:
        folder: of the trained run.
        config: the run's own, with evaluation and card as they are asked for.
        other: data that are not its own; None for its own.
        images: which of of other data.
    """

    folder: Path
    config: TrainConfig
    other: DataConfig | None
    images: Literal["test", "all"]


def load_evaluate(cfg: DictConfig) -> Asked:
    """Return what `cfg` asks for, typed and checked.

    Values of `evaluation` and `card` that the command line does not name are the run's own.

    Raises:
        ConfigError: no run is named, there is no such run, overrides that would have no effect, wrong values.
    """
    overrides = task_overrides()
    if cfg.run is None:
        raise ConfigError("run: which run? python scripts/evaluate.py <run id or its folder>")
    if cfg.images not in ("test", "all"):
        raise ConfigError(f"images: should be test or all. Received: {cfg.images!r}.")
    chosen = "name" in cfg.data  # a data set brings its name
    if not chosen and cfg.images != "test":
        raise ConfigError(
            "images: has no effect on the run's own data, whose other images it was trained on. Received: "
            f"images={cfg.images}. Remove it, or name other data: data=..."
        )
    folder = find_run(str(cfg.run), outputs=Path(str(cfg.paths.outputs)), key="run")
    places = [item for item in overrides if not _is_own(item) and not (chosen and _key(item).split(".")[0] == "data")]
    saved = load_saved(folder, cfg, overrides=places)
    evaluation, problems = values_of(
        EvaluationConfig, _patched(saved.evaluation.model_dump(), cfg, "evaluation", overrides), "evaluation"
    )
    card, others = values_of(CardConfig, _patched(saved.card.model_dump(), cfg, "card", overrides), "card")
    if problems or others:
        raise ConfigError(report([*problems, *others]))
    config = saved.model_copy(update={"evaluation": evaluation, "card": card})
    return Asked(folder, config, load_data(cfg) if chosen else None, cfg.images)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _is_own(override: str) -> bool:
    return _key(override).partition(".")[0] in _OWN


def _patched(saved: Mapping[str, object], cfg: DictConfig, group: str, overrides: Sequence[str]) -> dict[str, object]:
    """The run's own values, and those that the command line names: a key, or another option of the group."""
    now = OmegaConf.to_container(cfg[group], resolve=True)
    assert isinstance(now, dict)
    keys = {_key(item) for item in overrides}
    if group in keys:
        return {str(key): value for key, value in now.items()}
    named = {key.split(".")[1] for key in keys if key.startswith(f"{group}.")}
    return {**saved, **{str(key): value for key, value in now.items() if key in named}}
