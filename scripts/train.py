"""Train, test, record and export one variant; with -m, many. `python scripts/train.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Run one job; the objective's value is what a sweep compares."""
    with user_errors():
        from medexp.config.load import load

        config = load(cfg)
        from medexp.experiment.train import train

        return train(config).score


if __name__ == "__main__":
    run(main, CONF, "train")
