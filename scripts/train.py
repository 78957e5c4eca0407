"""Train, test, record and export one variant; with -m, many. `python scripts/train.py --help` says how."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_resume

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Run one job, or go on with one; the objective's value is what a sweep compares."""
    with user_errors():
        from medexp.config.load import load
        from medexp.config.search_argument import refuse_search

        if cfg.resume is None:
            refuse_search()
            config = load(cfg)
            from medexp.experiment.trial import execute, run_trial

            return run_trial(config) if config.sweep.trial is not None else execute(config).score
        from medexp.config.find_run import find_run
        from medexp.config.saved import load_saved
        from medexp.experiment.resumed import refuse_finished

        folder = find_run(str(cfg.resume), outputs=Path(cfg.paths.outputs), key="resume")
        refuse_finished(folder)
        config = load_saved(folder, cfg)
        from medexp.experiment.trial import execute

        return execute(config, resume=folder).score


if __name__ == "__main__":
    run(main, CONF, "train", expand=expand_resume)
