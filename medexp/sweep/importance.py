"""Which parameters made the difference between trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medexp.sweep.trial_table import Parameter, TrialTable, number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MOST = 250  # trials: the time that fANOVA takes grows faster than their number
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Importances:
    """How much of the variance of an objective each parameter explains.

    Args:
        shares: by the key of the parameter, the largest first; they add up to 1. Empty where there are none.
        remark: a sentence that says why there are none, or what was left out; else empty.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


def importances(table: TrialTable, *, place: int = 0, seed: int = 0) -> Importances:
    """Estimate importances by fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), on at most `MOST` complete trials.

    A parameter that only some trials had counts where it is a choice: not to have it is one choice more. A number that
    only some had is left out.

    Args:
        table: of all trials.
        place: of the objective among several.
        seed: of the forest, so that the same trials give the same numbers.
    """
    rows = [
        row
        for row, record in enumerate(table.records)
        if record.state == "complete" and len(record.values) > place and math.isfinite(record.values[place])
    ]
    ended = table.rows(rows).thinned(MOST)
    values = [record.values[place] for record in ended.records]
    if len(values) < 2:
        return Importances(remark="There are no importances: that needs at least two complete trials.")
    if len(set(values)) < 2:
        return Importances(remark="There are no importances: all complete trials have the same value.")
    usable = [p for p in ended.parameters if len(set(p.texts)) > 1 and (p.kind == "choice" or None not in p.texts)]
    if not usable:
        return Importances(remark="There are no importances: the complete trials do not differ in any parameter.")
    shares = _fanova(usable, values, seed=seed)
    left_out = [p.label for p in ended.parameters if p not in usable and p.kind != "choice"]
    remarks = [f"Estimated on {len(values)} of {len(rows)} complete trials."] if len(rows) > len(values) else []
    remarks += [f"Without {', '.join(left_out)}, which only some trials had."] if left_out else []
    return Importances(shares, " ".join(remarks))


def _fanova(parameters: list[Parameter], values: list[float], *, seed: int) -> dict[str, float]:
    import optuna

    columns = {parameter.key: _column(parameter) for parameter in parameters}
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    distributions = {key: distribution for key, (distribution, _) in columns.items()}
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=value,
                params={key: chosen[row] for key, (_, chosen) in columns.items()},
                distributions=distributions,
            )
            for row, value in enumerate(values)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(found[key]) for key in sorted(found, key=lambda key: -found[key])}


def _column(parameter: Parameter) -> tuple[BaseDistribution, list[Any]]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if parameter.kind == "choice":
        texts = [_ABSENT if text is None else text for text in parameter.texts]
        return CategoricalDistribution(sorted(set(texts))), list(texts)
    numbers = [number(text) for text in parameter.texts if text is not None]
    return FloatDistribution(min(numbers), max(numbers), log=parameter.kind == "log"), list(numbers)
