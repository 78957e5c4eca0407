"""A process that dies by SIGKILL at any write of a promotion or a rollback; a real registry in SQLite."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from promotable import aliases, appoint, decisions, empty_store, go_back, promotion, record, store_from

WRITES = (
    "create_run", "log_dict", "create_registered_model", "create_model_version", "set_model_version_tag",
    "set_registered_model_alias", "delete_registered_model_alias", "set_registered_model_tag", "set_tag",
    "set_terminated",
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_store(tmp_path_factory.mktemp("store"))


class Killer:
    """Counts the writes of MLflow's client, and ends the process before or after one of them."""

    def __init__(self, at: int, *, after: bool) -> None:
        from mlflow import MlflowClient

        self.count = 0
        self._at, self._after = at, after
        for name in WRITES:
            setattr(MlflowClient, name, self._wrapped(getattr(MlflowClient, name)))

    def _wrapped(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            place, self.count = self.count, self.count + 1
            if place == self._at and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = write(*args, **kwargs)
            if place == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped


class CommitKiller:
    """Counts the transactions of the database that write, and ends the process before one of them is committed."""

    def __init__(self, at: int) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        self.count = 0
        self._at, self._wrote = at, False
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._commit)

    def _statement(self, _1: Any, _2: Any, statement: str, *_: Any) -> None:
        self._wrote |= statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))

    def _commit(self, _: Any) -> None:
        if self._wrote:
            place, self.count, self._wrote = self.count, self.count + 1, False
            if place == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


def in_child(act: Callable[[], object], inject: Callable[[], Any], report: Path) -> bool:
    """Run `act` in a fork with failures injected; return whether it died by SIGKILL."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        status = 1
        try:
            signal.alarm(120)
            injected = inject()
            act()
            report.write_text(str(injected.count))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


class Scene:
    """A store with two champions behind it and a better run, to be copied for each failure."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.folder = folder
        self.uri = store_from(template, folder)
        self.runs = []
        for score in (0.7, 0.8):
            self.runs.append(record(self.uri, score))
            appoint(self.uri)
        self.runs.append(record(self.uri, 0.9))
        appoint(self.uri, self.runs[2], alias="challenger")
        self.runs.append(record(self.uri, 0.95))
        self._kept = (folder / "mlflow.db").read_bytes()

    def restore(self) -> None:
        (self.folder / "mlflow.db").write_bytes(self._kept)
        for left in self.folder.glob("mlflow.db-*"):
            left.unlink()

    def versions(self) -> int:
        with sqlite3.connect(self.folder / "mlflow.db") as database:
            return int(database.execute("SELECT count(*) FROM model_versions").fetchone()[0])


@pytest.fixture(scope="module")
def scene(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(template, tmp_path_factory.mktemp("scene"))


def failures(scene: Scene, act: Callable[[], object], kind: Callable[[int], Any]) -> Iterator[int]:
    """Kill `act` at each write in turn, each time from the same beginning, until it comes through."""
    for at in range(1000):
        scene.restore()
        if not in_child(act, lambda at=at: kind(at), scene.folder / "count"):
            assert int((scene.folder / "count").read_text()) == at, "every write was tried"
            return
        yield at


KINDS = {
    "before a write": lambda at: Killer(at, after=False),
    "after a write": lambda at: Killer(at, after=True),
    "within a write": CommitKiller,
}


@pytest.mark.parametrize(
    "kind", ["before a write", *(pytest.param(k, marks=pytest.mark.slow) for k in list(KINDS)[1:])]
)
def test_a_killed_promotion_leaves_a_registry_that_serves_and_the_same_command_finishes_it(
    scene: Scene, kind: str
) -> None:
    old, new = scene.runs[1], scene.runs[3]
    tried = 0
    for at in failures(scene, lambda: appoint(scene.uri), KINDS[kind]):
        tried += 1
        assert aliases(scene.uri)["champion"] in (old, new)
        appoint(scene.uri)
        expected = {"champion": new, "previous": old, "challenger": scene.runs[2]}
        assert aliases(scene.uri) == expected, at
        assert promotion(scene.uri).history() == ("1", "2", "4"), at
        assert scene.versions() == 4, at
        assert decisions(scene.uri)[3:] == [("promote", "done", "FINISHED")], at
    assert tried >= 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_rollback_goes_back_one_step_however_often_it_is_killed(scene: Scene, kind: str) -> None:
    old, present = scene.runs[0], scene.runs[1]
    for at in failures(scene, lambda: go_back(scene.uri), KINDS[kind]):
        assert aliases(scene.uri)["champion"] in (old, present)
        before = len(decisions(scene.uri)) > 3
        moved = aliases(scene.uri)["champion"] == old
        done = before and decisions(scene.uri)[-1][1] == "done"
        if not done:
            go_back(scene.uri)
        else:  # killed after its last write: the command has done its work
            assert moved
        assert aliases(scene.uri) == {"champion": old, "challenger": scene.runs[2]}, at
        assert promotion(scene.uri).history() == ("1",), at
        assert decisions(scene.uri)[3:] == [("rollback", "done", "FINISHED")], at


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_another_command_after_a_killed_promotion_finds_aliases_that_are_right(scene: Scene, kind: str) -> None:
    other = scene.runs[2]
    for at in failures(scene, lambda: appoint(scene.uri), KINDS[kind]):
        moved = aliases(scene.uri)["champion"] == scene.runs[3]
        appoint(scene.uri, other)
        previous = scene.runs[3] if moved else scene.runs[1]
        assert aliases(scene.uri) == {"champion": other, "previous": previous}, at
        outcomes = [outcome for _, outcome, _ in decisions(scene.uri)[3:]]
        assert outcomes[-1] == "done"
        assert set(outcomes[:-1]) <= ({"done"} if moved else {"abandoned"}), at
