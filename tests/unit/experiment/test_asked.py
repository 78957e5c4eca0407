from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from medexp.config.schema_evaluation import EvaluationConfig
from medexp.errors import ConfigError, DataError
from medexp.experiment.asked import check_asked
from medexp.types import DataSpec, InputSpec, Task

FULL = yaml.safe_load((Path(__file__).parents[3] / "conf" / "evaluation" / "full.yaml").read_text())


def check(task: Task, *names: str, **changes: object) -> None:
    spec = DataSpec("d", task, names, InputSpec(8, 8, 1), {}, "", "")
    check_asked(EvaluationConfig.model_validate({**FULL, **changes}), spec, columns=("site", "sex"))


def test_what_the_file_asks_for_fits_every_task() -> None:
    check("binary", "no", "yes")
    check("multiclass", "a", "b", "c")
    check("multilabel", "a", "b", "c")
    check("ordinal", "a", "b", "c")


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_a_task_without_a_threshold_has_no_aim(task: Task) -> None:
    with pytest.raises(ConfigError, match=r"no threshold to choose\. Received: cost=10\. Override"):
        check(task, "a", "b", "c", operating_point="cost=10")


def test_the_prevalence_is_of_a_class_that_there_is() -> None:
    with pytest.raises(ConfigError, match="cyst"):
        check("multilabel", "mass", "edema", prevalence={"cyst": 0.1})


def test_subgroups_are_by_columns_that_there_are() -> None:
    check("binary", "no", "yes", subgroups=["sex"])
    check("binary", "no", "yes", subgroups="none")
    with pytest.raises(DataError, match=r"Received: age\. There is: site, sex\. Override: evaluation\.subgroups"):
        check("binary", "no", "yes", subgroups=["sex", "age"])


def test_an_aim_that_everything_reaches_is_none() -> None:
    with pytest.raises(ConfigError, match=r"no such aim\. Received: 'sensitivity>=0\.0'"):
        check("binary", "no", "yes", operating_point="sensitivity>=0.0")
