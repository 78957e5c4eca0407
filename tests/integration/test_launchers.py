"""Trials in the processes of Hydra's launchers: submitit on this machine, a real SLURM, Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from launching import FAILS, FINE, KILLED, LEAVES, REFUSED, SLEEPS, WARNED
from slurm import Slurm
from support import ROOT, wait_until

LOCAL = "hydra/launcher=submitit_local"
SLURM = "hydra/launcher=submitit_slurm"
RAY = "hydra/launcher=ray"
RAY_PYTHON = ROOT / ".venv-ray" / "bin" / "python"


class Launched:
    """`launching.py`, at work in a process group of its own."""

    def __init__(
        self, folder: Path, seeds: Sequence[int], *overrides: str, slots: int = 2, python: Path = Path(sys.executable),
        **environment: str,
    ) -> None:  # fmt: skip
        self.folder = folder / "study"
        self.process = subprocess.Popen(
            [python, ROOT / "tests" / "launching.py", self.folder, str(slots), ",".join(map(str, seeds)), *overrides],
            cwd=folder, env={**os.environ, "MEDEXP_WORD": "well", **environment}, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def log(self, number: int) -> str:
        file = self.folder / "trials" / f"{number}.log"
        return file.read_text() if file.exists() else ""

    def wait(self) -> tuple[dict[int, dict[str, Any]], str]:
        """What ended, by number in the order of their ends, and all that was printed."""
        printed, _ = self.process.communicate(timeout=150)
        ended = [json.loads(line) for line in printed.splitlines() if line.startswith('{"number"')]
        return {job.pop("number"): job for job in ended}, printed


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start `launching.py`; what a failed test leaves running is ended."""
    started: list[Launched] = []

    def start(*arguments: Any, **options: Any) -> Launched:
        started.append(Launched(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for launched in started:
        with suppress(ProcessLookupError):
            os.killpg(launched.process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    server = Slurm()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def ray() -> Path:
    if not RAY_PYTHON.exists():
        pytest.skip("Ray is not installed: make ray")
    return RAY_PYTHON


Launch = Callable[..., Launched]
ENDS = [FINE, REFUSED, LEAVES, FAILS, WARNED]


def check_ends(launched: Launched, ended: dict[int, dict[str, Any]]) -> None:
    wanted = [
        {"ok": True, "error": None, "killed": False},
        {"ok": False, "error": "DataError: no images", "killed": False},
        {"ok": False, "error": "RuntimeError: left with exit status 3", "killed": False},
        {"ok": False, "error": "ValueError: first line", "killed": False},
        {"ok": False, "error": "stopped by SIGTERM", "killed": True},
    ]
    assert ended == dict(enumerate(wanted[: len(ended)]))
    assert f"in {launched.folder.parent}, well, strong" in launched.log(0), "folder, environment, configuration"
    assert "Job 1 failed: no images" in launched.log(1)
    assert "in task" in launched.log(3), "the traceback"


def test_each_job_comes_to_its_own_end_and_prints_to_its_own_file(launch: Launch) -> None:
    launched = launch(ENDS, LOCAL, slots=5)
    check_ends(launched, launched.wait()[0])


def test_what_is_pickled_for_a_job_is_for_this_user_only(launch: Launch, tmp_path: Path) -> None:
    launched = launch([FINE], LOCAL, f"hydra.launcher.submitit_folder={tmp_path}/mine/%j")
    launched.wait()
    (pickled,) = (tmp_path / "mine").rglob("*_submitted.pkl")
    folders = list(pickled.relative_to(tmp_path / "mine").parents)
    assert any((tmp_path / "mine" / folder).stat().st_mode & 0o077 == 0 for folder in folders)


def test_ctrl_c_leaves_jobs_at_work_and_stop_reaches_them(launch: Launch) -> None:
    launched = launch([SLEEPS, SLEEPS, FINE], LOCAL)
    wait_until(lambda: launched.log(0) and launched.log(1), seconds=60, what="two jobs")
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.stdout is not None
    assert launched.process.stdout.readline() == "heard\n"
    os.kill(launched.process.pid, signal.SIGTERM)
    ended, _ = launched.wait()
    stopped = {"ok": False, "error": "stopped by SIGTERM", "killed": True}
    assert ended == {0: stopped, 1: stopped, 2: {"ok": True, "error": None, "killed": False}}


@pytest.mark.slow
def test_a_killed_job_costs_itself_alone_and_its_slot_is_all_that_waits(launch: Launch) -> None:
    ended, _ = launch([KILLED, FINE, FINE, FINE], LOCAL).wait()
    assert list(ended) == [1, 2, 3, 0], "submitit waits 15 s for the result of a process that is gone"
    assert ended[0] == {
        "ok": False, "error": "its process is gone, without a result (state: FINISHED)", "killed": True,
    }  # fmt: skip


@pytest.mark.slow
def test_jobs_run_on_slurm(launch: Launch, slurm: Slurm) -> None:
    launched = launch(ENDS, SLURM, **slurm.environment)
    check_ends(launched, launched.wait()[0])
    script = next((launched.folder / "submitit" / "0").rglob("*.sh")).read_text()
    assert "--no-requeue" in script


@pytest.mark.slow
def test_jobs_on_slurm_are_cancelled_whether_they_run_or_wait(launch: Launch, slurm: Slurm) -> None:
    launched = launch([SLEEPS, SLEEPS, SLEEPS], SLURM, slots=3, **slurm.environment)
    begun = lambda: [number for number in range(3) if launched.log(number)]  # noqa: E731
    wait_until(lambda: len(begun()) == 2, seconds=60, what="jobs on both processors")
    assert "PD" in slurm.ask("squeue", "--noheader", "-o", "%t")
    (waiting,) = {0, 1, 2} - set(begun())
    os.kill(launched.process.pid, signal.SIGTERM)
    ended, _ = launched.wait()
    assert all(job["killed"] for job in ended.values())
    assert "state: CANCELLED" in ended.pop(waiting)["error"]
    assert [job["error"] for job in ended.values()] == ["stopped by SIGTERM", "stopped by SIGTERM"]


@pytest.mark.slow
def test_jobs_run_on_ray_each_in_a_fresh_process(launch: Launch, ray: Path) -> None:
    launched = launch([*ENDS[:-1], KILLED, FINE], RAY, python=ray)
    ended, _ = launched.wait()
    killed = ended.pop(4)
    assert (killed["ok"], killed["killed"]) == (False, True)
    assert launched.log(4).count("pid") == 1, "Ray does not begin it again by itself"
    assert ended.pop(5)["ok"]
    check_ends(launched, ended)
    assert len({launched.log(number).split(",")[0] for number in range(6)}) == 6, "processes"


@pytest.mark.slow
def test_jobs_on_a_ray_of_this_machine_can_be_stopped(launch: Launch, ray: Path) -> None:
    launched = launch([SLEEPS], RAY, python=ray)
    wait_until(lambda: launched.log(0), seconds=60, what="a job")
    os.kill(launched.process.pid, signal.SIGTERM)
    assert launched.wait()[0] == {0: {"ok": False, "error": "stopped by SIGTERM", "killed": True}}
