"""Who chooses the parameters of a trial: by seed, index and earlier results, and by nothing else."""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna
import pytest

from medexp.errors import ConfigError
from medexp.sweep.conditions import momentum_with_sgd
from medexp.sweep.exhaustive import exhaustive
from medexp.sweep.samplers import EXHAUSTIVE, SAMPLERS, check_sampler, sampler
from medexp.sweep.space import Choice, Interval, Space

TORCH = all(importlib.util.find_spec(package) for package in ("torch", "greenlet"))
HERE = [
    pytest.param(name, marks=pytest.mark.skipif(name == "gp" and not TORCH, reason="needs torch and greenlet"))
    for name in SAMPLERS
]
MIXED = Space(
    (
        Choice("model", ("simple_cnn", "resnet18", "null")),
        Interval("rate", 1e-4, 1e-2, log=True),
        Interval("width", 16, 128, integer=True, step=16),
        Interval("dropout", 0.0, 0.5, step=0.1),
    )
)
CONDITIONAL = Space(
    (
        Choice("optimizer", ("adamw", "sgd")),
        Choice("optimizer.momentum", ("0.8", "0.9")),
        Interval("epochs", 1, 8, integer=True),
    ),
    momentum_with_sgd,
)


FAIL = optuna.trial.TrialState.FAIL


@pytest.fixture(autouse=True)
def said() -> Iterator[list[str]]:
    """What Optuna logs as a warning."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("optuna").addHandler(handler)
    yield texts
    logging.getLogger("optuna").removeHandler(handler)


def space_for(name: str) -> Space:
    if name not in EXHAUSTIVE:
        return MIXED
    finite = Space(tuple(parameter for parameter in MIXED.parameters if parameter.name != "rate"))
    return exhaustive(finite, shuffled_by=0 if name == "brute_force" else None)


def value(params: Mapping[str, Any]) -> float:
    """Best at rate=1e-3, width=64, no dropout, the second model."""
    rate = abs(math.log10(params.get("rate", 1e-3)) + 3)
    model = {"resnet18": 0.0}.get(str(params.get("model")), 0.5)
    return float(rate + abs(params["width"] - 64) / 64 + params["dropout"] + model)


def run(
    name: str, space: Space, count: int, *, study: optuna.Study | None = None, seed: int = 0, **options: Any
) -> list[dict[str, Any]]:
    """Ask and tell until there are `count` trials that count, each with a sampler of its own; return the parameters."""
    study = study or optuna.create_study()
    for index in range(len(done(study)), count):
        ask(name, space, study, index, seed, options, tell=True)
    return [trial.params for trial in done(study)]


def done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))


def ask(
    name: str, space: Space, study: optuna.Study, index: int, seed: int, options: Mapping[str, Any], *, tell: bool
) -> optuna.Trial:
    study.sampler = sampler(name, options, seed=seed, space=space, index=index)
    trial = study.ask()
    space.overrides(trial)
    if tell:
        study.tell(trial, value(trial.params))
    return trial


@pytest.mark.parametrize("name", HERE)
def test_a_sampler_runs_over_a_mixed_space_and_says_nothing(name: str, said: list[str]) -> None:
    space = space_for(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sampler(name, {}, space=space)
        params = run(name, space, 12)
    assert len(params) == 12
    assert all(set(chosen) == set(space.names) for chosen in params)
    assert len({str(chosen) for chosen in params}) > 8
    assert said == []


@pytest.mark.parametrize("name", HERE)
def test_an_interrupted_study_asks_the_same_as_one_that_was_not(name: str) -> None:
    """Trial 4 is killed before it has chosen, then twice after: which shifts the numbers of all that follow."""
    options = {"nsga2": {"population_size": 4}}.get(name, {})
    space = space_for(name)
    study = optuna.create_study()
    run(name, space, 4, study=study, **options)
    study.tell(study.ask(), state=FAIL)
    ask(name, space, study, 4, 0, options, tell=False)
    for _ in range(2):
        killed = study.get_trials()[-1]
        again = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=killed.params,
            distributions=killed.distributions,
            system_attrs=killed.system_attrs,
        )
        study.tell(killed.number, state=FAIL)
        study.add_trial(again)
    study.tell(study.get_trials()[-1].number, value(killed.params))
    assert run(name, space, 12, study=study, **options) == run(name, space, 12, **options)


@pytest.mark.parametrize("name", HERE)
def test_another_seed_is_another_search_but_for_a_grid(name: str) -> None:
    space = space_for(name)
    other = exhaustive(space, shuffled_by=1) if name == "brute_force" else space
    assert (run(name, space, 3) == run(name, other, 3, seed=1)) == (name == "grid")


@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_each_combination_is_taken_once_whoever_asks_and_then_no_more(name: str) -> None:
    """Two processes ask in turns and tell late; the index alone says which combination it is."""
    space = exhaustive(Space((Choice("a", ("1", "2", "3")), Choice("b", ("x", "y")))), shuffled_by=None)
    study = optuna.create_study()
    trials = [ask(name, space, study, index, 0, {}, tell=False) for index in reversed(range(6))]
    taken = [tuple(f"{key}={text}" for key, text in trial.params.items()) for trial in reversed(trials)]
    assert taken == list(space.combinations or ())
    with pytest.raises(ConfigError, match=r"6 combinations.*search\.n_trials=6"):
        ask(name, space, study, 6, 0, {}, tell=False)


@pytest.mark.parametrize("name", ["brute_force", "random", "qmc", "tpe", "cmaes", "nsga2"])
def test_a_condition_is_asked_by_every_sampler_but_the_grid(name: str) -> None:
    space = exhaustive(CONDITIONAL, shuffled_by=3) if name == "brute_force" else CONDITIONAL
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sampler(name, {}, space=space)
        for index in range(20):
            study.sampler = sampler(name, {}, seed=0, space=space, index=index)
            trial = study.ask()
            overrides = space.overrides(trial)
            assert ("optimizer=sgd" in overrides) == any("momentum" in text for text in overrides)
            study.tell(trial, float(trial.params["epochs"]))
    assert {len(trial.params) for trial in study.trials} == {2, 3}


def test_tpe_learns_within_each_branch_of_a_condition() -> None:
    made = sampler("tpe", {}, seed=0, space=CONDITIONAL, index=0)
    assert isinstance(made, optuna.samplers.TPESampler)
    assert (made._group, made._multivariate, made._constant_liar) == (True, True, True)
    plain = sampler("tpe", {}, seed=0, space=MIXED, index=0)
    assert isinstance(plain, optuna.samplers.TPESampler)
    assert (plain._group, plain._is_multivariate(optuna.create_study()), plain._constant_liar) == (False, True, True)


def test_qmc_takes_the_points_of_one_sequence_whoever_asks_first() -> None:
    """Sixteen points fall into sixteen parts of the range, one into each, as no random sampler's do."""
    space = Space((Interval("rate", 0.0, 1.0),))

    def points(order: Iterable[int]) -> dict[int, float]:
        study = optuna.create_study()
        asked = {index: ask("qmc", space, study, index, 0, {}, tell=False).params["rate"] for index in order}
        return dict(sorted(asked.items()))

    assert sorted(int(point * 16) for point in points(range(16)).values()) == list(range(16))
    assert points(range(16)) == points(reversed(range(16)))


def test_tpe_and_cmaes_find_what_random_search_does_not() -> None:
    numbers = Space(
        (
            Interval("rate", 1e-4, 1e-2, log=True),
            Interval("width", 16, 128, integer=True),
            Interval("dropout", 0.0, 0.5),
        )
    )
    best = {
        name: sum(min(value(params) for params in run(name, numbers, 50, seed=seed)) for seed in range(3))
        for name in ("random", "tpe", "cmaes")
    }
    assert best["tpe"] < best["random"]
    assert best["cmaes"] < best["random"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tpe", {"n_startup": 3}, r"Unknown option of tpe.*Received: 'n_startup'.*Did you mean 'n_startup_trials'"),
        ("tpe", {"n_startup": 3}, r"Override: ~search\.sampler_options\.n_startup"),
        ("tpe", {"n_startup_trials": "3"}, r"n_startup_trials: should be int. Received: '3'"),
        ("tpe", {"n_startup_trials": True}, "should be int"),
        ("tpe", {"group": True, "multivariate": False}, "group.*multivariate.*Received"),
        ("tpe", {"gamma": 3}, "Unknown option"),
        ("tpe", {"seed": 3}, "Unknown option"),
        ("tpe", {"consider_prior": True}, "Unknown option"),
        ("cmaes", {"sigma0": 0.1}, "Unknown option"),
        ("cmaes", {"lr_adapt": True, "with_margin": True}, "prohibited"),
        ("qmc", {"qmc_type": "solob"}, "solob.*halton"),
        ("grid", {"seed": 3}, r"grid has no options.*~search\.sampler_options\.seed"),
        ("brute_force", {"avoid_premature_stop": True}, "brute_force has no options"),
        ("random", {"x": 1}, "random has no options"),
        ("nope", {}, "Unknown sampler"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(name: str, options: dict[str, Any], said: str) -> None:
    space = MIXED if name not in EXHAUSTIVE else space_for(name)
    with pytest.raises(ConfigError, match=said):
        check_sampler(name, options, space=space)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tpe", {"n_startup_trials": 3, "multivariate": False, "constant_liar": False, "n_ei_candidates": 48}),
        ("cmaes", {"popsize": 6, "n_startup_trials": 2, "with_margin": True}),
        ("cmaes", {"use_separable_cma": True, "consider_pruned_trials": True}),
        ("nsga2", {"population_size": 4, "crossover_prob": 1}),
        ("qmc", {"qmc_type": "halton", "scramble": False}),
    ],
)
def test_options_are_those_of_optuna_and_warn_of_nothing(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sampler(name, options, space=MIXED)
        assert len(run(name, MIXED, 12, **options)) == 12


def test_an_option_has_its_effect() -> None:
    made = sampler("tpe", {"n_startup_trials": 3}, seed=0, space=MIXED, index=0)
    assert isinstance(made, optuna.samplers.TPESampler)
    assert made._n_startup_trials == 3


@pytest.mark.parametrize(("name", "package"), [("gp", "torch"), ("gp", "greenlet"), ("cmaes", "cmaes")])
def test_a_missing_package_is_named_at_the_start(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"torch", "greenlet", "cmaes"} - {package}
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: wanted if wanted in there else None)
    with pytest.raises(ConfigError, match=f"pip install {package}.*search.sampler=tpe"):
        check_sampler(name, {}, space=MIXED)


def test_cmaes_is_refused_where_it_has_nothing_to_do() -> None:
    with pytest.raises(ConfigError, match="choices only"):
        check_sampler("cmaes", {}, space=Space((Choice("a", ("1", "2")),)))
    with pytest.raises(ConfigError, match=r"one objective.*nsga2"):
        check_sampler("cmaes", {}, space=MIXED, objectives=2)
    check_sampler("nsga2", {}, space=MIXED, objectives=2)


@pytest.mark.parametrize("name", ["random", "qmc", "tpe", "nsga2"])
def test_several_objectives_are_searched(name: str) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    for index in range(12):
        study.sampler = sampler(name, {}, seed=0, space=MIXED, index=index)
        trial = study.ask()
        MIXED.overrides(trial)
        study.tell(trial, [value(trial.params), trial.params["width"]])
    assert study.best_trials
