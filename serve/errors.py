"""Why there is no model to serve."""

from __future__ import annotations

from medexp.errors import RegistryError

FIRST_STEPS = "Run `python scripts/train.py`, then `python scripts/promote.py apply=true`."


class NoChampionError(RegistryError):
    """The registry answers, and no version has the alias."""


class StoreUnavailableError(RegistryError):
    """The registry does not answer, or there is none."""


class NotReadyError(RegistryError):
    """No model is loaded."""
