"""A parent run is opened again by whoever goes on with its study, here or on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from medexp.errors import TrackingError
from medexp.tracking.lock import LiveError
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.tracking.null_tracker import NullTracker
from medexp.tracking.store import open_client
from medexp.tracking.sweeps import find_sweep, latest_sweeps
from medexp.types import Objective


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    open_client(uri)
    return uri


def tracker_of(uri: str, tmp_path: Path) -> MlflowTracker:
    return MlflowTracker(uri=uri, experiment=tmp_path.name, artifacts=str(tmp_path / "artifacts"))


def test_a_finished_run_is_running_while_it_is_adopted_and_finished_again(uri: str, tmp_path: Path) -> None:
    tracker, client = tracker_of(uri, tmp_path), open_client(uri)
    with tracker.start("parent", below=tmp_path) as run:
        run.log_metrics({"best": 0.5}, step=0)
    with tracker.adopt(run.id, below=tmp_path) as again:
        again.log_metrics({"best": 0.5}, step=0)  # has it already
        again.log_metrics({"best": 0.7}, step=1)
        again.drain()
        assert client.get_run(run.id).info.status == "RUNNING"
    assert client.get_run(run.id).info.status == "FINISHED"
    assert [(m.step, m.value) for m in client.get_metric_history(run.id, "best")] == [(0, 0.5), (1, 0.7)]


def test_another_machine_records_nothing_twice(uri: str, tmp_path: Path) -> None:
    tracker, client = tracker_of(uri, tmp_path), open_client(uri)
    with tracker.start("parent", below=tmp_path / "here") as run:
        run.log_params({"search.seed": 0})
        run.log_metrics({"best": 0.5}, step=0)
        run.log_metrics({"best": 0.6}, step=1)
    with tracker.adopt(run.id, below=tmp_path / "there") as again:
        again.log_params({"search.seed": 0, "search.more": 1})
        for step, value in enumerate((0.5, 0.6, 0.7)):
            again.log_metrics({"best": value}, step=step)
    assert [(m.step, m.value) for m in client.get_metric_history(run.id, "best")] == [(0, 0.5), (1, 0.6), (2, 0.7)]
    assert client.get_run(run.id).data.params == {"search.seed": "0", "search.more": "1"}
    assert client.get_run(run.id).info.status == "FINISHED"


def test_a_run_that_another_process_of_this_machine_works_on_cannot_be_adopted(uri: str, tmp_path: Path) -> None:
    tracker = tracker_of(uri, tmp_path)
    with tracker.start("parent", below=tmp_path) as run:
        with pytest.raises(LiveError, match="being worked on"), tracker.adopt(run.id, below=tmp_path):
            pass
        run.drain()
        assert open_client(uri).get_run(run.id).info.status == "RUNNING"


def test_a_run_that_the_store_does_not_have_cannot_be_adopted(uri: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="has no run"), tracker_of(uri, tmp_path).adopt("f" * 32, below=tmp_path):
        pass


def test_without_a_store_a_parent_is_adopted_too_but_not_by_a_tracker_with_one(uri: str, tmp_path: Path) -> None:
    with NullTracker().start("parent", below=tmp_path) as run:
        pass
    with NullTracker().adopt(run.id, below=tmp_path) as again, NullTracker().adopt(run.id, below=tmp_path / "b") as two:
        assert (again.id, two.id) == (run.id, run.id)
    assert NullTracker().runs([run.id]) == ()
    with tracker_of(uri, tmp_path).start("parent", below=tmp_path) as other:
        pass
    with pytest.raises(TrackingError, match="logger=mlflow"), NullTracker().adopt(other.id, below=tmp_path):
        pass


def test_children_say_which_trial_they_are_and_come_sorted_by_a_metric(uri: str, tmp_path: Path) -> None:
    tracker = tracker_of(uri, tmp_path)
    with tracker.start("parent", below=tmp_path) as parent:
        for number, (value, state) in enumerate(
            ((0.7, "COMPLETE"), (0.9, "COMPLETE"), (None, "FAIL"), (0.8, "PRUNED"))
        ):
            with tracker.start(f"trial {number}", below=tmp_path, parent=parent.id) as run:
                run.log_tags({"medexp.trial.number": str(number), "medexp.trial.state": state})
                run.log_params({"seed": number})
                if value is not None:
                    run.log_metrics({"best_val_auc": value}, step=0)
    started = tracker.children(parent.id)
    assert [(child.trial, child.state, child.params["seed"]) for child in started] == [
        (0, "COMPLETE", "0"), (1, "COMPLETE", "1"), (2, "FAIL", "2"), (3, "PRUNED", "3"),
    ]  # fmt: skip
    best = tracker.children(parent.id, best=Objective("best_val_auc", "max"))
    assert [child.trial for child in best] == [1, 3, 0, 2]
    worst = tracker.children(parent.id, best=Objective("best_val_auc", "min"), most=2)
    assert [child.trial for child in worst] == [0, 3]
    assert tracker.runs([best[1].run_id, "f" * 32, best[0].run_id]) == (best[1], best[0])


def test_a_sweep_is_found_by_its_id_its_study_or_their_beginning(uri: str, tmp_path: Path) -> None:
    tracker = tracker_of(uri, tmp_path)
    ids = []
    for study in ("first-1", "second-1", "second-2"):
        tags = {"medexp.kind": "sweep", "medexp.study": study}
        with tracker.start(f"sweep {study}", below=tmp_path, tags=tags) as run:
            ids.append(run.id)
    with tracker.start("no sweep", below=tmp_path):
        pass
    sweeps = latest_sweeps(uri, tmp_path.name)
    assert [sweep.study for sweep in sweeps] == ["second-2", "second-1", "first-1"]
    assert find_sweep("fir", sweeps, uri=uri).run_id == ids[0]
    assert find_sweep("second-1", sweeps, uri=uri).run_id == ids[1]
    assert find_sweep(ids[2], sweeps, uri=uri).run_id == ids[2]
    assert find_sweep(ids[2][:10], sweeps, uri=uri).run_id == ids[2]
    with pytest.raises(TrackingError, match="2 sweeps begin so") as several:
        find_sweep("second", sweeps, uri=uri)
    assert "first-1" not in str(several.value)
    with pytest.raises(TrackingError, match=r"no such sweep[\s\S]*second-2[\s\S]*first-1"):
        find_sweep("third", sweeps, uri=uri)
    with pytest.raises(TrackingError, match="no such experiment"):
        latest_sweeps(uri, "none")
