"""What an evaluation is asked for, against what the data are: before anything is trained for it."""

from __future__ import annotations

from medexp.config.schema_evaluation import EvaluationConfig
from medexp.errors import ConfigError
from medexp.types import DataSpec


def check_asked(config: EvaluationConfig, spec: DataSpec) -> None:
    """Return where the evaluation fits the task.

    Raises:
        ConfigError: an aim for a task that has no threshold, a prevalence of a class that there is not.
    """
    from medexp.evaluation.aim import YOUDEN
    from medexp.evaluation.prevalence import prevalence_by_class

    if spec.task not in ("binary", "multilabel") and config.operating_point != YOUDEN:
        raise ConfigError(
            f"evaluation.operating_point: the answer of a {spec.task} task is its most probable class, there is no "
            f"threshold to choose. Received: {config.operating_point}. Override: evaluation.operating_point={YOUDEN}"
        )
    prevalence_by_class(config.prevalence, class_names=spec.class_names, task=spec.task)
