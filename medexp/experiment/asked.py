"""What an evaluation is asked for, against what the data are: before anything is trained for it."""

from __future__ import annotations

from collections.abc import Collection

from medexp.config.schema_evaluation import EvaluationConfig
from medexp.errors import ConfigError
from medexp.types import DataSpec


def check_asked(config: EvaluationConfig, spec: DataSpec, *, columns: Collection[str]) -> None:
    """Return where the evaluation fits the data.

    Args:
        config: what is asked for.
        spec: of the data.
        columns: of their metadata.

    Raises:
        ConfigError: no aim, or one for a task that has no threshold; a prevalence of a class that there is not.
        DataError: subgroups by a column that there is not.
    """
    from medexp.evaluation.aim import YOUDEN, Aim
    from medexp.evaluation.prevalence import prevalence_by_class
    from medexp.evaluation.subgroup_columns import subgroup_columns

    if spec.task not in ("binary", "multilabel") and config.operating_point != YOUDEN:
        raise ConfigError(
            f"evaluation.operating_point: the answer of a {spec.task} task is its most probable class, there is no "
            f"threshold to choose. Received: {config.operating_point}. Override: evaluation.operating_point={YOUDEN}"
        )
    Aim.parse(config.operating_point)
    subgroup_columns(columns, config.subgroups)
    prevalence_by_class(config.prevalence, class_names=spec.class_names, task=spec.task)
