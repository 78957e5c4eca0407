"""Which study a command means: the same command goes on with the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from medexp.types import digest_of

_OPERATIONAL = (
    "search.n_trials", "search.n_jobs", "search.timeout", "search.max_failure_rate", "search.min_failures",
    "search.max_retry", "search.study", "search.storage", "search.fresh", "search.allow_changed", "search.refit",
    "runtime.console_level", "logger", "paths", "evaluation", "card",
)  # fmt: skip
_FAMILIES = ("hydra.", "hydra/", "paths.", "tracking.", "logger.", "sweep.", "evaluation.", "card.")
_LONGEST = 48


def study_name(search: str, overrides: Sequence[str], *, swept: Sequence[str] = (), study: str | None = None) -> str:
    """Return the name of the study that a command means: how it searches, over what, and a digest of all of it.

    Args:
        search: what the command searches with: `grid`, `optuna`.
        overrides: of the command line. Where things are, how much is done and how is no part of the identity;
            their order is none either.
        swept: the keys that are searched; a person knows a study by them.
        study: the name that the user gave; it stands.
    """
    if study is not None:
        return study
    asked = sorted(item for item in overrides if not operational(item))
    slug = "-".join([search, *(key.rpartition(".")[2] for key in swept)])
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", slug)[:_LONGEST].strip("-")
    return f"{slug}-{digest_of(asked)[:8]}"


def operational(override: str) -> bool:
    """Whether an override says where or how a study is done, and not what it is."""
    key = override.partition("=")[0].lstrip("+~").partition("@")[0]
    return key in _OPERATIONAL or key.startswith(_FAMILIES)


def fresh_name(name: str, taken: Iterable[str]) -> str:
    """Return `name` with the first number from 2 that no study has yet."""
    known = set(taken)
    if name not in known:
        return name
    number = 2
    while f"{name}-{number}" in known:
        number += 1
    return f"{name}-{number}"
