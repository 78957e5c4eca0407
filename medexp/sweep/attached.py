"""A trial of a study in the process that runs its job."""

from __future__ import annotations

import copy
import logging
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from medexp.errors import SweepError
from medexp.redact import redact
from medexp.sweep import attempts as names
from medexp.sweep.attempts import attempts
from medexp.sweep.definition import PRUNER
from medexp.sweep.history import History, study_of
from medexp.sweep.lease import ATTRIBUTE, Lease, Timing
from medexp.sweep.outbox import Outbox
from medexp.sweep.storage import open_storage, storage_errors

logger = logging.getLogger(__name__)

MakePruner = Callable[[str, Mapping[str, Any]], BasePruner]
_LAST_WORDS = 10.0  # seconds to give a trial back: whoever sent SIGTERM does not wait for long


class StudyTrial:
    """A `Trial` of a study. As a context manager it holds the lease, and leaves no trial without a word.

    A job that leaves the context without having told its result has failed, for the reason that it left with; one
    that leaves it by a signal gives the trial back.
    """

    def __init__(
        self, storage: BaseStorage, study: str, number: int, *, pruner: BasePruner, patience: float, timing: Timing
    ) -> None:
        self.number: int | None = number
        self._storage, self._study, self._pruner = storage, study, pruner
        self._patience, self._timing = patience, timing
        self._study_id = storage.get_study_id_from_name(study)
        self._id = storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._objectives = len(storage.get_study_directions(self._study_id))
        self._outbox = Outbox(storage, self._id, f"trial {number}")
        self._over = self._told = False
        self._last_step = -1
        self._lease = Lease.of(os.getpid())
        self._stop = threading.Event()
        self._writing = threading.Lock()  # of the lease
        trial = self._claim()
        self._folder = trial.user_attrs.get(names.RUN_DIR) if names.RETRY_OF in trial.user_attrs else None
        self.overrides = tuple(trial.user_attrs.get(names.OVERRIDES, ()))

    @property
    def index(self) -> int:
        """Of the trial, the same for all attempts at it. Reads the whole study."""
        trials = attempts(self._storage.get_all_trials(self._study_id, deepcopy=False))
        return next(trial.index for trial in trials if any(a.number == self.number for a in trial.all))

    @property
    def over(self) -> bool:
        """Whether somebody else ended this trial."""
        return self._over

    @property
    def resume_from(self) -> Path | None:
        """The run folder of the attempt before, where it is on this machine."""
        return Path(self._folder) if self._folder is not None and Path(self._folder).is_dir() else None

    def __enter__(self) -> Self:
        threading.Thread(target=self._keep, name="medexp-lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._told and not self._over:
                if error is None:
                    self.fail("the job ended without a result")
                elif isinstance(error, Exception):
                    self.fail(f"{type(error).__name__}: {error}")
                else:
                    self.release()
        finally:
            self._halt()

    def began(self, run_id: str, run_dir: Path) -> None:
        """Remember the run, so that a later attempt can go on with it."""
        self._outbox.facts |= {names.RUN_ID: run_id, names.RUN_DIR: str(run_dir)}
        self._send()

    def trained(self, epochs: int) -> None:
        """Remember how many epochs were trained."""
        self._outbox.facts[names.EPOCHS] = epochs
        self._send()

    def report(self, value: float, *, step: int) -> None:
        """Store the objective at an epoch; kept for the next report where the storage cannot be reached."""
        if self._objectives > 1:
            return
        self._outbox.reports[int(step)] = float(value)
        self._last_step = int(step)
        self._send()

    def should_prune(self) -> bool:
        """Whether the trial is hopeless by what was reported, or over. Unknown counts as no."""
        if self._over:
            return True
        if self._objectives > 1 or self._last_step < 0 or self._outbox.away or isinstance(self._pruner, NopPruner):
            return False  # the last spares reading the whole study
        try:
            trials = attempts(self._storage.get_all_trials(self._study_id, deepcopy=False))
            history = History(self._storage, trials)
            trial = copy.copy(history.get_trial(self._id))
            trial.intermediate_values = {s: v for s, v in trial.intermediate_values.items() if s <= self._last_step}
            return bool(self._pruner.prune(study_of(history, self._study, pruner=self._pruner), trial))
        except Exception as error:  # whatever a database raises while it is away
            self._outbox.complain("whether to prune is not known", error)
            return False

    def complete(self, values: Sequence[float]) -> None:
        """Tell the result: a value for each objective; not a number is a failure."""
        values = [float(value) for value in values]
        if len(values) != self._objectives:
            raise SweepError(f"The study has {self._objectives} objectives. Received: {len(values)} values")
        if any(map(math.isnan, values)):
            return self.fail(f"the objective is not a number: {values}")
        return self._tell(TrialState.COMPLETE, values)

    def prune(self) -> None:
        """Tell that it was stopped because it was hopeless; its value is what it reported last."""
        last = self._last_value()
        self._tell(TrialState.PRUNED, None if last is None or math.isnan(last) else [last])

    def fail(self, reason: str) -> None:
        """Tell that it failed for good."""
        self._outbox.facts[names.ERROR] = redact(reason)[:2000]
        self._tell(TrialState.FAIL, None)

    def release(self) -> None:
        """Tell that it was interrupted; it is begun again at once by whoever asks next."""
        if self._told:
            return
        self._told = True
        self._halt()
        self._outbox.facts[ATTRIBUTE] = self._lease.ended("released").attribute()
        try:
            self._outbox.insist(
                lambda: None, seconds=min(_LAST_WORDS, self._patience), otherwise="it could not be given back"
            )
        except UpdateFinishedTrialError:
            self._over = True

    def _claim(self) -> FrozenTrial:
        """Take the lease over from the sweeper.

        It is read again after it was written: a sweeper that thinks us dead ends the attempt at any moment.
        """
        trial: FrozenTrial = self._storage.get_trial(self._id)
        try:
            if trial.state == TrialState.RUNNING and names.VOID not in trial.user_attrs:
                self._storage.set_trial_user_attr(self._id, ATTRIBUTE, self._lease.attribute())
                trial = self._storage.get_trial(self._id)
        except UpdateFinishedTrialError:
            trial = self._storage.get_trial(self._id)
        if trial.state != TrialState.RUNNING or names.VOID in trial.user_attrs:
            raise SweepError(
                f"The trial is not to be run: somebody else ended it, or began it again. Received: "
                f"sweep.study={self._study} sweep.trial={self.number}"
            )
        return trial

    def _keep(self) -> None:
        """Renew the lease until the trial ends."""
        while not self._stop.wait(self._timing.renew):
            with self._writing:
                if self._stop.is_set():
                    return
                self._lease = self._lease.renewed()
                try:
                    self._storage.set_trial_user_attr(self._id, ATTRIBUTE, self._lease.attribute())
                except UpdateFinishedTrialError:
                    self._over = True
                    return
                except Exception as error:
                    logger.debug("the lease of trial %s was not renewed: %s", self.number, redact(str(error)))

    def _send(self) -> None:
        if not self._outbox.send():
            self._over = True

    def _tell(self, state: TrialState, values: Sequence[float] | None) -> None:
        if self._told:
            return
        self._halt()
        try:
            self._outbox.insist(
                lambda: self._storage.set_trial_state_values(self._id, state, values),
                seconds=self._patience,
                otherwise="the result is lost, and the trial will be begun again",
            )
        except UpdateFinishedTrialError:
            stored = self._storage.get_trial(self._id)  # ours, if only the answer was lost
            self._over = stored.state != state or (stored.values or None) != (values or None)
            if self._over:
                logger.warning("trial %s was ended by somebody else: its result does not count", self.number)
        self._told = True

    def _halt(self) -> None:
        """Let the lease be written no more."""
        self._stop.set()
        if self._writing.acquire(timeout=_LAST_WORDS):
            self._writing.release()

    def _last_value(self) -> float | None:
        if self._last_step in self._outbox.reports:
            return self._outbox.reports[self._last_step]
        try:
            return self._storage.get_trial(self._id).intermediate_values.get(self._last_step)
        except Exception:
            return None


def attach(
    storage: str,
    study: str,
    number: int,
    *,
    make_pruner: MakePruner | None = None,
    patience: float = 600.0,
    timing: Timing | None = None,
) -> StudyTrial:
    """Return attempt `number` of `study`, whose job this process is from now on.

    Args:
        storage: path or URL, as for `open_storage`.
        study: its name.
        number: of the attempt.
        make_pruner: from what the study stores of its pruner, its name and options; `medexp.sweep.pruners` by default.
        patience: seconds to go on trying to tell the result while the storage cannot be reached.
        timing: of the lease.

    Raises:
        SweepError: the storage fails, there is no such attempt, or it has ended: it is not to be run.
    """
    with storage_errors(storage):
        opened = open_storage(storage, create=False)
        try:
            stored = opened.get_study_user_attrs(opened.get_study_id_from_name(study))[PRUNER]
            pruner = (make_pruner or _pruner)(stored["name"], stored["options"])
            return StudyTrial(opened, study, number, pruner=pruner, patience=patience, timing=timing or Timing())
        except KeyError as error:
            raise SweepError(
                f"There is no such trial. Received: sweep.study={study} sweep.trial={number}. "
                "These are set by the search; to train without one, leave them out"
            ) from error


def _pruner(name: str, options: Mapping[str, Any]) -> BasePruner:
    from medexp.sweep.pruners import pruner

    return pruner(name, options)
