"""Send what runs could not send to their tracking store. `python scripts/sync.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="sync")
def main(cfg: DictConfig) -> None:
    """Send what ended runs left; ends with status 0 where nothing is left, else with 1."""
    with user_errors():
        from medexp.config.load import load_sync

        config = load_sync(cfg)
        from medexp.experiment.sync import sync

        complete = sync(config)
    raise SystemExit(0 if complete else 1)


if __name__ == "__main__":
    run(main, CONF, "sync")
