"""A store that is away, slow or refuses neither stops a run nor loses what it records."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import wait_until

from medexp.errors import TrackingError
from medexp.tracking.base import RefusedError, UnavailableError
from medexp.tracking.entry import Entry
from medexp.tracking.journal import Journal
from medexp.tracking.journalled_run import JournalledRun
from medexp.tracking.null_tracker import NullTracker
from medexp.tracking.sender import Sender


class Moody:
    """A store in memory that does as it is told."""

    uri = "memory"

    def __init__(self) -> None:
        self.received: list[str] = []
        self.away = False
        self.refuses = ""
        self.hangs = threading.Event()
        self.hangs.set()

    def status(self, run_id: str) -> str:
        return "RUNNING"

    def send(self, run_id: str, entries: Sequence[Entry], folder: Path) -> str | None:
        self.hangs.wait()
        if self.away:
            raise UnavailableError("away")
        texts = [str(entry.data) for entry in entries]
        if self.refuses and any(self.refuses in text for text in texts):
            raise RefusedError(f"no {self.refuses}")
        self.received += texts
        return "models:/1" if entries[0].kind == "model" else None


@pytest.fixture
def store() -> Moody:
    return Moody()


@contextmanager
def opened(folder: Path, store: Moody, *, pause: float = 60.0) -> Iterator[JournalledRun]:
    journal = Journal(folder, head={"run_id": "abc", "store": store.uri})
    sender = Sender(journal, store, pause=pause)
    sender.start()
    yield JournalledRun(journal, sender, where=store.uri)
    store.hangs.set()
    sender.stop()
    journal.close()


def steps(store: Moody) -> list[int]:
    return [int(text.partition("'step': ")[2].partition(",")[0]) for text in store.received if "step" in text]


def test_a_store_that_is_away_is_said_once_and_gets_everything_in_order_when_it_is_back(
    tmp_path: Path, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with opened(tmp_path, store, pause=0.05) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        wait_until(lambda: steps(store) == [1], seconds=10, what="the first step")
        store.away = True
        for step in range(2, 8):
            run.log_metrics({"loss": 1.0}, step=step)
            time.sleep(0.05)
        assert steps(store) == [1]
        store.away = False
        wait_until(lambda: steps(store) == list(range(1, 8)), seconds=10, what="the rest")
        assert run.drain()
    said = [record.getMessage() for record in caplog.records]
    assert sum("does not answer (away)" in text for text in said) == 1
    assert sum("answers again" in text for text in said) == 1


def test_a_store_that_is_away_is_not_asked_at_every_step(tmp_path: Path, store: Moody) -> None:
    asked = []
    store.away = True
    send = store.send
    store.send = lambda *given: asked.append(1) or send(*given)  # type: ignore[method-assign, func-returns-value]
    with opened(tmp_path, store) as run:
        for step in range(1, 20):
            run.log_metrics({"loss": 1.0}, step=step)
            time.sleep(0.01)
        assert len(asked) == 1
        assert not run.drain()
        assert len(asked) == 2


def test_a_store_that_hangs_delays_no_step_and_the_end_by_the_patience_given(tmp_path: Path, store: Moody) -> None:
    store.hangs.clear()
    with opened(tmp_path, store) as run:
        begin = time.monotonic()
        for step in range(1, 11):
            run.log_metrics({"loss": 1.0}, step=step)
        assert time.monotonic() - begin < 2
        begin = time.monotonic()
        assert not run.drain(patience=0.5)
        assert 0.4 < time.monotonic() - begin < 3


def test_what_cannot_be_sent_at_the_end_is_said_once_with_the_command(
    tmp_path: Path, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    with opened(tmp_path, store) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_tags({"a": "b"})
        assert not run.drain()
        assert not run.drain()
    (said,) = [record.getMessage() for record in caplog.records if "sync.py" in record.getMessage()]
    assert said.startswith("2 entries of run abc are not in the tracking store yet (away)")
    assert f"python scripts/sync.py run={tmp_path} tracking.uri=memory" in said


def test_what_is_refused_is_set_aside_and_the_rest_goes_on(tmp_path: Path, store: Moody) -> None:
    store.refuses = "'step': 2"
    with opened(tmp_path, store) as run:
        for step in range(1, 5):
            run.log_metrics({"loss": 1.0}, step=step)
        assert not run.drain()
        assert steps(store) == [1, 3, 4]
        store.refuses = ""
        assert run.drain(), "it is tried again"
        assert steps(store) == [1, 3, 4, 2]


def test_a_tag_that_was_refused_does_not_come_back_over_a_later_one(tmp_path: Path, store: Moody) -> None:
    store.refuses = "old"
    with opened(tmp_path, store) as run:
        run.log_tags({"a": "old", "b": "old"})
        run.log_tags({"a": "new"})
        run.drain()
        store.refuses = ""
        assert run.drain()
    assert store.received == ["{'tags': {'a': 'new'}}", "{'tags': {'b': 'old'}}"]


def test_a_full_disk_still_sends(tmp_path: Path, store: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> int:
        raise OSError(28, "No space left on device")

    with opened(tmp_path, store) as run:
        with monkeypatch.context() as patch:
            patch.setattr("medexp.tracking.journal.os.pwrite", full)
            run.log_metrics({"loss": 1.0}, step=1)
            run.log_metrics({"loss": 1.0}, step=2)
            assert run.drain()
        run.log_metrics({"loss": 1.0}, step=3)
        assert run.drain()
    assert steps(store) == [1, 2, 3]
    again = Journal(tmp_path)
    assert (set(again.steps("loss")), again.left(), again.pending()) == ({1, 2, 3}, 0, [])


def test_a_model_waits_in_the_outbox_and_leaves_it_when_it_was_sent(tmp_path: Path, store: Moody) -> None:
    with opened(tmp_path, store) as run:
        for name, away in (("one", True), ("two", False)):
            store.away = away
            (run.outbox / name).mkdir(parents=True)
            uri = run.log_model(run.outbox / name, params={}, metrics={})
            assert uri == (None if away else "models:/1")
            assert (run.outbox / "one").exists() is away
        assert list(run.outbox.iterdir()) == []
        (own := tmp_path / "own").mkdir()
        run.log_model(own, params={}, metrics={})
        assert own.exists(), "what is not in the outbox belongs to others"


def test_a_step_that_the_run_has_is_not_written_again(tmp_path: Path, store: Moody) -> None:
    with opened(tmp_path, store) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_metrics({"loss": 2.0, "auc": 0.5, "nan": float("nan")}, step=1)
        run.log_metrics({"nan": 0.0}, step=1)
        run.drain()
    assert store.received == [
        "{'step': 1, 'metrics': {'loss': 1.0}}",
        "{'step': 1, 'metrics': {'auc': 0.5, 'nan': 'nan'}}",
    ]


def test_a_resumed_run_without_a_store_goes_on_in_its_journal(tmp_path: Path) -> None:
    tracker = NullTracker()
    with pytest.raises(SystemExit), tracker.start("x", below=tmp_path) as run:
        run.log_params({"seed": 1})
        run.log_metrics({"loss": 1.0}, step=1)
        raise SystemExit(143)
    assert Journal(run.folder).status == "KILLED"
    with tracker.resume(run.folder) as again:
        assert again.id == run.id
        with pytest.raises(TrackingError, match="being worked on"), tracker.resume(run.folder):
            pass
        again.log_params({"seed": 1})
        again.log_metrics({"loss": 9.0}, step=1)
        again.log_metrics({"loss": 0.5}, step=2)
    lines = (run.folder / "tracking.jsonl").read_text()
    assert (lines.count('"params"'), lines.count('"loss"'), lines.count("9.0")) == (2, 2, 0)
    with pytest.raises(TrackingError, match="The run is finished"), tracker.resume(run.folder):
        pass
    with pytest.raises(TrackingError, match="There is no such run"), tracker.resume(tmp_path / "none"):
        pass


def test_passwords_are_not_written_to_the_journal(tmp_path: Path, store: Moody) -> None:
    with opened(tmp_path, store) as run:
        run.log_params({"uri": "postgresql://me:s3cret@h/d"})
        run.log_tags({"uri": "postgresql://me:s3cret@h/d"})
    assert "s3cret" not in (tmp_path / "tracking.jsonl").read_text()


def test_what_is_not_finite_is_kept_in_the_journal_as_readable_json(tmp_path: Path, store: Moody) -> None:
    with opened(tmp_path, store) as run:
        run.log_metrics({"a": float("inf"), "b": float("nan")}, step=1)
    line = (tmp_path / "tracking.jsonl").read_text().splitlines()[-1]
    assert json.loads(line, parse_constant=pytest.fail)["metrics"] == {"a": "inf", "b": "nan"}
