"""Hydra's side of a sweep. Hydra finds sweepers in this namespace only; the work is in medexp.sweep."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
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
    """Every combination of the command line's values, each a child of one parent run.

    All jobs are composed and checked before the first one starts; one that fails does not stop the others.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self._context = hydra_context
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs; afterwards show them, best first, and fail if one has failed."""
        from hydra_plugins.medexp_sweeper._sweep import sweep

        return sweep(self._jobs(arguments), arguments, self._context.config_loader, self._config, self._launcher)

    def _jobs(self, arguments: list[str]) -> list[list[str]]:
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        parser = OverridesParser.create(config_loader=self._context.config_loader)
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(arguments), max_batch_size=None)
        return [list(job) for job in jobs]
