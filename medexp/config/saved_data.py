"""The data of a run as it recorded them, to be read again in another script."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from medexp.config.saved import load_saved
from medexp.config.schema import PathsConfig, TrainConfig


def saved_run(folder: Path, *, paths: PathsConfig, uri: str) -> TrainConfig:
    """Return the configuration of the run whose `config.yaml` is in `folder`, its places as they are here.

    Args:
        folder: that holds the file; the run's own, or one that it was fetched to.
        paths: of this program.
        uri: of the tracking store, with its password.

    Raises:
        ConfigError: there is none, or this medexp does not understand it.
    """
    places = {name: str(path) for name, path in paths.model_dump().items()}
    current = OmegaConf.create({"paths": places, "tracking": {"uri": uri}, "logger": {"uri": uri}})
    return load_saved(folder, current, overrides=[f"paths.outputs={places['outputs']}"])
