"""What a user can get wrong. Every message says what, `Received: ...`, and the override that mends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MedexpError(Exception):
    """Base of every error a user can cause; its text is all that the user sees."""


class ConfigError(MedexpError):
    """The composed configuration cannot run. Lists every problem found, not the first."""


class DataError(MedexpError):
    """Images, labels or splits are missing, unreadable or contradictory."""


class TrainingError(MedexpError):
    """Training cannot go on: a NaN loss, an unknown monitor, a full disk."""


class TrackingError(MedexpError):
    """The tracking store cannot be reached or used."""


class SweepError(MedexpError):
    """The storage of a search cannot be reached or used, or the study in it is another one."""


class RegistryError(MedexpError):
    """A bundle or the model registry is damaged, missing or of another format."""


def unknown(what: str, received: object, available: Iterable[str]) -> str:
    """Wording for a wrong choice from a list: what, what was received, what there is, the nearest."""
    options = sorted(available)
    near = difflib.get_close_matches(str(received), options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what}. Received: {received!r}. Available: {', '.join(options)}.{hint}"
