"""Look at a data set as a sceptic would. `python scripts/audit.py --help` says how."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from medexp.config.door import run, user_errors
from medexp.config.register import CONF, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="audit")
def main(cfg: DictConfig) -> None:
    """Audit one data set; a ConfigError or what strict refuses ends with status 1."""
    with user_errors():
        from medexp.config.load import load_audit

        config = load_audit(cfg)
        from medexp.experiment.audit import audit

        audit(config)


if __name__ == "__main__":
    run(main, CONF, "audit")
