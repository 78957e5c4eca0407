"""A study as its samplers and pruners see it: as if no trial had ever been killed."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from medexp.sweep.attempts import OVERRIDES, Attempts


class History:
    """A storage that shows one attempt of each trial, numbered by the trial's index; all else is the storage's own.

    A sampler that sees killed attempts chooses otherwise: brute force takes what they had for done, NSGA-II counts
    them into a generation, hyperband deals brackets by number. Seen through this, a study that was interrupted asks
    what one would that was not. It is a snapshot: made anew for each question.
    """

    def __init__(self, storage: BaseStorage, trials: Sequence[Attempts]) -> None:
        self._storage = storage
        self._trials = [_shown(trial) for trial in trials]
        self._indexes = {attempt._trial_id: trial.index for trial in trials for attempt in trial.all}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return an attempt, with the trial's index for its number."""
        trial = self._storage.get_trial(trial_id)
        return _numbered(trial, self._indexes.get(trial_id, trial.number))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials, by index."""
        found = self._trials if states is None else [trial for trial in self._trials if trial.state in states]
        return copy.deepcopy(found) if deepcopy else list(found)

    def get_n_trials(self, study_id: int, state: Any = None) -> int:
        """Return how many there are."""
        states = (state,) if isinstance(state, TrialState) else state
        return len(self.get_all_trials(study_id, deepcopy=False, states=states))


def study_of(
    history: History, name: str, *, sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> Study:
    """Return Optuna's study `name`, seen through `history`. Without a sampler it is for reading only."""
    return Study(
        name,
        history,  # type: ignore[arg-type]  # it has all that a storage has
        sampler=sampler or optuna.samplers.RandomSampler(),
        pruner=pruner or optuna.pruners.NopPruner(),
    )


def _shown(trial: Attempts) -> FrozenTrial:
    last = _numbered(trial.last, trial.index)
    if last.state == TrialState.FAIL and not trial.ended:  # it will be begun again
        last = copy.copy(last)
        last.state = TrialState.RUNNING if OVERRIDES in last.user_attrs else TrialState.WAITING
    return last


def _numbered(trial: FrozenTrial, index: int) -> FrozenTrial:
    if trial.number == index:
        return trial
    trial = copy.copy(trial)
    trial.number = index
    return trial
