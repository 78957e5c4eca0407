from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support import ROOT, wait_until

from medexp.errors import DataError, TrainingError
from medexp.sweep.jobs import Ended
from medexp.sweep.nursery import Job, Nursery
from medexp.sweep.processes import LocalProcesses


@contextmanager
def processes(
    job: Job, folder: Path, *, slots: int = 1, warm: Callable[[], object] = lambda: None
) -> Iterator[LocalProcesses]:
    jobs = LocalProcesses(Nursery(job, warm=warm), slots=slots, logs=folder)
    try:
        yield jobs
    finally:
        jobs.close()


def ended(jobs: LocalProcesses, count: int = 1, *, seconds: float = 20) -> dict[int, Ended]:
    found: dict[int, Ended] = {}
    limit = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < limit:
        found.update((each.number, each) for each in jobs.poll(0.2))
    assert len(found) == count
    return found


def started(jobs: LocalProcesses, folder: Path, number: int) -> int:
    """Wait for the trial's own word, and return its pid."""
    file = folder / f"{number}.log"

    def ready() -> bool:
        jobs.poll(0)
        return file.is_file() and "pid " in file.read_text() and file.read_text().endswith("\n")

    wait_until(ready, seconds=10, what="the trial")
    return int(file.read_text().split("pid ")[1].split()[0])


def sleeper(number: int, overrides: tuple[str, ...]) -> None:
    print("pid", os.getpid())
    time.sleep(60)


def test_what_a_trial_prints_is_in_its_log_with_what_native_code_writes(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        print("trial", number, *overrides)
        os.write(2, b"native words\n")
        print("no line end", end="")

    with processes(job, tmp_path / "trials") as jobs:
        jobs.start(7, ["model=simple_cnn", "seed=3"])
        assert ended(jobs) == {7: Ended(7, ok=True)}
        assert jobs.log(7) == str(tmp_path / "trials" / "7.log")
    assert (tmp_path / "trials" / "7.log").read_text() == "trial 7 model=simple_cnn seed=3\nnative words\nno line end"


def test_an_error_of_the_user_is_handed_back_as_its_text(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        raise DataError("No images. Override: data.path=...")

    with processes(job, tmp_path) as jobs:
        jobs.start(0, [])
        assert ended(jobs)[0] == Ended(0, ok=False, error="No images. Override: data.path=...")
    assert (tmp_path / "0.log").read_text() == "DataError: No images. Override: data.path=...\n"


def test_any_other_error_is_named_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        raise KeyError("lesion")

    with processes(job, tmp_path) as jobs:
        jobs.start(0, [])
        assert ended(jobs)[0] == Ended(0, ok=False, error="KeyError: 'lesion'")
    assert "Traceback" in (tmp_path / "0.log").read_text()


@pytest.mark.parametrize(("code", "ok"), [(0, True), (3, False)])
def test_an_exit_status_is_told(tmp_path: Path, code: int, ok: bool) -> None:
    with processes(lambda number, overrides: sys.exit(code), tmp_path) as jobs:
        jobs.start(0, [])
        assert ended(jobs)[0] == Ended(0, ok=ok, error=None if ok else "ended with exit status 3")


def test_a_trial_that_is_killed_costs_itself_alone(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        print("pid", os.getpid())
        time.sleep(60 if number == 0 else 1)

    with processes(job, tmp_path, slots=2) as jobs:
        jobs.start(0, [])
        jobs.start(1, [])
        os.kill(started(jobs, tmp_path, 0), signal.SIGKILL)
        both = ended(jobs, 2)
    assert both[0].killed
    assert "killed by signal 9 (SIGKILL)" in str(both[0].error)
    assert both[1] == Ended(1, ok=True)


def test_a_crash_of_native_code_is_called_so(tmp_path: Path) -> None:
    with processes(lambda number, overrides: os.kill(os.getpid(), signal.SIGSEGV), tmp_path) as jobs:
        jobs.start(0, [])
        assert "killed by signal 11 (SIGSEGV): a native library crashed" in str(ended(jobs)[0].error)
    assert "Fatal Python error: Segmentation fault" in (tmp_path / "0.log").read_text()


def test_running_trials_survive_the_nursery_and_a_new_one_makes_the_next(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        print("pid", os.getpid())
        time.sleep(1.5 if number == 0 else 0)
        sys.exit(number)

    with processes(job, tmp_path, slots=2) as jobs:
        jobs.start(0, [])
        started(jobs, tmp_path, 0)
        first = jobs._nursery._nursery
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: jobs.poll(0) or jobs._nursery._nursery != first, seconds=10, what="a new nursery")
        jobs.start(5, [])
        both = ended(jobs, 2)
    assert both[0] == Ended(0, ok=True)
    assert both[5].error == "ended with exit status 5"


def test_a_trial_that_a_killed_nursery_was_to_start_is_given_back_and_not_run_by_the_next(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        time.sleep(1 - number)
        (tmp_path / f"{number}.done").touch()

    with processes(job, tmp_path, warm=lambda: time.sleep(1)) as jobs:
        jobs.poll(0.2)
        jobs.start(0, [])
        os.kill(jobs._nursery._nursery or 0, signal.SIGKILL)
        lost = ended(jobs)[0]
        jobs.start(1, [])
        assert ended(jobs)[1].ok
        jobs.poll(1.5)
    assert lost.killed
    assert "the process that was to start it was lost: killed by signal 9" in str(lost.error)
    assert not (tmp_path / "0.done").exists()


def test_frameworks_that_kill_the_nursery_each_time_are_given_up(tmp_path: Path) -> None:
    with processes(sleeper, tmp_path, warm=lambda: os.kill(os.getpid(), signal.SIGKILL)) as jobs:
        jobs.start(0, [])
        assert ended(jobs)[0].killed
        with pytest.raises(TrainingError, match="killed again and again"):
            for _ in range(50):
                jobs.poll(0.1)


def test_it_is_said_when_nobody_looks_after_the_trials_any_more(tmp_path: Path) -> None:
    with processes(sleeper, tmp_path) as jobs:
        jobs.start(0, [])
        pid = started(jobs, tmp_path, 0)
        os.kill(jobs._nursery._pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="same command again"):
            for _ in range(50):
                jobs.poll(0.2)
        assert psutil.pid_exists(pid)
        os.kill(pid, signal.SIGKILL)


def test_stopping_sends_sigterm_to_every_trial_also_to_one_that_only_begins(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        def heed(*_: object) -> None:
            print("checkpoint written")
            raise SystemExit(143)

        signal.signal(signal.SIGTERM, heed)
        print("pid", os.getpid())
        for _ in range(600):  # a signal just before one long sleep is heeded after it
            time.sleep(0.1)

    with processes(job, tmp_path, slots=2) as jobs:
        jobs.start(0, [])
        started(jobs, tmp_path, 0)
        jobs.start(1, [])
        jobs.stop()
        both = ended(jobs, 2, seconds=5)
    assert both[0] == Ended(0, ok=False, error="stopped by SIGTERM", killed=True)
    assert both[1].killed
    assert "checkpoint written" in (tmp_path / "0.log").read_text()


def test_a_trial_behaves_like_a_program_that_was_just_started(tmp_path: Path) -> None:
    import atexit

    def job(number: int, overrides: tuple[str, ...]) -> None:
        print("stdin", repr(sys.stdin.read()))
        print("term", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        print("hup", signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)
        print("int", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        print("handlers", logging.getLogger().handlers)
        print("session", os.getsid(0) == os.getpid())
        atexit.register(print, "its own end")

    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    atexit.register(end_of_parent := lambda: print("the parent's end"))
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with processes(job, tmp_path) as jobs:
            jobs.start(0, [])
            ended(jobs)
    finally:
        signal.signal(signal.SIGTERM, before)
        atexit.unregister(end_of_parent)
        logging.getLogger().removeHandler(handler)
    lines = ["stdin ''", "term True", "hup True", "int True", "handlers []", "session True", "its own end"]
    assert (tmp_path / "0.log").read_text().splitlines() == lines


def test_what_was_imported_once_is_there_in_every_trial_and_nothing_that_a_trial_changes(tmp_path: Path) -> None:
    state: list[str] = []

    def job(number: int, overrides: tuple[str, ...]) -> None:
        print(state)
        state.append(f"trial {number}")

    with processes(job, tmp_path, warm=lambda: state.append("frameworks")) as jobs:
        for number in range(2):
            jobs.start(number, [])
            ended(jobs)
    assert (tmp_path / "1.log").read_text() == "['frameworks']\n"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_trials_at_once_run_on_cores_of_their_own(tmp_path: Path) -> None:
    def job(number: int, overrides: tuple[str, ...]) -> None:
        print(sorted(os.sched_getaffinity(0)))
        time.sleep(0.3)

    with processes(job, tmp_path, slots=2) as jobs:
        jobs.start(0, [])
        jobs.start(1, [])
        ended(jobs, 2)
    own = [set(eval((tmp_path / f"{number}.log").read_text())) for number in range(2)]
    assert not own[0] & own[1]
    assert own[0] | own[1] == os.sched_getaffinity(0)


@pytest.mark.slow
def test_sixty_trials_leave_no_zombie_and_no_open_file(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))  # of other tests in this process
    with processes(lambda number, overrides: None, tmp_path, slots=2) as jobs:
        jobs.start(0, [])
        ended(jobs)
        family = [psutil.Process(), *(p for p in psutil.Process().children(recursive=True) if p not in others)]
        files = [process.num_fds() for process in family]
        assert len(family) == 3
        for number in range(1, 61):
            jobs.start(number, [])
            ended(jobs)
        now = [p for p in psutil.Process().children(recursive=True) if p not in others]
        assert [psutil.Process(), *now] == family
        assert [process.num_fds() for process in family] == files
    assert all(not process.is_running() for process in family[1:])


def test_closing_ends_a_nursery_that_still_imports(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))
    with processes(sleeper, tmp_path, warm=lambda: time.sleep(60)) as jobs:
        jobs.poll(0.3)
        family = [p for p in psutil.Process().children(recursive=True) if p not in others]
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=2)
    assert not alive


PROGRAM = """
import os, sys, time
from pathlib import Path
from medexp.sweep.nursery import Nursery
from medexp.sweep.processes import LocalProcesses
folder = Path(sys.argv[1])

def job(number, overrides):
    print("pid", os.getpid(), flush=True)
    time.sleep(float(overrides[0]))
    (folder / f"{number}.done").write_text("told")

nursery = Nursery(job, warm=lambda: None)
jobs = LocalProcesses(nursery, slots=1, logs=folder)
jobs.start(0, sys.argv[2:])
while True:
    for each in jobs.poll(0.2):
        print(each, flush=True)
"""


@contextmanager
def program(folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True) as sweep:
        try:
            wait_until(lambda: _pid(folder), seconds=20, what="the trial")
            yield sweep
        finally:
            sweep.kill()


def _pid(folder: Path) -> int | None:
    file = folder / "0.log"
    return int(file.read_text().split()[1]) if file.exists() and file.read_text().endswith("\n") else None


def test_a_trial_outlives_a_sweep_that_is_killed_and_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    with program(tmp_path, 1.5) as sweep:
        family = psutil.Process(sweep.pid).children(recursive=True)
        assert len(family) == 3
        sweep.kill()
        sweep.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert (tmp_path / "0.done").read_text() == "told"


def test_ctrl_c_in_the_terminal_reaches_the_sweep_alone(tmp_path: Path) -> None:
    with program(tmp_path, 1.5) as sweep:
        family = psutil.Process(sweep.pid).children(recursive=True)
        assert sweep.pid not in {os.getsid(process.pid) for process in family}
        os.killpg(sweep.pid, signal.SIGINT)
        sweep.wait(10)
        _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert (tmp_path / "0.done").read_text() == "told"
