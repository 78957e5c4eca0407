"""Run trials by any launcher of Hydra's: submitit (SLURM, or this machine), Ray, joblib."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.medexp_sweeper._launchers import kind_of, log_file, process_file
from hydra_plugins.medexp_sweeper._trial_task import TrialStoppedError, TrialTask
from medexp.sweep.jobs import Ended

_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)
_STATE = re.compile(r"has not produced any output \((state: .*)\)")  # submitit; of SLURM: TIMEOUT, OUT_OF_MEMORY ...
_LONG = 300  # characters of an error; the job's log has all of it


class LauncherJobs:
    """Jobs (`medexp.sweep.jobs.Jobs`) in the processes of one of Hydra's launchers.

    A launcher's `launch` returns when all it was given are over. So each trial has a launcher and a thread of its own,
    and no slot waits for the end of another's job. How many run at once is the scheduler's matter too: `slots` are
    queued or run.

    Ctrl-C at the terminal reaches this process alone: the threads, and with them all that launchers start, block it.

    Args:
        context: Hydra's, as the sweeper got it.
        task: what runs a job.
        config: of the sweep, its launcher included.
        folder: of the study: logs in `trials/`, files of submitit in `submitit/`.
        slots: jobs at once.
    """

    def __init__(
        self, *, context: HydraContext, task: TaskFunction, config: DictConfig, folder: Path, slots: int
    ) -> None:
        self._context = context
        self._task = task
        self._folder = folder.absolute()
        self._slots = slots
        self._kind = kind_of(config, self._folder)
        self._kind.prepare()
        self._submitting = threading.Lock()
        self._running: set[int] = set()
        self._ended: Queue[Ended] = Queue()

    @property
    def slots(self) -> int:
        return self._slots

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start the job of trial `number` with the command line `overrides`."""
        log_file(self._folder, number).parent.mkdir(parents=True, exist_ok=True)
        task = TrialTask(
            self._task,
            log=log_file(self._folder, number),
            process=process_file(self._folder, number),
            environment=self._kind.environment(),
        )
        launcher = Plugins.instance().instantiate_launcher(self._context, task, self._kind.config(number))
        self._running.add(number)
        threading.Thread(
            target=self._run, args=(launcher, number, list(overrides)), name=f"trial-{number}", daemon=True
        ).start()

    def poll(self, seconds: float) -> list[Ended]:
        """Wait until a job is over, at most so long, and return all that are."""
        ended = []
        try:
            ended.append(self._ended.get(timeout=max(seconds, 0.0)))
            while True:
                ended.append(self._ended.get_nowait())
        except Empty:
            pass
        self._running.difference_update(job.number for job in ended)
        return ended

    def stop(self) -> None:
        """Ask all running jobs to end, and cancel those that are queued.

        SLURM's and submitit's local jobs are reached wherever they are; Ray's and others' on this machine only.
        """
        self._kind.stop(sorted(self._running))

    def log(self, number: int) -> str | None:
        """Where what the job printed can be read."""
        return str(log_file(self._folder, number))

    def close(self) -> None:
        """Leave the running jobs to themselves. Ray ends those of a program that ends; others live on."""

    def _run(self, launcher: Launcher, number: int, overrides: list[str]) -> None:
        """Launch one job and wait for it; in a thread."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
        self._submitting.acquire()
        jobs = _Announcing([overrides], then=_once(self._submitting.release))
        try:
            (result,) = launcher.launch(jobs, initial_job_idx=number)
            self._ended.put(_ended(number, result))
        except BaseException as error:
            self._ended.put(Ended(number, ok=False, error=_text(error), killed=_was_killed(error)))
        finally:
            jobs.then()
            process_file(self._folder, number).unlink(missing_ok=True)  # a process that was killed could not


class _Announcing(list[list[str]]):
    """The jobs of one launch, which say when the launcher has gone through them.

    Until then it composes configurations and copies Hydra's global state, and Ray's starts Ray: one at a time.
    """

    def __init__(self, jobs: Sequence[list[str]], *, then: Callable[[], None]) -> None:
        super().__init__(jobs)
        self.then = then

    def __iter__(self) -> Iterator[list[str]]:
        yield from super().__iter__()
        self.then()


def _once(function: Callable[[], None]) -> Callable[[], None]:
    """Return what calls `function` the first time only."""
    calls: Iterator[Any] = iter([function])
    return lambda: next(calls, lambda: None)()


def _ended(number: int, result: JobReturn) -> Ended:
    if result.status == JobStatus.COMPLETED:
        return Ended(number, ok=True)
    error = result._return_value  # the property raises it, and prints
    return Ended(number, ok=False, error=_text(error), killed=isinstance(error, TrialStoppedError))


def _was_killed(error: BaseException) -> bool:
    """Whether a launcher's exception says that a job's process is gone, rather than that it could not be started."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "FailedJobError" in names or "RayTaskError" in names:  # the job's own error, before or after ours
        return False
    return bool(
        names & {"UncompletedJobError", "TerminatedWorkerError", "BrokenProcessPool"}
        or type(error).__module__.startswith("ray.exceptions")
    )


def _text(error: BaseException) -> str:
    """What an error says, in one line."""
    name, text = type(error).__name__, str(error).strip()
    if isinstance(error, TrialStoppedError | CompactHydraException):
        line = text
    elif state := _STATE.search(text):
        line = f"its process is gone, without a result ({state[1]})"
    elif "\n" in text and (within := _ERROR.findall(text)):
        line = within[-1]
    else:
        line = f"{name}: {text.partition(chr(10))[0]}"
    return line if len(line) <= _LONG else line[: _LONG - 3] + "..."
