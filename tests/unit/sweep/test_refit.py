from __future__ import annotations

from pathlib import Path

import pytest

from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.refit import of_best_epoch, refit_plan, spread
from medexp.sweep.space import Choice, Space
from medexp.types import Objective


def test_the_best_is_trained_with_seeds_that_no_trial_had() -> None:
    space = Space((Choice("seed", ("3", "9")),))
    plan = Plan("mine", "j", (Objective("val_auc", "max"),), space, "tpe", {}, "median", {}, 2, 0, 2, {}, Path("f"))
    best = Record(number=4, index=3, state="complete", overrides=("seed=9", "model=x"))
    refit, seeds = refit_plan(plan, best, seed=0, others=[3, 9], count=2)
    assert seeds.combinations == (("seed=10",), ("seed=11",))
    assert (refit.name, refit.n_trials, refit.pruner) == ("mine-refit-3", 2, "none")


def test_the_spread_is_of_what_all_runs_have() -> None:
    found = spread([{"auc": 0.8, "only": 1.0}, {"auc": 0.9}])
    assert found == {"auc_mean": pytest.approx(0.85), "auc_std": pytest.approx(0.0707107)}
    assert spread([{"auc": 0.8}]) == {"auc_mean": 0.8}
    assert spread([]) == {}


def test_what_is_averaged_is_of_the_best_epoch_and_not_of_the_last() -> None:
    known = {"val_auc": 0.5, "best_val_auc": 0.8, "test_auc": 0.7, "best_epoch": 3.0}
    assert of_best_epoch(known) == {"val_auc": 0.8, "best_val_auc": 0.8, "test_auc": 0.7, "best_epoch": 3.0}
