"""Conditions: spaces where parts depend on others. To be used as they are, or copied.

A condition is a function `condition(trial, space) -> overrides`, named by `search.condition=package.module.function`
of any module that Python can import. It takes what the trial is to choose from with `space.suggest(trial, name)`, which
returns an override, and may suggest what the space does not have by Optuna's own `trial.suggest_int("depth", 1, 3)`. It
must choose by nothing else (no clock, no random numbers), and must not change while a study lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

    from medexp.sweep.space import Space

OPTIMIZER, MOMENTUM = "optimizer", "optimizer.momentum"


def momentum_with_sgd(trial: optuna.Trial, space: Space) -> list[str]:
    r"""Search the momentum only where the optimizer is SGD: the others have none, and would refuse it.

    ```
    python scripts/train.py -m search=optuna search.condition=medexp.sweep.conditions.momentum_with_sgd \
        optimizer=adamw,sgd '++optimizer.momentum=interval(0.8,0.99)'
    ```
    """
    overrides = [space.suggest(trial, name) for name in space.names if name != MOMENTUM]
    if f"{OPTIMIZER}=sgd" in overrides:
        overrides.append(space.suggest(trial, MOMENTUM))
    return overrides
