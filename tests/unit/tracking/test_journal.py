"""What is written is there after a kill, once; what was half written is not."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medexp.errors import TrackingError
from medexp.tracking.entry import METRICS, PARAMS, STATUS, Entry
from medexp.tracking.journal import JOURNAL, SENT, Journal
from medexp.tracking.lock import LiveError, locked

HEAD = {"run_id": "abc", "store": None}


def metrics(step: int, **values: float) -> Entry:
    return Entry(METRICS, {"step": step, "metrics": values or {"loss": 1.0 / step}})


def written(folder: Path, count: int = 3) -> Journal:
    journal = Journal(folder, head=HEAD)
    for step in range(1, count + 1):
        journal.append(metrics(step))
    return journal


def send_all(journal: Journal) -> list[Entry]:
    """What a sender would send, one after the other."""
    sent = []
    while batch := journal.pending():
        sent += [item.entry for item in batch]
        journal.acknowledge(batch[-1])
    return sent


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.append(Entry(PARAMS, {"params": {"a": "ü\n"}}))
    journal.append(Entry(STATUS, {"status": "FINISHED"}))
    journal.close()
    again = Journal(tmp_path)
    assert (again.run_id, again.status, again.params) == ("abc", "FINISHED", {"a": "ü\n"})
    assert set(again.steps("loss")) == {1, 2, 3}
    assert [entry.data["metrics"]["loss"] for entry in send_all(again)[:3]] == [1.0, 0.5, 1 / 3]


def test_cut_at_any_byte_the_whole_lines_before_remain(tmp_path: Path) -> None:
    written(tmp_path).close()
    whole = (tmp_path / JOURNAL).read_bytes()
    head = whole.index(b"\n") + 1
    for length in range(head, len(whole) + 1):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        journal = Journal(tmp_path)
        lines = whole[:length].count(b"\n") - 1
        assert set(journal.steps("loss")) == set(range(1, lines + 1))
        journal.append(metrics(9))
        journal.close()
        assert set(Journal(tmp_path).steps("loss")) == {*range(1, lines + 1), 9}


def test_zeros_that_a_power_failure_leaves_are_cut(tmp_path: Path) -> None:
    written(tmp_path).close()
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole + b"\0" * 100 + b"\n")
    assert len(send_all(Journal(tmp_path))) == 3
    assert (tmp_path / JOURNAL).read_bytes() == whole


def test_a_line_in_the_middle_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    written(tmp_path).close()
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(b"".join([*lines[:2], b"{]\n", *lines[3:]]))
    assert [entry.kind for entry in send_all(Journal(tmp_path))] == [METRICS, "damaged", METRICS]


def test_what_was_sent_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.acknowledge(journal.pending()[0])
    journal.close()
    assert [entry.data["step"] for entry in send_all(Journal(tmp_path))] == [2, 3]
    assert send_all(Journal(tmp_path)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\0\0", b"[]", b'{"upto": "x", "refused": []}'])
def test_a_damaged_note_of_what_was_sent_sends_all_again(tmp_path: Path, content: bytes) -> None:
    journal = written(tmp_path)
    send_all(journal)
    journal.close()
    (tmp_path / SENT).write_bytes(content)
    assert len(send_all(Journal(tmp_path))) == 3


def test_metrics_are_sent_together_and_nothing_overtakes(tmp_path: Path) -> None:
    journal = written(tmp_path, 2)
    journal.append(Entry(PARAMS, {"params": {"a": "1"}}))
    journal.append(metrics(3))
    journal.append(metrics(4, **{f"m{i}": 1.0 for i in range(999)}))
    journal.append(metrics(5))
    sizes = []
    while batch := journal.pending():
        sizes.append([item.entry.data.get("step") for item in batch])
        journal.acknowledge(batch[-1])
    assert sizes == [[1, 2], [None], [3, 4], [5]]


def test_what_was_refused_is_kept_with_its_reason(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.acknowledge(journal.pending()[0], refused="no")
    send_all(journal)
    journal.close()
    again = Journal(tmp_path)
    ((item, reason),) = again.refused()
    assert (item.entry.data["step"], reason, again.left()) == (1, "no", 1)
    again.accepted(item)
    assert (again.refused(), Journal(tmp_path).left()) == ([], 0)


def test_a_full_disk_loses_nothing_that_there_is_room_for_later(tmp_path: Path) -> None:
    journal = written(tmp_path, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (tmp_path / JOURNAL).stat().st_size + 20  # room for a part of a line
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, before[1]))
        journal.append(metrics(2))
        journal.append(metrics(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, was)
    assert (set(journal.steps("loss")), journal.left()) == ({1, 2, 3}, 3)
    assert [entry.data["step"] for entry in send_all(journal)] == [1, 2, 3]
    journal.append(metrics(4))
    journal.close()
    again = Journal(tmp_path)
    assert set(again.steps("loss")) == {1, 2, 3, 4}
    assert [entry.data["step"] for entry in send_all(again)] == [4]


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="There is no journal of a run"):
        Journal(tmp_path)
    (tmp_path / JOURNAL).write_text("{}\n")
    with pytest.raises(TrackingError, match="does not say whose it is"):
        Journal(tmp_path)


def test_a_closed_journal_reads_and_writes_no_other_file(tmp_path: Path) -> None:
    journal = written(tmp_path)
    item = journal.pending()[0]
    journal.acknowledge(item, refused="no")
    journal.close()
    (other := tmp_path / "other").write_bytes((tmp_path / JOURNAL).read_bytes())
    with other.open("r+b"):  # has the number that the journal's file had
        for use in (
            journal.pending,
            journal.refused,
            journal.left,
            lambda: journal.later(item),
            lambda: journal.last_time,
            lambda: journal.append(metrics(4)),
            lambda: journal.acknowledge(item),
            lambda: journal.accepted(item),
        ):
            with pytest.raises(TrackingError, match="The journal was closed"):
                use()
    assert other.read_bytes() == (tmp_path / JOURNAL).read_bytes()


WRITER = """
import sys
from pathlib import Path
from medexp.tracking.entry import METRICS, Entry
from medexp.tracking.journal import JOURNAL, Journal
folder = Path(sys.argv[1])
journal = Journal(folder, head=None if (folder / JOURNAL).exists() else {"run_id": "abc", "store": None})
step = max(journal.steps("loss"), default=0)
while True:
    step += 1
    journal.append(Entry(METRICS, {"step": step, "metrics": {"loss": 1 / step, "pad": "x" * (step % 300)}}))
    print(step, flush=True)
    for item in journal.pending()[:1]:
        journal.acknowledge(item)
"""


def test_a_process_killed_at_any_moment_loses_no_step_and_doubles_none(tmp_path: Path) -> None:
    chance, said = random.Random(3), 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.random() * 0.2)
        process.kill()
        said = int((first + process.stdout.read()).rpartition("\n")[0].split()[-1])
        process.wait()
    journal = Journal(tmp_path)
    steps = sorted(journal.steps("loss"))
    assert said > 20
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) in (said, said + 1)  # killed between writing and saying so
    lines = (tmp_path / JOURNAL).read_bytes().splitlines()
    assert len(lines) == 1 + len(steps)


HOLDER = """
import sys, time
from pathlib import Path
from medexp.tracking.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_is_worked_on_by_one_process_and_free_when_that_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    said = f"process {process.pid} on {os.uname().nodename}"
    with pytest.raises(LiveError, match=said), locked(tmp_path):
        pass
    process.kill()
    process.wait()
    with locked(tmp_path), pytest.raises(LiveError, match=f"process {os.getpid()} "), locked(tmp_path):
        pass
