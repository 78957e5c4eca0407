"""From a command line to a study: what is fixed, what is searched, what makes it another study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from hydra_plugins.medexp_sweeper._space import space_of
from medexp.config.flatten import flatten
from medexp.config.load import load, load_search
from medexp.config.schema import TrainConfig
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError
from medexp.experiment.pooled import FOLD
from medexp.sweep.exhaustive import examples
from medexp.sweep.identity import fresh_name, study_name
from medexp.sweep.plan import Plan
from medexp.sweep.pruners import pruner
from medexp.sweep.space import Space
from medexp.sweep.storage import open_storage, storage_errors
from medexp.types import Objective

MOST_CHECKED = 100  # jobs that are all composed before the first one starts, at a quarter of a second each
SHARED = ("objective", "tracking", "paths")
_NO_DEFINITION = ("paths.", "tracking.", "logger.", "runtime.", "sweep.", "data.cache.", "evaluation.", "card.", "name")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        fixed: the overrides that all jobs have.
        space: what is searched.
        search: how.
        config: of one job, checked.
        name: of the study.
    """

    fixed: tuple[str, ...]
    space: Space
    search: SearchConfig
    config: TrainConfig
    name: str

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Those of the search, or the one of the training."""
        asked = self.search.objectives or [self.config.objective]
        return tuple(Objective(objective.metric, objective.mode) for objective in asked)

    @property
    def n_trials(self) -> int:
        """In all."""
        combinations = self.space.combinations
        if combinations is None:
            assert self.search.n_trials is not None  # its schema has seen to it
            return self.search.n_trials
        return min(self.search.n_trials or len(combinations), len(combinations))

    def plan(self, *, name: str) -> Plan:
        """The study of that name."""
        folder = self.config.paths.outputs / "sweeps" / name
        return Plan(
            name=name,
            storage=self.search.storage or str((folder / "study.journal").absolute()),
            objectives=self.objectives,
            space=self.space,
            sampler=self.search.sampler,
            sampler_options=self.search.sampler_options,
            pruner=self.search.pruner,
            pruner_options=self.search.pruner_options,
            n_trials=self.n_trials,
            seed=self.search.seed,
            max_retry=self.search.max_retry,
            definition=self._definition(),
            folder=folder,
        )

    def _definition(self) -> dict[str, str]:
        flat = flatten(self.config).items()
        base = {key: self._anywhere(str(value)) for key, value in flat if not key.startswith(_NO_DEFINITION)}
        searched = self.space.describe()
        how = {
            "search.sampler": self.search.sampler,
            "search.sampler_options": str(self.search.sampler_options),
            "search.pruner": self.search.pruner,
            "search.pruner_options": str(self.search.pruner_options),
            "search.seed": str(self.search.seed),
            "search.folds": str(self.search.folds),
            "search.objectives": ", ".join(f"{o.mode} {o.metric}" for o in self.objectives),
        }
        swept = {key for key in base for name in searched if key == name or key.startswith(f"{name}.")}
        return {**{key: text for key, text in base.items() if key not in swept}, **how, **searched}

    def _anywhere(self, text: str) -> str:
        """Return `text` as it is on all machines: each has folders of its own."""
        folders = sorted(self.config.paths.model_dump().items(), key=lambda item: len(str(item[1])), reverse=True)
        for name, folder in folders:
            text = re.sub(rf"{re.escape(str(folder))}(?=/|$)", f"<paths.{name}>", text)
        return text


def asked(arguments: Sequence[str], loader: ConfigLoader, master: DictConfig) -> Asked:
    """Return what the command line asks for, checked as a whole: no trial fails later for what can be seen now.

    Raises:
        ConfigError: what cannot be searched, or every job that cannot run.
    """
    base = loader.load_sweep_config(master, _fixed_values(arguments, loader))
    search = load_search(base)
    fixed, space = space_of(arguments, search, loader, base=base)
    pruner(search.pruner, search.pruner_options)
    _check_refit(space, search)
    several = space.combinations
    jobs = several if several is not None and len(several) <= MOST_CHECKED else tuple(examples(space))
    config = _checked(fixed, jobs, loader, master)
    name = study_name(search.name, arguments, swept=space.names, study=search.study)
    return Asked(tuple(fixed), space, search, config, name)


def _fixed_values(arguments: Sequence[str], loader: ConfigLoader) -> list[str]:
    """The overrides with one value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    return [text for text, item in zip(arguments, overrides, strict=True) if not item.is_sweep_override()]


def _checked(
    fixed: Sequence[str], jobs: Sequence[Sequence[str]], loader: ConfigLoader, master: DictConfig
) -> TrainConfig:
    """The configuration of the first job; a ConfigError lists every job that cannot run, by what is its own."""
    problems: dict[str, list[str]] = {}
    first: TrainConfig | None = None
    shared: dict[str, Any] = {}
    for job in jobs:
        try:
            config = load(loader.load_sweep_config(master, [*fixed, *job]))
            _check_folds(config)
            first = first or config
            for key in SHARED:
                if shared.setdefault(key, getattr(config, key)) != getattr(config, key):
                    raise ConfigError(f"{key}: must be the same in all jobs of a sweep: they have one parent.")
        except ConfigError as error:
            problems.setdefault(str(error), []).append(" ".join(job) or "without a choice")
    if problems:
        raise ConfigError("\n".join(f"Job {' | '.join(which)}:\n{text}" for text, which in problems.items()))
    assert first is not None
    return first


def _check_refit(space: Space, search: SearchConfig) -> None:
    if search.refit and FOLD in space.names:
        raise ConfigError(
            "The best of the folds is the easiest one, there is nothing to train again. Received: "
            f"search.refit={search.refit} with a sweep over {FOLD}. Override: search.refit=0, or search.folds=true in "
            "place of the sweep"
        )


def _check_folds(config: TrainConfig) -> None:
    for key in ("fold", "split_file"):
        if config.search is not None and config.search.folds and getattr(config.data, key) is not None:
            raise ConfigError(
                f"Each trial trains every fold. Received: search.folds=true data.{key}={getattr(config.data, key)}. "
                "Remove one of them"
            )


def study_of_command(wanted: Asked) -> Plan:
    """Return the study that the command means: the one it had before, or with `search.fresh` a new one."""
    if not wanted.search.fresh:
        return wanted.plan(name=wanted.name)
    storage = wanted.search.storage
    if storage is None:
        taken = [path.name for path in (wanted.config.paths.outputs / "sweeps").glob("*")]
    else:
        with storage_errors(storage):
            taken = [study.study_name for study in open_storage(storage).get_all_studies()]
    return wanted.plan(name=fresh_name(wanted.name, taken))
