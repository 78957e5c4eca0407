"""Hydra's side of a sweep. Hydra finds sweepers in this namespace only; the work is in medexp.sweep."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="medexp",
    node={"_target_": "hydra_plugins.medexp_sweeper.MedexpSweeper"},
    provider="medexp",
)


class MedexpSweeper(Sweeper):
    """A study of trials, each a child of one parent run: every combination, or what a sampler chooses.

    What can be checked is checked before the first one starts; one that fails does not stop the others.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run all trials; afterwards show them, best first, and fail if one has failed."""
        from hydra_plugins.medexp_sweeper._sweep import sweep

        return sweep(arguments, self._context, self._task, self._config)
