from __future__ import annotations

import io
import logging
import os
import pty
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from medexp.logs import run_log
from medexp.sweep.records import Order, Record, State
from medexp.sweep.study_progress import StudyProgress
from medexp.sweep.study_text import StudyMoment, ended_line, moment_of, study_line
from medexp.types import Objective

AUC = (Objective("val_auc", "max"),)
MOMENT = StudyMoment(
    total=20, complete=5, pruned=2, failed=1, running=2, best=(("val_auc", 0.98123, 5),), seconds_left=250
)
WHOLE = "8/20 trials  5 complete, 2 pruned, 1 failed, 2 running   best val_auc 0.9812 (trial 5)   about 4 min left"


def record(index: int, state: State, *values: float, seconds: float = 10, error: str | None = None) -> Record:
    return Record(index, index, state, values=values, seconds=seconds, error=error)


def progress(console: Console | None = None) -> StudyProgress:
    return StudyProgress(
        AUC,
        n_trials=4,
        slots=2,
        log=lambda number: f"trials/{number}.log",
        console=console or Console(file=io.StringIO()),
    )


def test_the_whole_line() -> None:
    assert study_line(MOMENT) == WHOLE


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (len(WHOLE), WHOLE),
        (len(WHOLE) - 1, "8/20 trials  5 complete, 2 pruned, 1 failed, 2 running   best 0.9812   about 4 min left"),
        (60, "8/20 trials   best 0.9812   about 4 min left"),
        (40, "8/20 trials   about 4 min left"),
        (12, "8/20 trials"),
        (4, "8/20"),
    ],
)
def test_a_narrow_terminal_is_told_less(width: int, line: str) -> None:
    assert study_line(MOMENT, width=width) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (80, "80 s"), (95, "2 min"), (5000, "83 min"), (9000, "2 h"), (2e5, "2 days")],
)
def test_the_time_left_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert study_line(StudyMoment(total=3, complete=1, seconds_left=seconds)).endswith(f"about {text} left")


def test_the_time_left_is_that_of_the_missing_trials_in_all_slots() -> None:
    ended = [record(0, "complete", 0.9, seconds=30), record(1, "pruned", 0.5, seconds=10)]
    assert moment_of(ended, AUC, n_trials=8, slots=2).seconds_left == 6 * 20 / 2
    running = [*ended, record(2, "running", seconds=15), record(3, "running", seconds=99)]
    assert moment_of(running, AUC, n_trials=8, slots=2).seconds_left == (6 * 20 - 15 - 20) / 2
    assert moment_of([record(0, "running")], AUC, n_trials=8, slots=2).seconds_left is None


def test_the_best_is_of_the_complete_trials_and_by_each_objective() -> None:
    two = (Objective("val_auc", "max"), Objective("parameters", "min"))
    ended = [
        record(0, "complete", 0.9, 5e6),
        record(1, "complete", 0.8, 120000),
        record(2, "complete", float("nan"), 9e6),
    ]
    moment = moment_of([*ended, record(3, "pruned", 0.99)], two, n_trials=4, slots=1)
    assert moment.best == (("val_auc", 0.9, 0), ("parameters", 120000, 1))
    assert "best val_auc 0.9000 (trial 0), parameters 120,000 (trial 1)" in study_line(moment)


def test_a_failed_trial_is_told_with_its_reason_and_its_log() -> None:
    failed = record(3, "failed", error="DataError: no images")
    assert (
        ended_line(failed, AUC, log="trials/3.log") == "trial 3 failed: DataError: no images\n  its log: trials/3.log"
    )
    assert ended_line(record(3, "pruned", 0.5), AUC, log=None) == "trial 3 pruned  val_auc 0.5000  10 s"


def test_elsewhere_there_is_one_line_for_each_trial_that_ends(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), progress() as shown:
        shown.update([])
        shown.started(Order(0, 0, ("model=simple_cnn", "seed=1")))
        shown.update([record(0, "running"), record(1, "running")])
        shown.update([record(0, "running"), record(1, "complete", 0.75)])
        shown.update([record(0, "failed", error="no images"), record(1, "complete", 0.75)])
    assert [each.getMessage() for each in caplog.records] == [
        "trial 0 begins: model=simple_cnn seed=1",
        "trial 1 complete  val_auc 0.7500  10 s   "
        "1/4 trials  1 complete, 1 running   best val_auc 0.7500 (trial 1)   about 10 s left",
        "trial 0 failed: no images\n  its log: trials/0.log",
        "2/4 trials  1 complete, 1 failed   best val_auc 0.7500 (trial 1)   about 10 s left",
    ]
    assert caplog.records[2].levelno == logging.WARNING


def test_trials_that_had_ended_before_are_counted_and_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), progress() as shown:
        shown.update([record(0, "complete", 0.75)])
        shown.update([record(0, "complete", 0.75)])
    assert [each.getMessage() for each in caplog.records] == [
        "the study goes on: 1/4 trials  1 complete   best val_auc 0.7500 (trial 0)   about 15 s left"
    ]


def test_a_trial_that_begins_again_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), progress() as shown:
        shown.lost(Order(2, 1, ()), "killed by signal 9")
        shown.started(Order(4, 1, (), attempt=2))
    assert "trial 1 was lost: killed by signal 9\n  its log: trials/2.log" in caplog.text
    assert "trial 1 begins again (attempt 2)" in caplog.text


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Console, int]]:
    """A real terminal of 100 columns, which standard error is, too; and where it can be read."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", buffering=1) as file:
        monkeypatch.setattr(sys, "stderr", file)
        yield Console(file=file, width=100, soft_wrap=True), master
    os.close(master)


def seen(master: int) -> str:
    """What was written since the last time."""
    text = ""
    while select.select([master], [], [], 0.05)[0]:
        text += os.read(master, 1 << 16).decode()
    return text


def test_on_a_terminal_the_line_stays_at_the_bottom_and_is_gone_at_the_end(
    terminal: tuple[Console, int], tmp_path: Path
) -> None:
    console, master = terminal
    with run_log(tmp_path / "sweep.log", run_id="1"), progress(console) as shown:
        shown.update([record(0, "running")])
        assert seen(master).endswith("0/4 trials  0 complete, 1 running")
        shown.update([record(0, "complete", 0.75)])
        text = seen(master)
        above, below = text.index("trial 0 complete  val_auc 0.7500  10 s"), text.rindex("1/4 trials  1 complete")
        assert above < below
        assert "10 s   1/4" not in text
        shown.update([record(0, "complete", 0.75), record(1, "failed", error="no images")])
        *lines, last = seen(master).replace("\r\x1b[2K", "\r").split("\r\n")
        assert lines == ["\rtrial 1 failed: no images", "  its log: trials/1.log"]
        assert last.rpartition("\r")[2].startswith("2/4 trials  1 complete, 1 failed")
    assert seen(master).endswith("\x1b[2K")
    log = (tmp_path / "sweep.log").read_text()
    assert "trial 0 complete  val_auc 0.7500" in log
    assert "2/4 trials  1 complete, 1 failed" in log


def test_a_terminal_that_shows_no_information_shows_no_line(terminal: tuple[Console, int], tmp_path: Path) -> None:
    console, master = terminal
    with run_log(tmp_path / "sweep.log", run_id="1", console_level="WARNING"), progress(console) as shown:
        shown.update([record(0, "running")])
        assert seen(master) == ""


def test_a_terminal_that_is_closed_does_not_end_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    file = os.fdopen(slave, "w", buffering=1)
    with run_log(tmp_path / "sweep.log", run_id="1"):
        monkeypatch.setattr(sys, "stderr", file)
        with progress(Console(file=file, width=100, soft_wrap=True)) as shown:
            shown.update([record(0, "running")])
            os.close(master)
            shown.update([record(0, "complete", 0.75)])
            shown.update([record(0, "complete", 0.75), record(1, "complete", 0.5)])
        monkeypatch.undo()
    with pytest.raises(OSError, match="Input/output error"):  # the terminal is really gone
        file.close()
    assert "2/4 trials" in (tmp_path / "sweep.log").read_text()
