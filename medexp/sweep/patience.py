"""Work on while the storage of a study is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from medexp.errors import SweepError

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)
_SHORTEST, _LONGEST = 1.0, 15.0  # seconds between two attempts


class Patience:
    """Asks a storage that may be away for a while: a server that is started anew, a network, a lock.

    Args:
        seconds: how long it may be away.
        clock: seconds that only grow.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: float | None = None
        self._next = self._wait = 0.0
        self._error: SweepError | None = None

    @property
    def away(self) -> bool:
        """Whether the storage did not answer the last time."""
        return self._since is not None

    def ask(self, call: Callable[[], Answer], *, otherwise: Answer) -> Answer:
        """Return what `call` returns; `otherwise` while the storage is away, without calling more than now and then.

        Raises:
            SweepError: what does not pass by waiting: the study is another one, a driver is missing.
        """
        now = self._clock()
        if self._since is not None and now < self._next:
            return otherwise
        try:
            answer = call()
        except SweepError as error:
            if not _passes(error):
                raise
            if self._since is None:
                self._since, self._wait = now, _SHORTEST
                logger.warning("%s\nThe trials that run go on; it is tried again", error)
            self._error = error
            self._next, self._wait = self._clock() + self._wait, min(2 * self._wait, _LONGEST)
            return otherwise
        if self._since is not None:
            logger.info("the storage of the search is back after %.0f s", self._clock() - self._since)
            self._since = self._error = None
        return answer

    def check(self) -> None:
        """Give up on a storage that has been away for too long.

        Raises:
            SweepError: what it said the last time.
        """
        if self._error is not None and self._since is not None and self._clock() - self._since > self._seconds:
            raise self._error


def _passes(error: BaseException) -> bool:
    """Whether the cause is of those that come and go."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as NoConnection

    return isinstance(error.__cause__, (OSError, StorageInternalError, DBAPIError, NoConnection))
