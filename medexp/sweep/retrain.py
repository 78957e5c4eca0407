"""The command that trains the best of a search again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from medexp.redact import redact

_OF_SWEEPS = ("search", "sweep", "hydra")  # no part of what is trained


def retrain_overrides(fixed: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """Return what is trained alone: the fixed overrides of the search, but those of the search itself, and a trial's.

    Args:
        fixed: what all trials had on the command line.
        chosen: the overrides of one trial; they replace fixed ones of the same key.
    """
    keys = {_key(override) for override in chosen}
    kept = [o for o in fixed if _key(o) not in keys and _key(o).replace("/", ".").partition(".")[0] not in _OF_SWEEPS]
    return [*kept, *chosen]


def retrain_command(fixed: Sequence[str], chosen: Sequence[str]) -> str:
    """Return the command, as it is typed in a shell; passwords are left to who types it."""
    return shlex.join(["python", "scripts/train.py", *map(redact, retrain_overrides(fixed, chosen))])


def _key(override: str) -> str:
    """What an override changes: `model` of `+model=x`, `++model=x`, `~model`."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]
