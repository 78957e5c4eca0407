"""Choose the model that is served. `python scripts/promote.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_promotion

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="promote")
def main(cfg: DictConfig) -> None:
    """Judge the best run by all gates; with apply=true make it the champion."""
    with user_errors():
        from medexp.config.load import load_promote

        config = load_promote(cfg)
        from medexp.experiment.promotion.promote import promote

        promote(config)


if __name__ == "__main__":
    run(main, CONF, "promote", expand=expand_promotion)
