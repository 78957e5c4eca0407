"""Show the trials of a sweep, the best first. `python scripts/compare.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_sweep

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(cfg: DictConfig) -> None:
    """Print the table of one sweep."""
    with user_errors():
        from medexp.config.load import load_compare

        config = load_compare(cfg)
        from medexp.config.flatten import task_overrides
        from medexp.sweep.compare import compare
        from medexp.types import Objective

        compare(
            uri=config.tracking.uri,
            experiment=config.tracking.experiment,
            outputs=config.paths.outputs,
            sweep=config.sweep,
            storage=config.storage,
            objective=None if config.metric is None else Objective(config.metric, config.mode or "max"),
            top=config.top,
            elsewhere=[item for item in task_overrides() if item.startswith(("paths.", "tracking."))],
        )


if __name__ == "__main__":
    run(main, CONF, "compare", expand=expand_sweep)
