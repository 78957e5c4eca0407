from __future__ import annotations

import pytest

from medexp.sweep.identity import fresh_name, study_name


def test_the_same_command_means_the_same_study_in_any_order() -> None:
    assert study_name("grid", ["seed=1,2", "model=resnet18"]) == study_name("grid", ["model=resnet18", "seed=1,2"])


@pytest.mark.parametrize(
    "more",
    ["search.n_trials=40", "search.n_jobs=2", "paths.outputs=/elsewhere", "tracking.uri=postgresql://host/db",
     "hydra/launcher=submitit_slurm", "runtime.console_level=ERROR", "search.storage=sqlite:////x.db", "logger=none",
     "evaluation=quick", "card.contact=us"],
)  # fmt: skip
def test_where_and_how_much_is_no_part_of_it(more: str) -> None:
    assert study_name("optuna", ["search=optuna", more]) == study_name("optuna", ["search=optuna"])


@pytest.mark.parametrize("other", ["seed=1", "search.sampler=random", "data.aug=none,light", "model=resnet18"])
def test_what_is_searched_is(other: str) -> None:
    assert study_name("optuna", ["search=optuna", other]) != study_name("optuna", ["search=optuna"])


def test_a_name_is_a_folder_s_name_and_one_that_is_given_stands() -> None:
    name = study_name("optuna", ["data.root='/a b/c'", "optimizer.learning_rate=tag(log,interval(1e-5,1e-2))"])
    assert not set(name) & set("/ '(),")
    assert study_name("grid", ["a=1"], swept=["data.aug", "seed"]).startswith("grid-aug-seed-")
    assert study_name("optuna", ["seed=1"], study="mine") == "mine"


def test_a_fresh_study_has_the_next_number() -> None:
    assert fresh_name("mine", []) == "mine"
    assert fresh_name("mine", ["mine", "mine-2"]) == "mine-3"
