"""The order of a sweep's trials, and how they are shown."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from medexp.sweep.leaderboard import Leaderboard, print_leaderboard
from medexp.sweep.records import Record, State
from medexp.tracking.base import Child
from medexp.types import Mode, Objective

AUC = (Objective("val_auc", "max"),)
CHILDREN = (
    Child("a" * 32, "one", "FINISHED", "model=m seed=1", {"best_val_auc": 0.7, "val_auc": 0.9, "test_auc": 0.71}),
    Child("b" * 32, "two", "FAILED", "model=m seed=2", {}),
    Child("c" * 32, "three", "FINISHED", "model=m seed=3", {"best_val_auc": 0.8, "val_auc": 0.1}),
    Child("d" * 32, "four", "KILLED", "model=m seed=4", {"best_val_auc": 0.99}),
    Child("e" * 32, "five", "FINISHED", "model=m seed=5", {"best_val_auc": 0.95}, state="PRUNED", trial=4),
    Child("f" * 32, "six", "RUNNING", "model=m seed=6", {}),
)


def record(index: int, state: State = "complete", *values: float, overrides: str = "", error: str = "") -> Record:
    return Record(
        number=index, index=index, state=state, values=values, overrides=tuple(overrides.split()),
        run_id=f"{index:032x}", error=error or None,
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "order"), [("max", "cafedb"), ("min", "acfedb")])
def test_finished_runs_by_their_best_epoch_then_running_pruned_killed_and_failed_ones(mode: Mode, order: str) -> None:
    board = Leaderboard.of_children(CHILDREN, (Objective("val_auc", mode),))
    assert "".join(str(row.run_id)[0] for row in board.rows) == order


def test_trials_by_their_value_and_of_several_objectives_the_pareto_front_first() -> None:
    records = [record(0, "complete", 0.7), record(1, "failed"), record(2, "complete", 0.9), record(3, "pruned", 0.95)]
    board = Leaderboard.of_records(records, AUC)
    assert [row.index for row in board.rows] == [2, 0, 3, 1]
    two = (Objective("val_auc", "max"), Objective("parameters", "min"))
    several = [record(0, "complete", 0.9, 50.0), record(1, "complete", 0.5, 10.0), record(2, "complete", 0.8, 60.0)]
    found = Leaderboard.of_records(several, two)
    assert [(row.index, row.front) for row in found.rows] == [(0, True), (1, True), (2, False)]


def test_a_value_that_is_no_number_is_the_last() -> None:
    board = Leaderboard.of_records([record(0, "complete", float("nan")), record(1, "complete", 0.1)], AUC)
    assert [row.index for row in board.rows] == [1, 0]


def test_the_table_shows_what_differs_states_errors_and_whole_run_ids(capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        record(0, "complete", 0.8, overrides="model=m seed=0"),
        record(1, "failed", overrides="model=m seed=1", error="MemoryError: none left\nmore"),
        record(2, "pruned", 0.5, overrides="model=m seed=2"),
        record(3, "running", overrides="model=m seed=3"),
    ]
    metrics = {f"{0:032x}": replace(CHILDREN[0], run_id=f"{0:032x}")}
    print_leaderboard(Leaderboard.of_records(records, AUC, metrics), title="study", hints={"retrain": "python x " * 40})
    printed = capsys.readouterr().out
    assert "study: 4 trials: 1 complete, 1 running, 1 pruned, 1 failed; by val_auc (max)" in printed
    assert all(str(r.run_id) in printed for r in records)
    for shown in ("seed=3", "0.8000", "0.7100", "MemoryError: none left", "pruned", "running", "python x " * 40):
        assert shown in printed
    for hidden in ("model=m", "more are not shown"):
        assert hidden not in printed


def test_many_columns_cut_no_run_id(capsys: pytest.CaptureFixture[str]) -> None:
    objectives = tuple(Objective(f"val_average_precision_{place}", "max") for place in range(4))
    print_leaderboard(Leaderboard.of_records([record(0, "complete", 0.1, 0.2, 0.3, 0.4)], objectives))
    assert "0" * 32 in capsys.readouterr().out


def test_ten_thousand_trials_are_shown_by_their_first_twenty_within_three_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    records = [record(i, "complete", i / 10_000, overrides=f"model=m seed={i} data.aug=none") for i in range(10_000)]
    began = time.perf_counter()
    print_leaderboard(Leaderboard.of_records(records, AUC))
    assert time.perf_counter() - began < 3
    printed = capsys.readouterr().out
    assert printed.count("seed=") == 20
    assert "seed=9980" in printed
    assert "9,980 more are not shown" in printed
    assert "data.aug" not in printed
