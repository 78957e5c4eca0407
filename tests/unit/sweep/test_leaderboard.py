"""The order of a sweep's jobs."""

from __future__ import annotations

import pytest

from medexp.sweep.leaderboard import print_leaderboard, rank
from medexp.tracking.base import Child
from medexp.types import Objective

CHILDREN = (
    Child("a" * 32, "one", "FINISHED", "model=m seed=1", {"best_val_auc": 0.7, "val_auc": 0.9, "test_auc": 0.71}),
    Child("b" * 32, "two", "FAILED", "model=m seed=2", {}),
    Child("c" * 32, "three", "FINISHED", "model=m seed=3", {"best_val_auc": 0.8, "val_auc": 0.1}),
    Child("d" * 32, "four", "KILLED", "model=m seed=4", {"best_val_auc": 0.99}),
)


@pytest.mark.parametrize(("mode", "order"), [("max", "cabd"), ("min", "acbd")])
def test_finished_jobs_by_their_best_epoch_then_the_others(mode: str, order: str) -> None:
    ranked = rank(CHILDREN, Objective("val_auc", mode))  # type: ignore[arg-type]
    assert "".join(child.run_id[0] for child in ranked) == order


def test_the_table_shows_what_differs_and_whole_run_ids(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(CHILDREN, Objective("val_auc", "max"), where="there", table_file="table.csv")
    printed = capsys.readouterr().out
    assert all(child.run_id in printed for child in CHILDREN)
    assert "seed=3" in printed
    assert "model=m" not in printed
    assert "failed" in printed
    assert "0.8000" in printed
