"""A study that several sweepers share: who runs which trial, exactly once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from medexp.errors import SweepError
from medexp.sweep import attempts as names
from medexp.sweep.attempt_store import AttemptStore
from medexp.sweep.attempts import Attempts, is_orphan, run_folder
from medexp.sweep.definition import make_study
from medexp.sweep.history import History, study_of
from medexp.sweep.lease import ATTRIBUTE, Lease, Timing, Watch
from medexp.sweep.own_leases import OwnLeases
from medexp.sweep.plan import Plan
from medexp.sweep.recorded import record_of
from medexp.sweep.records import Order, Record
from medexp.sweep.storage import exclusive, open_storage, storage_errors

__all__ = ["Order", "Record", "SharedStudy"]

logger = logging.getLogger(__name__)


class SharedStudy:
    """A study in a storage where other sweepers, on this machine or others, work on it too.

    Every method reads the storage anew. All of it may be called from one thread only; in a process that was forked,
    open it again.

    A trial is one or more *attempts*, each a trial of Optuna's. What happens to them is written in an order that loses
    and doubles nothing wherever this process is killed:

    1. An attempt is created together with the lease of this process (one write). Were this process killed now, the
       lease would be seen to be dead, and another attempt created.
    2. The sampler's choice is stored, at last as overrides. Before that there is nothing to run.
    3. A retry is created complete: with what was chosen. Of several that are created at once, the first counts;
       the others void themselves.
    4. Only then is the killed attempt ended, if nobody else has: were its job alive after all, and told its
       result meanwhile, the retry is void.
    """

    def __init__(
        self,
        plan: Plan,
        storage: BaseStorage,
        *,
        make_sampler: Callable[[int], BaseSampler],
        make_pruner: Callable[[], BasePruner] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.plan = plan
        self.storage = storage
        self._study_id = storage.get_study_id_from_name(plan.name)
        self._store = AttemptStore(storage, self._study_id)
        self._make_sampler = make_sampler
        self._make_pruner = make_pruner or optuna.pruners.NopPruner
        self._watch = Watch(timing or Timing())
        self._own = OwnLeases(self._store, self._watch.timing)
        self._records: dict[int, Record] = {}  # by the storage's id, once they are final

    @classmethod
    def open(
        cls,
        plan: Plan,
        *,
        make_sampler: Callable[[int], BaseSampler],
        make_pruner: Callable[[], BasePruner] | None = None,
        allow_changed: bool = False,
        timing: Timing | None = None,
    ) -> SharedStudy:
        """Open the study of `plan`, made where there is none.

        Args:
            plan: the study; where it exists, its definition must be the same.
            make_sampler: returns a new sampler for the trial with this index.
            make_pruner: returns the pruner: hyperband's deals the trials that the sampler learns from.
            allow_changed: take over another definition, so that the study goes on with it.
            timing: when a trial counts as abandoned.

        Raises:
            SweepError: the definition is another one (with what differs), or the storage fails.
        """
        storage = open_storage(plan.storage)
        with storage_errors(plan.storage), exclusive(plan.storage):
            make_study(storage, plan, allow_changed=allow_changed)
            return cls(plan, storage, make_sampler=make_sampler, make_pruner=make_pruner, timing=timing)

    def ask(self) -> Order | None:
        """Return a trial to run, one that was killed before a new one; None where none is to be begun now.

        None is not the end: others may still be running, or may have been killed without our knowing yet. Ask again
        until `unfinished` is 0.

        Raises:
            SweepError: the storage fails, or the space has changed so that the study cannot hold it.
        """
        with storage_errors(self.plan.storage):
            while True:
                trials = self._store.attempts()
                for trial in trials[: self.plan.n_trials]:
                    if self._is_free(trial) and (order := self._take(trial)) is not None:
                        return order
                if len(trials) >= self.plan.n_trials:
                    return None
                if (order := self._begin()) is not None:
                    return order

    def reap(self) -> int:
        """End attempts that nobody works on and nobody will begin again; keep our own alive. Call it now and then.

        Returns:
            How many were ended.
        """
        with storage_errors(self.plan.storage):
            everything = self._store.trials()
            self._own.renew(everything)
            trials = self._store.attempts(everything)
            count = 0
            valid = {attempt._trial_id for trial in trials for attempt in trial.all}
            for trial in trials:
                if trial.ended and len(trial.all) == 1:
                    continue
                if self._is_dead(trial.last) and trial.index >= self.plan.n_trials:
                    count += self._store.end(trial.last, names.SURPLUS)
                elif self._is_dead(trial.last) and trial.killed > self.plan.max_retry:
                    logger.warning("trial %d was killed %d times: given up", trial.index, trial.killed)
                    count += self._store.end(trial.last)
                for earlier in trial.all[:-1]:
                    attempt = everything[earlier.number]
                    count += self._is_dead(attempt) and self._store.end(attempt)
            for attempt in everything:
                if attempt._trial_id not in valid and self._is_dead(attempt):
                    count += self._store.end(attempt, names.VOID)
            return count

    def records(self) -> tuple[Record, ...]:
        """Return all trials of the study, by index, finished or not."""
        with storage_errors(self.plan.storage):
            found = []
            for trial in self._store.attempts():
                last = trial.last._trial_id
                record = self._records.get(last)
                if record is None:
                    record = record_of(trial, max_retry=self.plan.max_retry)
                    if trial.ended:
                        self._records[last] = record
                if trial.index < self.plan.n_trials or record.ended or (record.state == "running" and record.overrides):
                    found.append(record)
            return tuple(found)

    def unfinished(self) -> int:
        """Return how many of `n_trials` have no final result yet: running anywhere, waiting, or not begun."""
        records = self.records()
        return self.plan.n_trials - sum(record.ended for record in records if record.index < self.plan.n_trials)

    def orphans(self) -> int:
        """Return how many jobs run on this machine whose sweeper was killed.

        They tell their own result; but they take up slots of a sweeper that goes on.
        """
        with storage_errors(self.plan.storage):
            return sum(map(is_orphan, (trial.last for trial in self._store.attempts())))

    def ended(self, number: int, *, error: str | None, killed: bool) -> None:
        """Hear that the job of attempt `number` is over. Nothing happens where it told its result, as it should.

        Args:
            number: of the attempt.
            error: what went wrong, as far as is known from outside.
            killed: whether to begin it again (at most `max_retry` times); otherwise it has failed for good.
        """
        if killed:
            self.lost(number)
        else:
            self.fail(number, error or "the job ended without a result")

    def fail(self, number: int, reason: str) -> None:
        """End attempt `number` as failed for good, because its job could not; nothing where it has ended."""
        with storage_errors(self.plan.storage):
            attempt = self._store.numbered(number)
            if not attempt.state.is_finished() and self._store.set(attempt, names.ERROR, reason):
                self._store.end(attempt)

    def lost(self, number: int) -> None:
        """Say that the job of attempt `number` ended without a result (killed, out of memory): begin it again at once.

        Where the job was a process of this machine everybody sees it; for another machine they would have to wait.
        """
        self._give_up(number, "lost")

    def give_back(self, number: int) -> None:
        """Give back attempt `number`, whose job was not begun: this is not counted as its being killed."""
        self._give_up(number, "released")

    def user_attr(self, key: str) -> Any:
        """Return what was stored of the study under `key`; None where nothing was."""
        with storage_errors(self.plan.storage):
            return self.storage.get_study_user_attrs(self._study_id).get(key)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store something JSON-able of the study under `key`."""
        with storage_errors(self.plan.storage):
            self.storage.set_study_user_attr(self._study_id, key, value)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of the storage: between looking whether something of the study is there, and making it."""
        with exclusive(self.plan.storage):
            yield

    def as_optuna(self) -> optuna.Study:
        """Return Optuna's own study for its analyses: one attempt of each trial, numbered by index."""
        with storage_errors(self.plan.storage):
            return study_of(History(self.storage, self._store.attempts()), self.plan.name)

    def _is_dead(self, attempt: FrozenTrial) -> bool:
        running = attempt.state == TrialState.RUNNING
        return running and self._watch.is_dead(attempt._trial_id, Lease.read(attempt.user_attrs))

    def _is_free(self, trial: Attempts) -> bool:
        if trial.ended:
            return False
        if trial.last.state == TrialState.WAITING:
            return True
        if names.ERROR in trial.last.user_attrs:  # killed between the reason and the end
            if self._is_dead(trial.last):
                self._store.end(trial.last)
            return False
        dead = trial.last.state == TrialState.FAIL or self._is_dead(trial.last)
        return dead and trial.killed <= self.plan.max_retry

    def _begin(self) -> Order | None:
        """Create a new trial; None where others were quicker and it is one too many."""
        lease = Lease.of(os.getpid())
        attempt = self._store.create_first(lease)
        index = self._store.index_of_first(attempt)
        if index >= self.plan.n_trials:
            self._store.end(attempt, names.SURPLUS)
            return None
        self._own.add(attempt.number, lease)
        return Order(attempt.number, index, self._choose(attempt, index))

    def _take(self, trial: Attempts) -> Order | None:
        """Begin `trial` again; None where somebody else did, or its job lives after all."""
        last, lease = trial.last, Lease.of(os.getpid())
        if last.state == TrialState.WAITING:  # put there by hand, with Optuna's enqueue_trial
            if not self._store.pop(last, lease):
                return None
            self._own.add(last.number, lease)
            return Order(last.number, trial.index, self._choose(last, trial.index))
        resume = run_folder(last)
        attempt = self._store.create_retry(trial, lease, resumable=resume is not None)
        if self._store.now(last).user_attrs.get(ATTRIBUTE) != last.user_attrs.get(ATTRIBUTE):  # its job lives after all
            self._store.end(attempt, names.VOID)
            return None
        now = self._store.attempts()[trial.index]
        for before in now.all[:-1]:
            if before.state == TrialState.RUNNING:
                self._store.end(before)
        if self._store.attempts()[trial.index].last.number != attempt.number:  # others were first, or it has told
            self._store.end(attempt, names.VOID)
            return None
        tries = sum(names.SURPLUS not in before.user_attrs for before in now.all)
        logger.info("trial %d is begun again, attempt %d", trial.index, tries)
        self._own.add(attempt.number, lease)
        chosen = last.user_attrs.get(names.OVERRIDES)
        overrides = tuple(chosen) if chosen is not None else self._choose(attempt, trial.index)
        return Order(attempt.number, trial.index, overrides, resume, tries)

    def _choose(self, attempt: FrozenTrial, index: int) -> tuple[str, ...]:
        """Let the sampler choose for `attempt`, and store what it chose."""
        history = History(self.storage, self._store.attempts())
        study = study_of(history, self.plan.name, sampler=self._make_sampler(index), pruner=self._make_pruner())
        try:
            overrides = self.plan.space.overrides(optuna.trial.Trial(study, attempt._trial_id))
        except BaseException as error:
            self._store.end(attempt, names.SURPLUS)
            if isinstance(error, ValueError):
                raise SweepError(
                    f"The study cannot hold this space ({error}). Received: search.study={self.plan.name}. "
                    "Override: search.fresh=true"
                ) from error
            raise
        self.storage.set_trial_user_attr(attempt._trial_id, names.OVERRIDES, overrides)
        return tuple(overrides)

    def _give_up(self, number: int, state: Literal["lost", "released"]) -> None:
        with storage_errors(self.plan.storage):
            attempt = self._store.numbered(number)
            if not attempt.state.is_finished():
                lease = Lease.read(attempt.user_attrs) or Lease.of(os.getpid())
                if lease.state == "held":  # a job that was stopped has given it back itself: that is not counted
                    self._store.set(attempt, ATTRIBUTE, lease.ended(state).attribute())
