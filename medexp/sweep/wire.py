"""Messages between a sweep and the processes that run its trials."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

LARGEST = 1 << 17  # bytes of a message; as long as Linux lets a command line's argument be


@dataclass(frozen=True)
class Birth:
    """Asks for the process of a trial.

    Attributes:
        number: of the trial.
        overrides: its command line.
        log: receives what it prints.
        cores: it may run on; empty: all.
        environment: variables to set.
    """

    number: int
    overrides: tuple[str, ...]
    log: Path
    cores: tuple[int, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Close:
    """Nothing more will be asked for."""


@dataclass(frozen=True)
class Born:
    """The process of a trial is there; it does not heed signals yet."""

    number: int
    pid: int


@dataclass(frozen=True)
class Started:
    """The process of a trial heeds signals now."""

    number: int
    pid: int


@dataclass(frozen=True)
class Unborn:
    """The process of a trial could not be made."""

    number: int
    reason: str


@dataclass(frozen=True)
class Failed:
    """What a trial's process says of the error that ends it."""

    number: int
    reason: str


@dataclass(frozen=True)
class Gone:
    """A process is over, with the status that `os.wait` gave. It need not be a trial's."""

    pid: int
    status: int


@dataclass(frozen=True)
class NurseryUp:
    """The process that makes others is there, maybe not for the first time."""

    pid: int


@dataclass(frozen=True)
class NurseryLost:
    """The process that makes others was killed. `given_up`: too often to try again."""

    status: int
    given_up: bool


Message = Birth | Close | Born | Started | Unborn | Failed | Gone | NurseryUp | NurseryLost


class Wire:
    """One end of a connection that many processes may share: each message arrives whole, at one of them.

    Both ends are forked into processes of this program only, so that its messages can be trusted.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Wire, Wire]:
        """Return both ends of a new one."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def send(self, message: Message) -> bool:
        """Send a message; False when nobody is there any more to receive it."""
        data = ForkingPickler.dumps(message)
        assert len(data) <= LARGEST, f"a message of {len(data)} bytes"
        try:
            self._end.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self, seconds: float | None = None) -> Message | None:
        """Wait for a message so long (None: for ever); None when there is none.

        Raises:
            EOFError: the other end is closed, and all that it sent was received.
        """
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        if not poll.poll(None if seconds is None else max(seconds, 0.0) * 1000):
            return None
        try:
            data = self._end.recv(LARGEST)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        message: Message = ForkingPickler.loads(data)
        return message

    @property
    def deserted(self) -> bool:
        """Whether the other end is closed, whatever is still to be received."""
        poll = select.poll()
        poll.register(self._end, 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close this end, as far as this process is concerned."""
        self._end.close()
