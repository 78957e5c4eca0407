"""`search=...` means something with `-m` only."""

from __future__ import annotations

import shlex

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from medexp.errors import ConfigError


def refuse_search() -> None:
    """Raise a ConfigError where the command line says how to search, and nothing is searched."""
    if not HydraConfig.initialized() or HydraConfig.get().mode == RunMode.MULTIRUN:
        return
    overrides = list(HydraConfig.get().overrides.task)
    if any(item.startswith("sweep.") for item in overrides):  # a job of a sweep has what its sweep was given
        return
    keys = {item: item.partition("=")[0].lstrip("+~") for item in overrides}
    searching = [item for item, key in keys.items() if key == "search" or key.startswith("search.")]
    searching = [item for item in searching if item != "search=grid"]
    if searching:
        raise ConfigError(
            f"A search has many jobs, this command is one: the override would have no effect. Received: "
            f"{shlex.join(searching)}. Search with python scripts/train.py -m {shlex.join(overrides)}, or leave it away"
        )
