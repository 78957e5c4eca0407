from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from medexp.errors import SweepError
from medexp.sweep.journal import JournalFile
from medexp.sweep.storage import exclusive, open_storage

FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["journal", "sqlite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = tmp_path / "sweeps" / "one"
    return str(folder / "study.journal") if request.param == "journal" else f"sqlite:///{folder}/study.db"


def _study(storage: BaseStorage, name: str = "one") -> int:
    return storage.create_new_study([StudyDirection.MAXIMIZE], name)


def test_a_study_is_found_again_in_a_folder_that_did_not_exist(where: str) -> None:
    _study(open_storage(where))

    assert open_storage(where).get_study_id_from_name("one") == 0 + ("sqlite" in where)


def test_half_a_line_of_a_killed_process_is_cut_off_by_the_next_write(tmp_path: Path) -> None:
    file = tmp_path / "study.journal"
    storage = open_storage(str(file))
    study = _study(storage)
    with file.open("a") as opened:
        opened.write('{"op_code":4,"worker_id":"killed')

    assert open_storage(str(file)).get_all_trials(study) == []
    storage.create_new_trial(study)

    assert len(open_storage(str(file)).get_all_trials(study)) == 1
    assert [json.loads(line)["op_code"] for line in file.read_text().splitlines()] == [0, 4]


def test_a_file_that_is_nothing_but_half_a_line_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "study.journal"
    file.write_text("x" * 200_000)

    JournalFile(str(file)).append_logs([{"op_code": 1}, {"op_code": 2}])

    assert file.read_text() == '{"op_code":1}\n{"op_code":2}\n'


def test_a_write_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "study.journal"
    journal = JournalFile(str(file))
    journal.append_logs([{"op_code": 1}])
    pid = os.fork()
    if pid == 0:  # the limit would hold for the whole process
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
        try:
            journal.append_logs([{"op_code": 2, "long": "x" * 100}])
        except OSError:
            os._exit(7)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert file.read_text() == '{"op_code":1}\n'


def _append_for_ever(file: str, started: Any) -> None:
    journal = JournalFile(file)
    while True:
        journal.append_logs([{"op_code": 1, "text": "x" * 200}])
        started.set()


def test_a_writer_killed_at_any_moment_holds_up_nobody(tmp_path: Path) -> None:
    file = str(tmp_path / "study.journal")
    waits = []
    for _ in range(20):
        started = FORK.Event()
        process = FORK.Process(target=_append_for_ever, args=(file, started))
        process.start()
        started.wait(10)
        os.kill(process.pid or 0, signal.SIGKILL)
        begin = time.monotonic()
        JournalFile(file).append_logs([{"op_code": 2}])
        waits.append(time.monotonic() - begin)
        process.join()

    assert max(waits) < 5  # Optuna's own lock: 30 s
    assert all(json.loads(line) for line in Path(file).read_text().splitlines())


def _hold(where: str, started: Any) -> None:
    with exclusive(where):
        started.set()
        time.sleep(60)


def test_who_is_killed_while_making_a_study_holds_up_nobody(where: str) -> None:
    started = FORK.Event()
    process = FORK.Process(target=_hold, args=(where, started))
    process.start()
    started.wait(10)
    os.kill(process.pid or 0, signal.SIGKILL)
    begin = time.monotonic()

    with exclusive(where):
        assert time.monotonic() - begin < 5
    process.join()


def _tell(where: str, trial: int, value: float, barrier: Any, told: Any) -> None:
    storage = open_storage(where, create=False)
    storage.get_trial(trial)
    barrier.wait()
    try:
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [value])
        told.put(value)
    except UpdateFinishedTrialError:
        told.put(None)


def test_of_those_who_end_a_trial_at_once_one_succeeds(where: str) -> None:
    storage = open_storage(where)
    study = _study(storage)
    for _ in range(5):
        trial = storage.create_new_trial(study)
        barrier, told = FORK.Barrier(4), FORK.Queue()
        processes = [FORK.Process(target=_tell, args=(where, trial, float(i), barrier, told)) for i in range(4)]
        for process in processes:
            process.start()
        values = [told.get(timeout=30) for _ in processes]
        for process in processes:
            process.join()

        (winner,) = [value for value in values if value is not None]
        assert open_storage(where).get_trial(trial).values == [winner]


def _create(where: str, study: int, barrier: Any) -> None:
    storage = open_storage(where, create=False)
    barrier.wait()
    for _ in range(10):
        storage.create_new_trial(study)


def test_trials_created_at_once_have_numbers_of_their_own(where: str) -> None:
    study = _study(open_storage(where))
    barrier = FORK.Barrier(4)
    processes = [FORK.Process(target=_create, args=(where, study, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    numbers = [trial.number for trial in open_storage(where).get_all_trials(study)]
    assert numbers == list(range(40))


def test_a_forked_process_inherits_no_connection(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    storage = open_storage(f"sqlite:///{file}")
    _study(storage)
    assert str(file) in _open_files()
    pid = os.fork()
    if pid == 0:
        os._exit(str(file) in _open_files())

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert _study(storage, "two") == 2


def _open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {str(entry.readlink()) for entry in folder.iterdir() if os.path.lexists(entry)}


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(SweepError) as caught:
        open_storage("postgresql://anna:s3cret@127.0.0.1:9/studies")

    assert "search.storage=postgresql://anna:***@127.0.0.1:9/studies" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_braces_in_a_password_are_no_template() -> None:
    with pytest.raises(SweepError, match="refused"):
        open_storage("postgresql://anna:s3{cret}@127.0.0.1:9/studies")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nosuchbase://host/db", "search.storage=nosuchbase://host/db"),
        ("mysql://user@host/db", "driver is not installed"),
        ("sqlite:////proc/nowhere/study.db", "search.storage=sqlite"),
        ("/proc/nowhere/study.journal", "search.storage=/proc/nowhere"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named(text: str, reason: str) -> None:
    with pytest.raises(SweepError, match=reason):
        open_storage(text)


def test_a_job_does_not_make_the_study_it_does_not_find(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="no study"):
        open_storage(str(tmp_path / "study.journal"), create=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    file = tmp_path / "study.journal"
    file.write_text("hello\nworld\n")

    with pytest.raises(SweepError, match=r"JSONDecodeError.*study\.journal"):
        open_storage(str(file))


def test_optunas_own_classes_read_what_is_written_here(tmp_path: Path) -> None:
    from optuna.storages.journal import JournalFileBackend

    file = str(tmp_path / "study.journal")
    storage = open_storage(file)
    storage.create_new_trial(_study(storage))

    assert len(JournalStorage(JournalFileBackend(file)).get_all_trials(0)) == 1
