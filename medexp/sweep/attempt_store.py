"""The writes by which attempts come and go, each of them whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from medexp.sweep import attempts as names
from medexp.sweep.attempts import Attempts, attempts
from medexp.sweep.lease import ATTRIBUTE, Lease

_CARRIED = (names.OVERRIDES, names.RUN_ID, names.RUN_DIR, names.EPOCHS)
_BY_HAND = "fixed_params"  # Optuna's: what enqueue_trial was given
_RUNG = "completed_rung_"  # Optuna's: how far successive halving let a trial come


class AttemptStore:
    """The attempts of one study in a storage."""

    def __init__(self, storage: BaseStorage, study_id: int) -> None:
        self._storage, self._study_id = storage, study_id
        self._known: dict[int, Attempts] = {}

    def trials(self) -> list[FrozenTrial]:
        """All attempts, by number; not to be changed."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def attempts(self, trials: Sequence[FrozenTrial] | None = None) -> list[Attempts]:
        """All trials, by index: as of now, or as of `trials`."""
        return attempts(self.trials() if trials is None else trials, self._known)

    def numbered(self, number: int) -> FrozenTrial:
        """The attempt `number`, as it is now."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        return self._storage.get_trial(trial_id)

    def now(self, attempt: FrozenTrial) -> FrozenTrial:
        """The attempt, as it is now."""
        return self._storage.get_trial(attempt._trial_id)

    def create_first(self, lease: Lease) -> FrozenTrial:
        """Create the first attempt at a new trial; nothing is chosen yet."""
        return self._create(_leased(lease))

    def index_of_first(self, attempt: FrozenTrial) -> int:
        """The index of the trial whose first attempt this is: how many first attempts have lower numbers."""
        before = self.trials()[: attempt.number]
        return sum(names.RETRY_OF not in trial.user_attrs for trial in before)

    def create_retry(self, trial: Attempts, lease: Lease, *, resumable: bool) -> FrozenTrial:
        """Create another attempt at `trial`, with what was chosen for it, if it was.

        Args:
            trial: whose last attempt was killed.
            lease: of who begins it.
            resumable: whether training can go on where it was, so that what was reported still holds.
        """
        last = trial.last
        attributes = {key: last.user_attrs[key] for key in _CARRIED if key in last.user_attrs}
        attributes |= {
            names.RETRY_OF: last.number,
            names.FIRST: trial.all[0].number,
            **_leased(lease),
        }
        system = last.system_attrs
        if names.OVERRIDES not in last.user_attrs:
            return self._create(attributes, system={key: system[key] for key in (_BY_HAND,) if key in system})
        if not resumable:
            system = {key: value for key, value in system.items() if not key.startswith(_RUNG)}
        return self._create(
            attributes, chosen=last, system=system, reports=last.intermediate_values if resumable else {}
        )

    def end(self, attempt: FrozenTrial, mark: str | None = None) -> bool:
        """End an attempt that told no result; False where somebody else ended it.

        Args:
            attempt: which.
            mark: an attribute that says why; written before.
        """
        try:
            if mark is not None:
                self._storage.set_trial_user_attr(attempt._trial_id, mark, True)
            self._storage.set_trial_state_values(attempt._trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        return True

    def set(self, attempt: FrozenTrial, key: str, value: Any) -> bool:
        """Set an attribute of an attempt; False where it has ended."""
        try:
            self._storage.set_trial_user_attr(attempt._trial_id, key, value)
        except UpdateFinishedTrialError:
            return False
        return True

    def pop(self, attempt: FrozenTrial, lease: Lease) -> bool:
        """Begin an attempt that was enqueued by hand; False where somebody else did."""
        try:
            if not self._storage.set_trial_state_values(attempt._trial_id, TrialState.RUNNING):
                return False
        except UpdateFinishedTrialError:
            return False
        return all(self.set(attempt, key, value) for key, value in _leased(lease).items())

    def _create(
        self,
        attributes: Mapping[str, Any],
        *,
        chosen: FrozenTrial | None = None,
        system: Mapping[str, Any] | None = None,
        reports: Mapping[int, float] | None = None,
    ) -> FrozenTrial:
        template = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=dict(chosen.params) if chosen is not None else {},
            distributions=dict(chosen.distributions) if chosen is not None else {},
            user_attrs=dict(attributes),
            system_attrs=dict(system or {}),
            intermediate_values=dict(reports or {}),
        )
        return self._storage.get_trial(self._storage.create_new_trial(self._study_id, template))


def _leased(lease: Lease) -> dict[str, Any]:
    return {ATTRIBUTE: lease.attribute(), names.SWEEPER: lease.attribute()}
