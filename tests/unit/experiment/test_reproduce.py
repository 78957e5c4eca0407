"""What can be repeated and compared, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.errors import ConfigError
from medexp.experiment.reproduce import reproduce
from medexp.experiment.reproduced import compare_runs
from medexp.tracking.null_tracker import NullTracker


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def finished(folder: Path, *, state: str = "COMPLETE", **result: Any) -> Path:
    """A run that a tracker has closed, with what it left."""
    with NullTracker().start("run", below=folder) as run:
        run.log_tags({"medexp.trial.state": state})
        (run.folder / "environment.json").write_text("{}")
        (run.folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
        if result:
            (run.folder / "result.json").write_text(json.dumps(result))
    return run.folder


def test_a_pruned_run_has_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="was pruned"):
        reproduce(finished(tmp_path, state="PRUNED"), load(compose("train")))
    with pytest.raises(ConfigError, match="was interrupted"):
        reproduce(finished(tmp_path), load(compose("train")))


def test_folds_are_reproduced_one_by_one(tmp_path: Path) -> None:
    folder = finished(tmp_path, folds=["abc", "def"])
    with pytest.raises(ConfigError, match=r"one of 2 folds.*Reproduce these: abc, def"):
        reproduce(folder, load(compose("train")))


def test_what_medexp_did_not_count_then_is_no_difference(tmp_path: Path) -> None:
    old = finished(tmp_path, best_epoch=1, metrics={"val_auc": 0.5})
    new = finished(tmp_path, best_epoch=1, metrics={"val_auc": 0.5, "parameters": 7.0, "seconds": 1.0})
    more = finished(tmp_path, best_epoch=1, metrics={"val_auc": 0.5, "parameters": 7.0, "val_f1": 1.0})
    assert all(part.same for part in compare_runs(old, new))
    assert not all(part.same for part in compare_runs(old, more))
