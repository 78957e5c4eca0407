"""Optuna's pruners by our names: who stops a trial that has no hope."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)

from medexp.errors import ConfigError, unknown
from medexp.sweep.options import check_options, refused

_KINDS: dict[str, type[BasePruner]] = {
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "successive_halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "wilcoxon": WilcoxonPruner,
    "none": NopPruner,
}
PRUNERS = tuple(_KINDS)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "median": {"n_warmup_steps": 2},
    "percentile": {"percentile": 25.0, "n_warmup_steps": 2},
}


def pruner(name: str, options: Mapping[str, Any]) -> BasePruner:
    """Return the pruner.

    `median` and `percentile` leave the first two steps alone unless `n_warmup_steps` says how many: they mean little.
    `percentile` keeps the best quarter unless `percentile` says how many in a hundred. `hyperband` takes the course of
    the first trials that are done for the whole, unless `max_resource` says how many steps there are.

    Args:
        name: one of `PRUNERS`.
        options: of Optuna's class, by its names.

    Raises:
        ConfigError: the name is none of them, or an option is unknown or wrong.
    """
    if name not in _KINDS:
        raise ConfigError(f"search.pruner: {unknown('pruner', name, _KINDS)}")
    kind = _KINDS[name]
    check_options("search.pruner_options", None if name == "none" else kind, options, of=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return kind(**{**_DEFAULTS.get(name, {}), **options})
        except (TypeError, ValueError) as error:
            raise refused("search.pruner_options", options, error) from error
