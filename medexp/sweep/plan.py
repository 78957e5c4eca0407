"""What a study is: who chooses from which space, how many trials, and what makes it another study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medexp.types import Objective

if TYPE_CHECKING:
    import optuna

STORAGE_VARIABLE = "MEDEXP_SWEEP_STORAGE"  # of the environment: a storage with a password, which no command line shows


class SearchSpace(Protocol):
    """What a trial is asked about."""

    def overrides(self, trial: optuna.Trial, /) -> list[str]:
        """Let the sampler choose a value for each parameter; return them as Hydra overrides."""

    def describe(self) -> dict[str, str]:
        """Return each parameter's text, as the definition of the study holds it."""


@dataclass(frozen=True)
class Plan:
    """A study, as a command asks for it.

    Args:
        name: of the study, in the storage.
        storage: absolute path of a journal file, or the URL of a database.
        objectives: one or several; the first decides where a single one is needed.
        space: what is searched.
        sampler: its name in `search.sampler`.
        sampler_options: of Optuna's sampler, by its names.
        pruner: its name in `search.pruner`; `none` stops no trial.
        pruner_options: of Optuna's pruner, by its names.
        n_trials: in all, whoever runs them.
        seed: of the sampler.
        max_retry: how often a trial that was killed is begun again.
        definition: what must not change while the study lasts, each entry as text.
        folder: for the log of each trial, the table and the plots.
    """

    name: str
    storage: str
    objectives: tuple[Objective, ...]
    space: SearchSpace
    sampler: str
    sampler_options: Mapping[str, Any]
    pruner: str
    pruner_options: Mapping[str, Any]
    n_trials: int
    seed: int
    max_retry: int
    definition: Mapping[str, str]
    folder: Path
