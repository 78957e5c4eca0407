"""Who stops a trial that has no hope, and when."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pytest

from medexp.errors import ConfigError
from medexp.sweep.pruners import PRUNERS, pruner

BAD = [0.4] * 9
GOOD = [1.0] * 9


def pruned_at(
    name: str, curve: Sequence[float], options: Mapping[str, Any] | None = None, *, before: int = 8
) -> int | None:
    """At which step a trial with this curve is pruned, after `before` trials that rise from 0.5 to 0.9."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="pruners", direction="maximize", pruner=pruner(name, options or {}))
    for number in range(before):
        trial = study.ask()
        for step in range(len(curve)):
            trial.report(0.5 + step / 20 + number / 1000, step)
            trial.should_prune()
        study.tell(trial, 0.9 + number / 1000)
    trial = study.ask()
    for step, value in enumerate(curve):
        trial.report(value, step)
        if trial.should_prune():
            return step
    return None


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_is_made_without_a_warning_and_lets_the_best_live(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pruned_at(name, GOOD) is None


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_a_hopeless_trial_is_stopped(name: str) -> None:
    before = 30 if name == "hyperband" else 8  # it deals them into brackets
    assert pruned_at(name, BAD, before=before) is not None


def test_none_stops_nothing() -> None:
    assert pruned_at("none", BAD) is None


@pytest.mark.parametrize("name", ["median", "percentile"])
def test_the_first_two_steps_mean_little_unless_the_options_say_so(name: str) -> None:
    assert pruned_at(name, BAD) == 2
    assert pruned_at(name, BAD, {"n_warmup_steps": 5}) == 5
    assert pruned_at(name, BAD, {"n_warmup_steps": 0}) == 0


def test_nothing_is_stopped_before_five_trials_are_done() -> None:
    assert pruned_at("median", BAD, before=4) is None
    assert pruned_at("median", BAD, {"n_startup_trials": 3}, before=4) == 2


def test_percentile_keeps_the_best_quarter() -> None:
    middle = [0.5 + step / 20 + 0.0045 for step in range(9)]  # better than half
    assert pruned_at("median", middle) is None
    assert pruned_at("percentile", middle) == 2
    assert pruned_at("percentile", middle, {"percentile": 60}) is None


def test_hyperband_knows_the_course_from_the_first_trials_or_from_its_option() -> None:
    assert pruned_at("hyperband", BAD, before=0) is None
    assert pruned_at("hyperband", BAD, {"max_resource": 9, "reduction_factor": 2}) is not None


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("median", {"percentile": 3.0}, r"Unknown option of median.*Override: ~search\.pruner_options\.percentile"),
        ("median", {"n_warmup_steps": 1.5}, r"search\.pruner_options\.n_warmup_steps: should be int. Received: 1.5"),
        ("median", {"n_startup_trials": -1}, "n_startup_trials.*-1"),
        ("percentile", {"percentile": 101}, "101"),
        ("hyperband", {"n_warmup_steps": 2}, "Unknown option of hyperband"),
        ("hyperband", {"max_resource": "many"}, "many"),
        ("none", {"n_warmup_steps": 2}, r"none has no options.*~search\.pruner_options\.n_warmup_steps"),
        ("wilcoxon", {"p_threshold": 2.0}, "p_threshold"),
        ("medain", {}, "Did you mean 'median'"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pruner(name, options)


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        pruner("median", {"a": 1, "n_warmup_steps": "x"})
    assert "'a'" in str(caught.value)
    assert "'x'" in str(caught.value)
