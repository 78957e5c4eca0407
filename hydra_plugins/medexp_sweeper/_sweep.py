"""Run the jobs of a multirun through Hydra's launcher, inside a parent run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict

from medexp.config.door import user_errors
from medexp.config.instantiate import instantiate
from medexp.config.load import load
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, TrainingError
from medexp.redact import redact
from medexp.sweep.leaderboard import print_leaderboard
from medexp.sweep.parent import Parent, open_parent
from medexp.tracking.base import Tracker
from medexp.types import Objective


def sweep(
    jobs: Sequence[list[str]], arguments: list[str], loader: ConfigLoader, master: DictConfig, launcher: Launcher
) -> Sequence[JobReturn]:
    """Check all jobs, open the parent, launch, show the table.

    Raises:
        CompactHydraException: a job's configuration is wrong (nothing was started), or a job failed.
    """
    with user_errors():
        config = _checked(jobs, loader, master)
        tracker: Tracker = instantiate("logger", config.logger)
        objective = Objective(config.objective.metric, config.objective.mode)
        tags = {
            "medexp.kind": "sweep",
            "medexp.overrides": " ".join(arguments),
            "mlflow.source.name": "scripts/train.py",
        }
        name = " ".join(arguments) or "sweep"
        parent: Parent | None = None
        try:
            with open_parent(
                tracker,
                f"sweep {name}"[:250],
                objective=objective,
                folder=config.paths.outputs / "sweeps",
                tags=tags,
                console_level=config.runtime.console_level,
            ) as parent:
                own = parent.run.folder
                with open_dict(master):
                    master.hydra.sweep.dir = str(own)
                (own / "multirun.yaml").write_text(redact(OmegaConf.to_yaml(master)))
                results = launcher.launch([[*job, f"sweep.parent={parent.run.id}"] for job in jobs], initial_job_idx=0)
                _raise_failures(jobs, results)
        finally:
            if parent is not None and parent.children:
                where = tracker.where(parent.run.id)
                print_leaderboard(parent.children, objective, where=where, table_file=str(parent.table))
        return results


SHARED = ("objective", "tracking", "paths")


def _checked(jobs: Sequence[list[str]], loader: ConfigLoader, master: DictConfig) -> TrainConfig:
    """The configuration shared by all jobs; a ConfigError lists every job that cannot run."""
    problems: dict[str, list[str]] = {}
    config: TrainConfig | None = None
    shared: dict[str, Any] = {}
    for job in jobs:
        try:
            config = load(loader.load_sweep_config(master, list(job)))
            for key in SHARED:
                if shared.setdefault(key, getattr(config, key)) != getattr(config, key):
                    raise ConfigError(f"{key}: must be the same in all jobs of a sweep: they have one parent.")
        except ConfigError as error:
            problems.setdefault(str(error), []).append(" ".join(job))
    if problems:
        raise ConfigError("\n".join(f"Job {' | '.join(which)}:\n{text}" for text, which in problems.items()))
    assert config is not None
    return config


def _raise_failures(jobs: Sequence[list[str]], results: Sequence[JobReturn]) -> None:
    failed = [
        (" ".join(job), reason) for job, result in zip(jobs, results, strict=True) if (reason := _failure(result))
    ]
    if failed:
        first, reason = failed[0]
        raise TrainingError(f"{len(failed)} of {len(jobs)} jobs failed; the first was {first}: {reason}")


def _failure(result: JobReturn) -> str | None:
    try:
        result.return_value  # noqa: B018  Hydra raises here what the job raised
    except Exception as error:
        return str(error)
    return None
