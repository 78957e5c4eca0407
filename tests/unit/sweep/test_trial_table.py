"""The trials as a table: columns, scales, the best, importances, the Pareto front, the command."""

from __future__ import annotations

import random
import shlex
import time

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from medexp.sweep.importance import importances
from medexp.sweep.pareto import pareto_front
from medexp.sweep.records import Record, State
from medexp.sweep.retrain import retrain_command
from medexp.sweep.trial_table import TrialTable, best_so_far, improvements, short_labels
from medexp.types import Objective

AUC = Objective("val_auc", "max")
LOSS = Objective("val_loss", "min")
TWO = (AUC, Objective("parameters", "min"))


def record(index: int, state: State, values: tuple[float, ...], **params: str) -> Record:
    named = {key.replace("__", "."): text for key, text in params.items()}
    return Record(number=index, index=index, state=state, values=values, params=named)


def test_the_best_so_far_ends_where_a_trial_is_not_over() -> None:
    states: list[tuple[State, tuple[float, ...]]] = [
        ("failed", ()), ("complete", (0.5,)), ("pruned", (0.9,)), ("complete", (0.7,)), ("complete", (float("nan"),)),
        ("running", ()), ("complete", (0.8,)),
    ]  # fmt: skip
    records = [record(index, state, values) for index, (state, values) in enumerate(states)]
    assert best_so_far(records, AUC) == {1: 0.5, 2: 0.5, 3: 0.7, 4: 0.7}
    assert best_so_far(records, LOSS) == {1: 0.5, 2: 0.5, 3: 0.5, 4: 0.5}
    assert improvements({1: 0.5, 2: 0.5, 3: 0.7, 4: 0.7, 5: 0.7}) == {1: 0.5, 3: 0.7, 5: 0.7}


def test_the_best_trial_is_complete_and_has_a_number() -> None:
    records = [record(0, "pruned", (0.99,)), record(1, "complete", (float("nan"),)), record(2, "complete", (0.6,))]
    best = TrialTable.of(records, [AUC]).best
    assert best is not None
    assert best.index == 2
    assert TrialTable.of(records[:1], [AUC]).best is None


def test_a_label_is_the_shortest_end_that_no_other_parameter_has() -> None:
    labels = short_labels(["optimizer.learning_rate", "model.a.rate", "model.b.rate", "rate"])
    assert labels == {
        "optimizer.learning_rate": "learning_rate", "model.a.rate": "a.rate", "model.b.rate": "b.rate", "rate": "rate",
    }  # fmt: skip


def test_a_scale_is_that_of_the_space_and_otherwise_guessed() -> None:
    records = [
        record(i, "complete", (0.5,), rate=str(10.0**-i), size=str([32, 8, 16][i % 3]), aug=["b", "a"][i % 2], same="1")
        for i in range(10)
    ]
    described = {"rate": "tag(log,interval(1e-9,1.0))", "size": "8,16,32", "aug": "b,a", "same": "1"}
    known = {p.key: p for p in TrialTable.of(records, [AUC], described=described).parameters}
    assert {key: p.kind for key, p in known.items()} == {"rate": "log", "size": "choice", "aug": "choice"}
    assert known["size"].choices == ("8", "16", "32")
    assert known["aug"].choices == ("b", "a")
    assert known["rate"].places[3] == pytest.approx(-3)
    guessed = {p.key: p.kind for p in TrialTable.of(records, [AUC]).parameters}
    assert guessed == {"rate": "log", "size": "choice", "aug": "choice"}
    linear = TrialTable.of(records, [AUC], described={**described, "rate": "interval(0.0,1.0)"})
    assert linear.parameters[0].kind == "number"


def test_a_part_of_many_trials_has_the_best_in_it() -> None:
    records = [record(i, "complete", (float(i == 777),), seed=str(i)) for i in range(2000)]
    thin = TrialTable.of(records, [AUC]).thinned(100)
    assert len(thin.records) <= 100
    assert 777 in [r.index for r in thin.records]
    assert thin.parameters[0].texts == tuple(str(r.index) for r in thin.records)


def test_importances_name_the_parameter_that_matters() -> None:
    chance = random.Random(0)
    records = []
    for index in range(40):
        aug, rate = chance.choice(["none", "light"]), chance.uniform(0, 1)
        params = {"aug": aug, "rate": repr(rate)} | ({"depth": chance.choice(["1", "2"])} if index % 2 else {})
        records.append(record(index, "complete", ((aug == "light") + 0.01 * rate,), **params))
    table = TrialTable.of([*records, record(40, "failed", (), aug="none")], [AUC])
    found = importances(table)
    assert next(iter(found.shares)) == "aug"
    assert found.shares["aug"] > 0.8
    assert set(found.shares) == {"aug", "rate", "depth"}
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found == importances(table)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([record(0, "complete", (0.5,), a="1")], "at least two complete"),
        ([record(i, "complete", (0.5,), a=str(i)) for i in range(3)], "the same value"),
        ([record(i, "complete", (float(i),), a="1") for i in range(3)], "do not differ in any parameter"),
        ([record(0, "failed", ()), record(1, "pruned", (0.3,), a="1")], "at least two complete"),
    ],
)
def test_where_there_are_no_importances_a_sentence_says_why(records: list[Record], why: str) -> None:
    found = importances(TrialTable.of(records, [AUC]))
    assert not found.shares
    assert why in found.remark


def test_the_front_has_who_is_beaten_by_nobody_and_all_who_are_equal() -> None:
    values = [(0.9, 50.0), (0.5, 10.0), (0.9, 50.0), (0.9, 60.0), (0.4, 20.0), (float("nan"), 1.0)]
    records = [record(index, "complete", pair) for index, pair in enumerate(values)]
    front = pareto_front([*records, record(9, "pruned", (1.0, 1.0))], TWO)
    assert [r.index for r in front] == [0, 2, 1]
    chance = random.Random(1)
    many = [record(i, "complete", (chance.random(), chance.random())) for i in range(10_000)]
    began = time.perf_counter()
    found = pareto_front(many, TWO)
    assert time.perf_counter() - began < 3
    beaten = [r for r in many if not any(o.values[0] >= r.values[0] and o.values[1] <= r.values[1] for o in found)]
    assert beaten == []


def test_the_command_keeps_what_is_fixed_and_survives_a_shell_and_hydra() -> None:
    fixed = [
        "data=pneumoniamnist",
        "search=optuna",
        "search.n_trials=20",
        "hydra/launcher=joblib",
        "+name='a, b'",
        "seed=1",
    ]
    chosen = ["seed=2", "model.filters=[8, 16]", "optimizer.clipnorm=null", "++data.note='it\\'s \"here\" $HOME'"]
    command = retrain_command(fixed, chosen)
    words = shlex.split(command)
    assert words[:2] == ["python", "scripts/train.py"]
    assert words[2:] == ["data=pneumoniamnist", "+name='a, b'", *chosen]
    parsed = OverridesParser.create().parse_overrides(words[2:])
    assert parsed[-1].value() == 'it\'s "here" $HOME'
