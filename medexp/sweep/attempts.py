"""The trials of a study, each with its attempts: what everyone who reads the storage concludes alike."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from medexp.sweep.lease import Lease

# Attributes of an attempt, in the storage.
RETRY_OF = "retry_of"  # number of the attempt that was killed
FIRST = "first"  # number of the first attempt
VOID = "void"  # a retry that lost: another was first, or the attempt before lives after all
SURPLUS = "surplus"  # begun beyond n_trials; begun again once n_trials allows it
OVERRIDES = "overrides"  # what the sampler chose; absent while it has not
ERROR = "error"  # why the job failed for good
SWEEPER = "sweeper"  # the lease of who asked, which stays when the job takes over
RUN_ID = "run_id"
RUN_DIR = "run_dir"
EPOCHS = "epochs"


@dataclass(frozen=True, slots=True)
class Attempts:
    """A trial: all attempts at it, in order; the last one is what counts."""

    index: int
    all: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial:
        return self.all[-1]

    @property
    def ended(self) -> bool:
        """Whether its job told a result."""
        return has_told(self.last)

    @property
    def killed(self) -> int:
        """How often its job was killed, if the last attempt was: those that were given back do not count."""
        return sum(map(_counts, self.all))


def attempts(trials: Sequence[FrozenTrial], known: MutableMapping[int, Attempts] | None = None) -> list[Attempts]:
    """Return the trials of a study, by index.

    The index of a trial is the place of its first attempt among all first attempts, so it never changes. The retry of
    an attempt is the lowest-numbered one that is not void. An attempt that told a result has none.

    Args:
        trials: all that the storage has, by number.
        known: those that have ended, by the number of their first attempt: nothing can change about them. Added to.
    """
    known = {} if known is None else known
    firsts: list[FrozenTrial] = []
    retries: dict[int, FrozenTrial] = {}
    for number, trial in enumerate(trials):
        if number in known:
            firsts.append(trial)
            continue
        attributes = trial.user_attrs
        before = attributes.get(RETRY_OF)
        if before is None:
            firsts.append(trial)
        elif VOID not in attributes:
            retries.setdefault(before, trial)
    found = []
    for index, trial in enumerate(firsts):
        whole = known.get(trial.number)
        if whole is None:
            chain = [trial]
            while not has_told(chain[-1]) and (retry := retries.get(chain[-1].number)) is not None:
                chain.append(retry)
            whole = Attempts(index, tuple(chain))
            if whole.ended:
                known[trial.number] = whole
        found.append(whole)
    return found


def has_told(trial: FrozenTrial) -> bool:
    """Whether the job of this attempt told its result, a failure included; otherwise it was killed, or still runs."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or (
        trial.state == TrialState.FAIL and ERROR in trial.user_attrs
    )


def is_orphan(attempt: FrozenTrial) -> bool:
    """Whether its job runs on this machine, without the sweeper that asked for it."""
    job, sweeper = Lease.read(attempt.user_attrs), Lease.read(attempt.user_attrs, SWEEPER)
    if attempt.state != TrialState.RUNNING or job is None or sweeper is None:
        return False
    return job.is_here and job.lives and sweeper.is_here and not sweeper.lives


def run_folder(attempt: FrozenTrial) -> Path | None:
    """The folder of its training run, where that is on this machine."""
    folder = attempt.user_attrs.get(RUN_DIR)
    return Path(folder) if folder is not None and Path(folder).is_dir() else None


def _counts(trial: FrozenTrial) -> bool:
    if OVERRIDES not in trial.user_attrs or SURPLUS in trial.user_attrs:
        return False
    lease = Lease.read(trial.user_attrs)
    return lease is None or lease.state != "released"
