"""Choose the model that is served. `python scripts/promote.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="promote")
def main(cfg: DictConfig) -> None:
    """Show the best run against the champion; with apply=true make it the champion."""
    with user_errors():
        from medexp.config.load import load_promote

        config = load_promote(cfg)
        from medexp.registry.promote import promote
        from medexp.types import Objective

        promote(
            uri=config.tracking.uri,
            experiment=config.tracking.experiment,
            model_name=config.model_name,
            objective=Objective(config.objective.metric, config.objective.mode),
            run=config.run,
            sweep=config.sweep,
            data=config.dataset,
            accept_worse=config.accept_worse,
            accept_other_data=config.accept_other_data,
            apply=config.apply,
        )


if __name__ == "__main__":
    run(main, CONF, "promote")
