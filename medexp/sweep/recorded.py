"""What is recorded of a trial, from its attempts."""

from __future__ import annotations

from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from medexp.sweep import attempts as names
from medexp.sweep.attempts import Attempts
from medexp.sweep.lease import Lease
from medexp.sweep.records import Record, State

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def record_of(trial: Attempts, *, max_retry: int) -> Record:
    """Return the record of a trial; one that was killed more than `max_retry` times has failed."""
    last, facts = trial.last, trial.last.user_attrs
    state, error = _STATES[last.state], facts.get(names.ERROR)
    if last.state == TrialState.FAIL and not trial.ended:
        state = "waiting"
        if trial.killed > max_retry:
            state, error = "failed", f"killed {trial.killed} times"
    overrides = tuple(facts.get(names.OVERRIDES, ()))
    reports = last.intermediate_values
    return Record(
        number=last.number,
        index=trial.index,
        state=state,
        values=tuple(last.values) if last.values is not None and state in ("complete", "pruned") else (),
        params=dict(override.lstrip("+~").split("=", 1) for override in overrides if "=" in override),
        overrides=overrides,
        run_id=facts.get(names.RUN_ID),
        error=error,
        seconds=sum(map(_seconds, trial.all)),
        epochs=facts.get(names.EPOCHS, max(reports, default=-1) + 1),
        attempts=max(1, sum(names.SURPLUS not in attempt.user_attrs for attempt in trial.all)),
        reports=reports,
    )


def _seconds(attempt: FrozenTrial) -> float:
    """How long an attempt was worked on; of a killed one, as long as it renewed its lease."""
    if attempt.datetime_start is None:
        return 0.0
    end: datetime | None = attempt.datetime_complete
    if not names.has_told(attempt):
        lease = Lease.read(attempt.user_attrs)
        end = datetime.fromtimestamp(lease.time) if lease is not None else None
    return max(0.0, (end - attempt.datetime_start).total_seconds()) if end is not None else 0.0
