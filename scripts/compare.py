"""Compare trained variants, and say what that proves. `python scripts/compare.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_compared

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(cfg: DictConfig) -> None:
    """Compare the runs that are named, or show a sweep and compare its tested runs."""
    with user_errors():
        from medexp.config.load import load_compare

        config = load_compare(cfg)
        if config.runs is not None:
            from medexp.experiment.proof.runs import compare_runs

            compare_runs(config)
            return
        from medexp.config.flatten import task_overrides
        from medexp.experiment.proof.sweep import compare_sweep

        places = [item for item in task_overrides() if item.startswith(("paths.", "tracking."))]
        compare_sweep(config, elsewhere=places)


if __name__ == "__main__":
    run(main, CONF, "compare", expand=expand_compared)
