"""Evaluate a trained run, on its own data or other. `python scripts/evaluate.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_evaluated

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate one run."""
    with user_errors():
        from medexp.config.load_evaluate import load_evaluate

        asked = load_evaluate(cfg)
        from medexp.experiment.evaluation_run import evaluate_run

        evaluate_run(asked.folder, asked.config, other=asked.other, images=asked.images)


if __name__ == "__main__":
    run(main, CONF, "evaluate", expand=expand_evaluated)
