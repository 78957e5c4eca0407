"""The trials that a sweeper has asked for and that no job has begun yet."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from medexp.sweep.attempt_store import AttemptStore
from medexp.sweep.lease import ATTRIBUTE, Lease, Timing


class OwnLeases:
    """Keeps them ours: a job may wait in a cluster's queue for hours before it takes its lease over."""

    def __init__(self, store: AttemptStore, timing: Timing) -> None:
        self._store, self._timing = store, timing
        self._leases: dict[int, Lease] = {}  # as we wrote them, by the number of the attempt

    def add(self, number: int, lease: Lease) -> None:
        """Keep the lease of attempt `number` from now on."""
        self._leases[number] = lease

    def renew(self, trials: Sequence[FrozenTrial]) -> None:
        """Renew those that are due; forget what a job has taken over, has ended, or was lost.

        Args:
            trials: all attempts, by number, as they are now.
        """
        for number, lease in list(self._leases.items()):
            stored = Lease.read(trials[number].user_attrs)
            ours = stored is not None and stored.owner == lease.owner and stored.state == "held"
            if stored is None or not ours or trials[number].state != TrialState.RUNNING:
                del self._leases[number]
            elif (fresh := lease.renewed()).time - stored.time >= self._timing.renew:
                self._store.set(trials[number], ATTRIBUTE, fresh.attribute())
