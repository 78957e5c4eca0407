"""Who works on a trial, and whether that process is still there."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

ATTRIBUTE = "lease"  # of the trial, in the storage
State = Literal["held", "released", "lost"]


@dataclass(frozen=True)
class Timing:
    """How often a lease is renewed, and when it has run out, in seconds.

    Args:
        renew: between two renewals.
        watch: a lease of another machine must not have changed for so long before our eyes: clocks differ.
        patience: after so long without a renewal its holder counts as dead.
    """

    renew: float = 20.0
    watch: float = 45.0
    patience: float = 120.0


@dataclass(frozen=True)
class Lease:
    """A process that works on a trial.

    Args:
        host: its machine.
        boot: which start of the machine, and which space of process ids (containers have their own).
        pid: its id.
        started: when it started, in the system's own unit: ids are used again.
        time: of the last renewal, seconds since 1970 by the clock of its machine.
        owner: tells two leases of one process apart.
        state: `released` where the process gave the trial back, `lost` where somebody saw it end without a result.
    """

    host: str
    boot: str
    pid: int
    started: int
    time: float
    owner: str
    state: State = "held"

    @classmethod
    def of(cls, pid: int) -> Lease:
        """A new lease of process `pid` of this machine."""
        return cls(platform.node(), boot(), pid, started(pid) or 0, time.time(), uuid.uuid4().hex)

    @classmethod
    def read(cls, attributes: Mapping[str, Any], key: str = ATTRIBUTE) -> Lease | None:
        """The lease among a trial's attributes; None where there is none that can be read."""
        try:
            return cls(**attributes[key])
        except (KeyError, TypeError):
            return None

    def renewed(self) -> Lease:
        """The same lease, as of now."""
        return replace(self, time=time.time())

    def ended(self, state: State) -> Lease:
        """The same lease, given up: whoever comes next takes the trial."""
        return replace(self, state=state)

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine, since its last start."""
        return self.host == platform.node() and self.boot == boot()

    @property
    def lives(self) -> bool:
        """Whether the process is there; to be asked of this machine only."""
        return started(self.pid) == self.started

    def attribute(self) -> dict[str, Any]:
        """The lease as it is stored."""
        return asdict(self)


@dataclass
class Watch:
    """Judges leases. Those of other machines need some time: it remembers since when each has not changed."""

    timing: Timing = field(default_factory=Timing)
    clock: Callable[[], float] = time.monotonic
    _seen: dict[int, tuple[Lease | None, float]] = field(default_factory=dict)

    def is_dead(self, trial: int, lease: Lease | None) -> bool:
        """Whether nobody works on `trial` any more.

        A lease of this machine is judged by its process, at once. Of another machine neither the process nor the
        clock is known: the lease must be older than `patience` and unchanged for `watch` seconds of looking on, or
        unchanged for `patience`. So must a trial without a lease.

        Args:
            trial: any number that stays the same for the trial.
            lease: as it is stored now.
        """
        if lease is not None and lease.state != "held":
            return True
        if lease is not None and lease.is_here:
            return not lease.lives
        now = self.clock()
        before, since = self._seen.setdefault(trial, (lease, now))
        if before != lease:
            self._seen[trial] = (lease, now)
            return False
        old = lease is not None and time.time() - lease.time > self.timing.patience
        return now - since >= (self.timing.watch if old else self.timing.patience)


def boot() -> str:
    """Names this start of this machine, and the space that process ids are of."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        import psutil

        return f"{psutil.boot_time():.0f}"


def started(pid: int) -> int | None:
    """When process `pid` started, in the system's own unit; None where there is none, or only its shell is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return _started_elsewhere(pid)
    except (ProcessLookupError, PermissionError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _started_elsewhere(pid: int) -> int | None:
    if Path("/proc/self/stat").exists():
        return None
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time() * 100)
    except psutil.Error:
        return None
