"""Train a run again and compare bit for bit. `python scripts/reproduce.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_run

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="reproduce")
def main(cfg: DictConfig) -> None:
    """Repeat one run; ends with status 0 where the two are bit-identical, else with 1."""
    with user_errors():
        from medexp.config.find_run import find_run
        from medexp.config.load import load_reproduce
        from medexp.config.saved import load_saved

        options = load_reproduce(cfg)
        folder = find_run(str(options.run), outputs=options.paths.outputs, key="run")
        config = load_saved(folder, cfg)
        from medexp.experiment.reproduce import reproduce

        identical = reproduce(folder, config, accept=options.accept).identical
    raise SystemExit(0 if identical else 1)


if __name__ == "__main__":
    run(main, CONF, "reproduce", expand=expand_run)
