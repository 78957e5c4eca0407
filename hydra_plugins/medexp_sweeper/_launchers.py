"""What is known of other launchers: settings that fit a study, and how a job is stopped."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Protocol

from omegaconf import DictConfig, OmegaConf, open_dict

from medexp.errors import ConfigError

logger = logging.getLogger(__name__)
_SUBMITIT_FOLDER = "${hydra.sweep.dir}/.submitit/%j"  # the default of hydra-submitit-launcher
_CARRIED = ("MEDEXP_", "MLFLOW_", "KERAS_", "PG", "HYDRA_FULL_ERROR")


class Kind(Protocol):
    """One launcher, or several of a kind."""

    def prepare(self) -> None:
        """Start what all jobs share, once, in the main thread."""
        ...

    def config(self, number: int) -> DictConfig:
        """The configuration of the launcher that starts trial `number`; each trial has a launcher of its own."""
        ...

    def environment(self) -> dict[str, str]:
        """Variables that its processes do not inherit from this one."""
        ...

    def stop(self, numbers: Sequence[int]) -> None:
        """Send SIGTERM to the jobs of these trials, or cancel them where they have not begun."""
        ...


def kind_of(config: DictConfig, folder: Path) -> Kind:
    """Return what is known of the launcher that `config` names; the study's files are in `folder`."""
    target = str(config.hydra.launcher.get("_target_"))
    if "submitit" in target:
        return Submitit(config, folder, slurm="Slurm" in target)
    if "hydra_ray_launcher" in target:
        return Ray(config, folder)
    return Other(config, folder)


class Other:
    """A launcher of which nothing is known: its jobs are stopped where they run on this machine."""

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self._config = config
        self.folder = folder

    def prepare(self) -> None:
        """Nothing."""

    def config(self, number: int) -> DictConfig:
        config = deepcopy(self._config)
        with open_dict(config):
            config.hydra.sweep.dir = str(self.folder)
        return config

    def environment(self) -> dict[str, str]:
        return {}

    def stop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            with suppress(OSError, ValueError):
                where = json.loads(process_file(self.folder, number).read_text())
                if where["host"] == socket.gethostname():
                    os.kill(where["pid"], signal.SIGTERM)


class Submitit(Other):
    """SLURM, or processes of this machine. A job's files are in a folder that bears its id, below that of its trial."""

    def __init__(self, config: DictConfig, folder: Path, *, slurm: bool) -> None:
        super().__init__(config, folder)
        self._slurm = slurm
        raw = OmegaConf.to_container(config.hydra.launcher, resolve=False)
        assert isinstance(raw, dict)
        given = str(config.hydra.launcher.submitit_folder).partition("%")[0]
        ours = raw["submitit_folder"] == _SUBMITIT_FOLDER
        self._files = folder / "submitit" if ours else Path(given).absolute() / folder.name

    def prepare(self) -> None:
        """Make the folder of its files for this user only: in them is the whole configuration, passwords too."""
        self._files.mkdir(parents=True, exist_ok=True)
        self._files.chmod(0o700)

    def config(self, number: int) -> DictConfig:
        config = super().config(number)
        launcher = config.hydra.launcher
        with open_dict(config):
            launcher.submitit_folder = str(self._files / str(number) / "%j")
            if self._slurm and "requeue" not in launcher.additional_parameters:
                launcher.additional_parameters.setdefault("no-requeue", True)  # the study begins a lost trial again
        return config

    def stop(self, numbers: Sequence[int]) -> None:
        jobs = [entry.name for number in numbers for entry in (self._files / str(number)).glob("[0-9]*")]
        if not self._slurm:
            for job in jobs:
                with suppress(OSError):
                    os.kill(int(job), signal.SIGTERM)  # its controller passes it on
        elif jobs:
            try:
                subprocess.run(["scancel", *jobs], check=True, capture_output=True, text=True, timeout=30)
            except (OSError, subprocess.SubprocessError) as error:
                logger.warning("the jobs could not be cancelled (%s): scancel %s", error, " ".join(jobs))


class Ray(Other):
    """Ray, started here or found at an address. Each trial gets a fresh process, and Ray itself begins none again."""

    def prepare(self) -> None:
        """Start Ray, or connect to it: the launcher would, from a thread, with an option that a cluster refuses."""
        handler = signal.getsignal(signal.SIGTERM)  # importing it sets another
        import ray

        if ray.is_initialized():
            return
        given = OmegaConf.to_container(self._config.hydra.launcher.ray.init, resolve=True)
        assert isinstance(given, dict)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            ray.init(**{"log_to_driver": False, "logging_level": "warning", **given})
        except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"Ray does not start, or cannot be reached ({type(error).__name__}: {error}). "
                f"Received: hydra.launcher.ray.init={given}. One of its own: hydra.launcher.ray.init.address=local"
            ) from error
        finally:
            signal.signal(signal.SIGTERM, handler)

    def config(self, number: int) -> DictConfig:
        config = super().config(number)
        with open_dict(config):
            remote = config.hydra.launcher.ray.remote
            remote.setdefault("max_calls", 1)
            remote.setdefault("max_retries", 0)
        return config

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith(_CARRIED)}


def log_file(folder: Path, number: int) -> Path:
    """Where the job of trial `number` prints to."""
    return folder / "trials" / f"{number}.log"


def process_file(folder: Path, number: int) -> Path:
    """Where the job of trial `number` says which process it is."""
    return folder / "trials" / f"{number}.process"
